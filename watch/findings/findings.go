// Package findings keeps what detectors and machines concluded: open findings and the last closed ones, on disk and for pages.
//
// It promises: one open finding for each kind and subject; Report never waits for disk or network; what was reported a moment ago is
// synced to findings.jsonl and survives kill -9; a damaged line costs that line only. It is bounded: beyond maxFindings the
// oldest closed one goes.
// It refuses to judge and to send: severity is the detector's, and notifiers are handed what opened, grew worse or ended.
// Limits today: findings of a run that ended are closed after confirmTime unless their detector reports them again.
package findings

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"anyu/event"
)

const (
	// maxFindings bounds what is kept (stops: a detector gone mad, or an attacker who makes findings).
	maxFindings = 10_000
	// roomMade is how many closed findings go at once when there is no room.
	roomMade = 200
	// maxKinds bounds the metric label; kinds are constants in code, so more is a mistake.
	maxKinds = 200
	// confirmTime is what a detector has after a restart to see again what was open before.
	confirmTime = 15 * time.Minute
)

// Record is a finding and what people did with it.
type Record struct {
	event.Finding
	AckedBy string    `json:"acked_by,omitempty"`
	Acked   time.Time `json:"acked,omitzero"`
}

// Notifier tells somebody outside. Notify must not wait.
type Notifier interface{ Notify(event.Finding) }

// Store holds the findings. Everything may be called from any goroutine.
type Store struct {
	path      string
	notifiers []Notifier
	logger    *slog.Logger

	mu        sync.Mutex
	byID      map[string]*Record
	open      map[subject]*Record
	inherited map[subject]bool // open since an earlier run and not confirmed by this one
	counts    map[string]uint64
	dropped   uint64
	dirty     map[string]bool // to be written
	began     time.Time

	wake chan struct{}
	done chan struct{}
	wg   sync.WaitGroup
}

type subject struct{ kind, name string }

// ErrNoFinding says that there is no finding of that ID.
var ErrNoFinding = errors.New("no such finding")

// Open reads the findings kept in the file and begins to keep more. Close ends it.
func Open(path string, now time.Time, logger *slog.Logger, notifiers ...Notifier) (*Store, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		path: path, notifiers: notifiers, logger: logger, began: now,
		byID: map[string]*Record{}, open: map[subject]*Record{}, inherited: map[subject]bool{}, counts: map[string]uint64{},
		dirty: map[string]bool{}, wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	lines, err := s.load()
	if err != nil {
		return nil, err
	}
	w := &journal{store: s, lines: lines}
	s.wg.Go(w.run)
	return s, nil
}

// Report takes a finding in: it opens one, updates the open one of its kind and subject, or closes it.
func (s *Store) Report(f event.Finding) {
	if f.Updated.IsZero() {
		f.Updated = time.Now().UTC()
	}
	s.mu.Lock()
	tell := s.take(&f)
	s.mu.Unlock()
	if tell {
		for _, n := range s.notifiers {
			n.Notify(f)
		}
	}
	s.wakeWriter()
}

// take changes the tables, completes f from what is known, and says whether people are to be told.
func (s *Store) take(f *event.Finding) (tell bool) {
	key := subject{f.Kind, f.Subject}
	old := s.open[key]
	delete(s.inherited, key)
	if old == nil {
		if !f.Open() && f.Opened.Equal(f.Closed) || f.Open() {
			return s.add(f)
		}
		return false // the end of what never began
	}
	f.ID, f.Opened = old.ID, old.Opened
	if len(f.Facts) == 0 {
		f.Facts, f.Evidence = old.Facts, cmp.Or(f.Evidence, old.Evidence)
	}
	tell = !f.Open() || f.Severity > old.Severity
	f.Severity = max(f.Severity, old.Severity) // the worst it was
	old.Finding = *f
	if !f.Open() {
		delete(s.open, key)
	}
	s.dirty[old.ID] = true
	return tell
}

// add keeps a new finding, which may be over already.
func (s *Store) add(f *event.Finding) bool {
	if len(s.byID) >= maxFindings && !s.makeRoom() {
		s.dropped++
		return false
	}
	if f.Opened.IsZero() {
		f.Opened = f.Updated
	}
	if f.ID == "" || s.byID[f.ID] != nil {
		f.ID = s.newID(f)
	}
	r := &Record{Finding: *f}
	s.byID[f.ID] = r
	if f.Open() {
		s.open[subject{f.Kind, f.Subject}] = r
	}
	if _, known := s.counts[f.Kind]; known || len(s.counts) < maxKinds {
		s.counts[f.Kind]++
	}
	s.dirty[f.ID] = true
	return true
}

