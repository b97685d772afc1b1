package trail

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Hours are searched side by side, and what is found in them is given in their order, or as it comes.

// batchRows are read at a time.
const batchRows = 4096

// newest are the newest rows of an hour that fit, newest first: as many as the search may give, those of the same time as the last, and an older one, if there is any, which tells
// that there are more.
func (s *search) newest(h *hourFolder, without []string) (out []*Row, err error) {
	paths, err := s.segments(h)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if made(path, without) {
			continue
		}
		s.segment(path, h.name(path), func(p *piece, rows []int32) error {
			if at, ok := s.enough(out); ok && p.last < at {
				return nil
			}
			rows, us, err := s.timely(p, rows)
			if err != nil {
				return err
			}
			if rows, us = latest(rows, us, s.limit); len(rows) == 0 {
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
	return out, s.work.Err() // a part of an hour is nothing: what is given is all from some time on
}

func later(a, b *Row) int { return cmp.Compare(b.Time, a.Time) }

// latest are those of rows with the n latest times, with the same time as the last of them, and with the next time before.
func latest(rows []int32, us []int64, n int) ([]int32, []int64) {
	if len(rows) <= n {
		return rows, us
	}
	order := slices.Clone(us)
	slices.Sort(order)
	least, kept := order[len(order)-n], 0
	if older, _ := slices.BinarySearch(order, least); older > 0 {
		least = order[older-1]
	}
	for i, at := range us {
		if at >= least {
			rows[kept], us[kept] = rows[i], at
			kept++
		}
	}
	return rows[:kept], us[:kept]
}

// shrink sorts rows, newest first, and forgets what is beyond the limit, rows of the same time as the last, and one that is older.
func (s *search) shrink(rows []*Row) []*Row {
	slices.SortStableFunc(rows, later)
	n := s.limit
	for n < len(rows) && rows[n].Time == rows[n-1].Time {
		n++
	}
	return rows[:min(n+1, len(rows))]
}

// enough tells whether rows, which were shrunk, are all that can be given, and the time of the one that is older: what is before that changes nothing.
func (s *search) enough(rows []*Row) (at int64, ok bool) {
	if len(rows) <= s.limit {
		return 0, false
	}
	at = rows[len(rows)-1].Time
	return at, at < rows[s.limit-1].Time
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
	waiting, err := newestLogged(s, logs) // their hours come
	if err != nil {
		for _, r := range waiting {
			if err := f(r); err != nil {
				return err
			}
		}
		return err
	}
	hours, err := t.hours(s)
	if err != nil {
		return err
	}
	var stop context.CancelFunc
	s.work, stop = context.WithCancel(s.ctx)
	defer stop()
	err = inOrder(s, hours, func(h hourFolder) hourRows {
		rows, err := s.newest(&h, ids)
		return hourRows{rows, h.begin.UnixMicro(), err}
	}, func(h hourRows) int { return len(h.rows) }, func(h hourRows) error {
		if h.err != nil {
			return h.err // and s.reached stays where it is
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

const (
	// readers read hours side by side: a disk answers sixteen questions nearly as soon as one.
	readers = 16
	// workers of them may have a processor at a time: those who answer queries wait for none longer than before.
	workers = 4
	// maxAhead bounds the rows that are found and wait for older ones to be taken (stops: a search for everything, whose hours side by side fill the memory).
	maxAhead = 200_000
)

// elsewhere does what waits for a disk; meanwhile another one works.
func (s *search) elsewhere(wait func()) {
	<-s.cores
	defer func() { s.cores <- struct{}{} }()
	wait()
}

// working does a part of the search, of which few are done at a time.
func (s *search) working(part func()) {
	s.cores <- struct{}{}
	defer func() { <-s.cores }()
	part()
}

// segments lists the files of an hour.
func (s *search) segments(h *hourFolder) (paths []string, err error) {
	s.elsewhere(func() { paths, err = h.segments() })
	return paths, err
}

// inOrder does the work on each of list in some goroutines, and takes what comes of it in the order of the list. size tells how many rows wait with a result: fewer are worked
// on ahead where hours have many.
func inOrder[T, R any](s *search, list []T, work func(T) R, size func(R) int, take func(R) error) error {
	ctx, stop := context.WithCancel(s.work)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	results := make(chan chan R, readers)
	ahead := make(chan struct{}, readers)
	width := workers
	for range width {
		ahead <- struct{}{}
	}
	wg.Go(func() {
		defer close(results)
		for _, one := range list {
			select {
			case <-ahead:
			case <-ctx.Done():
				return
			}
			result := make(chan R, 1)
			results <- result // there is room: as many are ahead at most
			wg.Go(func() { s.working(func() { result <- work(one) }) })
		}
	})
	for result := range results {
		one := <-result
		if err := take(one); err != nil {
			return err
		}
		width--
		for wanted := min(max(maxAhead/(size(one)+1), 2), readers); width < wanted; width++ {
			ahead <- struct{}{}
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
	if err := eachLogged(s, logs, f); err != nil {
		return err
	}
	hours, err := t.hours(s)
	if err != nil {
		return err
	}
	batches := make(chan []Row, workers)
	var stop context.CancelFunc
	s.work, stop = context.WithCancel(s.ctx)
	defer stop()
	var failed error
	go func() {
		defer close(batches)
		failed = inOrder(s, hours, func(h hourFolder) error { return s.batches(&h, ids, batches) }, func(error) int { return 0 }, func(err error) error { return err })
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
	paths, err := s.segments(h)
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
