package zone

import (
	"bytes"
	"slices"
	"sync"

	"anyu/dns/wire"
)

// merger joins runs into leaves in order. A leaf that overlaps no other run is taken as it is.
type merger struct {
	heap []*source
	out  builder
	warn func(key []byte, t wire.Type, ttl uint32)

	// Of the name being joined.
	same   [][]byte
	sets   []setPart
	rdatas [][]byte
	entry  []byte
}

// source is a position in a run.
type source struct {
	leaves []*page
	at     int    // in leaves[0]
	limit  int    // how much of the last leaf belongs to this part of the key space
	head   uint64 // of key
	key    []byte
	order  int // of the run: the earlier one spells the owner
}

func (s *source) entry() []byte { return s.leaves[0].entry(s.at) }

// count is how much of the first leaf is to be read.
func (s *source) count() int {
	if len(s.leaves) == 1 {
		return s.limit
	}
	return s.leaves[0].count()
}

// settle reads the key after a move; more is false at the end. A leaf that is used up is let go.
func (s *source) settle() (more bool) {
	for s.at >= s.count() {
		s.leaves[0] = nil
		s.leaves, s.at = s.leaves[1:], 0
		if len(s.leaves) == 0 {
			return false
		}
	}
	s.key = entryKey(s.entry())
	s.head = headOf(s.key)
	return true
}

// part is the source for the keys of a run from low up to high; nil is no bound. It returns nil for none.
func part(leaves []*page, low, high []byte, order int) *source {
	from, at := 0, 0
	if low != nil {
		from, at = position(leaves, low)
	}
	to, limit := len(leaves), 0
	if high != nil {
		to, limit = position(leaves, high)
	}
	if limit > 0 {
		to++
	} else if to > from {
		limit = leaves[to-1].count()
	}
	if from >= to {
		return nil
	}
	s := &source{leaves: slices.Clone(leaves[from:to]), at: at, limit: limit, order: order}
	if !s.settle() {
		return nil
	}
	return s
}

// position is the leaf and the item in it of the first key not below key.
func position(leaves []*page, key []byte) (leaf, at int) {
	leaf, _ = slices.BinarySearchFunc(leaves, key, func(p *page, key []byte) int {
		return bytes.Compare(entryKey(p.lastEntry()), key)
	})
	if leaf < len(leaves) {
		at, _ = leaves[leaf].leafSearch(key)
	}
	return leaf, at
}

func (s *source) less(o *source) bool {
	if s.head != o.head {
		return s.head < o.head
	}
	if c := bytes.Compare(s.key, o.key); c != 0 {
		return c < 0
	}
	return s.order < o.order
}

// mergeRuns joins runs of leaves, in the order of the file, in as many parts at a time as workers.
func mergeRuns(runs [][]*page, workers int, warn func(key []byte, t wire.Type, ttl uint32)) []*page {
	bounds := splitKeys(runs, workers)
	parts := make([][]*page, len(bounds)+1)
	var wg sync.WaitGroup
	for i := range parts {
		var low, high []byte
		if i > 0 {
			low = bounds[i-1]
		}
		if i < len(bounds) {
			high = bounds[i]
		}
		m := &merger{warn: warn}
		for order, leaves := range runs {
			if s := part(leaves, low, high, order); s != nil {
				m.heap = append(m.heap, s)
			}
		}
		wg.Go(func() { parts[i] = m.run() })
	}
	clear(runs) // the sources hold the leaves now, and let them go one by one
	wg.Wait()
	return slices.Concat(parts...)
}

// minSplit is the number of leaves below which splitting the work does not pay.
const minSplit = 128

// splitKeys returns keys that divide the leaves into about as many equal parts as workers.
func splitKeys(runs [][]*page, workers int) (bounds [][]byte) {
	var keys [][]byte
	for _, leaves := range runs {
		for _, p := range leaves {
			keys = append(keys, entryKey(p.entry(0)))
		}
	}
	if workers < 2 || len(runs) < 2 || len(keys) < minSplit {
		return nil
	}
	slices.SortFunc(keys, bytes.Compare)
	for i := 1; i < workers; i++ {
		if key := keys[i*len(keys)/workers]; len(key) > 0 && (len(bounds) == 0 || !bytes.Equal(key, bounds[len(bounds)-1])) {
			bounds = append(bounds, bytes.Clone(key))
		}
	}
	return bounds
}

