package trail

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"anyu/event"
)

// Filter says which rows are wanted. What is zero is any.
type Filter struct {
	From, To time.Time    // [From, To)
	Name     string       // of the question: exact, or "*.example.org." for everything below
	Client   netip.Prefix // one address is a prefix of full length
	Clients  []string     // pseudonyms (watch/pseudonym), one of which the client is; nil: any
	Answer   netip.Prefix // of an address among the answers
	Zone     string
	Source   string
	Node     string
	Type     string // "AAAA"
	Rcode    string // "SERVFAIL"; "none" is no reply
	Limit    int    // 0 is 100

	Columns []string // that rows are to have, "time" is always there; nil: all. What is not needed is not read
}

const (
	defaultLimit = 100
	maxLimit     = 10_000 // (stops: "all" in a browser)
)

// Limit is how many rows a search with this filter gives.
func Limit(f Filter) int {
	if f.Limit <= 0 {
		return defaultLimit
	}
	return min(f.Limit, maxLimit)
}

// Found is the answer to a search.
type Found struct {
	Rows     []Row     // newest first; a few more than Limit where several have the time of the last one
	Since    time.Time // everything from here on was looked at; go on with Filter.To = Since
	Complete bool      // everything that the filter allows was looked at
	Scanned  int       // rows that no filter or footer ruled out
	Damaged  []string  // segments that could not be read, and why
}

var errEnough = errors.New("enough")

// Look opens the log of a folder for reading only. Another process may be writing it.
func Look(dir string) (*Trail, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("opening the query log: %w", err)
	}
	t := &Trail{opts: Options{Dir: dir, Names: event.NewNames(), Off: true}}
	t.opts.setDefaults()
	return t, nil
}

// Each hands every row that fits the filter to f, in no order, until f returns an error or ctx ends. Filter.Limit is not looked at. A segment that cannot be
// read is told by the error, after all others were read.
func (t *Trail) Each(ctx context.Context, filter Filter, f func(*Row) error) (scanned int, err error) {
	s := newSearch(ctx, filter)
	if err := t.each(s, f); err != nil {
		return int(s.scanned.Load()), fmt.Errorf("searching the query log: %w", err)
	}
	return int(s.scanned.Load()), s.damage()
}

// Stream hands the rows that fit the filter to f, newest first, as they are found: at most Filter.Limit of them, and those that have the time of the last one. What
// it returns says how far it came; its Rows are empty.
func (t *Trail) Stream(ctx context.Context, filter Filter, f func(*Row) error) (Found, error) {
	s := newSearch(ctx, filter)
	if filter.Limit > s.limit {
		s.limit = filter.Limit
	}
	return t.stream(s, f)
}

// Rows searches the log, newest first, until it has what the filter wants, has seen everything, or ctx ends; then it gives what it
// has and says how far it came.
func (t *Trail) Rows(ctx context.Context, f Filter) (Found, error) {
	var rows []Row
	out, err := t.stream(newSearch(ctx, f), func(r *Row) error {
		rows = append(rows, *r)
		return nil
	})
	out.Rows = rows
	return out, err
}

func (t *Trail) stream(s *search, f func(*Row) error) (Found, error) {
	count, last := 0, int64(0)
	err := t.newestFirst(s, func(r *Row) error {
		if count >= s.limit && r.Time != last {
			return errEnough
		}
		count, last = count+1, r.Time
		return f(r)
	})
	out := Found{Since: s.f.From, Complete: err == nil, Scanned: int(s.scanned.Load())}
	for _, e := range s.damaged {
		out.Damaged = append(out.Damaged, e.Error())
	}
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, errEnough):
		out.Since = time.UnixMicro(last).UTC()
		return out, nil
	case s.ctx.Err() != nil:
		out.Since = time.UnixMicro(min(s.reached, s.to)).UTC()
		return out, nil
	}
	return out, fmt.Errorf("searching the query log: %w", err)
}
