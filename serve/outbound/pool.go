package outbound

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"anyu/serve/resolve"
)

const (
	// serialTime is how long a server is asked one question a connection that closed one with questions unanswered.
	serialTime = 15 * time.Minute
	// connectTime bounds connecting and the handshake.
	connectTime = 4 * time.Second
	// maxStrays bounds the replies on one connection that nobody asked for (or not any more), before it is given up.
	maxStrays = 100
	// tick is how often a connection with questions under way looks whether the server is still there.
	tick = time.Second
	// firstRoom is what a connection reads into; more is taken as a longer reply comes.
	firstRoom = 4096
)

// pool is the TCP or TLS connections to one server.
type pool struct {
	streams  *Streams
	upstream *upstream
	tls      *tls.Config // nil: plain TCP

	mu      sync.Mutex // guards what follows, and all of the connections but their sockets
	conns   []*stream
	queue   []*asked // no connection has room; bounded by StreamConfig.Waiting
	serial  time.Time
	closing bool
}

// stream is one connection. Its first goroutine connects and writes, a second one reads.
type stream struct {
	pool   *pool
	asked  map[uint16]*asked // by the ID in use here
	id     uint16            // the last one used
	out    []byte            // frames to write
	news   chan struct{}     // there is something to write
	gone   chan struct{}
	broken bool
	conn   net.Conn // nil until connected
	heard  time.Time
	used   time.Time
	good   int // replies
	strays int
}

func newPool(s *Streams, u *upstream) *pool {
	p := &pool{streams: s, upstream: u}
	if u.key.protocol == resolve.TLS {
		p.tls = s.tlsConfig(u.key.name, "dot") // RFC 7858, Section 3.1
	}
	return p
}

// tlsConfig of an upstream. RFC 8310, Section 5: with a name, strict: the certificate must be for it. Without, opportunistic: any will do.
// Sessions are kept, to be resumed (RFC 8446, Section 2.2); 0-RTT is not used, since it can be replayed.
func (s *Streams) tlsConfig(name string, protocols ...string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name, RootCAs: s.config.Roots, NextProtos: protocols, ClientSessionCache: tls.NewLRUClientSessionCache(16)}
	if name == "" {
		c.InsecureSkipVerify = true
	}
	return c
}

func (p *pool) carry(q *asked) {
	p.mu.Lock()
	ok := p.assign(q)
	p.mu.Unlock()
	if !ok {
		q.finish(nil)
	}
}

// assign puts a question on a connection, or lets it wait for one. False: none can be had.
func (p *pool) assign(q *asked) bool {
	if p.closing {
		return false
	}
	c := p.pick(q)
	switch {
	case c != nil:
		c.ask(q)
	case len(p.conns) > 0:
		p.queue = append(p.queue, q)
	default:
		return false
	}
	return true
}

// pick chooses the connection with the least to do, or opens one. A question whose connection broke goes on one that is new, if it can.
func (p *pool) pick(q *asked) *stream {
	room, most := p.streams.config.Pipelined, p.streams.config.OfUpstream
	serial := time.Now().Before(p.serial)
	if serial {
		room = 1
	}
	var best *stream
	for _, c := range p.conns {
		if len(c.asked) < room && (best == nil || len(c.asked) < len(best.asked)) && (c.good == 0 || !serial && (!q.retried || len(p.conns) >= most)) {
			best = c
		}
	}
	if best == nil && len(p.conns) < most {
		best = &stream{pool: p, asked: make(map[uint16]*asked), news: make(chan struct{}, 1), gone: make(chan struct{}), used: time.Now()}
		p.conns = append(p.conns, best)
		p.streams.run.Go(best.run)
	}
	return best
}

