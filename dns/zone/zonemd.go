package zone

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strings"

	"anyu/dns/wire"
)

// Numbers of RFC 8976, Sections 5.2 and 5.3.
const (
	SchemeSimple = 1
	DigestSHA384 = 1
	DigestSHA512 = 2
)

// ErrScheme says that a ZONEMD scheme or hash algorithm is none we know.
var ErrScheme = errors.New("unknown ZONEMD scheme or hash algorithm")

// Digest computes the digest of the zone (RFC 8976, Section 3).
func (z *Zone) Digest(scheme, alg uint8) ([]byte, error) {
	if scheme != SchemeSimple {
		return nil, ErrScheme
	}
	d := digester{apex: z.apex, class: z.class}
	switch alg {
	case DigestSHA384:
		d.sum = sha512.New384()
	case DigestSHA512:
		d.sum = sha512.New()
	default:
		return nil, ErrScheme
	}
	// RFC 8976, Section 3.3.1: canonical order of all names, those of NSEC3 records among them.
	a, b := cursorAt(z.names), cursorAt(z.hashes)
	for {
		x, y := a.entry(), b.entry()
		if x == nil && y == nil {
			break
		}
		order := -1
		if x == nil {
			order = 1
		} else if y != nil {
			order = bytes.Compare(entryKey(x), d.hashKey(y))
		}
		switch {
		case order < 0:
			d.name(nodeOf(x), Node{})
			a.next()
		case order > 0:
			d.name(nodeOf(y), Node{})
			b.next()
		default: // an NSEC3 record and other data share an owner
			d.name(nodeOf(x), nodeOf(y))
			a.next()
			b.next()
		}
	}
	return d.sum.Sum(nil), nil
}

// digester writes records in canonical form to a hash.
type digester struct {
	apex  wire.Name
	class wire.Class
	sum   hash.Hash
	buf   []byte
	key   []byte
	head  []byte
}

// hashKey is the key that an NSEC3 node has among the names.
func (d *digester) hashKey(e []byte) []byte {
	d.key = append(appendBase32(d.key[:0], entryKey(e), false), 0)
	return d.key
}

// name hashes the sets of one owner in order of type; other, if any, is the NSEC3 node of the same owner. RRSIG sets of
// different covered types are one RRset here, and their order by covered type is that of its RDATA.
func (d *digester) name(n, other Node) {
	d.head = wire.Name(n.AppendOwner(d.head[:0], d.apex)).AppendLower(d.head[:0])
	x, y := n.entry[n.sets:], []byte(nil)
	if !other.IsZero() {
		y = other.entry[other.sets:]
	}
	for len(x) > 0 || len(y) > 0 {
		var s RRset
		switch {
		case len(y) == 0:
			s, x = nextSet(x)
		case len(x) == 0:
			s, y = nextSet(y)
		default:
			s1, rest1 := nextSet(x)
			s2, rest2 := nextSet(y)
			if compareSets(s1, s2) <= 0 {
				s, x = s1, rest1
			} else {
				s, y = s2, rest2
			}
		}
		// RFC 8976, Section 3.3.1: the ZONEMD records of the apex and the RRSIG over them are left out.
		if n.IsApex() && (s.typ == wire.TypeZONEMD || s.typ == wire.TypeRRSIG && s.covered == wire.TypeZONEMD) {
			continue
		}
		d.set(s)
	}
}

// set hashes the records of a set: owner, type, class, TTL, RDLENGTH, RDATA in canonical form.
func (d *digester) set(s RRset) {
	for it := s.Iter(); it.Next(); {
		b := append(d.buf[:0], d.head...)
		b = binary.BigEndian.AppendUint16(b, uint16(s.typ))
		b = binary.BigEndian.AppendUint16(b, uint16(d.class))
		b = binary.BigEndian.AppendUint32(b, s.ttl)
		b = binary.BigEndian.AppendUint16(b, uint16(len(it.RData())))
		b = wire.AppendCanonical(b, s.typ, it.RData())
		d.sum.Write(b)
		d.buf = b
	}
}

// Verdict is the outcome of CheckZONEMD.
type Verdict int

const (
	// ZONEMDAbsent: the apex has no ZONEMD record.
	ZONEMDAbsent Verdict = iota
	// ZONEMDVerified: a record matches the zone.
	ZONEMDVerified
	// ZONEMDFailed: there are records and none matches.
	ZONEMDFailed
	// ZONEMDUnsupported: there are records, and all are of schemes or algorithms that are not known here. That verifies nothing (RFC 8976, Section 4,
	// step 4), and it is no sign of a change either: else no zone could go over to a new algorithm.
	ZONEMDUnsupported
)

var errUnsupported = errors.New("not supported")

func (v Verdict) String() string {
	return [...]string{"absent", "verified", "failed", "unsupported"}[v]
}

// CheckZONEMD verifies the digest of the zone (RFC 8976, Section 4) and gives the reason. It does not check the signature of
// the ZONEMD records: in a signed zone that is to be done before (Section 4, step 2).
func (z *Zone) CheckZONEMD() (Verdict, string) {
	set, ok := z.ApexNode().Set(wire.TypeZONEMD)
	if !ok {
		return ZONEMDAbsent, "no ZONEMD record at the apex"
	}
	var reasons []string
	verdict := ZONEMDUnsupported
	for it := set.Iter(); it.Next(); {
		err := z.checkDigest(set, it.RData())
		if err == nil {
			return ZONEMDVerified, ""
		}
		if !errors.Is(err, errUnsupported) {
			verdict = ZONEMDFailed
		}
		reasons = append(reasons, err.Error())
	}
	return verdict, strings.Join(reasons, "; ")
}

// checkDigest says why one record does not verify the zone, nil if it does. r has at least 6 octets.
func (z *Zone) checkDigest(set RRset, r []byte) error {
	serial, scheme, alg, digest := binary.BigEndian.Uint32(r), r[4], r[5], r[6:]
	// RFC 8976, Section 4, step 4.a: the serial is that of the SOA.
	if serial != z.serial {
		return fmt.Errorf("its serial %d is not that of the SOA, %d", serial, z.serial)
	}
	want, err := z.digestFor(scheme, alg, digest)
	if err != nil {
		return err
	}
	// RFC 8976, Section 4, step 4: scheme and algorithm must be unique among the records.
	same := 0
	for it := set.Iter(); it.Next(); {
		if it.RData()[4] == scheme && it.RData()[5] == alg {
			same++
		}
	}
	if same > 1 {
		return fmt.Errorf("%d records have scheme %d and algorithm %d", same, scheme, alg)
	}
	if !bytes.Equal(want, digest) {
		return fmt.Errorf("the digest of scheme %d, algorithm %d does not match the zone", scheme, alg)
	}
	return nil
}

// digestFor computes the digest that a record is to have, if its form is right.
func (z *Zone) digestFor(scheme, alg uint8, digest []byte) ([]byte, error) {
	if scheme != SchemeSimple {
		return nil, fmt.Errorf("scheme %d is %w", scheme, errUnsupported)
	}
	size := map[uint8]int{DigestSHA384: 48, DigestSHA512: 64}[alg]
	switch {
	case size == 0:
		return nil, fmt.Errorf("hash algorithm %d is %w", alg, errUnsupported)
	case len(digest) < 12: // RFC 8976, Section 2.2.4
		return nil, fmt.Errorf("a digest of %d octets is too short", len(digest))
	case len(digest) != size: // RFC 8976, Section 5.3
		return nil, fmt.Errorf("a digest of %d octets: algorithm %d has %d", len(digest), alg, size)
	}
	return z.Digest(scheme, alg)
}