// run merges everything.
func (m *merger) run() []*page {
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	for len(m.heap) > 0 {
		m.step()
	}
	return m.out.pages()
}

// step takes a leaf or the entries of one name.
func (m *merger) step() {
	s := m.heap[0]
	if s.at == 0 && s.count() == s.leaves[0].count() && m.alone(s) {
		m.out.flush()
		m.out.out = append(m.out.out, s.leaves[0])
		s.at = s.count()
		m.advance()
		return
	}
	m.same = append(m.same[:0], s.entry())
	key := s.key
	s.at++
	m.advance()
	for len(m.heap) > 0 && bytes.Equal(m.heap[0].key, key) {
		s := m.heap[0]
		m.same = append(m.same, s.entry())
		s.at++
		m.advance()
	}
	if len(m.same) == 1 {
		m.out.add(m.same[0])
		return
	}
	m.out.add(m.join(key))
}

// alone tells whether the leaf at the top source ends before any other source goes on, and taking it whole does not leave
// a crumb of a page before it.
func (m *merger) alone(s *source) bool {
	if n := len(m.out.items); n > 0 && n < pageSize/2 {
		return false
	}
	last := entryKey(s.leaves[0].lastEntry())
	for i := 1; i <= 2 && i < len(m.heap); i++ {
		if bytes.Compare(last, m.heap[i].key) >= 0 {
			return false
		}
	}
	return true
}

// advance puts the top source, which has moved, in its place.
func (m *merger) advance() {
	if !m.heap[0].settle() {
		n := len(m.heap) - 1
		m.heap[0] = m.heap[n]
		m.heap = m.heap[:n]
	}
	if len(m.heap) > 1 {
		m.down(0)
	}
}

func (m *merger) down(i int) {
	for {
		least := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < len(m.heap) && m.heap[k].less(m.heap[least]) {
				least = k
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}

// setPart is a set with the octets it was read from.
type setPart struct {
	set RRset
	raw []byte
}

// join makes one entry of several of one name. The first spells the owner.
func (m *merger) join(key []byte) []byte {
	first := m.same[0]
	flags := byte(0)
	m.sets = m.sets[:0]
	for _, e := range m.same {
		flags |= entryFlags(e) &^ (flagOwner | flagUpper)
		for b := e[setsAt(e):]; len(b) > 0; {
			s, rest := nextSet(b)
			m.sets = append(m.sets, setPart{s, b[:len(b)-len(rest)]})
			b = rest
		}
	}
	slices.SortStableFunc(m.sets, func(a, b setPart) int { return compareSets(a.set, b.set) })
	at := keyEnd(first)
	m.entry = append(m.entry[:0], first[:setsAt(first)]...)
	m.entry[at] |= flags
	for sets := m.sets; len(sets) > 0; {
		n := 1
		for n < len(sets) && compareSets(sets[n].set, sets[0].set) == 0 {
			n++
		}
		if n == 1 {
			m.entry = append(m.entry, sets[0].raw...)
		} else {
			m.joinSets(key, sets[:n])
		}
		sets = sets[n:]
	}
	return m.entry
}

func (m *merger) joinSets(key []byte, parts []setPart) {
	s := parts[0].set
	m.rdatas = m.rdatas[:0]
	differs := false
	for _, p := range parts {
		if p.set.ttl != s.ttl {
			s.ttl, differs = min(s.ttl, p.set.ttl), true
		}
		for it := p.set.Iter(); it.Next(); {
			m.rdatas = append(m.rdatas, it.RData())
		}
	}
	if differs && s.typ != wire.TypeRRSIG {
		m.warn(key, s.typ, s.ttl)
	}
	m.entry = appendSet(m.entry, s.typ, s.covered, s.ttl, sortRData(s.typ, m.rdatas))
}
