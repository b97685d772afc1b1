package outbound

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"anyu/serve/resolve"
)

// StreamConfig bounds what streams hold. A zero field takes its default.
type StreamConfig struct {
	Source Source
	// Roots are who may sign certificates of upstreams that have a name; nil: those of the system.
	Roots *x509.CertPool
	// Connections is how many there may be in all: 256. The idlest one goes for a new one (servers that answer TC to everything).
	Connections int
	// OfUpstream is how many there may be to one server: 4 (RFC 7766, Section 6.2.2: as few as possible).
	OfUpstream int
	// Pipelined is how many questions may be under way on one connection: 100.
	Pipelined int
	// Waiting is how many questions to one server may be under way or wait for a connection: 1,000.
	Waiting int
	// Idle is how long a plain connection stays open without use: 10 s (RFC 7766, Section 6.2.3); EncryptedIdle, one whose handshake
	// was dear: 60 s.
	Idle, EncryptedIdle time.Duration
}

func (c StreamConfig) withDefaults() StreamConfig {
	c.Connections = cmp.Or(c.Connections, 256)
	c.OfUpstream = cmp.Or(c.OfUpstream, 4)
	c.Pipelined = cmp.Or(c.Pipelined, 100)
	c.Waiting = cmp.Or(c.Waiting, 1000)
	c.Idle = cmp.Or(c.Idle, 10*time.Second)
	c.EncryptedIdle = cmp.Or(c.EncryptedIdle, 60*time.Second)
	return c
}

// maxUpstreams bounds the servers remembered. Those without a connection are forgotten first.
const maxUpstreams = 1024

// Streams are the connections to servers: TCP, DNS over TLS (RFC 7858), HTTPS (RFC 8484) and QUIC (RFC 9250). They are kept open, shared
// by all who ask the same server, and used for many questions at a time. Safe for concurrent use.
type Streams struct {
	config StreamConfig
	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	open   atomic.Int64 // connections
	run    sync.WaitGroup

	source    atomic.Pointer[Source]
	mu        sync.Mutex
	upstreams map[key]*upstream
	retired   []*upstream // with connections from an address of before: they answer what they were asked, and end when they are idle
	closed    bool
}

// key is what makes connections to a server the same.
type key struct {
	server   netip.AddrPort
	protocol resolve.Protocol
	name     string
	path     string
}

func keyOf(server netip.AddrPort, how *resolve.Upstream) key {
	k := key{server: server}
	if how != nil {
		k.protocol, k.name, k.path = how.Protocol, how.Name, how.Path
	}
	return k
}

func (k key) idle(c *StreamConfig) time.Duration {
	if k.protocol == resolve.Plain {
		return c.Idle
	}
	return c.EncryptedIdle
}

// upstream is one server spoken to in one way.
type upstream struct {
	streams *Streams
	key     key
	carrier
	tally   tally
	waiting atomic.Int64 // questions
	told    atomic.Int64 // how long the server keeps connections that are not used (RFC 7828), ns; -1: it has not said
}

// maxKeepalive bounds what a server may have us keep open for it (exhaustion of descriptors).
const maxKeepalive = 2 * time.Minute

// idle is how long a connection may be without use.
func (u *upstream) idle() time.Duration {
	if told := u.told.Load(); told >= 0 {
		// A tenth less than was said: told when it left the server, it is older here, and a question must not meet the close.
		return min(time.Duration(told-told/10), maxKeepalive)
	}
	return u.key.idle(&u.streams.config)
}

// Keepalive takes a server's word on how long it keeps a connection over TCP or TLS that is not used. RFC 7828, Section 3.2.2: the client closes it before
// that; 0 means at once, when all is answered.
func (s *Streams) Keepalive(server netip.AddrPort, how *resolve.Upstream, idle time.Duration) {
	s.mu.Lock()
	u := s.upstreams[keyOf(server, how)]
	s.mu.Unlock()
	if u != nil && u.told.Swap(int64(idle)) != int64(idle) {
		u.carrier.reconsider()
	}
}

