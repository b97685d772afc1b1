package internet

import (
	"net/netip"
	"time"

	"anyu/dns/wire"
)

const (
	// payload is what servers send over UDP at most, whatever a client takes (the DNS flag day of 2020).
	payload    = 1232
	minPayload = 512
	// streamRoom holds the largest answer there is.
	streamRoom = 24 << 10
	optSize    = 11
)

// Handle asks the server at an address. ok is false where nothing comes back; delay is how long the reply takes.
func (w *World) Handle(server netip.Addr, query []byte, tcp bool) (reply []byte, delay time.Duration, ok bool) {
	room := payload
	if tcp {
		room = streamRoom
	}
	out := make([]byte, room)
	n, delay := w.answer(server, query, tcp, out)
	return out[:n:n], delay, n > 0
}

// Asked is how many questions each server has had, by address.
func (w *World) Asked() map[netip.Addr]uint64 {
	m := map[netip.Addr]uint64{}
	for i := range w.counts {
		if n := w.counts[i].Load(); n > 0 {
			m[w.address(i)] = n
		}
	}
	return m
}

// answer writes the reply to out and returns its length, 0 for none.
func (w *World) answer(server netip.Addr, query []byte, tcp bool, out []byte) (n int, delay time.Duration) {
	number, ok := w.server(server)
	if !ok {
		return 0, 0
	}
	w.counts[number].Add(1)
	var q wire.Query
	switch q.Read(query) {
	case wire.Silent:
		return 0, 0
	case wire.Malformed:
		return header(out, &q, wire.FormErr), 0
	case wire.Unknown:
		return header(out, &q, wire.NotImp), 0
	}
	s := exchange{w: w, server: number, q: &q, query: query, tcp: tcp, out: out, manner: manner(number)}
	return s.misbehave()
}

// header is a reply without a question.
func header(out []byte, q *wire.Query, rcode wire.Rcode) int {
	wire.Header{ID: q.ID, Flags: wire.FlagQR | q.Flags&(wire.FlagRD|0x7800) | uint16(rcode)}.Put(out)
	return wire.HeaderSize
}

// exchange is one question at one server.
type exchange struct {
	w      *World
	server int
	q      *wire.Query
	query  []byte
	tcp    bool
	out    []byte
	manner behaviour
}

// misbehave answers as the server does.
func (s *exchange) misbehave() (int, time.Duration) {
	chance := func() uint64 { return s.w.mix(ofLoss, s.w.asked.Add(1), digest(s.query)) }
	var delay time.Duration
	switch m := s.manner; {
	case m == silent, m == dropsEDNS && s.q.HasEDNS, m == dropsAAAA && s.q.Type == wire.TypeAAAA, m == truncatesOnly && s.tcp:
		return 0, 0
	case m == lossy && !s.tcp && chance()%10 < 3:
		return 0, 0
	case m == refuses:
		return s.short(wire.Refused, 0, true), 0
	case m == fails:
		return s.short(wire.ServFail, 0, true), 0
	case m == notImplemented:
		return s.short(wire.NotImp, 0, true), 0
	case m == formerrEDNS && s.q.HasEDNS:
		return s.short(wire.FormErr, 0, false), 0
	case (m == truncates || m == truncatesOnly) && !s.tcp:
		return s.short(wire.NoError, wire.FlagTC, true), 0
	case m == garbage:
		junk := octets(digest(s.query), 64)
		copy(s.out, s.query[:2])
		return 2 + copy(s.out[2:], junk), 0
	case m == upward:
		return s.referral(s.w.root), 0
	case m == slow:
		delay = 50*time.Millisecond + time.Duration(chance()%751)*time.Millisecond
	}
	zone := s.zone()
	if zone == nil {
		return s.short(wire.Refused, 0, true), 0
	}
	if s.manner == referring {
		return s.referral(zone), 0
	}
	n := s.write(zone.answer(s.q.Name.AppendLower(nil), s.q.Type))
	s.spoil(n)
	return n, delay
}

// zone is the deepest one that the server has and that holds the name.
func (s *exchange) zone() *zone {
	name := wire.Name(s.q.Name.AppendLower(nil))
	for _, t := range [...]wire.Type{s.q.Type, wire.TypeA} { // the second time for DS at a server of the child only
		path := s.w.path(name, t)
		for i := len(path) - 1; i >= 0; i-- {
			if path[i].serves(s.server) {
				return path[i]
			}
		}
		if s.q.Type != wire.TypeDS {
			break
		}
	}
	return nil
}

// spoil changes the finished reply as the server does.
func (s *exchange) spoil(n int) {
	switch s.manner {
	case wrongID:
		s.out[0] ^= 0x55
	case wrongQuestion:
		if s.q.Name[0] > 0 {
			s.out[wire.HeaderSize+1] ^= 3
		}
	case losesCase:
		lower := s.q.Name.AppendLower(nil)
		copy(s.out[wire.HeaderSize:n], lower)
	case lackingAA:
		s.out[2] &^= wire.FlagAA >> 8
	}
}

// limit is the length a reply may have.
func (s *exchange) limit() int {
	switch {
	case s.tcp:
		return len(s.out)
	case s.q.HasEDNS:
		return min(payload, max(minPayload, int(s.q.Payload)))
	}
	return minPayload
}

func (s *exchange) start(b *wire.Builder, edns bool) {
	b.Reset(s.out[:s.limit()])
	if edns && s.q.HasEDNS {
		b.Reserve(optSize)
	}
	b.Question(s.q.Name, s.q.Type, s.q.Class)
}

// finish adds OPT and header.
func (s *exchange) finish(b *wire.Builder, flags uint16, rcode wire.Rcode, edns bool) int {
	if edns && s.q.HasEDNS {
		b.Reserve(-optSize)
		opt := [optSize]byte{2: byte(wire.TypeOPT), 3: payload >> 8, 4: payload & 0xFF, 5: byte(rcode >> 4)}
		if s.q.DO {
			opt[7] = 0x80
		}
		b.Raw(wire.Additionals, 1, opt[:])
	}
	return len(b.Finish(s.q.ID, wire.FlagQR|s.q.Flags&wire.FlagRD|flags|uint16(rcode&0xF)))
}

// short is a reply without records.
func (s *exchange) short(rcode wire.Rcode, flags uint16, edns bool) int {
	var b wire.Builder
	s.start(&b, edns)
	return s.finish(&b, flags, rcode, edns)
}

// referral points at the servers of a zone, which need not be below.
func (s *exchange) referral(z *zone) int {
	var b wire.Builder
	s.start(&b, true)
	for _, h := range z.hosts {
		b.RR(wire.Authorities, z.apex, wire.TypeNS, wire.ClassIN, nsTTL, h.name)
	}
	return s.finish(&b, 0, wire.NoError, true)
}

// write makes a message of an answer; what does not fit is truncated (RFC 2181, Section 9), but for glue that a referral can do without.
func (s *exchange) write(a *answer) int {
	if s.q.Class != wire.ClassIN {
		return s.short(wire.Refused, 0, true)
	}
	if s.q.Version > 0 {
		return s.short(wire.BadVers, 0, true)
	}
	var b wire.Builder
	s.start(&b, true)
	var flags uint16
	if a.aa {
		flags = wire.FlagAA
	}
	if !a.write(&b, s.q.DO && s.q.HasEDNS && a.z.signs()) {
		return s.short(a.rcode, flags|wire.FlagTC, true)
	}
	return s.finish(&b, flags, a.rcode, true)
}
