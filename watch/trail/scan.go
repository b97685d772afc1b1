package trail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// A row group is searched column by column: what its footer and filters rule out is not read, then come the columns of the filter, each only where the ones before it
// left rows, and only then the columns that are wanted, of the rows that fit.

// piece is a row group of a segment and its times.
type piece struct {
	group       parquet.RowGroup
	rows        int64
	first, last int64  // us
	begin, end  int64  // rows that may have the name asked for
	segment     string // relative to the log's folder
	columns     []format.ColumnChunk
}

// pieces are the row groups of a segment, with the times that its footer tells.
func (s *search) pieces(file *os.File, segment string) (list []piece, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(file, info.Size(), parquet.SkipPageIndex(true), parquet.ReadBufferSize(readBuffer))
	if err != nil {
		return nil, err
	}
	begin, end := int64(0), int64(math.MaxInt64)
	if text, ok := f.Lookup(marksKey); ok && s.key != nil {
		begin, end = span(readMarks(text), s.key, s.until)
	}
	row := int64(0)
	for i, g := range f.RowGroups() {
		p := piece{group: g, rows: g.NumRows(), first: math.MinInt64, last: math.MaxInt64, segment: segment, columns: f.Metadata().RowGroups[i].Columns}
		p.begin, p.end = max(begin-row, 0), min(end-row, p.rows)
		row += p.rows
		if leaf, ok := g.Schema().Lookup(timeColumn); ok {
			if s := p.columns[leaf.ColumnIndex].MetaData.Statistics; len(s.MinValue) == 8 && len(s.MaxValue) == 8 {
				p.first, p.last = int64(le64(s.MinValue)), int64(le64(s.MaxValue))
			}
		}
		list = append(list, p)
	}
	return list, nil
}

func le64(b []byte) (n uint64) {
	for i := 7; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n
}

const (
	readBuffer = 16 << 10
	// maxGroup bounds the rows of a group that is read (stops: a footer that says more than memory holds).
	maxGroup = 64 << 20
	// sparse is up to which share of a page rows are picked one by one.
	sparse = 16
)

// chunk gives the column of a group; nil where it has none that holds such values.
func (p *piece) chunk(f *field) parquet.ColumnChunk {
	leaf, ok := p.group.Schema().Lookup(f.path()...)
	if !ok || leaf.Node.Type().Kind() != f.kind() {
		return nil
	}
	return p.group.ColumnChunks()[leaf.ColumnIndex]
}

