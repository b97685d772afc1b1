package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"anyu/watch/trail/column"
)

// search is a filter that was taken apart, and what came of it.
type search struct {
	ctx      context.Context // of who asked
	work     context.Context // of what is read ahead: it ends when enough was found
	f        Filter
	from, to int64 // us
	limit    int
	tests    []test
	wanted   []*field
	key      []byte  // of the name, or of what names are below of, in a segment's order; nil: any
	until    []byte  // the first key behind those of what is looked for
	hidden   without // columns of append-only files that are neither looked at nor wanted

	cores   chan struct{} // those who work have one each
	scanned atomic.Int64
	reached int64 // everything from here on was given; of newestFirst

	mu      sync.Mutex
	damaged []error
}

// test is what the filter asks of a column.
type test struct {
	field *field
	exact string // the only value that fits; "": others may
	fits  func(value []byte) bool
}

func newSearch(ctx context.Context, f Filter) *search {
	s := &search{ctx: ctx, work: ctx, f: f, from: math.MinInt64, to: math.MaxInt64, reached: math.MaxInt64, limit: Limit(f), cores: make(chan struct{}, workers)}
	if !f.From.IsZero() {
		s.from = f.From.UnixMicro()
	}
	if !f.To.IsZero() {
		s.to = f.To.UnixMicro()
	}
	name := strings.ToLower(f.Name)
	if name != "" && !strings.HasSuffix(name, ".") {
		name += "."
	}
	// What leaves the fewest rows comes first.
	below, wild := strings.CutPrefix(name, "*")
	if wild {
		s.tests = append(s.tests, test{field: fieldOf(nameColumn), fits: func(v []byte) bool { return bytes.HasSuffix(v, []byte(below)) }})
		if strings.HasPrefix(below, ".") && len(below) > 1 {
			s.key = nameKey(below[1:])
			s.until = after(s.key)
		}
	} else {
		s.exactly(nameColumn, name)
		if s.key = nameKey(name); s.key != nil {
			s.until = append(slices.Clone(s.key), 0) // nothing is between
		}
	}
	s.within(answerColumn, f.Answer)
	s.clients(f)
	s.exactly("zone", f.Zone)
	s.exactly("rcode", f.Rcode)
	s.exactly("qtype", f.Type)
	s.exactly("source", f.Source)
	s.exactly("node", f.Node)
	s.want(f.Columns)
	return s
}

func (s *search) exactly(column, value string) {
	if value != "" {
		s.tests = append(s.tests, test{field: fieldOf(column), exact: value, fits: func(v []byte) bool { return string(v) == value }})
	}
}

// clients: an address, or one of its pseudonyms under the keys at hand.
func (s *search) clients(f Filter) {
	switch {
	case len(f.Clients) == 0:
		s.within(clientColumn, f.Client)
	case len(f.Clients) == 1 && !f.Client.IsValid():
		s.exactly(clientColumn, f.Clients[0])
	default:
		s.tests = append(s.tests, test{field: fieldOf(clientColumn), fits: func(v []byte) bool {
			if slices.Contains(f.Clients, string(v)) {
				return true
			}
			addr, err := netip.ParseAddr(string(v))
			return err == nil && f.Client.IsValid() && f.Client.Contains(addr)
		}})
	}
}

func (s *search) within(column string, p netip.Prefix) {
	switch {
	case !p.IsValid():
	case p.IsSingleIP():
		s.exactly(column, p.Addr().String())
	default:
		s.tests = append(s.tests, test{field: fieldOf(column), fits: func(v []byte) bool {
			addr, err := netip.ParseAddr(string(v))
			return err == nil && p.Contains(addr)
		}})
	}
}

// want says which columns rows are to have.
func (s *search) want(columns []string) {
	needed := map[string]bool{timeColumn: true}
	for i := range fields {
		if f := &fields[i]; columns == nil || f.name == timeColumn || slices.Contains(columns, f.name) {
			s.wanted, needed[f.name] = append(s.wanted, f), true
		}
	}
	for i := range s.tests {
		needed[s.tests[i].field.name] = true
	}
	if !needed["answers"] && !needed[answerColumn] && !needed["answer_ttl"] && !needed["answers_left_out"] {
		s.hidden = leaveOut([]string{"answers"}) // the only one that takes time
	}
}

// fits tells whether a row of an append-only file is wanted.
func (s *search) fits(r *Row) bool {
	if r.Time < s.from || r.Time >= s.to {
		return false
	}
	for i := range s.tests {
		t := &s.tests[i]
		if list := t.field.list; list != nil {
			if !slices.ContainsFunc(*list(r), func(v string) bool { return t.fits([]byte(v)) }) {
				return false
			}
		} else if value := *t.field.text(r); value == "" || !t.fits([]byte(value)) {
			return false
		}
	}
	return true
}

// hurt remembers what cannot be read.
func (s *search) hurt(segment string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damaged = append(s.damaged, fmt.Errorf("segment %s: %w", segment, err))
}

func (s *search) damage() error { return errors.Join(s.damaged...) }

// segment looks for the rows of a segment that fit, and gives those of each group. Whatever a damaged file makes the reader do, it is an error of that file.
func (s *search) segment(path, name string, see func(*piece, []int32) error) {
	err := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("it is damaged: %v", r)
			}
		}()
		file, err := s.open(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil // grown too old meanwhile
		}
		if err != nil {
			return err
		}
		defer file.close()
		from, err := takeReader()
		if err != nil {
			return err
		}
		defer giveReader(from)
		groups, err := s.pieces(file, name, from)
		if err != nil {
			return err
		}
		for i := range groups {
			if s.work.Err() != nil {
				return errEnough
			}
			rows, err := groups[i].hits(s)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				continue
			}
			s.foreseeRows(&groups[i], rows)
			if err := see(&groups[i], rows); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil && !errors.Is(err, errEnough) {
		s.hurt(name, err)
	}
}

// columnReaders have buffers, which the next search uses again.
var columnReaders sync.Pool

func takeReader() (*column.Reader, error) {
	if r, ok := columnReaders.Get().(*column.Reader); ok {
		return r, nil
	}
	return column.NewReader()
}

func giveReader(r *column.Reader) {
	r.Forget()
	columnReaders.Put(r)
}

// timely are those of rows that are within the filter's times, and their times.
func (s *search) timely(p *piece, rows []int32) ([]int32, []int64, error) {
	us, err := p.times(rows)
	if err != nil || p.first >= s.from && p.last < s.to {
		return rows, us, err
	}
	n := 0
	for i, at := range us {
		if at >= s.from && at < s.to {
			rows[n], us[n] = rows[i], at
			n++
		}
	}
	return rows[:n], us[:n], nil
}