// ask gives a question an ID that no other on the connection has (RFC 7766, Section 6.2.1: the client must take care of it), nor had lately: a reply
// that comes twice must not be taken for the next one's.
func (c *stream) ask(q *asked) {
	if c.id == 0 {
		c.id = q.id
	}
	for c.id++; c.asked[c.id] != nil; c.id++ {
	}
	id := c.id
	c.asked[id] = q
	q.sent = time.Now()
	c.used = q.sent
	binary.BigEndian.PutUint16(q.frame[2:], id)
	c.out = append(c.out, q.frame...)
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// run connects and writes.
func (c *stream) run() {
	p := c.pool
	if !p.streams.admit(p.upstream) {
		c.end(errTooMany)
		return
	}
	conn, err := c.connect()
	if err != nil {
		p.streams.left(p.upstream) // before those who asked hear of it
		c.end(err)
		return
	}
	defer p.streams.left(p.upstream)
	p.mu.Lock()
	dead := c.broken
	c.conn = conn
	p.mu.Unlock()
	if dead {
		conn.Close()
		return
	}
	p.streams.run.Go(func() { c.end(c.read()) })
	for {
		p.mu.Lock()
		out := c.out
		c.out = nil
		p.mu.Unlock()
		if len(out) > 0 {
			conn.SetReadDeadline(time.Now().Add(tick))
			conn.SetWriteDeadline(time.Now().Add(connectTime))
			if _, err := conn.Write(out); err != nil {
				c.end(err)
			}
			continue
		}
		select {
		case <-c.news:
		case <-c.gone:
			conn.Close()
			return
		}
	}
}

func (c *stream) connect() (net.Conn, error) {
	p := c.pool
	ctx, cancel := context.WithTimeout(p.streams.ctx, connectTime)
	defer cancel()
	server := p.upstream.key.server
	raw, err := p.streams.dialer(server.Addr()).DialContext(ctx, "tcp", server.String())
	if err != nil {
		return nil, err
	}
	if p.tls == nil {
		p.upstream.connected(false)
		return raw, nil
	}
	over := tls.Client(raw, p.tls)
	if err := over.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	p.upstream.connected(over.ConnectionState().DidResume)
	return over, nil
}

var (
	errIdle   = errors.New("the connection was idle")
	errSilent = errors.New("the server is silent")
	errStrays = errors.New("too many replies that nobody asked for")
	errShort  = errors.New("a reply is shorter than a header")
	errSerial = errors.New("the server answers one question a connection")
)

// read takes replies until the connection ends, and returns why.
func (c *stream) read() error {
	in, have := make([]byte, firstRoom), 0
	for {
		n, err := c.conn.Read(in[have:])
		have += n
		used, bad := c.replies(in[:have])
		if bad != nil {
			return bad
		}
		have = copy(in, in[used:have])
		if need := 2 + int(binary.BigEndian.Uint16(in)); have >= 2 && need > len(in) {
			in = append(in, make([]byte, need-len(in))...)
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err = c.look(have > 0); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
}

// replies hands over the whole messages in a piece of the stream, and returns how many octets they took.
func (c *stream) replies(in []byte) (used int, err error) {
	for len(in)-used >= 2 {
		size := int(binary.BigEndian.Uint16(in[used:]))
		if size < 12 {
			return used, errShort
		}
		if len(in)-used < 2+size {
			break
		}
		msg := slices.Clone(in[used+2 : used+2+size])
		used += 2 + size
		if err := c.reply(msg); err != nil {
			return used, err
		}
	}
	return used, nil
}

// reply matches a message to a question by ID; whether it answers that question is looked at by who asked.
func (c *stream) reply(msg []byte) error {
	p := c.pool
	p.mu.Lock()
	c.heard = time.Now()
	id := binary.BigEndian.Uint16(msg)
	q := c.asked[id]
	if q == nil {
		c.strays++
		strays := c.strays
		p.mu.Unlock()
		if strays > maxStrays {
			return errStrays
		}
		return nil
	}
	delete(c.asked, id)
	c.good++
	c.used = c.heard
	var over error
	if time.Now().Before(p.serial) && len(c.asked) == 0 {
		over = errSerial
	} else {
		p.next()
	}
	p.mu.Unlock()
	q.finish(msg)
	return over
}

// next gives waiting questions to connections that have room.
func (p *pool) next() {
	for len(p.queue) > 0 {
		q := p.queue[0]
		if late := time.Now().After(q.deadline); !late {
			c := p.pick(q)
			if c == nil && len(p.conns) > 0 {
				return
			}
			if c != nil {
				c.ask(q)
				q = nil
			}
		}
		p.queue[0] = nil
		p.queue = p.queue[1:]
		if q != nil {
			q.finish(nil)
		}
	}
}

// look is what a connection does that nothing comes over: it ends when nobody wants anything of it, or the server says nothing.
func (c *stream) look(half bool) error {
	p := c.pool
	p.mu.Lock()
	now := time.Now()
	var over []*asked
	silent := false
	for id, q := range c.asked {
		if now.After(q.deadline) {
			delete(c.asked, id)
			over = append(over, q)
			silent = silent || c.heard.Before(q.sent)
		}
	}
	var err error
	idle := p.upstream.idle()
	switch {
	case silent:
		err = errSilent // RFC 7766, Section 6.2.4: nothing was heard since the question was sent
	case len(c.asked) > 0 || half:
		c.conn.SetReadDeadline(now.Add(tick))
	case now.Sub(c.used) >= idle:
		err = errIdle
	default:
		c.conn.SetReadDeadline(c.used.Add(idle))
	}
	p.next()
	p.mu.Unlock()
	for _, q := range over {
		q.finish(nil)
	}
	return err
}

// end takes a connection that has ended out, and asks what was not answered on a fresh one, once, if this one has worked before.
func (c *stream) end(err error) {
	p := c.pool
	p.mu.Lock()
	if c.broken {
		p.mu.Unlock()
		return
	}
	c.broken = true
	close(c.gone)
	p.conns = slices.DeleteFunc(p.conns, func(o *stream) bool { return o == c })
	if closedByServer(err) && c.pipelined() {
		p.serial = time.Now().Add(serialTime)
	}
	var lost []*asked
	for _, q := range c.asked {
		if c.good > 0 && !q.retried && time.Now().Before(q.deadline) {
			q.retried = true
			p.upstream.tally.retried.Add(1)
			if p.assign(q) {
				continue
			}
		}
		lost = append(lost, q)
	}
	c.asked = nil
	if len(p.conns) == 0 && c.good == 0 { // who waits would fare no better
		lost = append(lost, p.queue...)
		p.queue = nil
	}
	p.next()
	if !errors.Is(err, errIdle) && !errors.Is(err, errSerial) && (c.good == 0 || !closedByServer(err)) {
		p.upstream.trouble(err)
	}
	p.mu.Unlock()
	for _, q := range lost {
		q.finish(nil)
	}
}

// closedByServer: with a reset, where it had not read all that was asked.
func closedByServer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// pipelined tells whether questions are left that the server had when it answered another one: it answers one a connection.
func (c *stream) pipelined() bool {
	for _, q := range c.asked {
		if c.good > 0 && q.sent.Before(c.heard) {
			return true
		}
	}
	return false
}

func (p *pool) idlest() (since time.Time, shed func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if len(c.asked) == 0 && !c.broken && (shed == nil || c.used.Before(since)) {
			since, shed = c.used, c.shed
		}
	}
	return since, shed
}

// shed closes the connection if nobody uses it. False: somebody does, or it is closed already.
func (c *stream) shed() bool {
	c.pool.mu.Lock()
	idle := len(c.asked) == 0 && !c.broken
	c.pool.mu.Unlock()
	if idle {
		c.end(errIdle) // who began to use it meanwhile is asked again on another
	}
	return idle
}

// reconsider wakes the connections that sleep.
func (p *pool) reconsider() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if c.conn != nil && !c.broken {
			c.conn.SetReadDeadline(time.Now())
		}
	}
}

func (p *pool) close() {
	p.mu.Lock()
	p.closing = true
	conns, queue := slices.Clone(p.conns), p.queue
	p.queue = nil
	p.mu.Unlock()
	for _, c := range conns {
		c.end(net.ErrClosed)
	}
	for _, q := range queue {
		q.finish(nil)
	}
}
