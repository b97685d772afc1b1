// Package exchange asks one server one question: what is sent, which reply is believed, and what is tried instead when the
// server cannot do something (EDNS, cookies, UDP).
//
// It promises: a reply is believed only if ID, question (with the case it was sent in), address, port and cookie are right; any other message is ignored
// and the wait goes on (TuDoor), and after MaxForeign of them the question goes over a stream, where nobody can guess (Kaminsky, fragment
// spoofing); at most MaxSends messages leave. It is a machine without I/O: Start, Heard, Expired and Broken say what to do next.
//
// Limits today: no client subnet (RFC 7871); NSID is not asked for.
package exchange

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
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
	// StreamTime is how long a server has for connecting and answering over a stream.
	StreamTime = 5 * time.Second
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

	msg      []byte
	id       uint16
	sent     int64 // ns, when the message in hand was sent
	deadline int64
	sends    int
	foreign  int
	stream   bool
	edns     bool
	mixed    bool // the letters of the name are in random case
	cookie   bool // a cookie was sent
	renewed  bool // a new cookie was tried
	plain    bool // it is tried without EDNS, because the server did not understand
	client   [8]byte
	outcome  resolve.Outcome
}

// New makes the exchange for a wish of the resolver. secret gives the client cookie, which is another one for each server (RFC 9018, Section 3).
func New(ask resolve.Ask, servers *nameserver.Table, random func() uint64, cookie [8]byte, now int64) *Exchange {
	s := servers.Look(ask.Server, ask.Zone, now)
	encrypted := ask.Upstream != nil && ask.Upstream.Protocol != resolve.Plain
	return &Exchange{ask: ask, servers: servers, random: random, client: cookie, stream: ask.Stream || encrypted, edns: !s.NoEDNS, mixed: !encrypted}
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

// Outcome is what became of it.
func (x *Exchange) Outcome() resolve.Outcome { return x.outcome }

// send makes the next message.
func (x *Exchange) send(now int64) Action {
	if x.sends >= MaxSends {
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
	x.msg = x.build(now)
	return Send
}

// build makes the message: header, question, OPT.
func (x *Exchange) build(now int64) []byte {
	q := x.ask.Question
	flags := uint16(0)
	if x.ask.RD {
		flags |= wire.FlagRD
	}
	if x.ask.CD {
		flags |= wire.FlagCD
	}
	b := make([]byte, 0, wire.HeaderSize+len(q.Name)+4+11+4+40)
	b = binary.BigEndian.AppendUint16(b, x.id)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0)
	b = x.appendName(b, q.Name)
	b = binary.BigEndian.AppendUint16(b, uint16(q.Type))
	b = binary.BigEndian.AppendUint16(b, uint16(q.Class))
	if x.edns {
		b[11] = 1
		b = x.appendOPT(b, now)
	}
	return b
}

// appendName appends the name with its letters in random case (draft-vixie-dnsext-dns0x20): bits that a forger has to guess.
func (x *Exchange) appendName(b []byte, name wire.Name) []byte {
	start := len(b)
	b = append(b, name...)
	if !x.mixed {
		return b
	}
	var bits uint64
	for i, n := start, 0; i < len(b); i++ {
		if c := b[i] | 0x20; c < 'a' || c > 'z' {
			continue // also the lengths of labels: they are at most 63
		}
		if n%64 == 0 {
			bits = x.random()
		}
		b[i] = b[i]&^0x20 | byte(bits&1)<<5
		bits >>= 1
		n++
	}
	return b
}

// appendOPT appends EDNS version 0 with DO (RFC 6891; RFC 3225), and a cookie over UDP (RFC 7873, Section 5.1).
func (x *Exchange) appendOPT(b []byte, now int64) []byte {
	b = append(b, 0, 0, byte(wire.TypeOPT))
	b = binary.BigEndian.AppendUint16(b, Payload)
	b = append(b, 0, 0, 0x80, 0)
	x.cookie = !x.stream
	if !x.cookie {
		return append(b, 0, 0)
	}
	var server []byte
	if c, ok := x.servers.Cookie(x.ask.Server, now); ok && c.Client == x.client {
		server = c.Server[:c.Length]
	}
	n := 8 + len(server)
	b = binary.BigEndian.AppendUint16(b, uint16(4+n))
	b = binary.BigEndian.AppendUint16(b, wire.OptionCookie)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = append(b, x.client[:]...)
	return append(b, server...)
}

// Heard takes a message that came from the server's address to ours.
func (x *Exchange) Heard(now int64, msg []byte) Action {
	if len(msg) < wire.HeaderSize || binary.BigEndian.Uint16(msg) != x.id || msg[2]&0x80 == 0 {
		return x.mismatch(now)
	}
	m, err := message.Parse(msg)
	if err != nil {
		if msg[2]&0x02 != 0 && !x.stream { // cut off in the middle of a record
			return x.overStream(now)
		}
		return x.mismatch(now)
	}
	if m.Questions == 0 && (m.Rcode == wire.FormErr || m.Rcode == wire.NotImp) {
		return x.refusedForm(now, m) // RFC 1035 servers that do not repeat a question they could not read
	}
	if m.Questions != 1 || !m.Question.Equal(x.ask.Question) || m.Opcode() != wire.OpcodeQuery {
		return x.mismatch(now)
	}
	if x.mixed && !bytes.Equal(m.Question.Name, x.name()) {
		return x.otherCase(now)
	}
	if x.cookie && !x.cookieIsRight(m, now) {
		return x.mismatch(now)
	}
	return x.understood(now, m)
}

// understood decides about a reply that is from the server.
func (x *Exchange) understood(now int64, m *message.Message) Action {
	switch {
	case m.Rcode == wire.BadCookie && x.cookie:
		if x.renewed {
			return x.overStream(now) // RFC 7873, Section 5.3
		}
		x.renewed = true
		return x.send(now)
	case m.Has(wire.FlagTC) && !x.stream:
		return x.overStream(now) // RFC 7766, Section 5
	case x.edns && (m.Rcode == wire.FormErr || m.Rcode == wire.NotImp || m.Rcode == wire.BadVers):
		return x.refusedForm(now, m)
	}
	if x.plain {
		x.servers.SetEDNS(x.ask.Server, false, now) // it answers without EDNS, and did not with it
	} else if m.EDNS.Present {
		x.servers.SetEDNS(x.ask.Server, true, now)
	}
	// The canonical name is ours, not the one with mixed letters.
	m.Question.Name = x.ask.Question.Name
	for _, section := range m.Sections() {
		for _, s := range section {
			if x.mixed && s.Name.Equal(x.ask.Question.Name) {
				s.Name = x.ask.Question.Name
			}
		}
	}
	rtt := time.Duration(now - x.sent)
	if x.stream {
		rtt = 0 // it holds the time of connecting
	}
	return x.end(resolve.Outcome{Kind: resolve.Replied, Message: m, RTT: rtt, Stream: x.stream})
}

// refusedForm: the server did not understand, perhaps for EDNS (RFC 6891, Section 6.2.2). It is asked again without.
func (x *Exchange) refusedForm(now int64, m *message.Message) Action {
	if !x.edns || x.plain {
		m.Question, m.Questions = x.ask.Question, 1
		return x.end(resolve.Outcome{Kind: resolve.Replied, Message: m, RTT: time.Duration(now - x.sent), Stream: x.stream})
	}
	x.edns, x.plain, x.cookie = false, true, false
	return x.send(now)
}

// mismatch counts a message that is not the reply. Somebody may be guessing.
func (x *Exchange) mismatch(now int64) Action {
	x.foreign++
	switch {
	case x.stream: // nobody but the server writes there, and it writes nonsense
		return x.end(resolve.Outcome{Kind: resolve.Unreachable})
	case x.foreign < MaxForeign:
		return Wait
	}
	return x.overStream(now)
}

// otherCase: all is right but the letters' case. Old servers do not keep it; a forger did not know it. A stream tells.
func (x *Exchange) otherCase(now int64) Action {
	if x.stream {
		x.mixed = false
		return x.send(now)
	}
	return x.overStream(now)
}

func (x *Exchange) overStream(now int64) Action {
	if x.stream {
		return x.end(resolve.Outcome{Kind: resolve.TimedOut})
	}
	x.stream = true
	return x.send(now)
}

// name is the name as it was sent.
func (x *Exchange) name() []byte {
	return x.msg[wire.HeaderSize : wire.HeaderSize+len(x.ask.Question.Name)]
}

// cookieIsRight checks the cookie of a reply, and keeps the server's half (RFC 7873, Section 5.3). Many servers do not know
// cookies; one that sent a cookie before and does not now may be a forger.
func (x *Exchange) cookieIsRight(m *message.Message, now int64) bool {
	c, ok := m.EDNS.Option(wire.OptionCookie)
	if !ok {
		known, ok := x.servers.Cookie(x.ask.Server, now)
		return !ok || !known.Known()
	}
	if len(c) < 8 || !bytes.Equal(c[:8], x.client[:]) || len(c) > 8 && (len(c) < 16 || len(c) > 40) {
		return false
	}
	if len(c) > 8 {
		x.servers.SetCookie(x.ask.Server, x.client, c[8:], now)
	}
	return true
}

// Expired tells that the deadline has passed.
func (x *Exchange) Expired(now int64) Action {
	if x.foreign > 0 && !x.stream {
		return x.overStream(now) // something came, and it was not the reply
	}
	return x.end(resolve.Outcome{Kind: resolve.TimedOut})
}

// Broken tells that the message could not be sent, or that the stream ended before the reply.
func (x *Exchange) Broken(now int64) Action {
	return x.end(resolve.Outcome{Kind: resolve.Unreachable})
}

func (x *Exchange) end(o resolve.Outcome) Action {
	x.outcome = o
	return Done
}
