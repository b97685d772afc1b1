// Package exchange asks one server one question: what is sent, which reply is believed, and what is tried instead when the
// server cannot do something (EDNS, cookies, UDP).
//
// It promises: a reply is believed only if ID, question (with the case it was sent in), address, port and cookie are right; any other message is
// ignored and the wait goes on (TuDoor), and after MaxForeign of them the question goes over a stream, where nobody can guess (Kaminsky,
// fragment spoofing). What makes an exchange go over a stream needs no proof, since nothing is lost there; what makes it weaker (no
// EDNS) does. At most MaxSends messages leave. It is a machine without I/O: Start, Heard, Expired, Broken and Unreachable say what to do
// next. This file is the machine, hear.go judges replies, message.go makes queries.
//
// Limits today: no client subnet (RFC 7871); NSID is not asked for.
package exchange

import (
	"net/netip"
	"time"

	"anyu/serve/nameserver"
	"anyu/serve/resolve"
)

// Limits of one exchange.
const (
	// MaxSends bounds the messages: over UDP, with a new cookie, without EDNS, over a stream.
	MaxSends = 5
	// MaxForeign bounds the replies that do not match before the question goes over a stream (RFC 5452, Section 9.2: Kaminsky; SAD DNS).
	MaxForeign = 3
	// Payload is the largest reply asked for over UDP: no fragments on paths with an MTU of 1280, so no second fragment to forge (RFC 9715).
	Payload = 1232
	// StreamTime is how long a server has for connecting and answering over a stream, as far as the resolution has that time (Ask.Until).
	StreamTime = 5 * time.Second
	// queuePause is how long an exchange waits before it looks again whether the server may be asked once more; each time twice that, MaxLooks
	// times: a second and a quarter, in which a server that answers has answered all that were before. One that does not must not gather
	// the questions of all clients (phantom domains).
	queuePause = 10 * time.Millisecond
	MaxLooks   = 7
)

// Action is what to do next.
type Action uint8

const (
	Wait Action = iota // for a reply, until the deadline
	Send               // the message of Message
	Done               // see Outcome
)

// Exchange is one question to one server.
type Exchange struct {
	ask     resolve.Ask
	servers *nameserver.Table
	random  func() uint64

	msg       []byte
	id        uint16
	sent      int64 // ns, when the message in hand was sent
	deadline  int64
	sends     int
	foreign   int
	stream    bool
	began     bool // over a stream
	cut       bool // the reply over UDP was truncated
	encrypted bool
	tcp       bool // where a stream is TCP or TLS
	mixed     bool // the letters of the name are in random case

	edns     bool // the message in hand has an OPT record
	plain    bool // it is tried without, because the server did not understand
	showed   bool // the server has answered with EDNS before
	cookie   bool // the message in hand has a cookie
	renewed  bool // a new cookie was tried
	bare     bool // a reply without the cookie that was due
	client   [8]byte
	known    nameserver.Cookie // the server's, to send
	outcome  resolve.Outcome
	finished bool
	limit    int  // of questions under way to the server
	looks    int  // that found it met
	queued   bool // nothing is sent yet
	leave    bool // the server table counts the exchange

	idle time.Duration
	told bool
}

// New makes the exchange for a wish of the resolver. cookie is our client cookie, another one for each server (RFC 7873, Section 4.1).
func New(ask resolve.Ask, servers *nameserver.Table, random func() uint64, cookie [8]byte, now int64) *Exchange {
	x := new(Exchange)
	x.Begin(ask, servers, random, cookie, now)
	return x
}

// Begin makes x a new exchange, as New does, and uses the memory of its last message again.
func (x *Exchange) Begin(ask resolve.Ask, servers *nameserver.Table, random func() uint64, cookie [8]byte, now int64) {
	s := servers.Look(ask.Server, ask.Zone, now)
	encrypted := ask.Upstream != nil && ask.Upstream.Protocol != resolve.Plain
	stream := ask.Stream || encrypted
	*x = Exchange{ask: ask, servers: servers, random: random, msg: x.msg[:0], client: cookie, stream: stream, began: stream, tcp: ask.Upstream == nil || ask.Upstream.Protocol <= resolve.TLS, encrypted: encrypted, mixed: !stream && !ask.SameCase,
		edns: !s.NoEDNS || ask.Signed, showed: s.EDNS}
	if s.Cookie.Client == cookie {
		x.known = s.Cookie
	}
}