// carrier is a protocol's way to carry questions to one server. carry goes on at once; the question is finished exactly once, later. idlest tells
// since when its least used connection has had nothing to do, and how to close that; shed nil: all have. close ends all. reconsider is told that
// upstream.idle is another.
type carrier interface {
	carry(q *asked)
	reconsider() // how long connections may be idle
	idlest() (since time.Time, shed func() bool)
	close()
}

// tally is what is told of an upstream.
type tally struct {
	open, opened, resumed, queries, replies, failed, retried atomic.Uint64
	connected                                                atomic.Int64 // ns since 1970, the last time
	problem                                                  atomic.Pointer[string]
}

// Upstream is the state of one server spoken to over streams.
type Upstream struct {
	Server    netip.AddrPort
	Protocol  resolve.Protocol
	Name      string
	Open      uint64    // connections now
	Connected time.Time // when the last connection was made; zero: never
	Opened    uint64    // connections made
	Resumed   uint64    // of these, with a TLS session of before
	Queries   uint64
	Replies   uint64
	Failed    uint64        // questions whose connection could not be made, or broke
	Retried   uint64        // questions asked again on a fresh connection
	Waiting   uint64        // questions under way
	Idle      time.Duration // how long it keeps a connection that is not used; negative: it has not said (RFC 7828)
	Problem   string        // why a connection failed last; empty: it did not, or has worked since
}

// asked is one question under way.
type asked struct {
	upstream *upstream
	frame    []byte // length, then the message
	id       uint16 // as the asker set it
	deadline time.Time
	sent     time.Time
	retried  bool
	ended    atomic.Bool
	done     func(msg []byte)
}

func (q *asked) msg() []byte { return q.frame[2:] }

// finish hands a reply over, nil for none. The reply gets its ID back.
func (q *asked) finish(msg []byte) {
	if q.ended.Swap(true) {
		return
	}
	q.upstream.waiting.Add(-1)
	if msg == nil {
		q.upstream.tally.failed.Add(1)
	} else {
		q.upstream.tally.replies.Add(1)
		binary.BigEndian.PutUint16(msg, q.id)
	}
	q.done(msg)
}

// NewStreams returns streams without a connection.
func NewStreams(c StreamConfig) *Streams {
	s := &Streams{config: c.withDefaults(), upstreams: make(map[key]*upstream)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.source.Store(&s.config.Source)
	return s
}

// Configure makes connections leave from another address. Those that are open are asked nothing any more.
func (s *Streams) Configure(source Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || *s.source.Load() == source {
		return
	}
	s.source.Store(&source)
	s.retired = slices.DeleteFunc(s.retired, func(u *upstream) bool { return u.tally.open.Load() == 0 && u.waiting.Load() == 0 })
	for k, u := range s.upstreams {
		s.retired = append(s.retired, u)
		delete(s.upstreams, k)
	}
}

// Send asks a server. done is called exactly once, by any goroutine, with the reply, or with nil when none comes within the timeout or the
// connection broke, twice where a fresh one could be tried. msg is not kept. how may be nil: TCP.
func (s *Streams) Send(server netip.AddrPort, how *resolve.Upstream, msg []byte, timeout time.Duration, done func(msg []byte)) {
	u := s.upstream(keyOf(server, how))
	if u == nil {
		done(nil)
		return
	}
	frame := make([]byte, 2+len(msg))
	binary.BigEndian.PutUint16(frame, uint16(len(msg)))
	copy(frame[2:], msg)
	q := &asked{upstream: u, frame: frame, id: binary.BigEndian.Uint16(msg), deadline: time.Now().Add(timeout), done: done}
	u.tally.queries.Add(1)
	if u.waiting.Add(1) > int64(s.config.Waiting) {
		q.finish(nil)
		return
	}
	u.carry(q)
}

// upstream returns the one with a key, nil after Close.
func (s *Streams) upstream(k key) *upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if u := s.upstreams[k]; u != nil {
		return u
	}
	if len(s.upstreams) >= maxUpstreams {
		s.forgetUnused()
	}
	u := &upstream{streams: s, key: k}
	u.told.Store(-1)
	switch k.protocol {
	case resolve.HTTPS:
		u.carrier = newWeb(s, u)
	case resolve.QUIC:
		u.carrier = newDoQ(s, u)
	default:
		u.carrier = newPool(s, u)
	}
	s.upstreams[k] = u
	return u
}

