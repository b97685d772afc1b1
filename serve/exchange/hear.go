package exchange

import (
	"bytes"
	"encoding/binary"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/nameserver"
	"anyu/serve/resolve"
)

// Heard takes a message that came from the server's address to ours. It may change the octets, and does not keep them.
func (x *Exchange) Heard(now int64, msg []byte) Action {
	if x.finished {
		return Done // late, or once more
	}
	// RFC 5452, Section 9.1: what a reply must match. The address and port are the socket's business.
	if len(msg) < wire.HeaderSize || binary.BigEndian.Uint16(msg) != x.id || msg[2]&0x80 == 0 || msg[2]>>3&15 != byte(wire.OpcodeQuery) {
		return x.foreignMessage(now)
	}
	if binary.BigEndian.Uint16(msg[4:]) == 0 {
		return x.withoutQuestion(now, msg)
	}
	same, exact := x.question(msg)
	switch {
	case !same:
		return x.mismatch(now)
	case !exact && x.mixed:
		return x.overStream(now) // all is right but the case of letters: an old server does not keep it; a forger did not know it
	case !x.stream && len(msg) > Payload:
		return x.overStream(now) // longer than asked for: it came in fragments, the later of which can be forged (RFC 9715, Section 2)
	}
	// Names in the reply are mostly pointers to the question's: with our letters there, they come out as ours.
	copy(msg[wire.HeaderSize:], x.ask.Question.Name)
	m, err := message.Parse(msg)
	if err != nil {
		return x.unreadable(now, msg)
	}
	if x.cookie {
		switch x.cookieOf(m, now) {
		case cookieWrong:
			return x.mismatch(now)
		case cookieMissing:
			x.bare = true
			return x.overStream(now)
		}
	}
	return x.understood(now, m)
}

// question tells whether a message has our question and no other, and whether its name came back in the very same letters.
func (x *Exchange) question(msg []byte) (same, exact bool) {
	q := x.ask.Question
	end := wire.HeaderSize + len(q.Name)
	if binary.BigEndian.Uint16(msg[4:]) != 1 || len(msg) < end+4 ||
		binary.BigEndian.Uint16(msg[end:]) != uint16(q.Type) || binary.BigEndian.Uint16(msg[end+2:]) != uint16(q.Class) {
		return false, false
	}
	got := msg[wire.HeaderSize:end]
	if bytes.Equal(got, x.name()) {
		return true, true
	}
	return wire.Name(got).Equal(q.Name), false
}

// withoutQuestion takes a reply that does not say what it answers. Servers from before EDNS repeat nothing of a message that they could not read
// (RFC 6891, Section 7). Only its ID shows that it is no forgery, so over UDP it is not believed where there is something to lose.
func (x *Exchange) withoutQuestion(now int64, msg []byte) Action {
	rcode := wire.Rcode(msg[3] & 15)
	switch {
	case msg[2]&0x02 != 0 && !x.stream:
		return x.overStream(now)
	case rcode != wire.FormErr && rcode != wire.NotImp:
		return x.mismatch(now)
	case x.stream || x.edns && !x.showed && !x.ask.Signed && !x.known.Known():
		m := &message.Message{ID: x.id, Flags: binary.BigEndian.Uint16(msg[2:]), Rcode: rcode, Size: len(msg)}
		return x.refusedForm(now, m)
	}
	return x.mismatch(now)
}

// unreadable: all is right as far as the question goes, and the rest is no message.
func (x *Exchange) unreadable(now int64, msg []byte) Action {
	if msg[2]&0x02 != 0 && !x.stream {
		return x.overStream(now) // cut off in the middle of a record
	}
	return x.mismatch(now)
}

// mismatch takes a message that has our ID and is not the reply. Over UDP, somebody may be guessing. Over a stream it is the server's, and
// nothing better will come.
func (x *Exchange) mismatch(now int64) Action {
	if x.stream {
		x.foreign++
		return x.end(resolve.Outcome{Kind: resolve.Unreadable})
	}
	return x.foreignMessage(now)
}

