package listen

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"anyu/event"
)

// DNS over QUIC (RFC 9250), and the QUIC listener that HTTP/3 shares.
//
// 0-RTT is off: RFC 9250, Section 4.5 allows it for queries only, and telling those from transfers before the handshake is done
// would put a decision here; resumption with 1-RTT stays.

// Error codes of RFC 9250, Section 4.3.
const (
	doqNoError       = 0x0
	doqInternalError = 0x1
	doqProtocolError = 0x2
	doqExcessiveLoad = 0x4
	doqUnspecified   = 0x5
)

const (
	// quicWindow bounds what a client may send ahead of being read: one message a stream, four a connection.
	quicWindow = MaxMessage + 2
	// handshakesUnverified is how many handshakes a second are begun for addresses that have not proved to be real; beyond it
	// a Retry asks for that proof (RFC 9000, Section 8.1.2). Stops spoofed handshakes from costing signatures.
	handshakesUnverified = 200
)

// quicListener accepts QUIC connections on one UDP address and hands each to serve in a goroutine of its own.
type quicListener struct {
	server    *Server
	packets   net.PacketConn
	transport *quic.Transport
	listener  *quic.Listener
	kind      event.Transport
	serve     func(*quicConn)
	finish    func(ctx context.Context) // lets a protocol say goodbye first; may be nil
	codes     closeCodes
	accepting chan struct{}
	ending    sync.Once

	second, begun atomic.Int64 // of handshakes with unverified addresses

	mu    sync.Mutex
	conns map[*quicConn]struct{}
}

// closeCodes are a protocol's words for "done" and "too much".
type closeCodes struct{ done, load quic.ApplicationErrorCode }

// quicConn is one QUIC connection.
type quicConn struct {
	*quic.Conn
	listener *quicListener
	member   *member
	streams  atomic.Int64 // being worked on
}

func (s *Server) serveQUIC(c net.PacketConn) (endpoint, error) {
	// RFC 9250, Section 4.1.1: the protocol is "doq".
	e := &quicListener{kind: event.QUIC, serve: (*quicConn).serveDoQ, codes: closeCodes{doqNoError, doqExcessiveLoad}}
	return s.listenQUIC(e, c, s.tlsConfig(tls.VersionTLS13, "doq"), noUniStreams)
}

// noUniStreams: RFC 9250, Section 4.2 uses bidirectional streams only.
const noUniStreams = -1

// listenQUIC starts e, whose kind, serve, finish and codes say which protocol it is, on the socket c.
func (s *Server) listenQUIC(e *quicListener, c net.PacketConn, config *tls.Config, uniStreams int64) (endpoint, error) {
	e.server, e.packets, e.accepting, e.conns = s, c, make(chan struct{}), make(map[*quicConn]struct{})
	e.transport = &quic.Transport{
		Conn:                c,
		VerifySourceAddress: e.mustVerify,
		ConnContext: func(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
			return context.WithValue(ctx, memberKey{}, new(member)), nil
		},
	}
	l, err := e.transport.Listen(config, &quic.Config{
		GetConfigForClient: func(*quic.ClientInfo) (*quic.Config, error) { return s.quicConfig(uniStreams), nil },
	})
	if err != nil {
		e.transport.Close()
		return nil, err
	}
	e.listener = l
	s.work.Add(1)
	go e.accept()
	return e, nil
}

func (s *Server) quicConfig(uniStreams int64) *quic.Config {
	l := &s.settings.Load().limits
	return &quic.Config{
		HandshakeIdleTimeout:           l.Message,
		MaxIdleTimeout:                 l.Idle,
		MaxIncomingStreams:             int64(l.ConnectionRequests),
		MaxIncomingUniStreams:          uniStreams,
		InitialStreamReceiveWindow:     quicWindow,
		MaxStreamReceiveWindow:         quicWindow,
		InitialConnectionReceiveWindow: 4 * quicWindow,
		MaxConnectionReceiveWindow:     4 * quicWindow,
	}
}

