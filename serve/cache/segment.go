package cache

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

const (
	// segmentSize: small enough that dropping one (a few thousand entries looked up) holds a writer for well under a millisecond.
	segmentSize = 256 << 10
	minSegments = 8
	// The first segments of a shard are small, so that a cache of 32 shards with little in it is not mostly room at the ends of segments: 3 of
	// 42 MiB of the process at 50,000 names.
	firstSize     = segmentSize / 4
	firstSegments = 6
	// trialShare is the part of the room that is for entries that were not used again yet, where others need the rest.
	trialShare = 5
	// smallIndex: below so many slots the index grows whenever a bucket is full, so that a small cache loses nothing. A bigger one loses
	// one entry in a thousand before it is half full.
	smallIndex = 1 << 13
	// generous drops in a row let everything move on that was used; after them only survivors octets of a segment do, so that room is
	// gained and a writer is not held for long.
	generous  = 4
	survivors = segmentSize / 4 * 3
	// indexShare is the part of the room the index may take.
	indexShare = 4

	_ = uint(firstSize - MaxEntry) // the longest entry fits into the smallest segment
)

// segment is octets that entries are appended to. What is written once is never changed; fill is the writer's.
type segment struct {
	gen  uint16
	id   uint16
	kept bool
	fill int
	data []byte
}

// ring is a queue of segments, oldest first; the last is the one being filled.
type ring struct{ queue []*segment }

const (
	trial = iota // entries as they come
	kept         // entries that were used
)

// shard is a part of the store with a lock for its writers.
type shard struct {
	index atomic.Pointer[index]

	mu      sync.Mutex
	secret  *secret
	budget  int64
	stale   uint32
	rings   [2]ring
	free    []uint16 // numbers of segments that may be used again
	gens    []uint16 // of each number: the last one given
	count   [kinds]int
	live    int64
	evicted uint64
	scratch []byte // where an entry is put together

	_            [64]byte // counters of readers apart from what writers use
	hits, misses atomic.Uint64
	_            [64]byte
}

// clear forgets everything. Generations go on: a reader may hold a slot of before.
func (s *shard) clear() {
	segments := minSegments
	if old := s.index.Load(); old != nil {
		segments = len(old.segments)
	}
	s.index.Store(newIndex(segments))
	s.rings = [2]ring{}
	s.free = s.free[:0]
	for id := range s.gens {
		s.free = append(s.free, uint16(id))
	}
	s.live, s.count = 0, [kinds]int{}
}

func (s *shard) segments() int { return len(s.rings[trial].queue) + len(s.rings[kept].queue) }

func (s *shard) bytes() int64 {
	n := s.index.Load().bytes()
	for _, r := range s.rings {
		for _, seg := range r.queue {
			n += int64(len(seg.data))
		}
	}
	return n
}

// room is how many segments there may be. One is left out for survivors of a segment that is being dropped.
func (s *shard) room() int {
	n := (s.budget-s.index.Load().bytes())/segmentSize - 1
	return int(min(max(n, minSegments), maxID-1))
}

// fit drops segments until there are no more than the room allows.
func (s *shard) fit() {
	for s.segments() > s.room() {
		s.drop(0, survivors)
	}
}

// store writes an entry that begins with a header and makes its key lead to it. False means that it is too long.
func (s *shard) store(h uint64, e entry, now uint32) bool {
	if len(e) > MaxEntry {
		return false
	}
	for len(e)%4 != 0 {
		e = append(e, 0)
	}
	binary.LittleEndian.PutUint16(e, uint16(len(e)>>2))
	value := s.write(trial, e, now, h)
	s.place(h, e, value)
	return true
}

// write appends an entry to a ring and returns the value of its slot. With the ring kept, whose entries come from a segment that is being
// dropped, no room is made.
func (s *shard) write(r int, e entry, now uint32, h uint64) uint64 {
	q := &s.rings[r].queue
	if n := len(*q); n == 0 || (*q)[n-1].fill+len(e) > len((*q)[n-1].data) {
		for i := 0; r == trial && s.segments() >= s.room(); i++ {
			limit := segmentSize
			if i >= generous {
				limit = survivors
			}
			s.drop(now, limit)
		}
		*q = append(*q, s.open(r == kept))
	}
	seg := (*q)[len(*q)-1]
	off := seg.fill
	seg.fill += copy(seg.data[off:], e)
	return h>>tagShift<<tagShift | uint64(seg.id)<<idShift | uint64(seg.gen)<<genShift | uint64(off>>2)<<offsetShift
}

// open makes a segment under a number nobody has.
func (s *shard) open(isKept bool) *segment {
	var id uint16
	if n := len(s.free); n > 0 {
		id = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		id = uint16(len(s.gens))
		s.gens = append(s.gens, 0)
	}
	s.gens[id] = s.gens[id]%maxGen + 1
	size := segmentSize
	if s.segments() < firstSegments {
		size = firstSize
	}
	seg := &segment{gen: s.gens[id], id: id, kept: isKept, data: make([]byte, size)}
	ix := s.index.Load()
	if int(id) >= len(ix.segments) {
		wider := &index{packets: ix.packets, others: ix.others, segments: make([]atomic.Pointer[segment], 2*len(ix.segments))}
		for i := range ix.segments {
			wider.segments[i].Store(ix.segments[i].Load())
		}
		ix = wider
		s.index.Store(ix)
	}
	ix.segments[id].Store(seg)
	return seg
}