// newID is kind-subject-start, made of what fits into an address and a grep.
func (s *Store) newID(f *event.Finding) string {
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}
		return '_'
	}, f.Kind+"-"+f.Subject)
	id := word[:min(len(word), 300)] + "-" + f.Opened.UTC().Format("20060102T150405Z")
	for s.byID[id] != nil {
		id += "b" // twice within a second
	}
	return id
}

// makeRoom forgets the oldest closed findings, some at a time because it has to look at all of them.
func (s *Store) makeRoom() bool {
	var closed []*Record
	for _, r := range s.byID {
		if !r.Open() {
			closed = append(closed, r)
		}
	}
	slices.SortFunc(closed, func(a, b *Record) int { return a.Closed.Compare(b.Closed) })
	for _, r := range closed[:min(len(closed), roomMade)] {
		delete(s.byID, r.ID)
		delete(s.dirty, r.ID)
	}
	return len(closed) > 0
}

// expire closes what an earlier run left open and this one did not see again.
func (s *Store) expire(now time.Time) {
	s.mu.Lock()
	var ended []event.Finding
	if len(s.inherited) > 0 && now.Sub(s.began) >= confirmTime {
		for key := range s.inherited {
			if r := s.open[key]; r != nil {
				r.Closed, r.Updated = now.UTC(), now.UTC()
				r.Facts = append(slices.Clone(r.Facts), event.Fact{Name: "ended", Value: "not seen again after a restart"})
				s.dirty[r.ID] = true
				delete(s.open, key)
				ended = append(ended, r.Finding)
			}
		}
		clear(s.inherited)
	}
	s.mu.Unlock()
	for _, f := range ended {
		for _, n := range s.notifiers {
			n.Notify(f)
		}
	}
}

// Query says which findings are wanted. What is zero is any.
type Query struct {
	OnlyOpen bool
	Unacked  bool
	Kind     string
	Subject  string
	Severity event.Severity // at least
	From, To time.Time      // lasted at some time in [From, To)
	Limit    int            // 0 is 100
}

// List gives findings: open ones first, then the newest; and how many fit in all.
func (s *Store) List(q Query) (page []Record, total int) {
	s.mu.Lock()
	for _, r := range s.byID {
		if q.fits(r) {
			page = append(page, *r)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(page, func(a, b Record) int {
		if a.Open() != b.Open() {
			return map[bool]int{true: -1, false: 1}[a.Open()]
		}
		return cmp.Or(b.Opened.Compare(a.Opened), cmp.Compare(a.ID, b.ID))
	})
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	return page[:min(limit, len(page))], len(page)
}

func (q *Query) fits(r *Record) bool {
	switch {
	case q.OnlyOpen && !r.Open(),
		q.Unacked && !r.Acked.IsZero(),
		q.Kind != "" && r.Kind != q.Kind,
		q.Subject != "" && r.Subject != q.Subject,
		r.Severity < q.Severity,
		!q.To.IsZero() && !r.Opened.Before(q.To),
		!q.From.IsZero() && !r.Open() && r.Closed.Before(q.From):
		return false
	}
	return true
}

// Get gives one finding.
func (s *Store) Get(id string) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byID[id]; r != nil {
		return *r, nil
	}
	return Record{}, ErrNoFinding
}

// Ack notes that somebody looks after a finding.
func (s *Store) Ack(id, user string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byID[id]
	if r == nil {
		return ErrNoFinding
	}
	r.Acked, r.AckedBy = now.UTC(), user
	s.dirty[id] = true
	s.wakeWriter()
	return nil
}

// OpenCount tells how many findings are open, by severity.
func (s *Store) OpenCount() (n [3]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.open {
		n[min(int(r.Severity), 2)]++
	}
	return n
}

// Counts tells how many findings of each kind were opened in this run.
func (s *Store) Counts() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// Dropped counts findings that found no room.
func (s *Store) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

func (s *Store) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close writes what is left.
func (s *Store) Close() {
	close(s.done)
	s.wg.Wait()
}
