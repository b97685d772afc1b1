package trail

import (
	"anyu/watch/trail/column"
)

// A disk that is asked for one thing after the other is slow, and each question that is waited for costs a change of threads. So a search tells the system what it will read of a
// segment, lets the searches of other hours go on, and reads when its turn comes again: then it mostly is there. What was foreseen is in the system's cache, not in the process.

// nearRows is up to where the rows that may have a name are read ahead without knowing which have it: they are in the same few pages.
const nearRows = 2 * markRows

// absent tells, from bloom filters, that a group has no row that fits.
func (s *search) absent(p *piece) bool {
	for i := range s.tests {
		if c := s.tests[i].filtered(p); c != nil {
			p.from.WantFilter(c, s.tests[i].exact)
		}
	}
	s.ask(p)
	for i := range s.tests {
		if c := s.tests[i].filtered(p); c != nil && p.from.Lacks(c, s.tests[i].exact) {
			return true
		}
	}
	return false
}

// filtered is the column of a test that a bloom filter may answer; nil: none can.
func (t *test) filtered(p *piece) *column.Chunk {
	if t.exact == "" {
		return nil
	}
	return p.chunk(t.field)
}

// foresee asks for what is read of a group first: the column that is looked at, and where its rows are near each other, the others too.
func (s *search) foresee(p *piece) {
	near := p.end-p.begin <= nearRows
	for i := range s.tests {
		if c := p.chunk(s.tests[i].field); c != nil && (i == 0 || near) {
			p.from.WantAll(c, p.begin, p.end)
		}
	}
	for _, f := range s.wanted {
		if c := p.toRead(s, f); c != nil && near {
			p.from.WantAll(c, p.begin, p.end)
		}
	}
	s.ask(p)
}

// foreseeRows asks for what is wanted of rows that fit.
func (s *search) foreseeRows(p *piece, rows []int32) {
	for _, f := range s.wanted {
		if c := p.toRead(s, f); c != nil {
			p.from.Want(c, rows)
		}
	}
	s.ask(p)
}

// toRead is the column of a wanted field, where its values are not known without.
func (p *piece) toRead(s *search, f *field) *column.Chunk {
	c := p.chunk(f)
	if c != nil {
		if _, _, known := p.constant(s, f, c); known {
			return nil
		}
	}
	return c
}

// ask lets others go on where something was asked for.
func (s *search) ask(p *piece) {
	if p.from.Ask() {
		s.elsewhere(func() {})
	}
}
