// Package fast keeps finished answers as bytes, so that a question asked before costs one lookup and one copy.
//
// An entry holds what follows the question: records compressed against it, without OPT. A hit is copied behind the client's
// own question, so that its ID, its case (0x20) and its EDNS options are its own.
//
// The package promises: a hit gives the bytes the slow path would give (a test and a fuzzer in serve compare them); memory
// is bounded and holds no pointers; no lock, because each worker has a table of its own. It refuses answers about names that
// do not exist: there are endlessly many of them, and an attacker would push the useful ones out (random subdomains).
//
// Limits today: when the room is used up the whole table is emptied at once and filled again by the questions that come.
package fast

import (
	"encoding/binary"
	"math/bits"

	"anyu/dns/wire"
)

const (
	firstSlots = 1 << 12
	maxProbes  = 32
	chunkSize  = 1 << 20
	// MaxEntry is the longest answer kept. Longer ones are rare and cost more in copying than in lookup.
	MaxEntry = 2048

	keyRoom = wire.MaxName + 8
)

// Stamp says which version of the world an answer was made from: the table of zones, the zone's number and its version. An
// entry with another stamp is not used.
type Stamp struct {
	Zones   uint32 // changes when a zone comes or goes: a name may belong to another zone then
	Zone    uint32 // index of the zone in the table
	Version uint32 // changes when the zone's content does
}

// Answer is what an entry holds.
type Answer struct {
	Stamp Stamp
	Tag   uint32 // the caller's: number of the zone in observations
	Flags uint16 // of the reply without RD, opcode QUERY
	AN    uint16
	NS    uint16
	AR    uint16 // without OPT
	Body  []byte // all that follows the question
}

// Table is one worker's answers. The zero Table keeps nothing; use New.
type Table struct {
	slots  []slot
	used   int
	chunks [][]byte
	chunk  int // the one being filled
	fill   int
	room   int // chunks there may be
	hits   uint64
	misses uint64
	resets uint64

	key  [keyRoom]byte
	klen int
	hash uint64
}

// slot points at an entry: octet `off` of chunk `chunk`. hash 0 is empty.
type slot struct {
	hash  uint32
	chunk uint16
	_     uint16
	off   uint32
}

// header of an entry in a chunk: stamp 12, tag 4, flags 2, counts 6, key length 2, body length 2.
const entryHeader = 28

// New returns a table that uses at most about size octets; below a chunk of 1 MiB it keeps nothing.
func New(size int) *Table {
	return &Table{slots: make([]slot, firstSlots), room: min(max(size, 0)/chunkSize, 1<<16-1)}
}

// Find looks for the answer to q: (name in any case, type, DO). The Answer's Body points into the table and is valid until
// the next Add. Find must come before Add: it leaves the key for it.
func (t *Table) Find(q *wire.Query) (Answer, bool) {
	t.makeKey(q)
	i, mask := int(t.hash), len(t.slots)-1
	h := uint32(t.hash>>32) | 1
	for range maxProbes {
		s := &t.slots[i&mask]
		if s.hash == 0 {
			break
		}
		if s.hash == h {
			e := t.chunks[s.chunk][s.off:]
			klen := int(binary.LittleEndian.Uint16(e[24:]))
			if klen == t.klen && string(e[entryHeader:entryHeader+klen]) == string(t.key[:klen]) {
				t.hits++
				return decode(e, klen), true
			}
		}
		i++
	}
	t.misses++
	return Answer{}, false
}

func decode(e []byte, klen int) Answer {
	le := binary.LittleEndian
	body := entryHeader + klen
	return Answer{
		Stamp: Stamp{le.Uint32(e), le.Uint32(e[4:]), le.Uint32(e[8:])},
		Tag:   le.Uint32(e[12:]),
		Flags: le.Uint16(e[16:]),
		AN:    le.Uint16(e[18:]),
		NS:    le.Uint16(e[20:]),
		AR:    le.Uint16(e[22:]),
		Body:  e[body : body+int(le.Uint16(e[26:]))],
	}
}

// Add keeps the answer to the question of the last Find. An entry for the same question is replaced.
func (t *Table) Add(a Answer) {
	if len(a.Body) > MaxEntry || t.room == 0 {
		return
	}
	if t.used*2 >= len(t.slots) {
		t.grow()
	}
	need := entryHeader + t.klen + len(a.Body)
	if !t.reserve(need) {
		t.reset()
		if !t.reserve(need) {
			return
		}
	}
	s := t.place(t.hash)
	if s == nil {
		return
	}
	if s.hash == 0 {
		t.used++
	}
	*s = slot{hash: uint32(t.hash>>32) | 1, chunk: uint16(t.chunk), off: uint32(t.fill)}
	e := t.chunks[t.chunk][t.fill : t.fill+need]
	t.fill += need
	le := binary.LittleEndian
	le.PutUint32(e, a.Stamp.Zones)
	le.PutUint32(e[4:], a.Stamp.Zone)
	le.PutUint32(e[8:], a.Stamp.Version)
	le.PutUint32(e[12:], a.Tag)
	le.PutUint16(e[16:], a.Flags)
	le.PutUint16(e[18:], a.AN)
	le.PutUint16(e[20:], a.NS)
	le.PutUint16(e[22:], a.AR)
	le.PutUint16(e[24:], uint16(t.klen))
	le.PutUint16(e[26:], uint16(len(a.Body)))
	copy(e[entryHeader:], t.key[:t.klen])
	copy(e[entryHeader+t.klen:], a.Body)
}