// hits gives the rows that fit the filter, rising.
func (p *piece) hits(s *search) (rows []int32, err error) {
	if p.last < s.from || p.first >= s.to || p.begin >= p.end {
		return nil, nil
	}
	if p.rows < 0 || p.rows > maxGroup {
		return nil, fmt.Errorf("a row group of %d rows", p.rows)
	}
	for i := range s.tests {
		if s.tests[i].absent(p) {
			return nil, nil
		}
	}
	s.scanned.Add(p.end - p.begin)
	all := true // so far
	for i := range s.tests {
		c := p.chunk(s.tests[i].field)
		switch {
		case c == nil:
			return nil, nil
		case all:
			rows, err = scanAll(c, p.begin, p.end, s.tests[i].fits)
		default:
			rows, err = scanSome(c, rows, s.tests[i].fits)
		}
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", s.tests[i].field.name, err)
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

// absent tells, from the bloom filter, that a group has no row of the value.
func (t *test) absent(p *piece) bool {
	if t.exact == "" {
		return false
	}
	c := p.chunk(t.field)
	if c == nil || c.BloomFilter() == nil {
		return false
	}
	has, err := c.BloomFilter().Check(parquet.ValueOf(t.exact))
	return err == nil && !has
}

// scanAll gives the rows from begin to end whose column has a value that fits. A value of the dictionary is looked at once.
func scanAll(c parquet.ColumnChunk, begin, end int64, fits func([]byte) bool) (rows []int32, err error) {
	if begin > 0 {
		if _, err := c.OffsetIndex(); err != nil {
			return nil, err
		}
	}
	pages := c.Pages()
	defer pages.Close()
	var known []int8 // of the dictionary: 0 not looked at, 1 fits, -1 does not
	if file, ok := pages.(*parquet.FilePages); ok {
		dictionary, err := file.ReadDictionary()
		if err != nil {
			return nil, err
		}
		if dictionary != nil {
			known = make([]int8, dictionary.Len())
			any := false
			for i := range known {
				known[i] = -1
				if fits(dictionary.Index(int32(i)).ByteArray()) {
					known[i], any = 1, true
				}
			}
			if !any {
				return nil, nil
			}
		}
	}
	if begin > 0 {
		if err := pages.SeekToRow(begin); err != nil {
			return nil, err
		}
	}
	for row := int32(begin) - 1; int64(row)+1 < end; {
		page, err := pages.ReadPage()
		if err != nil {
			return nil, noEOF(err)
		}
		if over := int64(row) + 1 + page.NumRows() - end; over > 0 {
			whole := page
			page = whole.Slice(0, whole.NumRows()-over)
			parquet.Release(whole)
		}
		row, rows, err = scanPage(page, row, rows, known, fits)
		parquet.Release(page)
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// scanPage looks at the values of a page; row is the last one before it.
func scanPage(page parquet.Page, row int32, rows []int32, known []int8, fits func([]byte) bool) (int32, []int32, error) {
	hit := func() {
		if len(rows) == 0 || rows[len(rows)-1] != row {
			rows = append(rows, row)
		}
	}
	if known != nil && page.Dictionary() != nil && len(page.RepetitionLevels()) == 0 {
		data := page.Data()
		indexes := data.Int32()
		levels, next := page.DefinitionLevels(), 0
		for i := range int(page.NumValues()) {
			row++
			if len(levels) > 0 && levels[i] == 0 {
				continue
			}
			if next >= len(indexes) || int(indexes[next]) >= len(known) || indexes[next] < 0 {
				return row, rows, errDictionary
			}
			if known[indexes[next]] > 0 {
				hit()
			}
			next++
		}
		return row, rows, nil
	}
	values, buf := page.Values(), make([]parquet.Value, 256)
	for {
		n, err := values.ReadValues(buf)
		for _, v := range buf[:n] {
			if v.RepetitionLevel() == 0 {
				row++
			}
			if !v.IsNull() && fits(v.ByteArray()) {
				hit()
			}
		}
		if err == io.EOF {
			return row, rows, nil
		}
		if err != nil {
			return row, rows, err
		}
	}
}

var errDictionary = errors.New("values that are not in the dictionary")

// scanSome gives those of rows whose column has a value that fits.
func scanSome(c parquet.ColumnChunk, rows []int32, fits func([]byte) bool) (left []int32, err error) {
	last := -1
	err = pick(c, rows, func(i int, v parquet.Value) {
		if i != last && fits(v.ByteArray()) {
			left, last = append(left, rows[i]), i
		}
	})
	return left, err
}

// pick gives the values that are not null of some rows of a column, with the row's place in rows, which rise.
func pick(c parquet.ColumnChunk, rows []int32, take func(i int, v parquet.Value)) error {
	if len(rows) == 0 {
		return nil
	}
	if _, err := c.OffsetIndex(); err != nil {
		return err
	}
	pages := c.Pages()
	defer pages.Close()
	for i := 0; i < len(rows); {
		first := int64(rows[i])
		if err := pages.SeekToRow(first); err != nil {
			return err
		}
		page, err := pages.ReadPage()
		if err != nil {
			return noEOF(err)
		}
		end := i
		for end < len(rows) && int64(rows[end]) < first+page.NumRows() {
			end++
		}
		if end == i {
			parquet.Release(page)
			return errShortColumn
		}
		err = pickPage(page, rows, i, end, take)
		parquet.Release(page)
		if err != nil {
			return err
		}
		i = end
	}
	return nil
}

var errShortColumn = errors.New("fewer rows than the group has")

func noEOF(err error) error {
	if err == io.EOF {
		return errShortColumn
	}
	return err
}

// pickPage gives the values of rows[begin:end], which are in a page whose first row is rows[begin].
func pickPage(page parquet.Page, rows []int32, begin, end int, take func(i int, v parquet.Value)) error {
	var room [64]parquet.Value
	first, last := rows[begin], rows[end-1]
	if (end-begin)*sparse > int(last-first) {
		return values(page.Slice(0, int64(last-first)+1), room[:], func(offset int, v parquet.Value) {
			for begin < end && int(rows[begin]-first) < offset {
				begin++
			}
			if begin < end && int(rows[begin]-first) == offset && !v.IsNull() {
				take(begin, v)
			}
		})
	}
	for i := begin; i < end; i++ {
		at := int64(rows[i] - first)
		if err := values(page.Slice(at, at+1), room[:], func(_ int, v parquet.Value) {
			if !v.IsNull() {
				take(i, v)
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// values gives the values of a page with the number of their row.
func values(page parquet.Page, room []parquet.Value, take func(row int, v parquet.Value)) error {
	defer parquet.Release(page)
	row, from := -1, page.Values()
	for {
		n, err := from.ReadValues(room)
		for _, v := range room[:n] {
			if v.RepetitionLevel() == 0 {
				row++
			}
			take(row, v)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// times gives the times of some rows, which rise.
func (p *piece) times(rows []int32) (us []int64, err error) {
	c := p.chunk(fieldOf(timeColumn))
	if c == nil {
		return nil, fmt.Errorf("no column %s", timeColumn)
	}
	us = make([]int64, len(rows))
	pages := c.Pages()
	defer pages.Close()
	if _, err := c.OffsetIndex(); err != nil {
		return nil, err
	}
	for i := 0; i < len(rows); {
		first := rows[i]
		if err := pages.SeekToRow(int64(first)); err != nil {
			return nil, err
		}
		page, err := pages.ReadPage()
		if err != nil {
			return nil, noEOF(err)
		}
		data := page.Data()
		all, begin := data.Int64(), i
		for ; i < len(rows) && int(rows[i]-first) < len(all); i++ {
			us[i] = all[rows[i]-first]
		}
		parquet.Release(page)
		if i == begin {
			return nil, errShortColumn
		}
	}
	return us, nil
}

// constant gives the value that all rows have which fit: the filter or the footer says so.
func (p *piece) constant(s *search, f *field) (v parquet.Value, ok bool) {
	if f.text == nil {
		return v, false
	}
	for i := range s.tests {
		if s.tests[i].field == f && s.tests[i].exact != "" {
			return parquet.ValueOf(s.tests[i].exact), true
		}
	}
	leaf, _ := p.group.Schema().Lookup(f.path()...) // chunk found it
	m := &p.columns[leaf.ColumnIndex].MetaData
	switch st := &m.Statistics; {
	case st.NullCount == m.NumValues:
		return v, true
	case st.NullCount == 0 && len(st.MinValue) > 0 && len(st.MinValue) < exactBound && bytes.Equal(st.MinValue, st.MaxValue):
		return parquet.ValueOf(string(st.MinValue)), true
	}
	return v, false
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
		fill := filler{field: f}
		if v, ok := p.constant(s, f); ok {
			for i := range out {
				if !v.IsNull() {
					fill.set(&out[i], v)
				}
			}
			continue
		}
		if err := pick(c, rows, func(i int, v parquet.Value) { fill.set(&out[i], v) }); err != nil {
			return nil, fmt.Errorf("column %s: %w", f.name, err)
		}
	}
	return out, nil
}
