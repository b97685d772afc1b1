// Package store sends the query log to ClickHouse, the store of large sites, and searches it there.
//
// What is sent are the closed segments of the log, oldest first: they are the spool, so that nothing is kept twice and nothing that the log kept can be
// lost on its way. A journal says how far each segment is. Each server of the list has a goroutine that takes a segment and sends it in blocks; the
// cluster being down makes segments wait, and nothing else waits for it.
//
// It promises: every row of every segment reaches one server once. Before a block is sent the journal says so; where it is not known whether it arrived
// (the connection broke, the process died) the same server is asked which of the rows it has, and the rest is sent. Segments
// that wait are held back from the log's own deletion until they are Spool octets together; what is given up then is counted, and the finding
// store-spool-full says so. After a restored backup, or without a journal, the whole cluster is asked for each block before it is sent.
// It refuses to change what the store has, but for whole days that are older than Days, and what `anyu ledger erase` takes out.
// Limits today: a server that finishes a block more than its answer later, when it was asked already, has its rows twice until ClickHouse has merged
// them (ReplacingMergeTree); so has a store one of whose addresses was taken out of the list while a block was on its way there.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"anyu/event"
	"anyu/watch/trail"
)

// Options of a store. Dir, Log, Node, Addresses, Tables and Findings must be set.
type Options struct {
	Dir       string   // DATA/store
	Log       string   // the query log's folder
	Node      string   // of this process, in findings
	Addresses []string // every server that is written to: a shard, or each replica of it
	Tables    Tables
	Access    Access
	Batch     int   // rows of a block; 0 is 50,000
	Spool     int64 // octets of segments that may wait beyond the log's own limits
	Days      int   // that the store keeps; 0 is 190
	Findings  event.Sink
	Dropped   func(server string, day int) // a day was deleted for its age; nil: nobody is told
	Logger    *slog.Logger
	connect   func(address string) (target, error) // nil: ClickHouse
	faster    time.Duration                        // all waits are divided by it; 0 is 1
}

const (
	defaultBatch = 50_000
	defaultDays  = 190
	// legalDays are six months: what is kept shorter is said.
	legalDays = int(trail.LegalMinimum / (24 * time.Hour))
)

// target is a server as rows are sent to it.
type target interface {
	prepare(ctx context.Context) error
	insert(ctx context.Context, rows []trail.Row, segment string, first int64) error
	present(ctx context.Context, block step, anywhere bool) (map[int64]bool, error)
}

// Store sends segments. Everything may be called from any goroutine.
type Store struct {
	opts    Options
	journal *journal
	stop    context.CancelFunc
	wg      sync.WaitGroup
	workers []*worker

	mu       sync.Mutex
	all      map[string]*segment
	waiting  []string // not done, the oldest first
	octets   int64    // of them
	sent     uint64   // rows, of this run
	lost     uint64   // rows given up, of this run
	erasures []erasure
	erased   map[int][]string // by number, the servers that have done it
	full     bool             // a finding about the spool is open
}

// segment is one file of the log.
type segment struct {
	step
	octets int64
	closed time.Time
	taken  bool // by a worker
	ask    bool // the journal may not know that it was sent
}

// Open reads the journal and begins to send.
func Open(opts Options) (*Store, error) {
	if opts.Batch <= 0 {
		opts.Batch = defaultBatch
	}
	if opts.Days <= 0 {
		opts.Days = defaultDays
	}
	opts.faster = max(opts.faster, 1)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.connect == nil {
		opts.connect = func(address string) (target, error) { return newServer(address, opts.Tables, opts.Access) }
	}
	s := &Store{opts: opts, all: map[string]*segment{}}
	there, err := trail.Segments(opts.Log)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	doubted, err := s.doubted()
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	known := map[string]bool{}
	for _, f := range there {
		known[f.Path] = true
	}
	var steps map[string]*step
	if s.journal, steps, err = openJournal(opts.Dir, func(path string) bool { return known[path] }); err != nil {
		return nil, err
	}
	for _, f := range there {
		s.add(f.Path, steps[f.Path])
		if g := s.all[f.Path]; g != nil {
			g.ask = doubted
		}
	}
	s.trust()
	if err := s.openErasures(); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	for _, address := range opts.Addresses {
		to, err := opts.connect(address)
		if err != nil {
			stop()
			return nil, fmt.Errorf("opening the store: %w", err)
		}
		w := &worker{store: s, address: address, to: to, wake: make(chan struct{}, 1)}
		s.workers = append(s.workers, w)
	}
	s.release()
	for _, w := range s.workers {
		s.wg.Go(func() { w.run(ctx) })
	}
	if opts.Days < legalDays {
		s.report("store-retention", event.Warning, s.name(), true, event.Fact{Name: "days", Value: fmt.Sprint(opts.Days)}, event.Fact{Name: "wanted", Value: fmt.Sprint(legalDays)})
	} else {
		s.report("store-retention", event.Warning, s.name(), false)
	}
	return s, nil
}

// doubtFile says that the journal may be older than what was sent: it was restored from a backup, or is gone. Then the cluster is asked for each row of the segments
// that are here before they are sent, until all are.
const doubtFile = "doubted"

// Doubt makes the next Open of a store in a folder ask before it sends: for who puts back an old state.
func Doubt(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return replace(filepath.Join(dir, doubtFile), nil)
}

