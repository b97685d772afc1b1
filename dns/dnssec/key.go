package dnssec

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of keys.
var (
	// ErrAlgorithm: the algorithm is none we can verify.
	ErrAlgorithm = errors.New("algorithm is not supported")
	// ErrKey: the key material does not have the form its algorithm demands.
	ErrKey = errors.New("malformed public key")
	// ErrKeyLimit: the form is right and the key is outside our bounds.
	ErrKeyLimit = errors.New("public key outside of the bounds")
)

// Flags of a DNSKEY (RFC 4034, Section 2.1.1; RFC 5011, Section 7).
const (
	FlagZone    = 0x0100
	FlagRevoked = 0x0080
	FlagSEP     = 0x0001
)

const (
	keyHead     = 4 // octets of DNSKEY RDATA before the key
	keyProtocol = 3 // RFC 4034, Section 2.1.2
)

// Key is a DNSKEY record read into a public key.
type Key struct {
	Flags     uint16
	Algorithm Algorithm
	Tag       uint16
	public    public
}

// public verifies signatures; signed is what was signed, not a hash of it.
type public interface {
	verify(signed, signature []byte) bool
	bits() int
}

// ParseKey reads DNSKEY RDATA. The key does not share its memory.
func ParseKey(rdata []byte) (*Key, error) {
	if len(rdata) < keyHead {
		return nil, fmt.Errorf("reading a DNSKEY record: %w", ErrKey)
	}
	if rdata[2] != keyProtocol {
		return nil, fmt.Errorf("reading a DNSKEY record: %w: protocol %d", ErrKey, rdata[2])
	}
	k := &Key{Flags: binary.BigEndian.Uint16(rdata), Algorithm: Algorithm(rdata[3]), Tag: KeyTag(rdata)}
	var err error
	if k.public, err = parsePublic(k.Algorithm, rdata[keyHead:]); err != nil {
		return nil, fmt.Errorf("reading DNSKEY %d of algorithm %v: %w", k.Tag, k.Algorithm, err)
	}
	return k, nil
}

func parsePublic(a Algorithm, material []byte) (public, error) {
	switch a {
	case RSASHA1, RSASHA1NSEC3SHA1, RSASHA256, RSASHA512:
		return parseRSA(a, material)
	case ECDSAP256SHA256:
		return parseP256(material)
	case ECDSAP384SHA384:
		return parseP384(material)
	case Ed25519:
		return parseEd25519(material)
	case Ed448:
		return parseEd448(material)
	case SM2SM3:
		return parseSM2(material)
	}
	return nil, ErrAlgorithm
}

// IsZoneKey tells whether the key may sign data of a zone (RFC 4034, Section 2.1.1). A revoked one may sign the DNSKEY
// RRset only (RFC 5011, Section 2.1).
func (k *Key) IsZoneKey() bool { return k.Flags&FlagZone != 0 }

// IsRevoked tells whether the REVOKE bit is set.
func (k *Key) IsRevoked() bool { return k.Flags&FlagRevoked != 0 }

// IsSEP tells whether the key is meant as an entry point (RFC 4034, Section 2.1.1).
func (k *Key) IsSEP() bool { return k.Flags&FlagSEP != 0 }

// Bits is the size of the key: of the modulus with RSA, of the field with curves.
func (k *Key) Bits() int { return k.public.bits() }
