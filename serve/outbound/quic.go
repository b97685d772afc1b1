package outbound

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// RFC 9250, Section 4.3: error codes.
const (
	doqNoError       = 0x0
	doqProtocolError = 0x2
)

// doq is a DNS over QUIC server (RFC 9250): one connection, a stream for each question. quic-go starts the goroutines of a connection; each
// question has one more, whose number StreamConfig.Waiting bounds.
type doq struct {
	streams  *Streams
	upstream *upstream
	config   *quic.Config
	tls      *tls.Config

	mu      sync.Mutex
	current *line
	used    time.Time
	closing bool
}

// line is one connection, or the attempt to make it.
type line struct {
	ready chan struct{} // closed when conn or err is there
	conn  *quic.Conn
	err   error
	used  bool // a reply came over it
}

func newDoQ(s *Streams, u *upstream) *doq {
	return &doq{streams: s, upstream: u, tls: s.tlsConfig(u.key.name, "doq"), config: &quic.Config{
		HandshakeIdleTimeout: connectTime,
		MaxIdleTimeout:       u.key.idle(&s.config),
		MaxIncomingStreams:   -1, // RFC 9250, Section 4.2: only the client opens streams
	}}
}

func (d *doq) carry(q *asked) {
	d.streams.run.Go(func() {
		msg, err := d.ask(q)
		if err != nil {
			d.upstream.trouble(err)
		}
		q.finish(msg)
	})
}

// ask asks on the connection there is, and once more on a fresh one if that turns out to be dead (RFC 9250, Section 5.2: closed or reset by the
// server, or its idle time over).
func (d *doq) ask(q *asked) ([]byte, error) {
	ctx, cancel := context.WithDeadline(d.streams.ctx, q.deadline)
	defer cancel()
	// RFC 9250, Section 4.2.1: the message ID must be 0.
	binary.BigEndian.PutUint16(q.msg(), 0)
	for {
		l := d.line()
		if l == nil {
			return nil, net.ErrClosed
		}
		msg, err := d.over(ctx, l, q)
		if err == nil {
			d.worked(l)
			return msg, nil
		}
		if ctx.Err() != nil || !d.dead(l, err) || q.retried {
			return nil, err
		}
		q.retried = true
		d.upstream.tally.retried.Add(1)
	}
}

// line returns the connection in use, or a new one. nil: after close.
func (d *doq) line() *line {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing {
		return nil
	}
	d.used = time.Now()
	if d.current == nil {
		l := &line{ready: make(chan struct{})}
		d.current = l
		d.streams.run.Go(func() { d.connect(l) })
	}
	return d.current
}

func (d *doq) connect(l *line) {
	defer close(l.ready)
	if !d.streams.admit(d.upstream) {
		l.err = errTooMany
		d.drop(l)
		return
	}
	server := d.upstream.key.server
	local := &net.UDPAddr{}
	if from := d.streams.source.Load().of(server.Addr()); from.IsValid() {
		local.IP = from.AsSlice()
	}
	network := "udp4"
	if server.Addr().Is6() {
		network = "udp6"
	}
	packets, err := net.ListenUDP(network, local)
	if err == nil {
		ctx, cancel := context.WithTimeout(d.streams.ctx, connectTime)
		defer cancel()
		// RFC 9250, Section 4.1.1: the protocol is "doq".
		l.conn, err = quic.Dial(ctx, packets, net.UDPAddrFromAddrPort(server), d.tls, d.config)
	}
	if err != nil {
		if packets != nil {
			packets.Close()
		}
		l.err = err
		d.streams.left(d.upstream)
		d.drop(l)
		return
	}
	d.upstream.connected(l.conn.ConnectionState().TLS.DidResume)
	d.streams.run.Go(func() { // no question needs to notice that it has ended
		<-l.conn.Context().Done()
		d.drop(l)
		packets.Close()
		d.streams.left(d.upstream)
	})
}

// drop forgets a connection, so that the next question makes one.
func (d *doq) drop(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == l {
		d.current = nil
	}
}

func (d *doq) worked(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.used, d.used = true, time.Now()
}

// dead tells whether a connection has ended that had worked before. err is what a question over it came to: questions hear of the end before the
// connection says that it has ended.
func (d *doq) dead(l *line, err error) bool {
	if l.conn == nil || l.conn.Context().Err() == nil && !ended(err) {
		return false
	}
	d.drop(l)
	d.mu.Lock()
	defer d.mu.Unlock()
	return l.used
}

// ended tells whether an error is of the whole connection: closed by either side, reset, or idle for too long. Other errors are of one stream.
func ended(err error) bool {
	var (
		closed *quic.ApplicationError
		broken *quic.TransportError
		reset  *quic.StatelessResetError
		idle   *quic.IdleTimeoutError
	)
	return errors.As(err, &closed) || errors.As(err, &broken) || errors.As(err, &reset) || errors.As(err, &idle)
}

// over asks on a stream of a connection.
func (d *doq) over(ctx context.Context, l *line, q *asked) ([]byte, error) {
	select {
	case <-l.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l.err != nil {
		return nil, l.err
	}
	st, err := l.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	defer st.CancelRead(doqNoError)
	st.SetDeadline(q.deadline)
	// RFC 9250, Section 4.2: length, message, FIN.
	if _, err := st.Write(q.frame); err != nil {
		return nil, err
	}
	if err := st.Close(); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(st, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n < 12 {
		l.conn.CloseWithError(doqProtocolError, "")
		return nil, fmt.Errorf("a reply of %d octets", n)
	}
	msg := make([]byte, n)
	if _, err := io.ReadFull(st, msg); err != nil {
		return nil, err
	}
	return msg, nil
}

func (d *doq) idlest() (since time.Time, shed func() bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.current
	if l == nil || d.upstream.waiting.Load() > 0 {
		return time.Time{}, nil
	}
	select {
	case <-l.ready:
	default:
		return time.Time{}, nil
	}
	if l.conn == nil {
		return time.Time{}, nil
	}
	return d.used, func() bool {
		idle := l.conn.Context().Err() == nil
		l.conn.CloseWithError(doqNoError, "")
		return idle
	}
}

func (d *doq) reconsider() {} // RFC 9250, Section 5.5.2: the option means nothing here

func (d *doq) close() {
	d.mu.Lock()
	d.closing = true
	l := d.current
	d.mu.Unlock()
	if l == nil {
		return
	}
	<-l.ready
	if l.conn != nil {
		l.conn.CloseWithError(doqNoError, "")
	}
}