func (e *quicListener) mustVerify(net.Addr) bool {
	now := time.Now().Unix()
	if e.second.Swap(now) != now {
		e.begun.Store(0)
	}
	return e.begun.Add(1) > handshakesUnverified || e.server.table.size() > e.server.settings.Load().limits.Connections/2
}

func (e *quicListener) accept() {
	defer e.server.work.Done()
	defer close(e.accepting)
	s := e.server
	for {
		qc, err := e.listener.Accept(context.Background())
		if err != nil {
			return
		}
		c := &quicConn{Conn: qc, listener: e, member: qc.Context().Value(memberKey{}).(*member)}
		c.member.kill = func() { go qc.CloseWithError(e.codes.load, "") } // it may wait; kill may not
		set := s.settings.Load()
		s.table.add(c.member, clientPrefix(clientAddr(qc.RemoteAddr()).Addr()), &set.limits, time.Now().UnixNano())
		s.counters[e.kind].opened.Add(1)
		s.counters[e.kind].open.Add(1)
		e.mu.Lock()
		e.conns[c] = struct{}{}
		e.mu.Unlock()
		s.work.Add(1)
		go c.run()
	}
}

func (c *quicConn) run() {
	e := c.listener
	defer e.server.work.Done()
	e.serve(c)
	e.server.table.remove(c.member)
	e.server.counters[e.kind].open.Add(-1)
	e.mu.Lock()
	delete(e.conns, c)
	e.mu.Unlock()
}

// drain accepts no more connections and closes each that has been without a stream for a moment.
func (e *quicListener) drain(ctx context.Context) {
	e.listener.Close()
	<-e.accepting
	if e.finish != nil {
		e.finish(ctx)
	}
	for e.quietOnes(quiet) > 0 && ctx.Err() == nil {
		time.Sleep(quiet / 10)
	}
	e.end()
}

// quietOnes closes the connections that have not been active for a time and returns how many are left.
func (e *quicListener) quietOnes(idle time.Duration) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := time.Now().Add(-idle).UnixNano()
	for c := range e.conns {
		if c.streams.Load() == 0 && c.member.active.Load() < before {
			go c.CloseWithError(e.codes.done, "")
		}
	}
	return len(e.conns)
}

func (e *quicListener) close() { e.end() }

func (e *quicListener) end() {
	e.ending.Do(func() {
		e.listener.Close()
		e.mu.Lock()
		open := slices.Collect(maps.Keys(e.conns))
		e.mu.Unlock()
		for _, c := range open {
			c.CloseWithError(e.codes.done, "")
		}
		e.transport.Close()
		e.packets.Close()
	})
}

// serveDoQ takes streams until the connection ends. RFC 9250, Section 4.2: one query a stream; streams are independent,
// so that one whose packets were lost holds no other up.
func (c *quicConn) serveDoQ() {
	s := c.listener.server
	client := Client{Remote: clientAddr(c.RemoteAddr()), Local: clientAddr(c.LocalAddr()), Transport: event.QUIC,
		ServerName: c.ConnectionState().TLS.ServerName}
	transfers := make(chan struct{}, s.settings.Load().limits.ConnectionTransfers)
	for {
		st, err := c.AcceptStream(context.Background())
		if err != nil {
			var idle *quic.IdleTimeoutError
			if errors.As(err, &idle) {
				s.counters[event.QUIC].idleClosed.Add(1)
			}
			return
		}
		limits := &s.settings.Load().limits
		if s.requests.Add(1) > int64(limits.Requests) { // counted before anything is read, given back once
			s.requests.Add(-1)
			s.counters[event.QUIC].refused.Add(1)
			cancel(st, doqExcessiveLoad)
			continue
		}
		c.streams.Add(1)
		s.work.Go(func() {
			defer c.streams.Add(-1)
			defer s.requests.Add(-1)
			q := doqStream{Stream: st, conn: c, client: client, limits: limits, transfers: transfers}
			q.serve()
			c.member.active.Store(time.Now().UnixNano())
		})
	}
}

func cancel(st *quic.Stream, code quic.StreamErrorCode) {
	st.CancelRead(code)
	st.CancelWrite(code)
}

