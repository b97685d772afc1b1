package column

import "slices"

// Foreseer is a file that can be told what will be read of it, so that the disk is at it before anybody waits.
type Foreseer interface {
	Foresee(at, octets int64)
}

// stretch is a part of a file that is read at once.
type stretch struct{ from, until int64 }

const (
	// lastOctets are foreseen with a file's end: of a segment with some 50,000 rows the bloom filters, too.
	lastOctets = 96 << 10
	// gap is what is read between two stretches rather than asking twice: a disk reads as much in the time that a question takes.
	gap = 64 << 10
	// maxForeseen bounds what of a file is foreseen at a time (stops: a search for everything, which drives from the system's cache what was foreseen for others).
	maxForeseen = 4 << 20
)

// Expect tells a file of some size that it will be opened soon.
func Expect(f Foreseer, size int64) {
	n := min(size, lastOctets)
	f.Foresee(size-n, n)
}

// Want notes the pages of a column that have some of rows, which rise; Ask asks for them. What cannot be found is told by who reads it.
func (r *Reader) Want(k *Chunk, rows []int32) {
	if _, err := k.spans(); err == nil && len(rows) > 0 && int64(rows[len(rows)-1]) < k.rows {
		r.wanted = k.having(r.wanted, rows)
	}
}

// WantAll notes the pages that have rows from begin to end.
func (r *Reader) WantAll(k *Chunk, begin, end int64) {
	if _, err := k.spans(); err == nil && begin < end {
		r.wanted = k.between(r.wanted, begin, end)
	}
}

// WantFilter notes what Lacks reads for a text.
func (r *Reader) WantFilter(k *Chunk, text string) {
	if at, _, ok := k.bloomBlock(text); ok {
		r.wanted = append(r.wanted, stretch{at, at + window})
	}
}

// Ask foresees all that was noted, neighbours with one question, and tells whether the file knows anything new by that.
func (r *Reader) Ask() bool {
	f, ok := r.open.from.(Foreseer)
	list := slices.DeleteFunc(r.wanted, func(s stretch) bool { return s.from < 0 || s.from >= min(s.until, r.open.size) || r.foreseen(s) })
	r.wanted = r.wanted[:0]
	if !ok || len(list) == 0 {
		return false
	}
	slices.SortFunc(list, func(a, b stretch) int { return int(a.from - b.from) })
	begin, room := len(r.asked), int64(maxForeseen)
	for _, s := range list {
		if room -= s.until - s.from; room < 0 {
			break
		}
		s.until = min(s.until, r.open.size)
		r.asked = join(r.asked, begin, s, gap)
	}
	for _, s := range r.asked[begin:] {
		f.Foresee(s.from, s.until-s.from)
	}
	return len(r.asked) > begin
}

func (r *Reader) foreseen(s stretch) bool {
	return slices.ContainsFunc(r.asked, func(a stretch) bool { return s.from >= a.from && s.until <= a.until })
}

// join adds a stretch, which is not before the others from begin on, to the last of them where little is between and little comes of it; else behind it.
func join(list []stretch, begin int, s stretch, between int64) []stretch {
	if len(list) > begin {
		last := &list[len(list)-1]
		if until := max(last.until, s.until); s.from-last.until <= between && until-last.from <= maxFetch {
			last.until = until
			return list
		}
	}
	return append(list, s)
}

// whole adds a column that is read at once, for it is small.
func (k *Chunk) whole(list []stretch) ([]stretch, bool) {
	from, end := k.pages[0].at, k.pages[len(k.pages)-1]
	if k.dictionary > 0 {
		from = min(from, k.dictionary)
	}
	if end.at+end.octets-from > smallChunk {
		return list, false
	}
	return append(list, stretch{from, end.at + end.octets}), true
}

// between adds what is read of a column for rows from begin to end: its dictionary, and pages one behind the other.
func (k *Chunk) between(list []stretch, begin, end int64) []stretch {
	list, done := k.whole(list)
	if done {
		return list
	}
	first := len(list)
	list = k.addDictionary(list)
	for number := k.holding(begin); number < len(k.pages) && k.pages[number].row < end; number++ {
		list = k.addPage(list, first, number)
	}
	return list
}

// having adds what is read of a column for some rows, which rise: pages between that are not needed come along where they are small.
func (k *Chunk) having(list []stretch, rows []int32) []stretch {
	list, done := k.whole(list)
	if done {
		return list
	}
	first := len(list)
	list = k.addDictionary(list)
	for at := 0; at < len(rows); {
		number := k.holding(int64(rows[at]))
		list = k.addPage(list, first, number)
		at += k.rowsOf(number, rows[at:])
	}
	return list
}

func (k *Chunk) addDictionary(list []stretch) []stretch {
	if k.dictionary > 0 && k.dictionary < k.pages[0].at {
		list = append(list, stretch{k.dictionary, k.pages[0].at})
	}
	return list
}

func (k *Chunk) addPage(list []stretch, first, number int) []stretch {
	s := k.pages[number]
	if len(list) > first && s.at < list[len(list)-1].from {
		return list // pages are not in their order: it is read alone
	}
	return join(list, first, stretch{s.at, s.at + s.octets}, smallChunk)
}

// rowsOf is how many of rows, which begin in a page, are in it.
func (k *Chunk) rowsOf(page int, rows []int32) (n int) {
	end := k.end(page)
	for n < len(rows) && int64(rows[n]) < end {
		n++
	}
	return n
}
