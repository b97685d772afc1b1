package outbound

import (
	"time"

	"anyu/serve/exchange"
	"anyu/serve/resolve"
)

// flight is an exchange under way.
type flight struct {
	x        exchange.Exchange
	socket   socket // of the query over UDP
	at       int64  // end of the wait
	place    int    // in deadlines
	streamed bool   // a stream knows it; it is not used again
	ended    bool
}

// maxFree bounds the flights kept for use again.
const maxFree = 256

// wishes sends what the engine wants sent.
func (l *Loop) wishes(now int64) {
	for {
		asks := l.config.Engine.Asks()
		if len(asks) == 0 {
			return
		}
		for i := range asks {
			l.fly(now, &asks[i])
		}
	}
}

// fly begins an exchange.
func (l *Loop) fly(now int64, a *resolve.Ask) {
	limit := l.config.OfServer
	if a.Upstream != nil || a.RD {
		limit = 0
	}
	if l.flights >= MaxFlights {
		l.config.Engine.Outcome(now, a.ID, resolve.Outcome{Kind: resolve.Held})
		return
	}
	var f *flight
	if n := len(l.free); n > 0 {
		f, l.free = l.free[n-1], l.free[:n-1]
	} else {
		f = &flight{place: none, socket: noSocket}
	}
	f.ended = false
	f.x.Begin(*a, l.config.Servers, l.random.next, l.cookie(a.Server), now)
	l.flights++
	l.counts.waiting.Add(1)
	l.act(now, f, f.x.Admit(now, limit))
}

// act does what an exchange wants.
func (l *Loop) act(now int64, f *flight, a exchange.Action) {
	switch a {
	case exchange.Wait:
		if f.x.Queued() {
			l.deadlines.set(f, f.x.Deadline())
		}
	case exchange.Send:
		l.sockets.close(f)
		l.deadlines.set(f, f.x.Deadline())
		if f.x.Stream() {
			l.counts.sentStream.Add(1)
			l.stream(now, f)
			return
		}
		l.sendUDP(now, f)
	case exchange.Done:
		out := f.x.Outcome()
		l.end(f)
		l.config.Engine.Outcome(now, f.x.Ask().ID, out)
		l.forget(f)
	}
}

func (l *Loop) sendUDP(now int64, f *flight) {
	switch l.sockets.send(f, f.x.Server(), f.x.Message()) {
	case fine:
		l.counts.sent.Add(1)
	case refused:
		l.counts.errors.Add(1)
		l.act(now, f, f.x.Broken(now))
	case unreachable:
		l.counts.errors.Add(1)
		l.act(now, f, f.x.Unreachable(now))
	case exhausted: // our own shortage is held against nobody
		l.counts.errors.Add(1)
		l.end(f)
		l.config.Engine.Outcome(now, f.x.Ask().ID, resolve.Outcome{Kind: resolve.Held})
		l.forget(f)
	}
}

// end gives back what a flight holds.
func (l *Loop) end(f *flight) {
	if f.ended {
		return
	}
	f.ended = true
	l.sockets.close(f)
	l.deadlines.remove(f)
	l.flights--
	l.counts.waiting.Add(-1)
	l.counts.foreign.Add(uint64(f.x.Foreign()))
	f.x.End()
}

// forget keeps a flight that nobody else knows for the next use.
func (l *Loop) forget(f *flight) {
	if !f.streamed && len(l.free) < maxFree {
		l.free = append(l.free, f)
	}
}

// receive takes message i of the last wait.
func (l *Loop) receive(now int64, i int) {
	f, msg, what := l.sockets.heard(i)
	switch {
	case f == nil || f.ended:
	case what == fine:
		l.counts.received.Add(1)
		l.act(now, f, f.x.Heard(now, msg))
	case what == refused:
		l.counts.errors.Add(1)
		l.act(now, f, f.x.Broken(now))
	default:
		l.counts.errors.Add(1)
		l.act(now, f, f.x.Unreachable(now))
	}
}

// expire ends the waits that are over.
func (l *Loop) expire(now int64) {
	for f := l.deadlines.due(now); f != nil; f = l.deadlines.due(now) {
		if !f.x.Queued() {
			l.counts.timedOut.Add(1)
		}
		l.act(now, f, f.x.Expired(now))
	}
}

// stream sends over a stream. The reply comes back as an input.
func (l *Loop) stream(now int64, f *flight) {
	f.streamed = true
	id := f.x.ID()
	a := f.x.Ask()
	l.config.Streams.Send(a.Server, a.Upstream, f.x.Message(), time.Duration(f.at-now), func(msg []byte) {
		l.queue.force(input{kind: inStream, flight: f, id: id, msg: msg})
	})
}

func (l *Loop) heardStream(now int64, in *input) {
	f := in.flight
	if f.ended || f.x.ID() != in.id {
		return // it has ended, or asked again meanwhile
	}
	if in.msg == nil {
		l.counts.errors.Add(1)
		l.act(now, f, f.x.Broken(now))
		return
	}
	l.counts.received.Add(1)
	action := f.x.Heard(now, in.msg)
	if idle, told := f.x.Idle(); told {
		a := f.x.Ask()
		l.config.Streams.Keepalive(a.Server, a.Upstream, idle)
	}
	l.act(now, f, action)
}
