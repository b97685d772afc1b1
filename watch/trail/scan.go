package trail

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"anyu/watch/trail/column"
)

// A row group is searched column by column: what its footer and filters rule out is not read, then come the columns of the filter, each only where the ones before it
// left rows, and only then the columns that are wanted, of the rows that fit.

// piece is a row group of a segment and its times.
type piece struct {
	group       *column.Group
	from        *column.Reader
	rows        int64
	first, last int64  // us
	begin, end  int64  // rows that may have the name asked for
	segment     string // relative to the log's folder
}

// pieces are the row groups of a segment, with the times that its footer tells.
func (s *search) pieces(file *sparseFile, segment string, from *column.Reader) (list []piece, err error) {
	f, err := from.Open(file, file.size)
	if err != nil {
		return nil, err
	}
	begin, end := int64(0), int64(math.MaxInt64)
	if text, ok := f.Lookup(marksKey); ok && s.key != nil {
		begin, end = span(readMarks(text), s.key, s.until)
	}
	row := int64(0)
	for i := range f.Groups {
		g := &f.Groups[i]
		p := piece{group: g, from: from, rows: g.Rows, first: math.MinInt64, last: math.MaxInt64, segment: segment}
		p.begin, p.end = max(begin-row, 0), min(end-row, p.rows)
		row += p.rows
		if c := p.chunk(fieldOf(timeColumn)); c != nil && len(c.Min) == 8 && len(c.Max) == 8 {
			p.first, p.last = int64(binary.LittleEndian.Uint64(c.Min)), int64(binary.LittleEndian.Uint64(c.Max))
		}
		list = append(list, p)
	}
	return list, nil
}

// chunk gives the column of a group; nil where it has none that holds such values.
func (p *piece) chunk(f *field) *column.Chunk { return p.group.Chunk(f.path(), f.kind()) }

// hits gives the rows that fit the filter, rising.
func (p *piece) hits(s *search) (rows []int32, err error) {
	if p.last < s.from || p.first >= s.to || p.begin >= p.end || s.absent(p) {
		return nil, nil
	}
	s.scanned.Add(p.end - p.begin)
	s.foresee(p)
	all := true // so far
	for i := range s.tests {
		t := &s.tests[i]
		c := p.chunk(t.field)
		switch {
		case c == nil:
			return nil, nil
		case all:
			rows, err = p.from.Scan(c, p.begin, p.end, t.exact, t.fits)
		default:
			p.from.Want(c, rows)
			s.ask(p)
			rows, err = p.some(c, rows, t.fits)
		}
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", t.field.name, err)
		}
		if all = false; len(rows) == 0 {
			return nil, nil
		}
	}
	if all {
		rows = make([]int32, 0, p.end-p.begin)
		for row := p.begin; row < p.end; row++ {
			rows = append(rows, int32(row))
		}
	}
	return rows, nil
}

// some gives those of rows whose column has a value that fits.
func (p *piece) some(c *column.Chunk, rows []int32, fits func([]byte) bool) (left []int32, err error) {
	last := -1
	err = p.from.Pick(c, rows, func(i int, v column.Value) {
		if i != last && fits(v.Text) {
			left, last = append(left, rows[i]), i
		}
	})
	return left, err
}

var errNoTime = errors.New("no column " + timeColumn)

// times gives the times of some rows, which rise.
func (p *piece) times(rows []int32) (us []int64, err error) {
	c := p.chunk(fieldOf(timeColumn))
	if c == nil {
		return nil, errNoTime
	}
	us = make([]int64, len(rows))
	if err := p.from.Pick(c, rows, func(i int, v column.Value) { us[i] = v.Number }); err != nil {
		return nil, fmt.Errorf("column %s: %w", timeColumn, err)
	}
	return us, nil
}

// constant gives the value that all rows have which fit: the filter or the footer says so. It may be that they have none, which is null.
func (p *piece) constant(s *search, f *field, c *column.Chunk) (v column.Value, null, ok bool) {
	for i := range s.tests {
		if s.tests[i].field == f && s.tests[i].exact != "" && f.list == nil {
			return column.Value{Text: []byte(s.tests[i].exact), Entry: -1}, false, true
		}
	}
	if c.Nulls == c.Values {
		return v, true, true
	}
	if c.Nulls != 0 || f.list != nil || !bytes.Equal(c.Min, c.Max) {
		return v, false, false
	}
	v = column.Value{Entry: -1}
	switch size := len(c.Min); {
	case f.text != nil && size > 0 && size < exactBound:
		v.Text = c.Min
	case f.number != nil && size == 4:
		v.Number = int64(int32(binary.LittleEndian.Uint32(c.Min)))
	case f.long != nil && size == 8:
		v.Number = int64(binary.LittleEndian.Uint64(c.Min))
	case f.flag != nil && size == 1:
		v.Number = int64(c.Min[0])
	default:
		return v, false, false
	}
	return v, false, true
}

// exactBound is the length from which bounds of texts may be cut.
const exactBound = 16

// read gives the wanted columns of some rows, which rise. Their times may be known.
func (p *piece) read(s *search, rows []int32, us []int64) ([]Row, error) {
	out := make([]Row, len(rows))
	for i := range out {
		if out[i].Segment = p.segment; us != nil {
			out[i].Time = us[i]
		}
	}
	for _, f := range s.wanted {
		c := p.chunk(f)
		if c == nil || f.plain != nil && us != nil {
			continue
		}
		v, null, ok := p.constant(s, f, c)
		if null {
			continue
		}
		fill := newFiller(f, len(rows))
		if ok {
			fill.all(out, v)
			continue
		}
		if err := p.from.Pick(c, rows, func(i int, v column.Value) { fill.set(&out[i], v) }); err != nil {
			return nil, fmt.Errorf("column %s: %w", f.name, err)
		}
	}
	return out, nil
}
