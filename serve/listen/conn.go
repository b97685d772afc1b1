package listen

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// smallRoom is what a silent connection holds. It takes a dozen pipelined queries in one read; longer messages get
	// memory as their octets come, never as their length claims.
	smallRoom = 512
	// quiet is how long a connection may say nothing before Drain closes it.
	quiet = 100 * time.Millisecond
	// linger is how long the client of a finished connection has to read what is under way before the socket goes.
	linger = 500 * time.Millisecond
	// shortestMessage is a header (RFC 1035, Section 4.1.1).
	shortestMessage = 12
)

// conn is one TCP or TLS connection (RFC 7766). Messages are answered in the order they come, many to a write; transfers run beside
// them, and replies that come later are written when they come (backlog.go), so that other answers pass them (RFC 7766, Section 6.2.1.1;
// RFC 9103, Section 6).
type conn struct {
	listener *streamListener
	server   *Server
	counters *counters
	raw      net.Conn // the socket
	nc       net.Conn // what is read and written: raw, or TLS over it
	member   member
	client   Client
	proxied  bool // a PROXY header comes first
	limits   *Limits

	// The reading goroutine's.
	small   [smallRoom]byte
	in      []byte // small, or more for a long message
	have    int    // octets read and not yet answered, at the start of in
	charged int64  // octets of Server.memory that in costs
	late    bool   // the deadline of the message at the start of in is set
	woken   bool   // drain has woken the connection once
	queries int

	writing   sync.Mutex
	transfers chan struct{}  // tokens of transfers that run; made for the first
	running   sync.WaitGroup // transfers, and the writing of replies that came later
	backlog   backlog
	gone      chan struct{} // closed by cut
	cutting   sync.Once
}

var (
	errLong     = errors.New("memory for streams is used up")
	errTransfer = errors.New("too many transfers")
)

// run serves the connection to its end.
func (c *conn) run() {
	defer c.server.work.Done()
	defer c.end()
	c.limits = &c.server.settings.Load().limits
	c.in = c.small[:]
	if err := c.greet(); err != nil {
		c.counters.refused.Add(1)
		return
	}
	var err error
	for err == nil {
		var whole int
		whole, err = c.whole()
		if err == nil && whole == 0 {
			err = c.fill()
		} else if err == nil {
			err = c.answer()
		}
	}
	c.settle(err)
	c.part(err)
}

// end gives back what the connection held.
func (c *conn) end() {
	c.cut()
	c.server.memory.Add(-c.charged)
	c.server.table.remove(&c.member)
	c.listener.forget(c)
	c.counters.open.Add(-1)
}

// part ends the connection for the reason err, in a way that does not destroy answers under way: closing a socket with unread
// octets would send a reset.
func (c *conn) part(err error) {
	var ne net.Error
	switch {
	case errors.As(err, &ne) && ne.Timeout():
		c.counters.idleClosed.Add(1)
		return // nothing is unread, or only half a message
	case errors.Is(err, errLong), errors.Is(err, errTransfer), errors.Is(err, errStuck):
		c.counters.refused.Add(1)
		return
	}
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.raw.SetReadDeadline(time.Now().Add(linger))
	for range 64 { // bounded: a client that goes on asking is cut
		if _, err := c.raw.Read(c.small[:]); err != nil {
			return
		}
	}
}

// greet reads the PROXY header and shakes hands.
func (c *conn) greet() error {
	if !c.proxied && c.listener.tls == nil {
		return nil
	}
	c.nc.SetDeadline(time.Now().Add(c.limits.Message))
	if c.proxied {
		if err := c.readProxy(); err != nil {
			return err
		}
	}
	if c.listener.tls == nil {
		return nil
	}
	over := tls.Server(c.raw, c.listener.tls)
	if c.have > 0 { // octets behind the header belong to the handshake
		over = tls.Server(&prefixed{Conn: c.raw, first: slices.Clone(c.in[:c.have])}, c.listener.tls)
		c.consume(c.have)
	}
	if err := over.Handshake(); err != nil {
		return err
	}
	c.client.ServerName = over.ConnectionState().ServerName
	c.listener.mu.Lock()
	c.nc = over
	c.listener.mu.Unlock()
	c.nc.SetDeadline(time.Time{})
	return nil
}