func (s *Store) doubted() (bool, error) {
	if err := os.MkdirAll(s.opts.Dir, 0o750); err != nil {
		return false, err
	}
	if _, err := os.Stat(filepath.Join(s.opts.Dir, journalFile)); errors.Is(err, os.ErrNotExist) {
		return true, Doubt(s.opts.Dir)
	}
	_, err := os.Stat(filepath.Join(s.opts.Dir, doubtFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// trust ends the doubt once nothing is left that it is about.
func (s *Store) trust() {
	if slices.ContainsFunc(s.waiting, func(path string) bool { return s.all[path].ask }) {
		return
	}
	if err := os.Remove(filepath.Join(s.opts.Dir, doubtFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.opts.Logger.Warn("the store goes on asking before it sends", "error", err)
	}
}

// release gives free what was on its way to a server that is not in the list any more.
func (s *Store) release() {
	for _, path := range s.waiting {
		g := s.all[path]
		if g.unclear() && !slices.Contains(s.opts.Addresses, g.Server) {
			s.opts.Logger.Warn("rows were on their way to a server that is not configured any more: if it is still in the cluster they may be there twice",
				"server", g.Server, "segment", path, "rows", g.End-g.Rows)
			g.End = g.Rows
		}
	}
}

// add takes a segment in. known is what the journal says of it; nil: nothing.
func (s *Store) add(path string, known *step) {
	if s.all[path] != nil {
		return
	}
	info, err := os.Stat(s.file(path))
	if err != nil {
		return // deleted meanwhile
	}
	g := &segment{step: step{Segment: path}, octets: info.Size(), closed: info.ModTime()}
	if known != nil {
		g.step = *known
	}
	s.all[path] = g
	if !g.Done {
		at, _ := slices.BinarySearch(s.waiting, path)
		s.waiting = slices.Insert(s.waiting, at, path)
		s.octets += g.octets
	}
}

func (s *Store) file(path string) string { return filepath.Join(s.opts.Log, filepath.FromSlash(path)) }

// name is what findings are about.
func (s *Store) name() string { return s.opts.Tables.searched() }

// Closed tells of a segment that is whole now.
func (s *Store) Closed(path string) {
	s.mu.Lock()
	s.add(path, nil)
	s.mu.Unlock()
	for _, w := range s.workers {
		w.stir()
	}
}

// Removed tells of a segment that was deleted.
func (s *Store) Removed(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.all[path]; g != nil {
		s.leave(g)
		delete(s.all, path)
	}
}

// leave takes a segment out of those that wait.
func (s *Store) leave(g *segment) {
	if at, is := slices.BinarySearch(s.waiting, g.Segment); is {
		s.waiting = slices.Delete(s.waiting, at, at+1)
		s.octets -= g.octets
	}
}

// Holds tells whether a segment must not be deleted yet. Where more waits than the spool may be, the answer is no: its rows are given up and counted.
func (s *Store) Holds(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.all[path]
	if g == nil || g.Done {
		return false
	}
	if s.octets <= s.opts.Spool {
		return true
	}
	rows, err := trail.CountRows(s.file(path))
	if err != nil {
		s.opts.Logger.Error("rows of a segment given up not counted", "segment", path, "error", err)
	}
	g.Lost, g.Done = max(rows-g.Rows, 0), true
	s.lost += uint64(g.Lost)
	s.full = true
	s.leave(g)
	if err := s.journal.write(&g.step, false); err != nil {
		s.opts.Logger.Error("a segment given up is not in the store's journal", "segment", path, "error", err)
	}
	s.report("store-spool-full", event.Critical, s.name(), true, event.Fact{Name: "rows-lost", Value: fmt.Sprint(s.lost)},
		event.Fact{Name: "spool-octets", Value: fmt.Sprint(s.opts.Spool)}, event.Fact{Name: "segment", Value: path})
	return false
}

// Status is how a store stands.
type Status struct {
	Sent     uint64    `json:"sent"`             // rows that the servers have taken in this run
	Lost     uint64    `json:"lost"`             // rows given up in this run
	Segments int       `json:"waiting_segments"` // that wait
	Octets   int64     `json:"waiting_octets"`   // of them
	Since    time.Time `json:"since,omitzero"`   // when the one that waits longest was closed; zero: none
	Servers  []Server  `json:"servers"`
}

// Server is how one server stands.
type Server struct {
	Address string `json:"address"`
	Up      bool   `json:"up"` // the last try was good
	Tried   bool   `json:"tried"`
	Error   string `json:"error,omitempty"`
}

// Status tells how the store stands.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Sent: s.sent, Lost: s.lost, Segments: len(s.waiting), Octets: s.octets}
	for _, path := range s.waiting {
		if at := s.all[path].closed; st.Since.IsZero() || at.Before(st.Since) {
			st.Since = at
		}
	}
	for _, w := range s.workers {
		st.Servers = append(st.Servers, Server{Address: w.address, Up: w.tried && w.trouble == nil, Tried: w.tried, Error: errorText(w.trouble)})
	}
	return st
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Close ends the sending; what waits is sent by the next run.
func (s *Store) Close() error {
	s.stop()
	s.wg.Wait()
	errs := []error{s.journal.close()}
	for _, w := range s.workers {
		if c, ok := w.to.(interface{ close() error }); ok {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(errs...)
}

// report raises or ends a finding.
func (s *Store) report(kind string, severity event.Severity, subject string, open bool, facts ...event.Fact) {
	now := time.Now().UTC()
	f := event.Finding{Kind: kind, Subject: subject, Node: s.opts.Node, Severity: severity, Opened: now, Updated: now, Facts: facts}
	if !open {
		f.Opened, f.Closed = time.Time{}, now // with both it would be a finding of a moment, told and kept each time that nothing is wrong
	}
	s.opts.Findings.Report(f)
}
