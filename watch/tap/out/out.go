// Package out tells others what this server did, as dnstap over a unix socket or TCP.
//
// A Sender sees observations and not messages: the question is written out again from what an observation holds of it (header, question, buffer size, DO,
// client subnet; no cookies), and of a reply it has the first octets. One that does not fit there is sent with the records that are whole, its counts lowered,
// and `extra` says so.
//
// The package promises: Observe never waits; what the other side does not take is dropped whole and counted, at most queued batches of memory are used, and a
// reader that comes back is found within retry. It refuses to pass on what taps brought: only this server's own observations.
// Limits today: no TLS; one receiver.
package out

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"anyu/event"
	"anyu/watch/tap"
	"anyu/watch/tap/dnstap"
	"anyu/watch/tap/framestream"
)

const (
	// batchSize and queued bound what waits for the receiver: 4 MiB, some 20,000 observations.
	batchSize = 64 << 10
	queued    = 64
	// retry is the pause before a receiver is looked for again, patience the time it may take to answer or to read.
	retry    = time.Second
	patience = 5 * time.Second
)

// Sender is a watch.Detector that concludes nothing.
type Sender struct {
	network, address string
	identity         []byte
	log              *slog.Logger

	batch batch
	queue chan batch
	free  chan []byte

	message tap.Message
	frame   dnstap.Message
	wire    []byte

	dropped atomic.Uint64
	sent    atomic.Uint64
}

// batch is frames with their lengths before them.
type batch struct {
	b      []byte
	frames uint64
}

// New returns a sender to "unix", a path, or "tcp", an address.
func New(network, address, identity string, log *slog.Logger) *Sender {
	return &Sender{network: network, address: address, identity: []byte(identity), log: log, queue: make(chan batch, queued), free: make(chan []byte, queued)}
}

// Dropped counts frames that nobody took, Sent those that were written.
func (s *Sender) Dropped() uint64 { return s.dropped.Load() }
func (s *Sender) Sent() uint64    { return s.sent.Load() }

// Observe queues an observation of this server as a query and its response.
func (s *Sender) Observe(q *event.Query) {
	if q.Source != 0 || q.Has&event.HasQuery == 0 {
		return
	}
	m := &s.message
	*m = tap.Message{Kind: kindOf(q.From), Has: q.Has & (event.HasClient | event.HasServer | event.HasTime), Time: q.Time, Client: q.Client, Server: q.Server,
		ClientPort: q.ClientPort, ServerPort: q.ServerPort, Transport: q.Transport, Identity: s.identity}
	s.wire = question(s.wire[:0], q)
	m.Wire = s.wire
	s.put(m, nil)
	if q.Has&event.HasReply == 0 || q.ReplySize == 0 || len(q.Reply) == 0 {
		return
	}
	m.Reply, m.Asked = true, m.Time
	if m.Has&event.HasTime == 0 || q.Has&event.HasLatency == 0 {
		m.Has, m.Asked = m.Has&^event.HasTime, 0
	} else {
		m.Time += q.Latency
	}
	m.Wire = q.Reply
	var note []byte
	if int(q.ReplySize) > len(q.Reply) {
		s.wire = whole(append(s.wire[:0], q.Reply...))
		m.Wire, note = s.wire, cutNote
	}
	s.put(m, note)
}

var cutNote = []byte("response without its last records")

// kindOf tells whether a zone of ours or the resolver answered.
func kindOf(f event.From) tap.Kind {
	switch f {
	case event.FromAuthority, event.FromCompiled, event.FromTransfer:
		return tap.Auth
	}
	return tap.Client
}

func (s *Sender) put(m *tap.Message, note []byte) {
	m.ToDnstap(&s.frame)
	s.frame.Extra = note
	if s.batch.b == nil {
		select {
		case s.batch.b = <-s.free:
		default:
			s.batch.b = make([]byte, 0, batchSize+4<<10)
		}
	}
	at := len(s.batch.b)
	s.batch.b = s.frame.Append(append(s.batch.b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(s.batch.b[at:], uint32(len(s.batch.b)-at-4))
	s.batch.frames++
	if len(s.batch.b) >= batchSize {
		s.hand()
	}
}

// hand queues the batch, or drops it.
func (s *Sender) hand() {
	if s.batch.frames == 0 {
		return
	}
	select {
	case s.queue <- s.batch:
		s.batch = batch{}
	default:
		s.dropped.Add(s.batch.frames)
		s.batch = batch{b: s.batch.b[:0]}
	}
}

// Tick sends what was gathered in the last second.
func (s *Sender) Tick(time.Time, func(event.Finding)) { s.hand() }

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	told := false
	for ctx.Err() == nil {
		err := s.connection(ctx)
		if err != nil && ctx.Err() == nil && !told {
			s.log.Warn("dnstap: nobody takes what is sent", "to", s.address, "error", err)
		}
		told = err != nil
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// connection sends over one connection until it fails.
func (s *Sender) connection(ctx context.Context) error {
	d := net.Dialer{Timeout: patience}
	c, err := d.DialContext(ctx, s.network, s.address)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	w := framestream.NewWriter(c, c, framestream.ContentType)
	if err := w.Start(); err != nil {
		return err
	}
	for {
		var b batch
		select {
		case b = <-s.queue:
		case <-ctx.Done():
			select {
			case b = <-s.queue: // what was observed before the end
			default:
				c.SetDeadline(time.Now().Add(patience))
				return w.Stop()
			}
		}
		c.SetDeadline(time.Now().Add(patience))
		if err := write(w, b); err != nil {
			s.dropped.Add(b.frames) // as a whole: how far the reader came is not known
			return err
		}
		s.sent.Add(b.frames)
		select {
		case s.free <- b.b[:0]:
		default:
		}
	}
}

func write(w *framestream.Writer, b batch) error {
	for rest := b.b; len(rest) > 0; {
		n := 4 + int(binary.BigEndian.Uint32(rest))
		if err := w.Frame(rest[4:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return w.Flush()
}