// readProxy reads the header octet by octet as far as it goes, never beyond what one read brings.
func (c *conn) readProxy() error {
	for {
		if c.have > 0 {
			p, err := parseProxy(c.in[:c.have])
			if err == nil {
				if p.known {
					c.client.Remote, c.client.Local = p.remote, p.local
					c.server.table.moved(&c.member, clientPrefix(p.remote.Addr()), c.limits)
				}
				c.consume(p.size)
				return nil
			}
			if !errors.Is(err, errProxyShort) {
				return err
			}
		}
		if c.have == len(c.in) {
			if err := c.grow(proxyMost); err != nil {
				return err
			}
		}
		n, err := c.raw.Read(c.in[c.have:])
		if c.have += n; n == 0 && err != nil {
			return err
		}
	}
}

// prefixed is a connection whose first octets were read already.
type prefixed struct {
	net.Conn
	first []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// whole returns the size, with its length, of the message at the start of in, or 0 if it is not complete.
func (c *conn) whole() (int, error) {
	if c.have < 2 {
		return 0, nil
	}
	// RFC 1035, Section 4.2.2: the message is prefixed with a two octet length field.
	size := 2 + int(binary.BigEndian.Uint16(c.in))
	if size < 2+shortestMessage {
		c.counters.refused.Add(1) // the stream cannot be trusted to be DNS
		return 0, io.ErrUnexpectedEOF
	}
	if c.have < size {
		return 0, nil
	}
	return size, nil
}

// fill reads what the client has sent, waiting within the limits for it.
func (c *conn) fill() error {
	if c.have == len(c.in) {
		if err := c.grow(2 + int(binary.BigEndian.Uint16(c.in))); err != nil {
			return err
		}
	}
	if !c.late { // set once a message, so that an octet now and then does not move it
		c.nc.SetReadDeadline(c.patience())
		if c.have == 0 && c.listener.draining() { // drain may have begun, and woken the connection, in between
			c.nc.SetReadDeadline(time.Now().Add(quiet))
		}
		c.late = c.have > 0
	}
	n, err := c.nc.Read(c.in[c.have:])
	if n > 0 {
		c.have += n
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.listener.draining() && !c.woken {
		c.woken, c.late = true, false
		return nil // the deadline was drain's: look once more for what has arrived
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.have == 0 && c.busy() {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// patience is until when to wait for the next octets.
func (c *conn) patience() time.Time {
	now := time.Now()
	switch {
	case c.have > 0:
		return now.Add(c.limits.Message)
	case c.listener.draining():
		return now.Add(quiet)
	}
	if n, _ := c.backlog.owes(); n > 0 {
		return now.Add(c.limits.Idle)
	}
	return time.Unix(0, c.member.active.Load()).Add(c.limits.Idle) // a reply that came later counts
}

// grow makes room for a message of up to most octets: four times as much as came so far, charged to Limits.StreamMemory.
func (c *conn) grow(most int) error {
	size := min(4*len(c.in), max(most, smallRoom))
	if size <= len(c.in) {
		size = most
	}
	extra := int64(size) - c.charged
	if c.server.memory.Add(extra) > c.limits.StreamMemory {
		c.server.memory.Add(-extra)
		return errLong
	}
	c.charged += extra
	bigger := make([]byte, size)
	copy(bigger, c.in[:c.have])
	c.in = bigger
	return nil
}

// consume takes n octets off the start of in and gives the memory of a long message back once it can.
func (c *conn) consume(n int) {
	c.have = copy(c.in, c.in[n:c.have])
	c.late = false
	if c.charged > 0 && c.have <= smallRoom {
		copy(c.small[:], c.in[:c.have])
		c.in = c.small[:]
		c.server.memory.Add(-c.charged)
		c.charged = 0
	}
}

// answer has all whole messages in in answered and writes the replies at once.
func (c *conn) answer() error {
	if !c.waitBelow(c.limits.ConnectionRequests) {
		return errStuck
	}
	now := time.Now().UnixNano()
	c.client.Arrived = now
	c.member.active.Store(now)
	if c.queries == 0 {
		c.server.table.asked(&c.member)
	}
	one := c.server.free.take()
	used, taken, replies := 0, 0, 0
	var transfer []byte
	full := false // as many replies are to come as may be; the rest of in waits, unread
	for taken+2 <= c.have && used < turn && transfer == nil && c.queries < c.limits.Queries && !full {
		size := 2 + int(binary.BigEndian.Uint16(c.in[taken:]))
		if size < 2+shortestMessage || taken+size > c.have {
			break
		}
		query := c.in[taken+2 : taken+size : taken+size]
		taken += size
		c.queries++
		n := one.answerer.Answer(query, &c.client, one.out[used+2:used+2+MaxMessage:used+2+MaxMessage])
		switch {
		case n == Stream:
			transfer = slices.Clone(query)
		case n == Deferred:
			waiting, _ := c.backlog.owes()
			full = waiting >= c.limits.ConnectionRequests
		case n > 0:
			binary.BigEndian.PutUint16(one.out[used:], uint16(n))
			used += 2 + n
			replies++
		}
		c.counters.received.Add(1)
	}
	// The lane is shared: it is given back before the client, who may be slow, is written to.
	// Short replies are not charged: Limits.Connections bounds them, and who asks for little must not suffer from who asks for much.
	charge := int64(0)
	if used > shortReplies {
		charge = int64(used)
	}
	if charge > 0 && c.server.memory.Add(charge) > c.limits.StreamMemory {
		c.server.memory.Add(-charge)
		c.server.free.give(one)
		return errLong
	}
	out := append(takeReply(used), one.out[:used]...)
	c.server.free.give(one)
	c.consume(taken)
	err := c.write(out, replies)
	c.server.memory.Add(-charge)
	giveReply(out)
	if err == nil && transfer != nil {
		err = c.transfer(transfer)
	}
	if err == nil && c.queries >= c.limits.Queries {
		err = io.EOF
	}
	return err
}

// write sends framed messages. RFC 7766, Section 8: length and message go out in one write.
func (c *conn) write(framed []byte, messages int) error {
	if len(framed) == 0 {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.nc.SetWriteDeadline(time.Now().Add(c.limits.Write))
	if _, err := c.nc.Write(framed); err != nil {
		c.counters.sendErrors.Add(uint64(messages))
		c.cut()
		return err
	}
	c.counters.sent.Add(uint64(messages))
	return nil
}

// transfer starts a reply of several messages. It waits while the connection runs as many as it may: the client waits, nobody else.
func (c *conn) transfer(query []byte) error {
	if over, ok := c.nc.(*tls.Conn); ok && over.ConnectionState().Version < tls.VersionTLS13 {
		return errTransfer // RFC 9103, Section 7: transfer over TLS needs TLS 1.3
	}
	if c.server.streamer == nil {
		return errTransfer
	}
	if c.transfers == nil {
		c.transfers = make(chan struct{}, c.limits.ConnectionTransfers)
	}
	c.transfers <- struct{}{}
	if c.server.transfers.Add(1) > int64(c.limits.Transfers) {
		c.server.transfers.Add(-1)
		<-c.transfers
		return errTransfer
	}
	client := c.client
	c.running.Go(func() {
		defer func() { <-c.transfers; c.server.transfers.Add(-1) }()
		var framed []byte
		err := c.server.streamer.Stream(query, &client, func(msg []byte) error {
			if len(msg) > MaxMessage {
				return errors.New("message is longer than 65,535 octets")
			}
			framed = binary.BigEndian.AppendUint16(framed[:0], uint16(len(msg)))
			framed = append(framed, msg...)
			err := c.write(framed, 1)
			c.member.active.Store(time.Now().UnixNano())
			return err
		})
		if err != nil { // RFC 5936, Section 2.2: the client must not take half a zone for a whole one
			c.cut()
		}
	})
	return nil
}

// replyRooms keeps memory for short replies between uses, for connections that ask at the same time.
var replyRooms = sync.Pool{New: func() any { return new([shortReplies]byte) }}

const shortReplies = 4096

func takeReply(size int) []byte {
	if size > shortReplies {
		return make([]byte, 0, size)
	}
	return replyRooms.Get().(*[shortReplies]byte)[:0]
}

func giveReply(b []byte) {
	if cap(b) == shortReplies {
		replyRooms.Put((*[shortReplies]byte)(b[:shortReplies]))
	}
}
