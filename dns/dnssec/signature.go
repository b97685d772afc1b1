package dnssec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"anyu/dns/wire"
)

// Errors of signatures.
var (
	ErrSignature = errors.New("malformed signature")
	// ErrExpired and ErrNotYet: the signature does not count at the time asked for (RFC 4035, Section 5.3.1).
	ErrExpired = errors.New("signature has expired")
	ErrNotYet  = errors.New("signature is not yet valid")
	// ErrBogus: the signature does not belong to the RRset and the key.
	ErrBogus = errors.New("signature does not verify")
	// ErrMismatch: the fields of the signature rule out that it belongs to the RRset or the key (RFC 4035, Section 5.3.1).
	ErrMismatch = errors.New("signature is for other data or another key")
)

// Signature is an RRSIG record taken apart (RFC 4034, Section 3.1).
type Signature struct {
	Covered     wire.Type
	Algorithm   Algorithm
	Labels      uint8
	OriginalTTL uint32
	Expiration  uint32 // seconds since 1970 modulo 2^32, as Inception
	Inception   uint32
	Tag         uint16
	Signer      wire.Name
	Octets      []byte

	head []byte // RDATA up to the signer
}

const signatureHead = 18

// ParseSignature reads uncompressed RRSIG RDATA, whose memory the Signature shares.
func ParseSignature(rdata []byte) (Signature, error) {
	if len(rdata) <= signatureHead {
		return Signature{}, fmt.Errorf("reading an RRSIG record: %w", ErrSignature)
	}
	end, err := wire.SkipName(rdata, signatureHead)
	if err != nil || wire.ValidName(rdata[signatureHead:end]) != nil {
		return Signature{}, fmt.Errorf("reading an RRSIG record: %w", ErrSignature)
	}
	return Signature{
		Covered: wire.Type(binary.BigEndian.Uint16(rdata)), Algorithm: Algorithm(rdata[2]), Labels: rdata[3],
		OriginalTTL: binary.BigEndian.Uint32(rdata[4:]), Expiration: binary.BigEndian.Uint32(rdata[8:]),
		Inception: binary.BigEndian.Uint32(rdata[12:]), Tag: binary.BigEndian.Uint16(rdata[16:]),
		Signer: wire.Name(rdata[signatureHead:end]), Octets: rdata[end:], head: rdata[:signatureHead],
	}, nil
}

// ValidAt tells whether the signature counts at a time: nil, ErrExpired or ErrNotYet. RFC 4034, Section 3.1.5: times are
// compared as serial numbers (RFC 1982), and both ends belong to the interval.
func (s *Signature) ValidAt(now time.Time) error {
	t := uint32(now.Unix())
	switch {
	case int32(s.Expiration-s.Inception) < 0: // ends before it begins
		return ErrExpired
	case int32(t-s.Expiration) > 0:
		return ErrExpired
	case int32(t-s.Inception) < 0:
		return ErrNotYet
	}
	return nil
}

// Expires is the end of the validity as a time, the one nearest to now.
func (s *Signature) Expires(now time.Time) time.Time {
	return time.Unix(now.Unix()+int64(int32(s.Expiration-uint32(now.Unix()))), 0).UTC()
}

// Begins is the start of the validity, as Expires.
func (s *Signature) Begins(now time.Time) time.Time {
	return time.Unix(now.Unix()+int64(int32(s.Inception-uint32(now.Unix()))), 0).UTC()
}
