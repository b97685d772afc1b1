// Package gauge keeps the four figures: volume, success, speed and load.
//
// Volume is observations a second. Success is the share of the questions that deserved an answer and got a right one;
// outcome.go holds the table, rcode by rcode and Extended DNS Error by Extended DNS Error. Speed is a DDSketch whose
// quantiles are wrong by at most 1/32 of themselves. Load is handed in by the edge, once a second.
//
// Of every observation are kept: totals since the start by source, zone, transport, type and rcode, and by server address (for
// Prometheus, which makes them into history); an hour of seconds of each source (for pages that move now); and, in steps of a
// minute, who asked most, for what, and how many different ones there were.
//
// The package is pure: it reads no clock, file or socket; `now` is an argument. It promises that an observation costs
// no allocation once its source and zone have been seen, and that memory is bounded: Zones zones by name, maxSeries combinations,
// MaxSources sources with an hour each, maxServers addresses, counted lists of heavySlots. What does not fit is counted under "other", never lost.
// It refuses averages of time: only quantiles come out. Figures of several sources are added up only where somebody asks for several:
// a server that stands in front of another sees the same question once more.
// Limits today: the speed of sources other than this server has steps of ten seconds, a zone's hour too and its speed steps of
// five minutes; above sampleRate observations a second the lists of who asked most are made from a sample, and say so.
package gauge

import (
	"hash/maphash"
	"sync"
	"time"

	"anyu/event"
)

// Gauge is the counting table of one process. One goroutine observes, in batches between Lock and Unlock; any
// number may ask.
type Gauge struct {
	names *event.Names

	mu       sync.Mutex
	now      int64 // ns since 1970, of the batch
	sources  [MaxSources]source
	series   table
	servers  servers
	networks networks
	zones    zoneSlots
	slot     slots
	loads    *loads
	load     Load
	loaded   bool

	// Who asked most. With a seed of its own each installation puts names elsewhere: nobody can choose some that push others out.
	seed       maphash.Seed
	all        sampler // what is taken for the lists of everything
	unanswered sampler // and for the list of what nobody answered, which is rare and must not drown
	lower      [256]byte
	domains    domains
}

// source is one observed server: this one or a tap.
type source struct {
	name, node string
	first      int64 // Unix time of its first observation; before it nothing is known. 0: this server, which is watched all the time
	speed      [transportSlots]*timing
	hour       *hour
	tops       *tops
	zones      []*zoneHour // by slot
}

// timing is what Prometheus calls a histogram: counts and their sum.
type timing struct {
	counts Speed
	sum    uint64 // ns
}

// MaxSources bounds the observed servers; it is the room of the source in a series key, and of the bits of a Set.
const MaxSources = 64

// New returns a gauge in which source 0 is this server, named "self", on node. The seed must not be known to clients.
func New(names *event.Names, node string, seed maphash.Seed) *Gauge {
	g := &Gauge{names: names, slot: newSlots(), series: newTable(), loads: &loads{}, seed: seed}
	g.all, g.unanswered = newSampler(maphash.String(seed, "all")), newSampler(maphash.String(seed, "unanswered"))
	for i := range g.sources {
		g.sources[i].name, g.sources[i].node = other, node
	}
	g.SetSource(0, "self", node)
	g.sources[0].hour, g.sources[0].tops = newHour(1), newTops()
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
	s := &g.sources[src]
	if s.hour == nil {
		s.hour, s.tops, s.first = newHour(stepOfOthers), newTops(), g.now/1e9
	}
	zone := 0
	if q.Has&event.HasZone != 0 && q.Zone != 0 {
		zone = g.zones.of(q.Zone)
	}
	transport := min(int(q.Transport), event.Transports)
	typ := g.slot.typ(q)
	rcode := g.slot.rcode(q)
	outcome := OutcomeOf(q)
	g.series.add(packKey(src, zone, transport, typ, rcode, outcome))
	if q.Has&event.HasServer != 0 {
		g.servers.add(src, &q.Server, outcome)
	}

	if q.Has&event.HasClient != 0 {
		g.networks.add(src, &q.Client, outcome)
	}

	sec := s.hour.second(q, g.now)
	sec.outcomes[outcome]++
	sec.rcodes[rcode]++
	sec.types[typ]++
	sec.transports[transport]++
	inZone := s.zone(zone)
	inZone.add(sec.at, outcome, rcode)
	if q.Has&event.HasLatency != 0 && q.Clock != event.ClockNone && q.Latency >= 0 {
		at := speedBucket(q.Latency)
		s.hour.speedAt(sec.at).counts[at]++
		inZone.speedAt(sec.at).counts[at]++
		t := s.speed[transport]
		if t == nil {
			t = new(timing)
			s.speed[transport] = t
		}
		t.counts[at]++
		t.sum += uint64(q.Latency)
	}
	g.rank(s, zone, q)
}

// Tick opens the second of now, so that a second without questions is a zero and not a gap, and notes the load of it.
// Dropped in load is what was lost since the last Tick.
func (g *Gauge) Tick(now time.Time, load Load) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loads.note(now.Unix(), load)
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
