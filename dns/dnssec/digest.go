package dnssec

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"anyu/dns/wire"

	"github.com/emmansun/gmsm/sm3"
)

// ErrDigest says that a digest type is none we can compute.
var ErrDigest = errors.New("digest type is not supported")

// KeyTag computes the key tag of DNSKEY RDATA (RFC 4034, Appendix B). Too short RDATA has tag 0.
func KeyTag(rdata []byte) uint16 {
	if len(rdata) < keyHead {
		return 0
	}
	// RFC 4034, Appendix B.1 (erratum 2681): for algorithm 1 it is the last three octets of the modulus but the last one.
	if Algorithm(rdata[3]) == RSAMD5 {
		if len(rdata) < keyHead+3 {
			return 0
		}
		return binary.BigEndian.Uint16(rdata[len(rdata)-3:])
	}
	var sum uint32 // 65,535 octets add up to less than 2^32
	for i, b := range rdata {
		if i&1 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
	}
	return uint16(sum + sum>>16)
}

func (d DigestType) size() int {
	switch d {
	case DigestSHA1:
		return sha1.Size
	case DigestSHA256:
		return sha256.Size
	case DigestSHA384:
		return sha512.Size384
	case DigestSM3:
		return sm3.Size
	}
	return 0
}

// AppendDigest appends the digest of a DNSKEY as a DS record holds it (RFC 4034, Section 5.1.4): over the canonical owner
// name and the RDATA.
func AppendDigest(dst []byte, d DigestType, owner wire.Name, dnskey []byte) ([]byte, error) {
	in := append(owner.AppendLower(make([]byte, 0, wire.MaxName+len(dnskey))), dnskey...)
	switch d {
	case DigestSHA1:
		sum := sha1.Sum(in)
		return append(dst, sum[:]...), nil
	case DigestSHA256: // RFC 4509
		sum := sha256.Sum256(in)
		return append(dst, sum[:]...), nil
	case DigestSHA384: // RFC 6605, Section 2
		sum := sha512.Sum384(in)
		return append(dst, sum[:]...), nil
	case DigestSM3: // RFC 9563, Section 2
		sum := sm3.Sum(in)
		return append(dst, sum[:]...), nil
	}
	return dst, fmt.Errorf("%w: %v", ErrDigest, d)
}

// DS is a DS or CDS record taken apart.
type DS struct {
	Tag       uint16
	Algorithm Algorithm
	Type      DigestType
	Digest    []byte
}

// ParseDS reads DS RDATA. The digest shares its memory.
func ParseDS(rdata []byte) (DS, error) {
	if len(rdata) < 5 {
		return DS{}, fmt.Errorf("reading a DS record: %w", wire.ErrRData)
	}
	return DS{binary.BigEndian.Uint16(rdata), Algorithm(rdata[2]), DigestType(rdata[3]), rdata[4:]}, nil
}

// Matches tells whether the DS is made from this DNSKEY RDATA. The error is ErrDigest where that cannot be told.
func (d DS) Matches(owner wire.Name, dnskey []byte) (bool, error) {
	if !d.Type.Supported() {
		return false, fmt.Errorf("%w: %v", ErrDigest, d.Type)
	}
	if len(dnskey) < keyHead || Algorithm(dnskey[3]) != d.Algorithm || KeyTag(dnskey) != d.Tag {
		return false, nil
	}
	var room [sha512.Size]byte
	sum, err := AppendDigest(room[:0], d.Type, owner, dnskey)
	return bytes.Equal(sum, d.Digest), err
}
