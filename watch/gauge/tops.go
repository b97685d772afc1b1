package gauge

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/axiomhq/hyperloglog"

	"anyu/event"
)

// List is what the keys of a ranking are.
type List uint8

const (
	Clients    List = iota
	Networks        // of clients: /24 and /48
	QueryNames      // in lower case
	Domains         // registered ones, by the public suffix list
	Unanswered      // names that got SERVFAIL or no reply
	Servers         // addresses that were asked
	lists      = 6
)

// tops is who asked a source most in each minute of the last hour.
type tops struct {
	minute  int64 // Unix time / 60, of what is being counted
	counted [lists]*heavy
	clients *hyperloglog.Sketch
	names   *hyperloglog.Sketch
	past    [topMinutes]topMinute
}

const topMinutes = 60

// topMinute is a minute that is over.
type topMinute struct {
	minute  int64
	every   int // of how many observations one was looked at
	lists   [lists]tally
	clients *hyperloglog.Sketch
	names   *hyperloglog.Sketch
}

func newTops() *tops {
	t := &tops{}
	for i := range t.counted {
		t.counted[i] = newHeavy()
	}
	t.clients, t.names = newDistinct(sourcePrecision), newDistinct(sourcePrecision)
	return t
}

const (
	// sourcePrecision gives a standard error of 1.6 % in 4 kB; zonePrecision, of which there may be four a zone, 3.3 % in 1 kB.
	sourcePrecision = 12
	zonePrecision   = 10
)

// newDistinct is a HyperLogLog that has its memory from the beginning: adding costs no allocation.
func newDistinct(precision uint8) *hyperloglog.Sketch {
	s, err := hyperloglog.NewSketch(precision, false)
	if err != nil {
		panic(err) // the precision is one of two constants
	}
	return s
}

// rank counts an observation in the lists of its source, and its client and name among the different ones.
func (g *Gauge) rank(s *source, zone int, q *event.Query) {
	second := g.now / 1e9
	t := s.tops
	if minute := second / 60; t.minute != minute {
		t.close(minute, g.all.every)
	}
	name := g.lowerName(q.Name)
	var client, asked uint64
	inZone := g.zones.distinctAt(zone, second/3600)
	if q.Has&event.HasClient != 0 {
		client = maphash.Bytes(g.seed, q.Client[:])
		t.clients.InsertHash(client)
		inZone.clients[0].InsertHash(client)
	}
	if len(name) > 0 {
		asked = maphash.Bytes(g.seed, name)
		t.names.InsertHash(asked)
		inZone.names[0].InsertHash(asked)
	}
	if unanswered(q) && len(name) > 0 {
		if n := g.unanswered.take(second); n > 0 {
			t.counted[Unanswered].add(asked, name, n)
		}
	}
	n := g.all.take(second)
	if n == 0 {
		return
	}
	if q.Has&event.HasClient != 0 {
		t.counted[Clients].add(client, q.Client[:], n)
		network := networkOf(q.Client)
		t.counted[Networks].add(maphash.Bytes(g.seed, network[:]), network[:], n)
	}
	if q.Has&event.HasServer != 0 {
		t.counted[Servers].add(maphash.Bytes(g.seed, q.Server[:]), q.Server[:], n)
	}
	if len(name) > 0 {
		t.counted[QueryNames].add(asked, name, n)
		domain := g.domains.of(asked, name)
		t.counted[Domains].add(maphash.Bytes(g.seed, domain), domain, n)
	}
}

// unanswered tells whether nobody answered: SERVFAIL, no reply seen, or none sent on purpose. What was no question deserved none.
func unanswered(q *event.Query) bool {
	if q.From == event.FromError {
		return false
	}
	return q.Has&event.HasReply == 0 || q.ReplySize == 0 || q.Rcode == 2
}

// lowerName is the name as it is counted: clients that mix case (draft-vixie-dnsext-dns0x20) ask for the same one.
func (g *Gauge) lowerName(name []byte) []byte {
	out := g.lower[:min(len(name), len(g.lower))]
	for i := range out {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A' // lengths of labels are at most 63, below 'A'
		}
		out[i] = c
	}
	return out
}

// networkOf is the first 24 or 48 bits of an address.
func networkOf(addr [16]byte) [16]byte {
	keep := 6
	if isIPv4(&addr) {
		keep = 15
	}
	clear(addr[keep:])
	return addr
}

func isIPv4(addr *[16]byte) bool {
	return binary.BigEndian.Uint64(addr[:]) == 0 && binary.BigEndian.Uint32(addr[8:]) == 0xFFFF
}

// close ends the minute that is being counted and begins another.
func (t *tops) close(minute int64, every int) {
	if t.minute != 0 {
		p := topMinute{minute: t.minute, every: every, clients: t.clients, names: t.names}
		for i, h := range t.counted {
			p.lists[i] = h.tally()
			h.clear()
		}
		t.past[t.minute%topMinutes] = p
		t.clients, t.names = newDistinct(sourcePrecision), newDistinct(sourcePrecision)
	}
	t.minute = minute
}

// zoneDistinct is how many different clients and names a zone had in this hour of the clock, and in the one before.
type zoneDistinct struct {
	hour           int64
	clients, names [2]*hyperloglog.Sketch // now, before
}

// distinctAt is that of a slot in an hour.
func (z *zoneSlots) distinctAt(slot int, hour int64) *zoneDistinct {
	for slot >= len(z.distinct) {
		z.distinct = append(z.distinct, nil)
	}
	d := z.distinct[slot]
	if d != nil && d.hour == hour {
		return d
	}
	fresh := &zoneDistinct{hour: hour}
	fresh.clients[0], fresh.names[0] = newDistinct(zonePrecision), newDistinct(zonePrecision)
	if d != nil && d.hour == hour-1 {
		fresh.clients[1], fresh.names[1] = d.clients[0], d.names[0]
	}
	z.distinct[slot] = fresh
	return fresh
}
