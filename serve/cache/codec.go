package cache

import (
	"encoding/binary"

	"anyu/dns/message"
	"anyu/dns/wire"
)

// An RRset in an entry: the owner, then numbers as varints: type, class, TTL, how many records and signatures; then each with its length.
// Owners are mostly the name of the key or above it, so an owner is suffix and an offset into that name, or itself.
const suffix = 0xFF // no length of a label

// appendSet writes an RRset; ref is the name of the key. Only a suffix in the very same case is left out.
func appendSet(dst []byte, set *message.RRset, ref wire.Name) []byte {
	if off := len(ref) - len(set.Name); off >= 0 && onLabel(ref, off) && string(ref[off:]) == string(set.Name) {
		dst = append(dst, suffix, byte(off))
	} else {
		dst = append(dst, set.Name...)
	}
	dst = binary.AppendUvarint(dst, uint64(set.Type))
	dst = binary.AppendUvarint(dst, uint64(set.Class))
	dst = binary.AppendUvarint(dst, uint64(set.TTL))
	dst = binary.AppendUvarint(dst, uint64(len(set.Data)))
	dst = binary.AppendUvarint(dst, uint64(len(set.Sigs)))
	for _, part := range [2][][]byte{set.Data, set.Sigs} {
		for _, d := range part {
			dst = binary.AppendUvarint(dst, uint64(len(d)))
			dst = append(dst, d...)
		}
	}
	return dst
}

// onLabel tells whether a label of n, or its root, starts at off.
func onLabel(n wire.Name, off int) bool {
	i := 0
	for i < off {
		i += 1 + int(n[i])
	}
	return i == off
}

// reader takes octets apart. What is written by this package always fits; what a file gave may not, so every step is checked, and the
// first that fails makes all later ones empty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number(limit uint64) int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > limit {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *reader) octets(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) name(ref wire.Name) wire.Name {
	if len(r.b) >= 2 && r.b[0] == suffix {
		off := int(r.b[1])
		r.b = r.b[2:]
		if off >= len(ref) || !onLabel(ref, off) {
			r.bad = true
			return nil
		}
		return ref[off:]
	}
	n := 0
	for n < len(r.b) && r.b[n] != 0 {
		n += 1 + int(r.b[n])
	}
	name := wire.Name(r.octets(n + 1))
	if r.bad || wire.ValidName(name) != nil {
		r.bad, r.b = true, nil
		return nil
	}
	return name
}

// set reads an RRset. It shares the memory of r.
func (r *reader) set(ref wire.Name) *message.RRset {
	s := &message.RRset{Name: r.name(ref)}
	s.Type = wire.Type(r.number(0xFFFF))
	s.Class = wire.Class(r.number(0xFFFF))
	s.TTL = uint32(r.number(1<<31 - 1))
	data := r.number(uint64(len(r.b)))
	sigs := r.number(uint64(len(r.b)))
	if r.bad || data+sigs > len(r.b) { // each record takes an octet at least
		r.bad = true
		return s
	}
	all := make([][]byte, data+sigs)
	for i := range all {
		all[i] = r.octets(r.number(MaxEntry))
	}
	if data > 0 {
		s.Data = all[:data:data]
	}
	if sigs > 0 {
		s.Sigs = all[data:]
	}
	return s
}

// keyName is the name a key begins with, 0 octets if it does not begin with one.
func keyName(key []byte) wire.Name {
	n := 0
	for n < len(key) && key[n] != 0 && key[n] <= wire.MaxLabel {
		n += 1 + int(key[n])
	}
	if n >= len(key) || key[n] != 0 || n >= wire.MaxName {
		return nil
	}
	return wire.Name(key[:n+1])
}

const keyRoom = wire.MaxName + 5

// AppendKey appends the key of a question's answers and packets: the name in lower case, type, class, variant.
func AppendKey(dst []byte, q message.Question, variant uint8) []byte {
	dst = q.Name.AppendLower(dst)
	return append(dst, byte(q.Type>>8), byte(q.Type), byte(q.Class>>8), byte(q.Class), variant)
}

func appendSetKey(dst []byte, name wire.Name, t wire.Type) []byte {
	dst = name.AppendLower(dst)
	return append(dst, byte(t>>8), byte(t))
}