// foreignMessage counts a message that is not the reply, and waits on.
func (x *Exchange) foreignMessage(now int64) Action {
	x.foreign++
	if x.foreign < MaxForeign || x.stream {
		return Wait
	}
	return x.overStream(now)
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
		x.cut = true
		return x.overStream(now) // RFC 7766, Section 5
	case x.edns && notUnderstood(m.Rcode):
		return x.refusedForm(now, m)
	}
	x.learn(now, m)
	for _, section := range m.Sections() { // owners that were not compressed
		for _, s := range section {
			if s.Name.Equal(x.ask.Question.Name) {
				s.Name = x.ask.Question.Name
			}
		}
	}
	return x.replied(now, m)
}

func notUnderstood(r wire.Rcode) bool {
	return r == wire.FormErr || r == wire.NotImp || r == wire.BadVers
}

// learn remembers what the server can do.
func (x *Exchange) learn(now int64, m *message.Message) {
	switch {
	case x.plain && (m.Rcode == wire.NoError || m.Rcode == wire.NXDomain):
		x.servers.SetEDNS(x.ask.Server, false, now) // it answers without EDNS, and did not with it
	case x.edns && m.EDNS.Present && !x.showed:
		x.servers.SetEDNS(x.ask.Server, true, now)
	}
	// The server answers over TCP, and over UDP somebody guesses, or what it cuts off would have had room (it limits us, or wants nothing over UDP):
	// the next questions need not find that out again.
	if x.stream && !x.began && (x.foreign >= MaxForeign || x.cut && m.Size <= Payload) {
		x.servers.SetTCPOnly(x.ask.Server, true, now)
	}
	// RFC 7828, Section 3.3.2: in units of 100 ms; Section 3.2.1: it means nothing elsewhere.
	if k, ok := m.EDNS.Option(wire.OptionKeepalive); ok && len(k) == 2 && x.stream && x.tcp {
		x.idle, x.told = time.Duration(binary.BigEndian.Uint16(k))*100*time.Millisecond, true
	}
	if x.bare {
		x.servers.DropCookie(x.ask.Server, now) // it is the server itself that sends none any more
	}
}

// refusedForm: the server did not understand, perhaps for EDNS (RFC 6891, Section 7). It is asked again without, except where the answer
// would be worth nothing without signatures (CVE-2026-52690).
func (x *Exchange) refusedForm(now int64, m *message.Message) Action {
	if !x.edns || x.ask.Signed {
		m.Question, m.Questions = x.ask.Question, 1
		return x.replied(now, m)
	}
	x.edns, x.plain = false, true
	return x.send(now)
}

func (x *Exchange) replied(now int64, m *message.Message) Action {
	rtt := time.Duration(now - x.sent)
	if x.stream && !x.began {
		rtt = 0 // it says nothing of UDP
	}
	return x.end(resolve.Outcome{Kind: resolve.Replied, Message: m, RTT: rtt, Stream: x.stream})
}

// What the cookie of a reply says.
type cookieVerdict uint8

const (
	cookieRight cookieVerdict = iota
	cookieWrong
	cookieMissing // from a server that has sent one before
)

// cookieOf checks the cookie of a reply, and keeps the server's half (RFC 7873, Section 5.3). Many servers do not know cookies.
func (x *Exchange) cookieOf(m *message.Message, now int64) cookieVerdict {
	c, ok := m.EDNS.Option(wire.OptionCookie)
	switch {
	case !ok && x.known.Known():
		return cookieMissing
	case !ok:
		return cookieRight
	// RFC 7873, Section 5.3: a wrong length, or not our half, and the reply is discarded.
	case len(c) < 8 || !bytes.Equal(c[:8], x.client[:]) || len(c) > 8 && len(c) < 16 || len(c) > 40:
		return cookieWrong
	}
	if server := c[8:]; len(server) > 0 && !bytes.Equal(server, x.known.Server[:x.known.Length]) {
		x.servers.SetCookie(x.ask.Server, x.client, server, now)
		x.known = nameserver.Cookie{Client: x.client, Length: uint8(len(server))}
		copy(x.known.Server[:], server)
	}
	return cookieRight
}