// doqStream is one query and its reply.
type doqStream struct {
	*quic.Stream
	conn      *quicConn
	client    Client
	limits    *Limits
	transfers chan struct{}
}

// errProtocol ends the whole connection (RFC 9250, Section 4.3.3).
var errProtocol = errors.New("DoQ protocol error")

func (q *doqStream) serve() {
	s := q.conn.listener.server
	count := &s.counters[event.QUIC]
	query, err := q.read()
	defer s.memory.Add(-int64(len(query)))
	switch {
	case errors.Is(err, errProtocol):
		count.refused.Add(1)
		q.conn.CloseWithError(doqProtocolError, err.Error())
		return
	case err != nil:
		count.refused.Add(1)
		cancel(q.Stream, doqExcessiveLoad)
		return
	}
	q.client.Arrived = time.Now().UnixNano()
	q.conn.member.active.Store(q.client.Arrived)
	s.table.asked(q.conn.member)
	count.received.Add(1)
	reply, n := s.reply(q.Context(), query, &q.client, nil)
	switch {
	case n > 0:
		err = q.write(reply)
	case n == Stream:
		err = q.stream(query)
	default:
		q.CancelWrite(doqUnspecified) // silence
		return
	}
	if err != nil {
		q.CancelWrite(doqInternalError)
		return
	}
	q.Close() // RFC 9250, Section 4.2: STREAM FIN after the last response
}

// read returns the query, charged to Limits.StreamMemory. Memory grows with the octets that come, not with what the length claims.
func (q *doqStream) read() ([]byte, error) {
	q.SetReadDeadline(time.Now().Add(q.limits.Message))
	var prefix [2]byte
	if _, err := io.ReadFull(q, prefix[:]); err != nil {
		return nil, early(err)
	}
	size := int(binary.BigEndian.Uint16(prefix[:]))
	if size < shortestMessage {
		return nil, errProtocol
	}
	s := q.conn.listener.server
	var msg []byte
	for len(msg) < size {
		part := min(max(smallRoom, 3*len(msg)), size-len(msg))
		if s.memory.Add(int64(part)) > q.limits.StreamMemory {
			s.memory.Add(int64(-part))
			return msg, errLong
		}
		msg = append(msg, make([]byte, part)...)
		if _, err := io.ReadFull(q, msg[len(msg)-part:]); err != nil {
			return msg, early(err)
		}
	}
	// RFC 9250, Section 4.2: FIN follows the query. Section 4.3.3: a second query on the stream is an error.
	if n, err := q.Read(prefix[:1]); n > 0 {
		return msg, errProtocol
	} else if !errors.Is(err, io.EOF) {
		return msg, err
	}
	// RFC 9250, Section 4.2.1: the message ID must be 0. Section 5.5.2: no edns-tcp-keepalive.
	if msg[0] != 0 || msg[1] != 0 || hasKeepalive(msg) {
		return msg, errProtocol
	}
	return msg, nil
}

// early makes a FIN inside a message a protocol error (RFC 9250, Section 4.3.3).
func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errProtocol
	}
	return err
}

func (q *doqStream) write(msg []byte) error {
	count := &q.conn.listener.server.counters[event.QUIC]
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(msg)), uint16(len(msg)))
	q.SetWriteDeadline(time.Now().Add(q.limits.Write))
	if _, err := q.Write(append(framed, msg...)); err != nil {
		count.sendErrors.Add(1)
		return err
	}
	count.sent.Add(1)
	q.conn.member.active.Store(time.Now().UnixNano())
	return nil
}

// stream runs a transfer, within the limits for transfers (RFC 9250, Section 4.4: several at a time are allowed).
func (q *doqStream) stream(query []byte) error {
	s := q.conn.listener.server
	if s.streamer == nil {
		return errTransfer
	}
	select {
	case q.transfers <- struct{}{}:
	default:
		return errTransfer
	}
	defer func() { <-q.transfers }()
	defer s.transfers.Add(-1)
	if s.transfers.Add(1) > int64(q.limits.Transfers) {
		return errTransfer
	}
	return s.streamer.Stream(query, &q.client, q.write)
}
