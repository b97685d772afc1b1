// Package trail keeps the query log: every observation as a row, first in an append-only file, then in a Parquet segment.
//
// It promises: Observe never waits; what does not fit into the queue or onto the disk is counted. A row that Kept counts is
// synced and survives kill -9 and power loss; at most SyncEvery of rows is lost. A segment appears whole or not at all
// (written aside, synced, renamed), in one hive-style folder an hour: date=2026-11-23/hour=14/NODE-*.parquet, times
// in UTC, zstd. Rows older than Retain are deleted; deleting younger ones, because MaxBytes is reached, is a Finding, and so
// is a disk that takes no more; then the log pauses and tries again, and answers go on. Before a disk is full, what is older than LegalMinimum goes, then rows are sampled.
// Where rows are sampled, each says for how many questions it stands, a finding is open, and Sampled tells when.
// It refuses to change a row once written.
// Rows of a segment are in the order of tracing: labels of the name from the right, type, time.
// A search reads of a segment its footer, the filters on names, clients and addresses, the columns asked for, and of the others only the pages of rows that fit (column). There is
// no index beside the segments: nothing that could be stale, or keep a client that was erased.
// Limits today: each file costs half a millisecond of a core when it has rows that fit; a client that asks much is in every segment, so a search for it reads the whole column of
// clients. Answers are those that the first octets of the reply show (event.ReplyCap).
package trail

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"anyu/event"
)

// Options of a query log. Dir, Node, Names and Findings must be set.
type Options struct {
	Dir         string                                // DATA/log
	Node        string                                // of this process, in the names of its files
	Off         bool                                  // keep nothing new; what is there can be read and grows old
	Names       *event.Names                          // of zones
	Source      func(id uint16) (name, node string)   // of observations; nil: all are "self" on Node
	Findings    event.Sink                            // full disk, early deletion
	Without     []string                              // columns that are not kept, of Optional; nil is DefaultWithout
	Sample      int                                   // keeps one of so many questions that no rule fits; 0 and 1 keep all
	Rules       []Rule                                // the first that fits a question decides
	Reserve     int64                                 // octets of the disk that are left free; 0 is a 50th of it and 4 GiB at most, negative is none
	Disk        func(dir string) (Disk, error)        // nil: of the operating system
	Hider       Hider                                 // nil: addresses of clients are kept as they are
	Retain      time.Duration                         // 0 is 190 days: six months by law, and a week
	MaxBytes    int64                                 // 0 is no limit
	SegmentRows int                                   // 0 is 1,000,000
	SyncEvery   time.Duration                         // 0 is 1 s
	Create      func(path string) (AppendFile, error) // nil: files of the operating system
	Witness     Witness                               // nil: nobody is told of segments
	Spare       func() float64                        // how many processors had nothing to do since the last call; nil: segments are made as fast as can be
	Holds       func(path string) bool                // tells that a segment (relative, with slashes) must not be deleted yet; nil: none
	SealEvery   time.Duration                         // how long rows stay in the append-only file being written at most; 0 is until the hour is over
	Logger      *slog.Logger
}

// Hider hides who asked, before anything is written.
type Hider interface {
	// Hide changes the client's address and subnet of q in place, and tells the ID of the key that the address is a pseudonym of now (see
	// watch/pseudonym); "" where it is an address still. One goroutine calls it.
	Hide(q *event.Query) (key string)
}

// AppendFile is what the log is first written to.
type AppendFile interface {
	io.Writer
	Sync() error
	Close() error
}

const (
	defaultRetain      = 190 * 24 * time.Hour
	defaultSegmentRows = 1_000_000

	// A slab is the unit of handing over: some 700 rows. The queue holds 32 MiB, more than a second and a half at 100,000 rows/s: longer than
	// a disk mostly takes to sync. It is allocated as it is needed.
	slabSize = 128 << 10
	maxSlabs = 256
)

// Trail is a query log. Observe and Flush are for one goroutine, the rest for any.
type Trail struct {
	opts  Options
	keeps packing

	sampler *sampler
	slab    *slab       // being filled; of the observing goroutine
	hidden  event.Query // the observation without who asked; the same
	slabs   int         // ever made
	queue   chan *slab
	free    chan *slab

	dropped  atomic.Uint64
	rows     atomic.Uint64 // synced
	crowded  bool          // a finding about log.space is open; of the keeping goroutine, as are the next ones
	short    bool          // the same, about the disk
	tight    bool          // the disk has little room: segments take less of it than append-only files
	unnoted  bool          // that the log is sampled is not on disk yet
	sampling bool          // a finding about sampling is open
	wake     chan struct{} // there are append-only files to make segments of
	done     chan struct{}
	seals    chan chan struct{} // asks the writer to end its file
	keeping  sync.Mutex         // segments are being made, deleted or rewritten
	keeper   keeper
	wg       sync.WaitGroup

	mu      sync.Mutex // append-only files, for readers: the one being written, and those of this process that wait
	live    *appendLog
	waiting map[string]*sealedLog // by path
}

type slab struct {
	buf  []byte
	rows int
	key  string // of the pseudonyms in it
}