// place finds the slot for a hash: that of an equal key, else an empty one, else none within maxProbes.
func (t *Table) place(hash uint64) *slot {
	i, mask, h := int(hash), len(t.slots)-1, uint32(hash>>32)|1
	for range maxProbes {
		s := &t.slots[i&mask]
		if s.hash == 0 {
			return s
		}
		if s.hash == h {
			e := t.chunks[s.chunk][s.off:]
			klen := int(binary.LittleEndian.Uint16(e[24:]))
			if klen == t.klen && string(e[entryHeader:entryHeader+klen]) == string(t.key[:klen]) {
				return s
			}
		}
		i++
	}
	return nil
}

// reserve makes sure that the current chunk has room for n octets.
func (t *Table) reserve(n int) bool {
	if len(t.chunks) > 0 && t.fill+n <= chunkSize {
		return true
	}
	switch {
	case len(t.chunks) == 0 || t.chunk+1 == len(t.chunks):
		if len(t.chunks) == t.room {
			return false
		}
		t.chunks = append(t.chunks, make([]byte, chunkSize))
		t.chunk = len(t.chunks) - 1
	default:
		t.chunk++
	}
	t.fill = 0
	return true
}

// reset forgets everything and keeps the memory.
func (t *Table) reset() {
	clear(t.slots)
	t.used, t.chunk, t.fill = 0, 0, 0
	t.resets++
}

// grow doubles the slots; entries stay where they are.
func (t *Table) grow() {
	old := t.slots
	t.slots = make([]slot, 2*len(old))
	t.used = 0
	mask := len(t.slots) - 1
	for _, s := range old {
		if s.hash == 0 {
			continue
		}
		e := t.chunks[s.chunk][s.off:]
		klen := int(binary.LittleEndian.Uint16(e[24:]))
		i := int(hashKey(e[entryHeader : entryHeader+klen-1]))
		for range maxProbes {
			if n := &t.slots[i&mask]; n.hash == 0 {
				*n = s
				t.used++
				break
			}
			i++
		}
	}
}

// Stats are counts since the start.
type Stats struct{ Hits, Misses, Resets, Entries, Bytes uint64 }

// Stats may be called by the worker only.
func (t *Table) Stats() Stats {
	return Stats{t.hits, t.misses, t.resets, uint64(t.used), uint64(len(t.chunks)*chunkSize + len(t.slots)*12)}
}

// makeKey builds the key: the name in lower case, eight octets at a time, then type, DO, and whether the name had capitals,
// for then names in RDATA do not point into it (see wire.Builder).
func (t *Table) makeKey(q *wire.Query) {
	n := len(q.Name)
	capitals := lower(t.key[:], q.Name)
	flags := byte(0)
	if q.DO {
		flags = 1
	}
	if capitals != 0 {
		flags |= 2
	}
	t.key[n], t.key[n+1], t.key[n+2] = byte(q.Type>>8), byte(q.Type), flags
	t.klen = n + 3
	t.hash = hashKey(t.key[:t.klen-1])
}

// lower8 puts the ASCII capitals among eight octets into lower case: the top bit of an octet of `up` is set where the octet is
// in 'A'..'Z'. Length octets are at most 63, below 'A'.
func lower8(v uint64) uint64 {
	const ones = 0x0101010101010101
	low := v & (0x7F * ones)
	up := (low + (0x80-'A')*ones) &^ (low + (0x80-'Z'-1)*ones) &^ v & (0x80 * ones)
	return v | up>>2
}

// hashKey mixes the key without its flags, which Warm does not know, eight octets at a time by multiplication. It is not keyed: the table belongs to names that exist in the
// operator's own zones, and maxProbes bounds what a chosen collision can cost.
func hashKey(k []byte) uint64 {
	const m = 0x9E3779B97F4A7C15
	h := uint64(len(k)) * m
	for ; len(k) >= 8; k = k[8:] {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(k), m)
		h = hi ^ lo
	}
	var last uint64
	for i, c := range k {
		last |= uint64(c) << (8 * i)
	}
	hi, lo := bits.Mul64(h^last, m)
	return hi ^ lo
}
