package ledger

import (
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"anyu/event"
)

const (
	// maxWaiting bounds the entries that wait to be written (stops: a detector gone mad). More are counted, and the count becomes an entry.
	maxWaiting = 4096
	// maxTogether bounds the entries that are synced and signed at once.
	maxTogether = 512
	// retryTime is how long a disk that took nothing is left alone.
	retryTime = 10 * time.Second
)

// Recorder writes entries for those who must not wait for a disk.
type Recorder struct {
	ledger Appender
	logger *slog.Logger
	queue  chan *Entry
	lost   atomic.Uint64
	wg     sync.WaitGroup
	once   sync.Once
	ending chan struct{}
}

// Appender is what entries are added to: a Ledger, or who finds another one when it is damaged.
type Appender interface {
	Append(now time.Time, entries ...*Entry) error
}

// NewRecorder begins to record. Close ends it and leaves the ledger open.
func NewRecorder(l Appender, logger *slog.Logger) *Recorder {
	r := &Recorder{ledger: l, logger: logger, queue: make(chan *Entry, maxWaiting), ending: make(chan struct{})}
	r.wg.Go(r.run)
	return r
}

// Record takes an entry, or counts it as lost. It must not be called after Close.
func (r *Recorder) Record(e Entry) {
	select {
	case r.queue <- &e:
	default:
		r.lost.Add(1)
	}
}

// Lost counts the entries for which there was no room.
func (r *Recorder) Lost() uint64 { return r.lost.Load() }

// Notify records a finding that opened, grew worse or ended; it implements findings.Notifier.
func (r *Recorder) Notify(f event.Finding) {
	e := Entry{Kind: Finding, Subject: f.ID, Who: f.Node, Facts: []Fact{{"kind", f.Kind}, {"subject", f.Subject}, {"severity", f.Severity.String()}, {"opened", stamp(f.Opened)}}}
	if !f.Open() {
		e.Facts = append(e.Facts, Fact{"closed", stamp(f.Closed)})
	}
	for _, x := range f.Facts {
		e.Facts = append(e.Facts, Fact{"fact " + x.Name, x.Value})
	}
	r.Record(e)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Close writes what waits. It does not try again where the disk takes nothing.
func (r *Recorder) Close() {
	r.once.Do(func() { close(r.ending); close(r.queue) })
	r.wg.Wait()
}

func (r *Recorder) run() {
	told := uint64(0)
	for e := range r.queue {
		batch := []*Entry{e}
		for more := true; more && len(batch) < maxTogether; {
			select {
			case e, open := <-r.queue:
				if more = open; open {
					batch = append(batch, e)
				}
			default:
				more = false
			}
		}
		if lost := r.lost.Load(); lost > told {
			batch = append(batch, &Entry{Kind: Loss, Subject: "ledger", Facts: []Fact{{"entries", strconv.FormatUint(lost-told, 10)}}})
			told = lost
		}
		r.write(batch)
	}
}

// write tries until the disk takes the entries, once more at the end.
func (r *Recorder) write(batch []*Entry) {
	for try := 0; ; try++ {
		err := r.ledger.Append(time.Now(), batch...)
		if err == nil {
			return
		}
		if try == 0 {
			r.logger.Error("ledger entries not written", "entries", len(batch), "error", err)
		}
		if try == 3 {
			r.lost.Add(uint64(len(batch)))
			return
		}
		select {
		case <-time.After(retryTime):
		case <-r.ending:
			if try > 0 {
				r.lost.Add(uint64(len(batch)))
				return
			}
		}
	}
}
