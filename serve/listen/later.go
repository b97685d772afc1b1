package listen

import (
	"bytes"
	"context"
	"time"
)

// Replies that come after Answer has returned Deferred. UDP sends them from the socket that was asked (later_linux.go, udp_other.go). On
// TCP and TLS they pass each other (backlog.go). HTTP requests and QUIC streams wait for theirs here, each in its own goroutine.

const (
	// laterDrain is how long replies are waited for once Drain has begun: clients ask elsewhere after 5 s.
	laterDrain = 5 * time.Second
	// laterPoll is how often a UDP socket that is being closed looks whether the last reply is out.
	laterPoll = 2 * time.Millisecond
)

// reply has one message answered, and waits for a reply that comes later. A length of 0 or less is what Answer returned, or Drop where
// nothing came. waits is called before a wait; it may be nil.
func (s *Server) reply(ctx context.Context, query []byte, from *Client, waits func()) ([]byte, int) {
	var w waiter
	from.Later = func() Replier {
		w = make(waiter, 1)
		return w
	}
	msg, n := s.free.one(query, from)
	if n != Deferred {
		return msg, n
	}
	if w == nil {
		return nil, Drop
	}
	if waits != nil {
		waits()
	}
	s.deferred.Add(1)
	defer s.deferred.Add(-1)
	most := time.NewTimer(s.settings.Load().limits.Later)
	defer most.Stop()
	select {
	case msg = <-w:
	case <-ctx.Done():
	case <-most.C:
	case <-s.impatient:
	}
	return msg, len(msg)
}

// waiter is the Replier for a goroutine that waits. Nobody is held up when that has gone away.
type waiter chan []byte

func (w waiter) Reply(msg []byte) {
	select {
	case w <- bytes.Clone(msg):
	default: // used twice
	}
}

// losePatience ends all waits for replies after a time.
func (s *Server) losePatience(after time.Duration) {
	time.AfterFunc(after, func() { s.patience.Do(func() { close(s.impatient) }) })
}
