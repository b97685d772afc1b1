package zone

import (
	"bytes"
	"crypto/sha1"

	"anyu/dns/wire"
)

// hashName is the NSEC3 hash of a name (RFC 5155, Section 5). Only algorithm 1, SHA-1, exists.
func hashName(n wire.Name, p nsec3Param) []byte {
	buf := append(n.AppendLower(make([]byte, 0, wire.MaxName+len(p.salt))), p.salt...)
	sum := sha1.Sum(buf)
	for range p.iterations {
		buf = append(append(buf[:0], sum[:]...), p.salt...)
		sum = sha1.Sum(buf)
	}
	return sum[:]
}

// place says where a record goes: which tree, under which key, and how its owner is spelled.
type place struct {
	key    []byte
	owner  []byte // labels without the apex, or nil where the key says it all
	flags  byte   // flagHash, flagUpper
	inHash bool
}

// locate finds the place of records of this type; t is for RRSIG the covered type. owner is at or below apex.
func locate(dst []byte, owner, apex wire.Name, t wire.Type) place {
	labels := owner[:len(owner)-len(apex)]
	if t == wire.TypeNSEC3 {
		if p, ok := locateHash(dst, labels); ok {
			return p
		}
	}
	p := place{key: wire.AppendKey(dst, owner, apex)}
	if hasUpper(labels) {
		p.owner = labels
	}
	return p
}

// locateHash is locate for an NSEC3 record. Where the owner is no hash, directly below the apex, the record is an oddity
// that stays among the names; Check reports it.
func locateHash(dst, labels []byte) (place, bool) {
	if len(labels) < 2 || int(labels[0]) != len(labels)-1 {
		return place{}, false
	}
	key, ok := appendFromBase32(dst, labels[1:])
	if !ok {
		return place{}, false
	}
	p := place{key: key, flags: flagHash, inHash: true}
	if !hasUpper(labels) {
		return p, true
	}
	var text [64]byte
	if bytes.Equal(appendBase32(text[:0], key[len(dst):], true), labels[1:]) {
		p.flags |= flagUpper
	} else {
		p.owner = labels
	}
	return p, true
}

func hasUpper(b []byte) bool {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			return true
		}
	}
	return false
}
