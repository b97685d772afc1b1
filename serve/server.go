package serve

import (
	"sync"
	"sync/atomic"
	"time"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/fast"
	"anyu/serve/filter"
	"anyu/serve/listen"
)

// Config is what answers depend on beside the zones. It is swapped whole.
type Config struct {
	// Payload is the largest answer over UDP that we send or ask for, octets. Default 1232: no fragments on paths with
	// an MTU of 1280 (DNS flag day 2020).
	Payload uint16
	// NSID is sent to who asks for it (RFC 5001). Default: none.
	NSID []byte
	// Version and Hostname answer version.bind, version.server and hostname.bind, id.server in class CH. Default "": refused.
	Version, Hostname string
	// Clients may ask anything at all; others are refused.
	Clients filter.ACL
	// Ignored get no reply; nil: nobody is.
	Ignored *filter.ACL
	// Cookies makes server cookies; nil leaves the option away.
	Cookies *filter.Cookies
	// Rate limits answers over UDP; nil does not.
	Rate *filter.Rate
	// Keepalive is the idle time told to clients over TCP and TLS (RFC 7828).
	Keepalive time.Duration
	// NoReasons leaves Extended DNS Errors (RFC 8914) out of answers.
	NoReasons bool
	// Recursion answers what no zone here does; nil refuses it.
	Recursion *Recursion
}

// identity is the text for a name in class CH, "" for none.
func (c *Config) identity(name wire.Name) string {
	var room [wire.MaxName + 1]byte
	switch string(name.AppendLower(room[:0])) {
	case "\x07version\x04bind\x00", "\x07version\x06server\x00":
		return c.Version
	case "\x08hostname\x04bind\x00", "\x02id\x06server\x00":
		return c.Hostname
	}
	return ""
}

// Transfers is the room that moves zones: it answers NOTIFY, IXFR over UDP and questions signed with TSIG, and streams
// AXFR and IXFR. Message returns the length of the reply, 0 to drop, -1 for a short answer with the RCODE; inner answers a
// question whose signature was good, in a message that leaves the given room for a signature.
type Transfers interface {
	Message(msg []byte, q *wire.Query, from *listen.Client, out []byte, inner func(q, out []byte, room int) int) (int, wire.Rcode)
	Stream(msg []byte, from *listen.Client, send func([]byte) error) (Streamed, error)
}

// Streamed is what a transfer was, for the observation.
type Streamed struct {
	Rcode wire.Rcode
	Zone  uint32
	Bytes int
	First []byte // the first message, for its flags; may be nil
}

// Server is what all workers share.
type Server struct {
	table     atomic.Pointer[Table]
	config    atomic.Pointer[Config]
	transfers Transfers
	names     *event.Names

	silent  atomic.Uint64
	limited atomic.Uint64

	change  sync.Mutex // one change of the table at a time
	streams streamRing
}

// streamRing carries the observations of transfers, which come from many goroutines.
type streamRing struct {
	sync.Mutex
	ring *event.Ring
}

// New returns a server without zones but those always there. transfers may be nil. streamed takes the observations of
// transfers and may be nil.
func New(c *Config, names *event.Names, transfers Transfers, streamed *event.Ring) *Server {
	s := &Server{names: names, transfers: transfers}
	s.streams.ring = streamed
	s.config.Store(c)
	s.table.Store(&Table{byName: map[string]int32{}, local: map[string]int32{}})
	s.Change(Change{Put: LocalZones(nil)})
	return s
}

// NewWorker returns a worker that writes its observations to ring, which may be nil, and keeps about compiled octets of
// finished answers.
func (s *Server) NewWorker(ring *event.Ring, compiled int) *Worker {
	return &Worker{server: s, ring: ring, clock: newClock(), fast: fast.New(compiled)}
}

// Change puts and removes zones. Queries in hand are answered from the table before.
func (s *Server) Change(c Change) {
	s.change.Lock()
	defer s.change.Unlock()
	for i := range c.Put {
		c.Put[i].Number = s.names.ID(wire.Name(c.Put[i].Name.AppendLower(nil)).String())
	}
	before := s.table.Load()
	s.table.Store(before.with(c))
	if r := s.config.Load().Recursion; r != nil {
		r.forget(c, before)
	}
}

// Allow gives zones new lists of who may ask and leaves what they hold alone, also where a transfer changes it at this moment.
// of tells the list of a zone, and whether it has one to tell.
func (s *Server) Allow(of func(name wire.Name) (list *filter.ACL, ok bool)) {
	s.change.Lock()
	defer s.change.Unlock()
	var c Change
	now := s.table.Load()
	for _, z := range now.All() {
		if list, ok := of(z.Name); ok && (list != nil || z.Allow != nil) {
			z.Allow = list
			c.Put = append(c.Put, z)
		}
	}
	if len(c.Put) > 0 {
		s.table.Store(now.with(c))
		if r := s.config.Load().Recursion; r != nil {
			r.forget(c, now)
		}
	}
}

// Configure swaps the settings.
func (s *Server) Configure(c *Config) { s.config.Store(c) }

// Settings are the ones in use.
func (s *Server) Settings() *Config { return s.config.Load() }

// Table is the current one.
func (s *Server) Table() *Table { return s.table.Load() }

// Silent counts messages that were no queries, Limited answers held back by rate limiting.
func (s *Server) Silent() uint64  { return s.silent.Load() }
func (s *Server) Limited() uint64 { return s.limited.Load() }

// stream runs a transfer and emits its observation.
func (s *Server) stream(msg []byte, from *listen.Client, send func([]byte) error) error {
	var q wire.Query
	if q.Read(msg) != wire.Good {
		return nil
	}
	done := Streamed{Rcode: wire.Refused}
	var err error
	if s.transfers != nil {
		done, err = s.transfers.Stream(msg, from, send)
	} else {
		out := make([]byte, wire.HeaderSize+len(msg))
		n := refuse(out, msg, &q)
		done.First, done.Bytes = out[:n], n
		err = send(out[:n])
	}
	s.emitStream(&q, msg, from, done)
	return err
}
