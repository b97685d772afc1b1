package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"anyu/event"
	"anyu/watch/trail"
)

const (
	// retryFirst and retryLast: how long a server that failed is left alone, doubling.
	retryFirst = time.Second
	retryLast  = 30 * time.Second
	// tellAfter is how long a server must fail before a finding says so: a restart of it is none.
	tellAfter = 15 * time.Second
	// lookEvery is how often a server is looked for that there is nothing to send to.
	lookEvery = time.Minute
	// cleanEvery is how often days that are too old are looked for.
	cleanEvery = time.Hour
	// settleTime is how long a server may need to end an insertion whose connection broke, before it is asked what it has.
	settleTime = 3 * time.Second
)

// worker sends to one server.
type worker struct {
	store   *Store
	address string
	to      target
	wake    chan struct{}
	cleaned time.Time

	// Under the store's lock.
	tried   bool
	trouble error
	since   time.Time // of the trouble
	told    bool
}

// stir wakes the worker.
func (w *worker) stir() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *worker) run(ctx context.Context) {
	retry := retryFirst
	idle := time.NewTicker(lookEvery / w.store.opts.faster)
	defer idle.Stop()
	for ctx.Err() == nil {
		g := w.store.take(w)
		err := w.turn(ctx, g)
		if ctx.Err() != nil {
			return
		}
		w.settle(err, time.Now())
		if err == nil {
			if retry = retryFirst; g != nil {
				continue
			}
			select {
			case <-ctx.Done():
			case <-w.wake:
			case <-idle.C: // a server that went away is noticed before there is something to send
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry / w.store.opts.faster):
			retry = min(2*retry, retryLast)
		}
	}
}

// turn sends a segment; nil: only looks whether the server is there, and for days that are too old.
func (w *worker) turn(ctx context.Context, g *segment) error {
	if g != nil {
		defer w.store.put(g)
	}
	err := w.to.prepare(ctx)
	if err == nil && time.Since(w.cleaned) > cleanEvery {
		if err = w.clean(ctx, time.Now()); err == nil {
			w.cleaned = time.Now()
		}
	}
	if err == nil {
		err = w.eraseDue(ctx)
	}
	if err != nil || g == nil {
		return err
	}
	err = w.send(ctx, g)
	var server *serverError
	if err == nil || errors.As(err, &server) || ctx.Err() != nil {
		return err
	}
	w.store.skip(g, err)
	return nil
}

// errGivenUp says that the spool was full, and the segment deleted while it was being sent.
var errGivenUp = errors.New("the segment was given up")

// serverError is one that is the server's fault, and not the segment's.
type serverError struct{ err error }

func (e *serverError) Error() string { return e.err.Error() }
func (e *serverError) Unwrap() error { return e.err }

// send sends what the server does not have of a segment.
func (w *worker) send(ctx context.Context, g *segment) error {
	path := w.store.file(g.Segment)
	if g.unclear() {
		if err := w.clear(ctx, g); err != nil {
			return err
		}
	}
	err := trail.EachBlock(path, g.Rows, w.store.opts.Batch, func(rows []trail.Row) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to := span(rows)
		next := step{Segment: g.Segment, Rows: g.Rows, End: g.Rows + int64(len(rows)), From: from, To: to, Server: w.address}
		var has map[int64]bool
		if g.ask {
			var err error
			if has, err = w.to.present(ctx, next, true); err != nil {
				return &serverError{err}
			}
		}
		if err := w.store.note(g, next); err != nil {
			return err
		}
		sent, err := w.insert(ctx, g, rows, has)
		if err == nil {
			w.store.took(g, g.End, sent)
		}
		return err
	})
	if err != nil {
		return err
	}
	return w.store.note(g, step{Segment: g.Segment, Rows: g.Rows, Done: true})
}

// insert sends the rows of a block that are not there. Where some are, which only happens after a failure, each run of the others is a block.
func (w *worker) insert(ctx context.Context, g *segment, rows []trail.Row, has map[int64]bool) (sent int, err error) {
	for i := 0; i < len(rows); {
		if has[g.Rows+int64(i)] {
			i++
			continue
		}
		end := i
		for end < len(rows) && !has[g.Rows+int64(end)] {
			end++
		}
		if err := w.to.insert(ctx, rows[i:end], g.Segment, g.Rows+int64(i)); err != nil {
			return sent, &serverError{err}
		}
		sent += end - i
		i = end
	}
	return sent, nil
}

// errEnough ends the reading of a segment.
var errEnough = errors.New("enough")

