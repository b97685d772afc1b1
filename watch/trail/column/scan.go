package column

import "bytes"

// Scan gives the rows from begin to end whose column has a text that fits, rising. Where exact is not empty, nothing else fits. A text of the dictionary is looked at once.
func (r *Reader) Scan(k *Chunk, begin, end int64, exact string, fits func(text []byte) bool) (rows []int32, err error) {
	if begin >= end {
		return nil, nil
	}
	if _, err := k.spans(); err != nil {
		return nil, err
	}
	r.plan = k.between(r.plan[:0], begin, end)
	var known []bool // of the dictionary: which fit
	some := false
	for number := k.holding(begin); number < len(k.pages) && k.pages[number].row < end; number++ {
		p, err := r.turn(k, number, true)
		if err != nil {
			return nil, err
		}
		if p.coded && known == nil {
			known, some = r.dict.fitting(exact, fits)
		}
		if p.coded && !some {
			continue // others may stand without the dictionary: a writer gives it up where it grows too large
		}
		if rows, err = p.scan(rows, begin, end, known, fits); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// fitting tells which texts of a dictionary fit, and whether one does.
func (d *dictionary) fitting(exact string, fits func(text []byte) bool) (known []bool, some bool) {
	known = make([]bool, d.count)
	for i := range known {
		text := d.text(int32(i))
		if exact != "" && len(text) != len(exact) {
			continue // most: it saves the call
		}
		known[i] = fits(text)
		some = some || known[i]
	}
	return known, some
}

// scan looks at the values of a page.
func (p *page) scan(rows []int32, begin, end int64, known []bool, fits func([]byte) bool) ([]int32, error) {
	if p.coded && len(p.reps) == 0 && !p.allDefs { // the same as below, for what most columns are
		from := max(begin-p.first, 0)
		for i, entry := range p.index[from:min(end-p.first, p.rows)] {
			if uint(entry) >= uint(len(known)) {
				return nil, errDictionary
			}
			if known[entry] {
				rows = append(rows, int32(p.first+from)+int32(i))
			}
		}
		return rows, nil
	}
	row, next := p.first-1, 0
	for i := range p.values {
		if len(p.reps) == 0 || p.reps[i] == 0 {
			row++
		}
		if p.allDefs && p.defs[i] != p.leaf.maxDef {
			continue
		}
		at := next
		next++
		if row < begin {
			continue
		}
		if row >= end {
			break
		}
		fit := false
		if p.coded {
			entry := p.index[at]
			if entry < 0 || int(entry) >= len(known) {
				return nil, errDictionary
			}
			fit = known[entry]
		} else {
			fit = fits(p.read(at).Text)
		}
		if fit && (len(rows) == 0 || rows[len(rows)-1] != int32(row)) {
			rows = append(rows, int32(row))
		}
	}
	return rows, nil
}

// Pick gives the values that are not null of some rows, which rise, with the row's place in rows.
func (r *Reader) Pick(k *Chunk, rows []int32, take func(i int, v Value)) error {
	if len(rows) == 0 {
		return nil
	}
	if _, err := k.spans(); err != nil {
		return err
	}
	if first := rows[0]; first < 0 || int64(rows[len(rows)-1]) >= k.rows {
		return errPage
	}
	r.plan = k.having(r.plan[:0], rows)
	for begin := 0; begin < len(rows); {
		number := k.holding(int64(rows[begin]))
		end := begin + k.rowsOf(number, rows[begin:])
		p, err := r.turn(k, number, false)
		if err != nil {
			return err
		}
		if p.leaf.maxRep > 0 {
			err = p.pickLists(rows, begin, end, take)
		} else {
			err = p.pick(rows, begin, end, take)
		}
		if err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// pick gives the values of rows[begin:end], which are in the page.
func (p *page) pick(rows []int32, begin, end int, take func(i int, v Value)) error {
	counted, present := 0, 0 // of the values before counted, so many are not null
	for i := begin; i < end; i++ {
		at := int(int64(rows[i]) - p.first)
		if p.allDefs {
			present += bytes.Count(p.defs[counted:at], []byte{p.leaf.maxDef})
			if counted = at; p.defs[at] != p.leaf.maxDef {
				continue
			}
		} else {
			present = at
		}
		v, err := p.value(present)
		if err != nil {
			return err
		}
		take(i, v)
	}
	return nil
}

func (p *page) pickLists(rows []int32, begin, end int, take func(i int, v Value)) error {
	row, next, i := p.first-1, 0, begin
	for n := range p.values {
		if p.reps[n] == 0 {
			row++
		}
		for i < end && int64(rows[i]) < row {
			i++
		}
		if i == end {
			return nil
		}
		if p.allDefs && p.defs[n] != p.leaf.maxDef {
			continue
		}
		at := next
		if next++; int64(rows[i]) != row {
			continue
		}
		v, err := p.value(at)
		if err != nil {
			return err
		}
		take(i, v)
	}
	return nil
}