// forgetUnused makes room for a new upstream.
func (s *Streams) forgetUnused() {
	for k, u := range s.upstreams {
		if u.tally.open.Load() == 0 && u.waiting.Load() == 0 {
			u.close()
			delete(s.upstreams, k)
		}
		if len(s.upstreams) < maxUpstreams*3/4 {
			return
		}
	}
}

var errTooMany = errors.New("too many connections are open")

// shedTries is how often another connection is tried, when the idlest one was used or closed meanwhile.
const shedTries = 4

// admit counts a new connection, and closes the idlest one for it if there are too many. False: all are in use. Who calls it holds no lock.
func (s *Streams) admit(u *upstream) bool {
	if s.open.Add(1) > int64(s.config.Connections) && !s.shed() {
		s.open.Add(-1)
		return false
	}
	u.tally.open.Add(1)
	return true
}

// left counts a connection out.
func (s *Streams) left(u *upstream) {
	s.open.Add(-1)
	u.tally.open.Add(^uint64(0))
}

// shed closes the connection that has been without use for longest. False: all are in use.
func (s *Streams) shed() bool {
	for range shedTries {
		close := s.idlest()
		if close == nil {
			return false
		}
		if close() {
			return true
		}
	}
	return false
}

func (s *Streams) idlest() (shed func() bool) {
	s.mu.Lock()
	all := slices.AppendSeq(slices.Clone(s.retired), maps.Values(s.upstreams))
	s.mu.Unlock()
	var oldest time.Time
	for _, u := range all {
		if since, f := u.idlest(); f != nil && (shed == nil || since.Before(oldest)) {
			oldest, shed = since, f
		}
	}
	return shed
}

// connected notes a connection that works.
func (u *upstream) connected(resumed bool) {
	u.tally.opened.Add(1)
	if resumed {
		u.tally.resumed.Add(1)
	}
	u.tally.connected.Store(time.Now().UnixNano())
	u.tally.problem.Store(nil)
}

// trouble notes why a connection failed.
func (u *upstream) trouble(err error) {
	if u.streams.ctx.Err() != nil {
		return // Close broke it
	}
	text := err.Error()
	u.tally.problem.Store(&text)
}

// Upstreams lists the servers that are spoken to over streams, or were lately, in order of address.
func (s *Streams) Upstreams() []Upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Upstream, 0, len(s.upstreams))
	for k, u := range s.upstreams {
		t := &u.tally
		one := Upstream{Server: k.server, Protocol: k.protocol, Name: k.name, Open: t.open.Load(), Opened: t.opened.Load(), Resumed: t.resumed.Load(),
			Queries: t.queries.Load(), Replies: t.replies.Load(), Failed: t.failed.Load(), Retried: t.retried.Load(), Waiting: uint64(max(0, u.waiting.Load())), Idle: time.Duration(u.told.Load())}
		if at := t.connected.Load(); at != 0 {
			one.Connected = time.Unix(0, at)
		}
		if p := t.problem.Load(); p != nil {
			one.Problem = *p
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Upstream) int {
		return cmp.Or(a.Server.Compare(b.Server), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// Close breaks every connection and waits for what runs.
func (s *Streams) Close() {
	s.mu.Lock()
	s.closed = true
	all := slices.AppendSeq(s.retired, maps.Values(s.upstreams))
	s.upstreams, s.retired = nil, nil
	s.mu.Unlock()
	s.stop()
	for _, u := range all {
		u.close()
	}
	s.run.Wait()
}

// dialer connects from the configured address.
func (s *Streams) dialer(server netip.Addr) *net.Dialer {
	d := &net.Dialer{KeepAlive: -1} // an idle connection is closed long before
	if from := s.source.Load().of(server); from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	d.SetMultipathTCP(false)
	return d
}
