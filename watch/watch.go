// Package watch turns observations into figures, a log and findings: gauge -> trail -> detect, in this order.
//
// It promises that nobody who answers ever waits for it: it reads the workers' rings from one goroutine, in bounded
// batches, and what it cannot keep up with is dropped by the ring and counted. It decides nothing itself; this file orders the
// steps and nothing else. It refuses to own files and sockets: trail, findings and history do.
// Limits today: one reading goroutine, which is good for some millions of observations a second on a core of its own.
package watch

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"anyu/event"
	"anyu/watch/gauge"
)

// Log keeps observations. Observe must not wait nor keep q; Flush ends a batch.
type Log interface {
	Observe(q *event.Query)
	Flush()
}

// Detector concludes from observations. Observe is called for each, Tick once a second, both from one goroutine.
type Detector interface {
	Observe(q *event.Query)
	Tick(now time.Time, report func(event.Finding))
}

// Parts is what a Watch hands observations to. Log may be nil (no query log), Load too (load unknown).
type Parts struct {
	Gauge     *gauge.Gauge
	Log       Log
	Detectors []Detector
	Findings  event.Sink
	Load      func(now time.Time) gauge.Load
}

const (
	// batch bounds one turn: about 30 us of a core, then the answering goroutines may go on. On one core at full load they go on for some
	// milliseconds, a thousand answers: who reads a ring that is crowded takes as many as bigBatch in its turn.
	batch, bigBatch = 256, 4096
	// Sleeps between passes. At 200,000 observations a second, of some 180 octets, the longest lets 360 kB gather: a ring of 1 MiB takes
	// the first burst after a quiet time.
	shortestSleep = time.Millisecond
	longestSleep  = 10 * time.Millisecond
	// A pass that found a ring fuller than crowded halves the sleep, one that found all emptier than calm prolongs it.
	crowded = 0.25
	calm    = 0.10
)

// Watch reads rings. The zero value is not usable; see New.
type Watch struct {
	parts Parts

	mu    sync.Mutex // rings are added and removed while Run runs
	rings []*watched

	gone    atomic.Uint64 // drops of rings that were removed
	fullest float64       // since the last tick
	lost    uint64        // drops at the last tick
}

type watched struct {
	ring *event.Ring
	left atomic.Bool // its writer has stopped: drain and forget
}

// New returns a Watch; Run starts it.
func New(parts Parts) *Watch { return &Watch{parts: parts} }

// Add begins to read a ring. The function it returns is called when the ring's writer has stopped; what the ring still
// holds is read before it is forgotten.
func (w *Watch) Add(r *event.Ring) (remove func()) {
	entry := &watched{ring: r}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rings = append(w.rings, entry)
	return func() { entry.left.Store(true) }
}

// Dropped counts the observations that found their ring full.
func (w *Watch) Dropped() uint64 {
	n := w.gone.Load()
	for _, e := range w.current(nil) {
		n += e.ring.Dropped()
	}
	return n
}

// Run reads until ctx ends, then drains what is left in the rings, hands it on, and returns.
func (w *Watch) Run(ctx context.Context) {
	sleep := longestSleep
	timer := time.NewTimer(sleep)
	defer timer.Stop()
	var rings []*watched
	next := time.Now().Truncate(time.Second)
	for {
		rings = w.current(rings[:0])
		full := w.pass(rings)
		if now := time.Now(); !now.Before(next) {
			w.tick(now)
			next = now.Truncate(time.Second).Add(time.Second)
		}
		switch {
		case full > crowded:
			sleep = max(sleep/2, shortestSleep)
		case full < calm:
			sleep = min(sleep+time.Millisecond, longestSleep)
		}
		timer.Reset(sleep)
		select {
		case <-ctx.Done():
			w.pass(w.current(nil))
			w.tick(time.Now())
			return
		case <-timer.C:
		}
	}
}

// pass empties all rings in turns of a batch each, and tells how full the fullest was. It stops after what the rings
// held at its beginning, about: a writer faster than the reader must not keep it from its other work.
func (w *Watch) pass(rings []*watched) (fullest float64) {
	for _, e := range rings {
		used, size := e.ring.Used(), e.ring.Size()
		fullest = max(fullest, float64(used)/float64(size))
		left := e.left.Load()
		for used > 0 {
			most := batch
			if float64(e.ring.Used()) > calm*float64(size) {
				most = bigBatch
			}
			if w.turn(e.ring, most) < most {
				break
			}
			used -= most * smallestRecord
			runtime.Gosched()
		}
		if left && e.ring.Used() == 0 {
			w.forget(e)
		}
	}
	w.fullest = max(w.fullest, fullest)
	return fullest
}

// smallestRecord is the least an observation takes in a ring: its header and padding, see event.Ring.
const smallestRecord = 96

// turn hands at most so many observations of one ring to gauge, trail and detect.
func (w *Watch) turn(r *event.Ring, most int) int {
	p := &w.parts
	p.Gauge.Lock(time.Now())
	n := r.Drain(most, w.see)
	p.Gauge.Unlock()
	if p.Log != nil {
		p.Log.Flush()
	}
	return n
}

func (w *Watch) see(q *event.Query) {
	p := &w.parts
	p.Gauge.Observe(q)
	if p.Log != nil {
		p.Log.Observe(q)
	}
	for _, d := range p.Detectors {
		d.Observe(q)
	}
}

// tick closes a second: load, drops, detectors.
func (w *Watch) tick(now time.Time) {
	p := &w.parts
	var load gauge.Load
	if p.Load != nil {
		load = p.Load(now)
	}
	dropped := w.Dropped()
	load.Ring, load.Dropped = w.fullest, dropped-w.lost
	w.fullest, w.lost = 0, dropped
	p.Gauge.Tick(now, load)
	if p.Log != nil {
		p.Log.Flush() // what a busy log left for later
	}
	for _, d := range p.Detectors {
		d.Tick(now, p.Findings.Report)
	}
}

func (w *Watch) current(into []*watched) []*watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(into, w.rings...)
}

func (w *Watch) forget(e *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone.Add(e.ring.Dropped())
	w.rings = slices.DeleteFunc(w.rings, func(other *watched) bool { return other == e })
}