// Admit makes the first message once the server may be asked: when it is not down, and fewer than limit questions to it are under way (0: as many as
// there are). Until then it waits its turn, for a while. End gives the place back.
func (x *Exchange) Admit(now int64, limit int) Action {
	x.limit, x.queued = limit, false
	if x.late(now) { // not the server's fault: it was not asked
		return x.end(resolve.Outcome{Kind: resolve.Full})
	}
	if x.servers.Begin(x.ask.Server, limit, now) {
		x.leave = true
		return x.send(now)
	}
	if limit == 0 || x.servers.Look(x.ask.Server, x.ask.Zone, now).Outstanding < limit {
		return x.end(resolve.Outcome{Kind: resolve.Held})
	}
	if x.looks >= MaxLooks {
		return x.end(resolve.Outcome{Kind: resolve.Full})
	}
	x.queued, x.deadline = true, now+int64(queuePause)<<x.looks
	x.looks++
	return Wait
}

// late tells whether nobody waits for the reply any more.
func (x *Exchange) late(now int64) bool { return x.ask.Until > 0 && now >= x.ask.Until }

// Queued tells that the exchange waits for its turn, until Deadline, and has nothing on its way.
func (x *Exchange) Queued() bool { return x.queued }

// End tells the table of servers that the question is not under way any more. Each exchange that was admitted has its End.
func (x *Exchange) End() {
	if x.leave {
		x.servers.End(x.ask.Server)
		x.leave = false
	}
}

// Start makes the first message.
func (x *Exchange) Start(now int64) Action { return x.send(now) }

// Message is what to send, and Stream whether over a stream; Deadline when to stop waiting for the reply (ns since 1970).
func (x *Exchange) Message() []byte { return x.msg }

// Stream tells whether the message goes over a stream.
func (x *Exchange) Stream() bool { return x.stream }

// Deadline of the message in hand.
func (x *Exchange) Deadline() int64 { return x.deadline }

// ID of the message in hand.
func (x *Exchange) ID() uint16 { return x.id }

// Server is the one asked.
func (x *Exchange) Server() netip.AddrPort { return x.ask.Server }

// Ask is the wish that the exchange fulfils.
func (x *Exchange) Ask() *resolve.Ask { return &x.ask }

// Idle is how long the server keeps a connection open that is not used, where its reply said so (RFC 7828).
func (x *Exchange) Idle() (d time.Duration, told bool) { return x.idle, x.told }

// Foreign is how many messages came that were not the reply.
func (x *Exchange) Foreign() int { return x.foreign }

// Outcome is what became of it.
func (x *Exchange) Outcome() resolve.Outcome { return x.outcome }

// send makes the next message.
func (x *Exchange) send(now int64) Action {
	if x.sends >= MaxSends || x.late(now) {
		return x.end(resolve.Outcome{Kind: resolve.TimedOut})
	}
	x.sends++
	x.id = uint16(x.random())
	x.sent = now
	timeout := x.ask.Timeout
	if x.stream {
		timeout = max(timeout, StreamTime)
	}
	x.deadline = now + int64(timeout)
	if x.ask.Until > 0 {
		x.deadline = min(x.deadline, x.ask.Until)
	}
	x.build()
	return Send
}

// overStream asks again where nobody can guess. There the case of letters and cookies prove nothing more.
func (x *Exchange) overStream(now int64) Action {
	if x.stream {
		return x.end(resolve.Outcome{Kind: resolve.TimedOut})
	}
	x.stream, x.mixed = true, false
	return x.send(now)
}

// Expired tells that the deadline has passed. Where only messages came that were not the reply, a stream tells what the server says.
func (x *Exchange) Expired(now int64) Action {
	if x.finished {
		return Done
	}
	if x.queued {
		return x.Admit(now, x.limit)
	}
	if x.foreign > 0 && !x.stream {
		return x.overStream(now)
	}
	return x.end(resolve.Outcome{Kind: resolve.TimedOut})
}

// Broken tells that the server's host refused the message, or that the stream ended before the reply.
func (x *Exchange) Broken(now int64) Action { return x.end(resolve.Outcome{Kind: resolve.Refused}) }

// Unreachable tells that the network did not take the message.
func (x *Exchange) Unreachable(now int64) Action {
	return x.end(resolve.Outcome{Kind: resolve.Unreachable})
}

func (x *Exchange) end(o resolve.Outcome) Action {
	if !x.finished {
		x.outcome, x.finished = o, true
	}
	return Done
}
