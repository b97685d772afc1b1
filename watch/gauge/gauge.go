// Package gauge keeps the four figures: volume, success, speed and load.
//
// Volume is observations a second. Success is the share of the questions that deserved an answer and got a right one;
// outcome.go holds the table, rcode by rcode and Extended DNS Error by Extended DNS Error. Speed is a log-linear
// histogram with a relative error of at most 1/16. Load is handed in by the edge, once a second.
//
// Two views are kept of every observation: totals since the start by source, zone, transport, type and rcode (for
// Prometheus, which makes them into history), and a ring of seconds for the last hour (for pages that move now).
//
// The package is pure: it reads no clock, file or socket; `now` is an argument. It promises that an observation costs
// no allocation once its zone has been seen, and that memory is bounded: Zones zones by name, maxSeries combinations,
// one hour of seconds. What does not fit is counted under "other", never lost.
// It refuses averages of time: only quantiles come out.
// Limits today: the hour knows quantiles of everything and by transport only in the totals, not by zone; a zone's hour
// has steps of ten seconds.
package gauge

import (
	"sync"
	"time"

	"anyu/event"
)

// Gauge is the counting table of one process. One goroutine observes, in batches between Lock and Unlock; any
// number may ask.
type Gauge struct {
	names *event.Names

	mu      sync.Mutex
	now     int64 // ns since 1970, of the batch
	sources [MaxSources]source
	series  table
	hour    *hour
	zones   zoneSlots
	slot    slots
	load    Load
	loaded  bool
}

// source is one observed server: this one or a tap.
type source struct {
	name, node string
	speed      [transportSlots]*timing
	recent     *recent
}

// timing is what Prometheus calls a histogram: counts and their sum.
type timing struct {
	counts Speed
	sum    uint64 // ns
}

// MaxSources bounds the observed servers; it is the room of the source in a series key.
const MaxSources = 64

// New returns a gauge in which source 0 is this server, named "self", on node.
func New(names *event.Names, node string) *Gauge {
	g := &Gauge{names: names, hour: newHour(), slot: newSlots(), series: newTable()}
	for i := range g.sources {
		g.sources[i].name, g.sources[i].node = other, node
	}
	g.SetSource(0, "self", node)
	return g
}

// SetSource names a source of observations. What was never named, and numbers beyond MaxSources, is the source "other".
func (g *Gauge) SetSource(id uint16, name, node string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if int(id) < MaxSources-1 {
		g.sources[id].name, g.sources[id].node = name, node
	}
}

// Source tells the name and node of a source.
func (g *Gauge) Source(id uint16) (name, node string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.sources[min(int(id), MaxSources-1)]
	return s.name, s.node
}

// Lock begins a batch of Observe at the time now.
func (g *Gauge) Lock(now time.Time) {
	g.mu.Lock()
	g.now = now.UnixNano()
}

// Unlock ends a batch.
func (g *Gauge) Unlock() { g.mu.Unlock() }

// Observe counts one observation. The caller holds Lock.
func (g *Gauge) Observe(q *event.Query) {
	src := min(int(q.Source), MaxSources-1)
	zone := 0
	if q.Has&event.HasZone != 0 && q.Zone != 0 {
		zone = g.zones.of(q.Zone)
	}
	transport := min(int(q.Transport), event.Transports)
	typ := g.slot.typ(q)
	rcode := g.slot.rcode(q)
	outcome := OutcomeOf(q)
	g.series.add(packKey(src, zone, transport, typ, rcode, outcome))

	sec := g.hour.second(q, g.now)
	sec.outcomes[outcome]++
	sec.rcodes[rcode]++
	sec.types[typ]++
	sec.transports[transport]++
	g.zones.add(zone, sec.at, outcome, rcode)
	step := g.step(src, sec.at)
	step.outcomes[outcome]++
	if rcode == rcodeNX {
		step.nx++
	}
	if q.Has&event.HasLatency != 0 && q.Clock != event.ClockNone && q.Latency >= 0 {
		at := speedBucket(q.Latency)
		sec.speed[at]++
		step.speed[at]++
		t := g.sources[src].speed[transport]
		if t == nil {
			t = new(timing)
			g.sources[src].speed[transport] = t
		}
		t.counts[at]++
		t.sum += uint64(q.Latency)
	}
}

// Tick opens the second of now, so that a second without questions is a zero and not a gap, and notes the load of it.
// Dropped in load is what was lost since the last Tick.
func (g *Gauge) Tick(now time.Time, load Load) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sec := g.hour.open(now.Unix())
	load.Dropped += sec.load.Dropped
	sec.load, sec.loaded = load, true
	g.load, g.loaded = load, true
}

// Load is the load noted last; false before the first Tick.
func (g *Gauge) Load() (Load, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.load, g.loaded
}

// Load is how much this server and its host have to do.
type Load struct {
	CPU         float64 // this process, share of the CPUs it may use, 0 to 1
	HostCPU     float64 // the whole machine, 0 to 1
	Resident    uint64  // octets of memory in use (RSS)
	Heap        uint64  // octets of them in Go's heap
	Ring        float64 // fullest observation ring, 0 to 1
	Connections int     // open client connections
	Dropped     uint64  // observations lost
}