// clear finds out what became of a block that was being sent when the connection broke or the process died, and sends what is missing of it.
func (w *worker) clear(ctx context.Context, g *segment) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settleTime / w.store.opts.faster):
	}
	has, err := w.to.present(ctx, g.step, false)
	if err != nil {
		return &serverError{err}
	}
	err = trail.EachBlock(w.store.file(g.Segment), g.Rows, int(g.End-g.Rows), func(rows []trail.Row) error {
		_, err := w.insert(ctx, g, rows, has)
		return cmp.Or(err, errEnough)
	})
	if err != errEnough {
		return err
	}
	w.store.took(g, g.End, int(g.End-g.Rows))
	return nil
}

// span are the times of the first and the last of rows in any order.
func span(rows []trail.Row) (from, to int64) {
	from, to = rows[0].Time, rows[0].Time
	for i := range rows {
		from, to = min(from, rows[i].Time), max(to, rows[i].Time)
	}
	return from, to
}

// settle notes how a turn ended.
func (w *worker) settle(err error, now time.Time) {
	s := w.store
	s.mu.Lock()
	first, before := !w.tried, w.trouble
	w.tried = true
	if w.trouble = err; err != nil && before == nil {
		w.since = now
	}
	tell := err != nil && !w.told && now.Sub(w.since) >= tellAfter/s.opts.faster
	end := err == nil && (w.told || first) // one of the run before may be open
	w.told = (w.told || tell) && err != nil
	octets := s.octets
	relieved := s.full && s.octets < s.opts.Spool/10*9
	if relieved {
		s.full = false
	}
	s.mu.Unlock()
	switch {
	case tell:
		s.opts.Logger.Error("ClickHouse takes nothing, the query log waits on disk", "server", w.address, "error", err)
		s.report("store-unreachable", event.Warning, w.address, true, event.Fact{Name: "error", Value: err.Error()}, event.Fact{Name: "waiting-octets", Value: fmt.Sprint(octets)})
	case end:
		s.report("store-unreachable", event.Warning, w.address, false)
	}
	if relieved {
		s.report("store-spool-full", event.Critical, s.name(), false)
	}
}

// clean deletes the days that are older than the store keeps.
func (w *worker) clean(ctx context.Context, now time.Time) error {
	c, ok := w.to.(interface {
		partitions(ctx context.Context) ([]int, error)
		drop(ctx context.Context, day int) error
	})
	if !ok {
		return nil
	}
	days, err := c.partitions(ctx)
	if err != nil {
		return err
	}
	limit := now.UTC().AddDate(0, 0, -w.store.opts.Days)
	oldest := limit.Year()*10000 + int(limit.Month())*100 + limit.Day()
	for _, day := range days {
		if day >= oldest {
			continue
		}
		if err := c.drop(ctx, day); err != nil {
			return err
		}
		w.store.opts.Logger.Info("day of the query log deleted in ClickHouse", "server", w.address, "day", day)
		if w.store.opts.Dropped != nil {
			w.store.opts.Dropped(w.address, day)
		}
	}
	return nil
}

// take gives a worker what it is to send: first what only its server can clear up, then the oldest that nobody has taken.
func (s *Store) take(w *worker) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest *segment
	for _, path := range s.waiting {
		g := s.all[path]
		switch {
		case g.taken:
		case g.unclear() && g.Server == w.address:
			g.taken = true
			return g
		case oldest == nil && !g.unclear():
			oldest = g
		}
	}
	if oldest != nil {
		oldest.taken = true
	}
	return oldest
}

func (s *Store) put(g *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.taken = false
}

// note keeps a step on disk, and then here.
func (s *Store) note(g *segment, next step) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.Done { // it was given up meanwhile
		return errGivenUp
	}
	if err := s.journal.write(&next, true); err != nil {
		return &serverError{err} // the disk's, and not the segment's
	}
	g.step = next
	if next.Done {
		s.leave(g)
		s.trust()
	}
	return nil
}

// took notes that the server has everything before a row.
func (s *Store) took(g *segment, before int64, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.Rows, g.End = before, before
	s.sent += uint64(rows)
}

// skip passes over a segment that cannot be read, so that the rest does not wait for it.
func (s *Store) skip(g *segment, why error) {
	if errors.Is(why, errGivenUp) || errors.Is(why, os.ErrNotExist) {
		s.Removed(g.Segment)
		return
	}
	s.mu.Lock()
	g.Done = true
	s.leave(g)
	s.trust()
	err := s.journal.write(&g.step, false)
	s.mu.Unlock()
	s.opts.Logger.Error("a segment is not in the store: it cannot be read", "segment", g.Segment, "error", errors.Join(why, err))
	s.report("store-segment", event.Warning, g.Segment, true, event.Fact{Name: "error", Value: why.Error()})
}
