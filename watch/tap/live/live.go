// Package live takes in observations while they are made: dnstap that other name servers send over a socket.
//
// A Source listens in one place; any number of writers connect, and what they tell goes through one tap.Table, since a server may use several
// connections and tell a question on one and its answer on another. What comes out goes into an event.Ring, as this server's own observations do.
//
// The package promises: nobody who sends can hold more than a connection and what tap.Table bounds; what is broken is counted, and told in the
// log once a connection; a source that is closed hands on what it holds first. It refuses to count twice: what the observed server asked others is counted
// by kind, and does not become an observation.
// Limits today: nothing acknowledges a frame in Frame Streams, so what the sender dropped is not known here; DESIGN of libfstrm.
package live

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"anyu/event"
	"anyu/watch/load"
	"anyu/watch/tap"
	"anyu/watch/tap/dnstap"
)

// Settings may change while a source is open.
type Settings struct {
	Name    string // of the tap
	ID      uint16 // event.Query.Source
	Clients []netip.Prefix
	TLS     *tls.Config // for dnstap+tls
	Group   string      // of a unix socket
}

const (
	// ringSize is 4 MiB: some 20,000 observations, which watch takes out within milliseconds.
	ringSize = 4 << 20
	// tick is how often questions without an answer are looked for, and once in loadEvery ticks the load of writers.
	tick      = 250 * time.Millisecond
	loadEvery = 20
	// lagWindow is the time in which the smallest delay is looked for: senders gather frames for a second.
	lagWindow = 10 * time.Second
)

// Source is one open place.
type Source struct {
	settings atomic.Pointer[Settings]
	log      *slog.Logger
	listener net.Listener // nil: a capture
	packets  *packetSocket
	ring     *event.Ring

	mu       sync.Mutex // of what follows, held for a batch
	table    *tap.Table
	decoded  dnstap.Message
	message  tap.Message
	frames   uint64
	broken   uint64
	unknown  uint64
	outgoing uint64
	refused  uint64 // connections
	last     time.Time
	problem  string
	lag      lag
	writers  map[net.Conn]int // process, where it is known; else 0
	loads    map[int]*load.Process
	cpu      float64
	resident uint64
	loaded   bool
	identity string

	closing chan struct{}
	work    sync.WaitGroup
}

// lag is the smallest difference between a message's time and its arrival, of this window and the one before.
type lag struct {
	began        time.Time
	now, before  time.Duration
	here, former bool
}

func (l *lag) see(d time.Duration, at time.Time) {
	if at.Sub(l.began) > lagWindow {
		l.before, l.former, l.here, l.began = l.now, l.here, false, at
	}
	if !l.here || d < l.now {
		l.now, l.here = d, true
	}
}

func (l *lag) value() (time.Duration, bool) {
	switch {
	case l.here && l.former:
		return min(l.now, l.before), true
	case l.here:
		return l.now, true
	}
	return l.before, l.former
}

func newSource(s Settings, log *slog.Logger) *Source {
	src := &Source{log: log, ring: event.NewRing(ringSize), writers: map[net.Conn]int{}, loads: map[int]*load.Process{}, closing: make(chan struct{})}
	src.settings.Store(&s)
	src.table = tap.NewTable(src.emit)
	return src
}

// Ring is where the observations go.
func (s *Source) Ring() *event.Ring { return s.ring }

// Configure takes other settings; streams that are open go on.
func (s *Source) Configure(to Settings) { s.settings.Store(&to) }

// Run takes in what comes until Close.
func (s *Source) Run() {
	if s.listener != nil {
		s.work.Go(s.accept)
	}
	if s.packets != nil {
		s.work.Go(s.capture)
	}
	s.work.Go(s.tend)
}

// Close ends all streams, hands on what was held, and returns then. A source that never ran may be closed, too.
func (s *Source) Close() {
	close(s.closing)
	if s.listener != nil {
		s.listener.Close()
	}
	s.mu.Lock()
	for c := range s.writers {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
	if s.packets != nil {
		s.packets.close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.Close()
}

func (s *Source) closed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// emit hands a transaction on. The caller holds mu.
func (s *Source) emit(t *tap.Transaction) {
	if t.Kind.Outgoing() || !t.Kind.Known() {
		s.outgoing++
		return
	}
	t.Query.Source = s.settings.Load().ID
	s.ring.Put(&t.Query)
}

// add takes a message. The caller holds mu.
func (s *Source) add(m *tap.Message, now time.Time) {
	s.last = now
	if m.Has&event.HasTime != 0 {
		s.lag.see(time.Duration(now.UnixNano()-m.Time), now)
	}
	if len(m.Identity) > 0 && string(m.Identity) != s.identity {
		s.identity = string(m.Identity)
	}
	s.table.Add(m, now.UnixNano())
}

// tend gives up what waited too long when nothing comes, and measures the writers of this machine.
func (s *Source) tend() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-s.closing:
			return
		case now := <-ticker.C:
			s.mu.Lock()
			s.table.Expire(now.UnixNano())
			if n%loadEvery == 0 {
				s.measure(now)
			}
			s.mu.Unlock()
		}
	}
}

// measure adds up the load of the processes that are connected.
func (s *Source) measure(now time.Time) {
	s.cpu, s.resident, s.loaded = 0, 0, false
	here := map[int]bool{}
	for _, pid := range s.writers {
		if pid != 0 {
			here[pid] = true
		}
	}
	for pid := range s.loads {
		if !here[pid] {
			delete(s.loads, pid)
		}
	}
	for pid := range here {
		p := s.loads[pid]
		if p == nil {
			p = load.NewProcess(pid)
			s.loads[pid] = p
		}
		if cpu, resident, ok := p.Sample(now); ok {
			s.cpu, s.resident, s.loaded = s.cpu+cpu, s.resident+resident, true
		}
	}
}
