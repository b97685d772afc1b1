package cache

import (
	"encoding/binary"
	"sync/atomic"
)

// A slot is one word: what the hash says, where the entry is, whether it was used. Zero is empty. Offsets count steps of four
// octets; gen tells a segment from those that had its number before.
//
//	tag 19 | segment 14 | gen 14 | offset 16 | used 1
const (
	usedBit     = 1
	offsetShift = 1
	genShift    = offsetShift + 16
	idShift     = genShift + 14
	tagShift    = idShift + 14

	maxID  = 1<<14 - 1
	maxGen = 1<<14 - 1

	shardShift = 38 // bits 38..42 of a hash choose the shard, those above the tag, those below the bucket

	bucketSlots  = 8 // a cache line; when it is full, the other line of the same 128 octets is used
	firstBuckets = 64
)

// index finds entries. Its slots are changed by writers of the shard, but for the used bit, which readers set. A bigger index
// replaces it; readers of the old one see what was true a moment ago.
//
// Packets have slots of their own: the hot path looks for nothing else, and among the slots of RRsets and answers, ten for each packet,
// theirs would be spread over as many more cache lines.
type index struct {
	packets, others slots
	segments        []atomic.Pointer[segment]
}

// slots are buckets in a row.
type slots struct {
	all  []atomic.Uint64
	mask uint64 // of buckets
}

func newSlots(buckets int) slots {
	return slots{make([]atomic.Uint64, buckets*bucketSlots), uint64(buckets - 1)}
}

func newIndex(segments int) *index {
	return &index{newSlots(firstBuckets), newSlots(firstBuckets), make([]atomic.Pointer[segment], segments)}
}

func (ix *index) bytes() int64 {
	return int64(len(ix.packets.all)+len(ix.others.all)+len(ix.segments)) * 8
}

// of returns the slots for a kind of entries.
func (ix *index) of(kind byte) *slots {
	if kind == kindPacket {
		return &ix.packets
	}
	return &ix.others
}

// bucket returns the slots of bucket n.
func (s *slots) bucket(n uint64) []atomic.Uint64 {
	return s.all[n&s.mask*bucketSlots:][:bucketSlots:bucketSlots]
}

// entryAt returns the entry a slot points to, nil if its segment is gone.
func (ix *index) entryAt(slot uint64) entry {
	id := slot >> idShift & maxID
	if id >= uint64(len(ix.segments)) {
		return nil
	}
	seg := ix.segments[id].Load()
	if seg == nil || seg.gen != uint16(slot>>genShift&maxGen) {
		return nil
	}
	return entry(seg.data[slot>>offsetShift&0xFFFF<<2:])
}

// find returns the slot and the entry of a key, or nil.
func (ix *index) find(h uint64, kind byte, key []byte) (*atomic.Uint64, entry) {
	tag := h >> tagShift
	of := ix.of(kind)
	for other := range uint64(2) {
		bucket := of.bucket(h ^ other)
		for i := range bucket {
			v := bucket[i].Load()
			if v>>tagShift != tag || v&^usedBit == 0 {
				continue
			}
			if e := ix.entryAt(v); e != nil && e.is(kind, key) {
				return &bucket[i], e
			}
		}
	}
	return nil, nil
}

// holding returns the slot with a value, not counting the used bit, or nil. The hash says where it can be.
func (s *slots) holding(h, value uint64) *atomic.Uint64 {
	for other := range uint64(2) {
		bucket := s.bucket(h ^ other)
		for i := range bucket {
			if bucket[i].Load()&^usedBit == value {
				return &bucket[i]
			}
		}
	}
	return nil
}

// empty returns a free slot for a hash, or nil.
func (s *slots) empty(h uint64) *atomic.Uint64 { return s.holding(h, 0) }

// use marks an entry as used; a line that is marked already is not written to.
func use(slot *atomic.Uint64) {
	if slot.Load()&usedBit == 0 {
		slot.Or(usedBit)
	}
}

// entry is an entry's octets and what follows them in the segment:
//
//	0 size in steps of 4 octets | 2 kind | 3 security, trust | 4 length of key | 6 rcode, AA | 8 stored | 12 expires | 16 key | body
type entry []byte

const (
	entryHeader = 16
	authority   = 1 << 15 // AA beside the rcode
)

// Kinds of entries.
const (
	kindRRset   = iota + 1
	kindAnswer  // to one question
	kindNoName  // the answer to all questions about a name that is proved not to exist
	kindFailure // no answer was to be had; beside kindAnswer, since it must not push out what may be served stale
	kindPacket
	kinds
)

func (e entry) size() int       { return int(binary.LittleEndian.Uint16(e)) << 2 }
func (e entry) kind() byte      { return e[2] }
func (e entry) state() byte     { return e[3] }
func (e entry) keyLen() int     { return int(binary.LittleEndian.Uint16(e[4:])) }
func (e entry) key() []byte     { return e[entryHeader : entryHeader+e.keyLen()] }
func (e entry) code() uint16    { return binary.LittleEndian.Uint16(e[6:]) }
func (e entry) stored() uint32  { return binary.LittleEndian.Uint32(e[8:]) }
func (e entry) expires() uint32 { return binary.LittleEndian.Uint32(e[12:]) }
func (e entry) body() []byte    { return e[entryHeader+e.keyLen() : e.size()] }

func (e entry) fresh(now uint32) bool { return now < e.expires() }

// usable tells whether the entry is fresh or may still be used stale.
func (e entry) usable(now, stale uint32) bool {
	return uint64(now) < uint64(e.expires())+uint64(stale)
}

func (e entry) is(kind byte, key []byte) bool {
	return e.kind() == kind && e.keyLen() == len(key) && string(e[entryHeader:entryHeader+len(key)]) == string(key)
}

// appendHeader starts an entry; its size is written when it is stored.
func appendHeader(dst []byte, kind, state byte, key []byte, code uint16, stored, expires uint32) []byte {
	le := binary.LittleEndian
	dst = append(dst, 0, 0, kind, state)
	dst = le.AppendUint16(dst, uint16(len(key)))
	dst = le.AppendUint16(dst, code)
	dst = le.AppendUint32(dst, stored)
	dst = le.AppendUint32(dst, expires)
	return append(dst, key...)
}

// hash of a key, 16 octets at a time. The variants of a packet have the same one, so that Warm need not know which is asked for.
func (s *secret) hash(kind byte, key []byte) uint64 {
	le := binary.LittleEndian
	if kind == kindPacket && len(key) > 0 {
		key = key[:len(key)-1]
	}
	h := s[0] ^ uint64(kind)<<56 ^ uint64(len(key))
	for len(key) > 16 {
		h = mix(le.Uint64(key)^s[1], le.Uint64(key[8:])^h)
		key = key[16:]
	}
	var a, b uint64
	switch {
	case len(key) >= 8:
		a, b = le.Uint64(key), le.Uint64(key[len(key)-8:])
	case len(key) >= 4:
		a, b = uint64(le.Uint32(key)), uint64(le.Uint32(key[len(key)-4:]))
	case len(key) > 0:
		a, b = uint64(key[0])<<8|uint64(key[len(key)/2]), uint64(key[len(key)-1])
	}
	return mix(mix(a^s[1], b^h)^s[2], s[3])
}