// drop gives up the oldest segment of the trial, or, when the trial is small, of the kept ones. Entries used since they came are
// kept, up to limit octets.
func (s *shard) drop(now uint32, limit int) {
	r := trial
	if n := len(s.rings[trial].queue); len(s.rings[kept].queue) > 1 && n <= max(2, s.room()/trialShare) {
		r = kept
	}
	seg := s.rings[r].queue[0]
	s.rings[r].queue = s.rings[r].queue[1:]
	moved := 0
	s.walk(seg, func(h, value uint64, slot *atomic.Uint64, e entry) {
		used := slot.Load()&usedBit != 0
		usable := e.usable(now, s.stale)
		if used && usable && moved+len(e) <= limit {
			moved += len(e)
			slot.Store(s.write(kept, e, now, h))
			return
		}
		if usable {
			s.evicted++
		}
		s.forget(slot, e)
	})
	s.index.Load().segments[seg.id].Store(nil)
	s.free = append(s.free, seg.id)
}

// walk calls yield for each entry of a segment that can be found.
func (s *shard) walk(seg *segment, yield func(h, value uint64, slot *atomic.Uint64, e entry)) {
	for off := 0; off < seg.fill; {
		e := entry(seg.data[off:])
		e = e[:e.size()]
		h := s.secret.hash(e.kind(), e.key())
		value := h>>tagShift<<tagShift | uint64(seg.id)<<idShift | uint64(seg.gen)<<genShift | uint64(off>>2)<<offsetShift
		if slot := s.index.Load().of(e.kind()).holding(h, value); slot != nil {
			yield(h, value, slot, e)
		}
		off += len(e)
	}
}

// forget takes an entry out of the index.
func (s *shard) forget(slot *atomic.Uint64, e entry) {
	slot.Store(0)
	s.count[e.kind()]--
	s.live -= int64(e.size())
}

// place makes the key of e lead to value.
func (s *shard) place(h uint64, e entry, value uint64) {
	ix := s.index.Load()
	s.live += int64(e.size())
	if slot, old := ix.find(h, e.kind(), e.key()); slot != nil {
		s.live -= int64(old.size())
		// What is asked for often stays so when it is renewed.
		slot.Store(value | slot.Load()&usedBit)
		return
	}
	of := ix.of(e.kind())
	if s.entriesIn(e.kind())*2 >= len(of.all) && ix.bytes()+int64(len(of.all)*8) <= s.budget/indexShare {
		of = s.grow(ix, e.kind())
	}
	slot := of.empty(h)
	for slot == nil && len(of.all) < smallIndex {
		of = s.grow(s.index.Load(), e.kind())
		slot = of.empty(h)
	}
	if slot == nil {
		slot = s.evict(s.index.Load(), of, h)
	}
	slot.Store(value)
	s.count[e.kind()]++
}

// entriesIn is how many entries share the slots of a kind.
func (s *shard) entriesIn(kind byte) int {
	if kind == kindPacket {
		return s.count[kindPacket]
	}
	n := -s.count[kindPacket]
	for _, c := range s.count {
		n += c
	}
	return n
}

// grow doubles the slots of a kind and returns the new ones. It goes through the segments in order instead of from slot to slot: memory in a
// row is read ten times faster, and a writer waits. Entries that find no place are lost, which is rare at this load.
func (s *shard) grow(old *index, kind byte) *slots {
	ix := &index{packets: old.packets, others: old.others, segments: old.segments}
	before, of := old.of(kind), ix.of(kind)
	*of = newSlots(2 * len(before.all) / bucketSlots)
	for _, r := range s.rings {
		for _, seg := range r.queue {
			s.walk(seg, func(h, _ uint64, slot *atomic.Uint64, e entry) {
				if ix.of(e.kind()) != of {
					return
				}
				if to := of.empty(h); to != nil {
					to.Store(slot.Load())
				} else {
					s.forget(slot, e)
				}
			})
		}
	}
	s.index.Store(ix)
	return of
}

// evict frees a slot among those a hash may have: the best of one whose entry was not used and is on trial, one that was not used, any. If
// all were used the others now count as not used.
func (s *shard) evict(ix *index, of *slots, h uint64) *atomic.Uint64 {
	first := h & of.mask &^ 1 * bucketSlots
	slots := of.all[first:][:2*bucketSlots]
	start := int(h >> tagShift) // differs from key to key
	victim, best := (*atomic.Uint64)(nil), -1
	for i := range slots {
		slot := &slots[(start+i)%len(slots)]
		v, worth := slot.Load(), 0
		if v&usedBit == 0 {
			worth = 1
			if seg := ix.segments[v>>idShift&maxID].Load(); seg != nil && !seg.kept {
				worth = 2
			}
		}
		if worth > best {
			victim, best = slot, worth
		}
	}
	if best == 0 {
		for i := range slots {
			slots[i].Store(slots[i].Load() &^ usedBit)
		}
	}
	s.forget(victim, ix.entryAt(victim.Load()))
	s.evicted++
	return victim
}
