package zone

import (
	"bytes"
	"slices"

	"anyu/dns/wire"
)

// merger joins runs into leaves in order. A leaf that overlaps no other run is taken as it is.
type merger struct {
	apex bool // the empty key is the apex: not so among hashes
	heap []*source
	out  builder
	same [][]byte // entries of one name
	sets []setPart
	warn func(key []byte, t wire.Type, ttl uint32)

	rdatas [][]byte
	entry  []byte
}

// source is a position in a run.
type source struct {
	leaves []*page
	at     int    // in leaves[0]
	head   uint64 // of key
	key    []byte
	order  int // of the run: the earlier one spells the owner
}

func (s *source) entry() []byte { return s.leaves[0].entry(s.at) }

// settle reads the key after a move; more is false at the end.
func (s *source) settle() (more bool) {
	if s.at == s.leaves[0].count() {
		s.leaves, s.at = s.leaves[1:], 0
	}
	if len(s.leaves) == 0 {
		return false
	}
	s.key = entryKey(s.entry())
	s.head = headOf(s.key)
	return true
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

// mergeRuns joins runs of leaves, in the order of the file.
func mergeRuns(runs [][]*page, apex bool, warn func(key []byte, t wire.Type, ttl uint32)) []*page {
	m := &merger{apex: apex, warn: warn}
	for i, leaves := range runs {
		if len(leaves) == 0 {
			continue
		}
		s := &source{leaves: leaves, order: i}
		s.settle()
		m.heap = append(m.heap, s)
	}
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
	if s.at == 0 && m.alone(s) {
		m.out.flush()
		m.out.out = append(m.out.out, s.leaves[0])
		s.at = s.leaves[0].count()
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
