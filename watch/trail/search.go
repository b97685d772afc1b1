package trail

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
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
	s := &search{ctx: ctx, work: ctx, f: f, from: math.MinInt64, to: math.MaxInt64, reached: math.MaxInt64, limit: Limit(f)}
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
		file, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil // grown too old meanwhile
		}
		if err != nil {
			return err
		}
		defer file.Close()
		groups, err := s.pieces(file, name)
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

// batchRows are read at a time.
const batchRows = 4096

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

// newest are the newest rows of an hour that fit, newest first: as many as the search may give, and one more, and those of the same time as the last.
func (s *search) newest(h *hourFolder, without []string) (out []*Row, err error) {
	paths, err := h.segments()
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if made(path, without) {
			continue
		}
		s.segment(path, h.name(path), func(p *piece, rows []int32) error {
			if len(out) > s.limit && p.last < out[s.limit].Time {
				return nil
			}
			rows, us, err := s.timely(p, rows)
			if err != nil {
				return err
			}
			if rows, us = latest(rows, us, s.limit+1); len(rows) == 0 {
				return nil
			}
			more, err := p.read(s, rows, us)
			if err != nil {
				return err
			}
			for i := range more {
				out = append(out, &more[i])
			}
			out = s.shrink(out)
			return nil
		})
	}
	return out, nil
}

func later(a, b *Row) int { return cmp.Compare(b.Time, a.Time) }

// latest are those of rows with the n latest times, and with the same time as the last of them.
func latest(rows []int32, us []int64, n int) ([]int32, []int64) {
	if len(rows) <= n {
		return rows, us
	}
	order := slices.Clone(us)
	slices.Sort(order)
	least, kept := order[len(order)-n], 0
	for i, at := range us {
		if at >= least {
			rows[kept], us[kept] = rows[i], at
			kept++
		}
	}
	return rows[:kept], us[:kept]
}

// shrink sorts rows, newest first, and forgets what is beyond the limit and one, but not between rows of one time.
func (s *search) shrink(rows []*Row) []*Row {
	slices.SortStableFunc(rows, later)
	n := s.limit + 1
	for n < len(rows) && rows[n].Time == rows[n-1].Time {
		n++
	}
	return rows[:min(n, len(rows))]
}

// made tells whether a segment is made of one of these append-only files, which was read.
func made(path string, without []string) bool {
	base := filepath.Base(path)
	return slices.ContainsFunc(without, func(id string) bool { return id != "" && strings.Contains(base, id) })
}

// name is what a segment is called in rows: its path relative to the log's folder.
func (h *hourFolder) name(path string) string {
	return filepath.ToSlash(filepath.Join(filepath.Base(filepath.Dir(h.path)), filepath.Base(h.path), filepath.Base(path)))
}

// hours lists what may hold rows that fit, newest first.
func (t *Trail) hours(s *search) ([]hourFolder, error) {
	all, err := t.hourFolders()
	if err != nil {
		return nil, err
	}
	slices.Reverse(all)
	return slices.DeleteFunc(all, func(h hourFolder) bool {
		return h.begin.UnixMicro() >= s.to || h.begin.Add(time.Hour).UnixMicro() <= s.from
	}), nil
}

// newestFirst gives all rows that fit by time, as long as f wants them. Hours are read side by side and given in their order.
func (t *Trail) newestFirst(s *search, f func(*Row) error) error {
	logs, ids, err := t.openLogs()
	defer closeLogs(logs)
	if err != nil {
		return err
	}
	var waiting []*Row // of append-only files; their hours come
	for _, l := range logs {
		if err := l.newest(s, &waiting); err != nil {
			return err
		}
	}
	slices.SortStableFunc(waiting, later)
	hours, err := t.hours(s)
	if err != nil {
		return err
	}
	var stop context.CancelFunc
	s.work, stop = context.WithCancel(s.ctx)
	defer stop()
	err = inOrder(s.work, hours, func(h hourFolder) hourRows {
		rows, err := s.newest(&h, ids)
		return hourRows{rows, h.begin.UnixMicro(), err}
	}, func(h hourRows) error {
		if h.err != nil {
			return h.err
		}
		n, _ := slices.BinarySearchFunc(waiting, h.begin, func(r *Row, begin int64) int { return cmp.Compare(begin, r.Time+1) })
		rows := h.rows
		if n > 0 {
			rows, waiting = append(rows, waiting[:n]...), waiting[n:]
			slices.SortStableFunc(rows, later)
		}
		for i := range rows {
			if err := f(rows[i]); err != nil {
				stop()
				return err
			}
		}
		s.reached = h.begin
		return nil
	})
	if err != nil {
		return cmp.Or(s.ctx.Err(), err)
	}
	for i := range waiting {
		if err := f(waiting[i]); err != nil {
			return err
		}
	}
	return s.ctx.Err()
}

type hourRows struct {
	rows  []*Row
	begin int64 // us
	err   error
}

// readers read hours side by side: a disk is faster when it is asked for several things, and a core is free where answers leave one.
const readers = 4

// inOrder does the work on each of list in some goroutines, and takes what comes of it in the order of the list.
func inOrder[T, R any](ctx context.Context, list []T, work func(T) R, take func(R) error) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	results := make(chan chan R, readers)
	wg.Go(func() {
		defer close(results)
		for _, one := range list {
			result := make(chan R, 1)
			select {
			case results <- result:
			case <-ctx.Done():
				return
			}
			wg.Go(func() { result <- work(one) })
		}
	})
	for result := range results {
		if err := take(<-result); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// each gives all rows that fit.
func (t *Trail) each(s *search, f func(*Row) error) error {
	logs, ids, err := t.openLogs()
	defer closeLogs(logs)
	if err != nil {
		return err
	}
	for _, l := range logs {
		if err := l.each(s, func(region) bool { return false }, f); err != nil {
			return err
		}
	}
	hours, err := t.hours(s)
	if err != nil {
		return err
	}
	batches := make(chan []Row, readers)
	var stop context.CancelFunc
	s.work, stop = context.WithCancel(s.ctx)
	defer stop()
	var failed error
	go func() {
		defer close(batches)
		failed = inOrder(s.work, hours, func(h hourFolder) error { return s.batches(&h, ids, batches) }, func(err error) error { return err })
	}()
	for rows := range batches {
		for i := range rows {
			if err == nil {
				err = f(&rows[i])
			}
		}
		if err != nil {
			stop()
		}
	}
	return cmp.Or(err, s.ctx.Err(), failed)
}

// batches gives the rows of an hour that fit.
func (s *search) batches(h *hourFolder, without []string, to chan<- []Row) error {
	paths, err := h.segments()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if made(path, without) {
			continue
		}
		s.segment(path, h.name(path), func(p *piece, rows []int32) error {
			if p.first < s.from || p.last >= s.to {
				var err error
				if rows, _, err = s.timely(p, rows); err != nil {
					return err
				}
			}
			for part := range slices.Chunk(rows, batchRows) {
				read, err := p.read(s, part, nil)
				if err != nil {
					return err
				}
				select {
				case to <- read:
				case <-s.work.Done():
					return errEnough
				}
			}
			return nil
		})
	}
	return nil
}
