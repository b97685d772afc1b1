package gauge

import "slices"

// heavy is a Space-Saving summary (Metwally, Agrawal, El Abbadi 2005): of a stream of N it keeps every key that came more than N/heavySlots
// times, in memory that does not grow. A key that is new takes the place and the count of the smallest, and notes that count as what it
// may have too much. Why not a library: docs/decisions/0002-sketches.md.
type heavy struct {
	total uint64
	index map[uint64]int32 // by the key's hash
	slots []counter
	heap  []int32 // of slots, the smallest count first
}

type counter struct {
	hash, count, over uint64
	at                int // in heap
	key               []byte
}

// heavySlots is how many keys one minute of one list keeps (stops: memory filled by random names). Of a minute of 100,000 queries a
// second 12,000 are the least that is certainly seen.
const heavySlots = 512

func newHeavy() *heavy {
	return &heavy{index: make(map[uint64]int32, heavySlots), slots: make([]counter, 0, heavySlots), heap: make([]int32, 0, heavySlots)}
}

// add counts a key n times. Two keys of one hash are one: a hash of 64 bits with a seed that nobody knows.
func (h *heavy) add(hash uint64, key []byte, n uint64) {
	h.total += n
	i, ok := h.index[hash]
	switch {
	case ok:
		c := &h.slots[i]
		c.count += n
		h.down(c.at)
	case len(h.slots) < heavySlots:
		i = int32(len(h.slots))
		h.slots = h.slots[:i+1] // as it was left: a cleared summary finds the memory of its keys again
		c := &h.slots[i]
		c.hash, c.count, c.over, c.key, c.at = hash, n, 0, append(c.key[:0], key...), len(h.heap)
		h.heap = append(h.heap, i)
		h.index[hash] = i
		h.up(c.at)
	default:
		i = h.heap[0]
		c := &h.slots[i]
		delete(h.index, c.hash)
		h.index[hash] = i
		c.hash, c.over, c.key = hash, c.count, append(c.key[:0], key...)
		c.count += n
		h.down(0)
	}
}

func (h *heavy) swap(a, b int) {
	h.heap[a], h.heap[b] = h.heap[b], h.heap[a]
	h.slots[h.heap[a]].at, h.slots[h.heap[b]].at = a, b
}

func (h *heavy) count(at int) uint64 { return h.slots[h.heap[at]].count }

func (h *heavy) up(at int) {
	for at > 0 && h.count((at-1)/2) > h.count(at) {
		h.swap(at, (at-1)/2)
		at = (at - 1) / 2
	}
}

func (h *heavy) down(at int) {
	for {
		least := 2*at + 1
		if least >= len(h.heap) {
			return
		}
		if least+1 < len(h.heap) && h.count(least+1) < h.count(least) {
			least++
		}
		if h.count(least) >= h.count(at) {
			return
		}
		h.swap(at, least)
		at = least
	}
}

// clear makes it empty.
func (h *heavy) clear() {
	clear(h.index)
	h.total, h.slots, h.heap = 0, h.slots[:0], h.heap[:0]
}

// tally is what is kept of a summary when its minute is over.
type tally struct {
	total uint64
	lines []line // the largest first, of those that are certain by half
}

type line struct {
	hash, count, over uint64
	key               string
}

// tallyLines is how many keys of a minute stay for the hour.
const tallyLines = 100

// tally copies the largest keys. One whose count may be more than half somebody else's is noise, and left out.
func (h *heavy) tally() tally {
	t := tally{total: h.total}
	for i := range h.slots {
		if c := &h.slots[i]; c.over <= c.count/2 {
			t.lines = append(t.lines, line{hash: c.hash, count: c.count, over: c.over})
		}
	}
	slices.SortFunc(t.lines, byCount)
	t.lines = slices.Clip(t.lines[:min(tallyLines, len(t.lines))])
	for i := range t.lines {
		t.lines[i].key = string(h.slots[h.index[t.lines[i].hash]].key)
	}
	return t
}