// Open prepares the folder and begins to write. What a crash left behind becomes segments in the background.
func Open(opts Options) (*Trail, error) {
	opts.setDefaults()
	if err := os.MkdirAll(filepath.Join(opts.Dir, walDir), 0o750); err != nil {
		return nil, fmt.Errorf("opening query log: %w", err)
	}
	t := &Trail{
		opts: opts, keeps: leaveOut(opts.Without).packing(), queue: make(chan *slab, maxSlabs), free: make(chan *slab, maxSlabs),
		wake: make(chan struct{}, 1), done: make(chan struct{}), seals: make(chan chan struct{}), sampler: newSampler(&opts),
		waiting: map[string]*sealedLog{},
	}
	if !opts.Off {
		now := time.Now()
		if err := t.begin(now); err != nil {
			// A disk that is full takes no mark either; the log tries again by itself.
			opts.Logger.Error("query log not marked as open: a crash would not be noticed", "error", err)
		}
		t.tellRetention()
		t.unnoted = !t.noteSample(now, 1)
	}
	t.keeper = keeper{spare: opts.Spare, done: t.done}
	t.wg.Go(t.keep)
	if !opts.Off {
		t.wg.Go(t.write)
	}
	return t, nil
}

func (o *Options) setDefaults() {
	if o.Source == nil {
		node := o.Node
		o.Source = func(uint16) (string, string) { return "self", node }
	}
	if o.Without == nil {
		o.Without = DefaultWithout()
	}
	if o.Retain <= 0 {
		o.Retain = defaultRetain
	}
	if o.SegmentRows <= 0 {
		o.SegmentRows = defaultSegmentRows
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = time.Second
	}
	if o.Disk == nil {
		o.Disk = diskOf
	}
	if o.Create == nil {
		o.Create = func(path string) (AppendFile, error) {
			return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o640)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Observe takes one observation into the log, or counts it as dropped.
func (t *Trail) Observe(q *event.Query) {
	if t.opts.Off {
		return
	}
	oneOf, kept := t.sampler.keep(q) // before clients are hidden: rules name addresses
	if !kept {
		return
	}
	key := ""
	if t.opts.Hider != nil {
		t.hidden = *q // others observe it as it is
		q = &t.hidden
		key = t.opts.Hider.Hide(q)
	}
	s := t.slab
	if s == nil || len(s.buf)+maxPacked > cap(s.buf) || s.key != key {
		t.hand()
		if s = t.take(); s == nil {
			t.dropped.Add(1)
			return
		}
		s.key = key
		t.slab = s
	}
	at := len(s.buf)
	s.buf = t.keeps.pack(s.buf, q, oneOf)
	if q.Has&event.HasTime == 0 {
		setRowTime(s.buf[at:], time.Now())
	}
	s.rows++
}

// Flush ends a batch: what was observed goes to the writer, unless that is busy and there is room to collect more.
func (t *Trail) Flush() {
	if s := t.slab; s != nil && s.rows > 0 && (len(t.queue) == 0 || len(s.buf) > cap(s.buf)/2) {
		t.hand()
	}
}

// hand gives the slab to the writer. The queue has room for every slab there is.
func (t *Trail) hand() {
	if t.slab != nil {
		t.queue <- t.slab
		t.slab = nil
	}
}

// take is an empty slab, or nil when all are waiting to be written.
func (t *Trail) take() *slab {
	select {
	case s := <-t.free:
		return s
	default:
	}
	if t.slabs == maxSlabs {
		return nil
	}
	t.slabs++
	return &slab{buf: make([]byte, 0, slabSize)}
}

func (t *Trail) give(s *slab) {
	s.buf, s.rows = s.buf[:0], 0
	t.free <- s
}

// Dropped counts the observations that are not in the log because the writer was behind or the disk full.
func (t *Trail) Dropped() uint64 { return t.dropped.Load() }

// Pending counts the slabs that wait to be written: a maker of rows that can wait, waits for it.
func (t *Trail) Pending() int { return len(t.queue) }

// Kept counts the rows that are safe on disk, of this run.
func (t *Trail) Kept() uint64 { return t.rows.Load() }

// Retain is for how long rows are kept.
func (t *Trail) Retain() time.Duration { return t.opts.Retain }

// Off tells that nothing new is kept.
func (t *Trail) Off() bool { return t.opts.Off }

// closeTime is how long Close makes segments of files that wait. What is left becomes segments after the next Open.
const closeTime = 10 * time.Second

// Close writes what was observed, makes segments of what waits, where time allows, and ends. The observing goroutine must have stopped.
func (t *Trail) Close() error {
	t.hand()
	close(t.queue)
	close(t.done)
	until := time.Now().Add(closeTime)
	t.wg.Wait()
	t.keeping.Lock()
	defer t.keeping.Unlock()
	if err := t.convertAll(func() bool { return time.Now().After(until) }); err != nil {
		return err
	}
	return t.end()
}

// tellRetention says that the configuration keeps less than the law asks for.
func (t *Trail) tellRetention() {
	if t.opts.Retain < LegalMinimum {
		t.report("log-retention", event.Warning, true, event.Fact{Name: "days", Value: fmt.Sprint(int(t.opts.Retain.Hours() / 24))},
			event.Fact{Name: "wanted", Value: fmt.Sprint(int(LegalMinimum.Hours() / 24))})
	}
}

// report raises or ends a finding about this log.
func (t *Trail) report(kind string, severity event.Severity, open bool, facts ...event.Fact) {
	now := time.Now().UTC()
	f := event.Finding{Kind: kind, Subject: "query-log", Node: t.opts.Node, Severity: severity, Opened: now, Updated: now, Facts: facts}
	if !open {
		f.Closed = now
	}
	t.opts.Findings.Report(f)
}
