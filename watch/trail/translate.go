package trail

import (
	"net/netip"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/watch/pseudonym"
)

// translator makes rows for people from packed ones. It remembers texts, for the same names and clients come again.
type translator struct {
	zone    func(uint32) string
	source  func(uint16) (name, node string)
	without without
	key     string // that clients are pseudonyms of; "": they are addresses
	next    unpacker
	names   map[string][2]string // wire form: lower case, as asked
	clients map[[16]byte]string  // addresses of all kinds
	askers  map[[16]byte]string  // pseudonyms
	buf     []byte
	numbers []numbers // for the next rows
	answers answerReader
}

// numbers is where the pointers of one row point: one allocation for many rows.
type numbers struct {
	values  [14]int32
	used    int
	do      bool
	latency int64
	asked   int64
	oneOf   int64
}

func (t *translator) take() *numbers {
	if len(t.numbers) == 0 {
		t.numbers = make([]numbers, 256)
	}
	n := &t.numbers[0]
	t.numbers = t.numbers[1:]
	return n
}

func (n *numbers) of(v uint16) *int32 { return n.signed(int32(v)) }

func (n *numbers) signed(v int32) *int32 {
	p := &n.values[n.used]
	n.used++
	*p = v
	return p
}

// maxTexts bounds what a translator remembers (stops: memory filled by random names).
const maxTexts = 32 << 10

func newTranslator(zone func(uint32) string, source func(uint16) (string, string)) *translator {
	return &translator{zone: zone, source: source, next: (*packed).next, names: map[string][2]string{}, clients: map[[16]byte]string{}, askers: map[[16]byte]string{}}
}

func (t *translator) row(q *packed) Row {
	r := Row{Time: q.Time / 1000, Transport: q.Transport.String(), From: q.From.String()}
	n := t.take()
	r.Source, r.Node = t.source(q.Source)
	if q.Has&event.HasClient != 0 {
		r.Client, r.ClientPort = t.asker(q.Client), n.of(q.ClientPort)
	}
	if len(q.Name) > 0 {
		r.Name, r.NameAsked = t.name(q.Name)
		r.Type, r.Class = wire.Type(q.Type).String(), wire.Class(q.Class).String()
	}
	if q.Has&event.HasQuery != 0 {
		n.do = q.DO
		r.QueryFlags, r.Payload, r.DO, r.QuerySize = n.of(q.QueryFlags), n.of(q.Payload), &n.do, n.of(q.QuerySize)
	}
	if q.Has&event.HasReply != 0 {
		r.ReplySize, r.Rcode = n.of(q.ReplySize), "none"
		if q.ReplySize > 0 {
			r.Flags, r.Rcode = n.of(q.Flags), wire.Rcode(q.Rcode).String()
		}
	}
	if q.Has&event.HasReason != 0 && q.Reason != event.NoReason {
		r.EDE = n.of(q.Reason)
	}
	if q.Has&event.HasLatency != 0 && q.Clock != event.ClockNone {
		n.latency = q.Latency / 1000
		r.Latency = &n.latency
	}
	if q.Has&event.HasZone != 0 {
		r.Zone = t.zone(q.Zone)
	}
	if q.oneOf > 1 {
		n.oneOf = q.oneOf
		r.Sample = &n.oneOf
	}
	t.more(&r, q, n)
	if t.without != 0 {
		t.without.strip(&r)
	}
	return r
}

// more fills in the columns of schema 2.
func (t *translator) more(r *Row, q *packed, n *numbers) {
	if q.Has&event.HasServer != 0 {
		r.Server, r.ServerPort = t.client(q.Server), n.of(q.ServerPort)
	}
	if q.Has&event.HasQuery != 0 && q.hasID {
		r.ID = n.of(q.ID)
	}
	if q.Has&event.HasPolicy != 0 {
		r.Policy = q.Policy.String()
	}
	if p := q.SubnetPrefix(); p.IsValid() {
		r.Subnet = p.String()
	}
	if q.Has&event.HasUpstream != 0 {
		r.Upstream, r.UpstreamPort, r.UpstreamOver = t.client(q.Upstream), n.of(q.UpstreamPort), q.UpstreamOver.String()
	}
	if q.Has&event.HasAsked != 0 {
		n.asked = q.AskedTime / 1000
		r.Asked, r.AskedTime = n.of(q.Asked), &n.asked
	}
	if t.without.has("answers") {
		return
	}
	if a, ok := t.answers.read(q); ok {
		r.Answers, r.AnswerIPs, r.LeftOut = a.texts, a.ips, n.of(uint16(max(a.leftOut, 0)))
		if len(a.texts) > 0 {
			r.AnswerTTL = n.signed(int32(a.ttl))
		}
	}
}

// asker is the client: its address, or what stands for it.
func (t *translator) asker(addr [16]byte) string {
	if t.key == "" {
		return t.client(addr)
	}
	text, ok := t.askers[addr]
	if !ok {
		text = pseudonym.Text(t.key, addr)
		if len(t.askers) >= maxTexts {
			clear(t.askers)
		}
		t.askers[addr] = text
	}
	return text
}

func (t *translator) client(addr [16]byte) string {
	text, ok := t.clients[addr]
	if !ok {
		text = netip.AddrFrom16(addr).Unmap().String()
		if len(t.clients) >= maxTexts {
			clear(t.clients)
		}
		t.clients[addr] = text
	}
	return text
}

func (t *translator) name(name []byte) (lower, asked string) {
	texts, ok := t.names[string(name)]
	if !ok {
		if wire.ValidName(name) != nil {
			return "", ""
		}
		t.buf = wire.Name(name).AppendText(t.buf[:0])
		texts[1] = string(t.buf)
		for i, c := range t.buf {
			t.buf[i] = wire.Lower(c)
		}
		texts[0] = string(t.buf)
		if texts[0] == texts[1] {
			texts[1] = ""
		}
		if len(t.names) >= maxTexts {
			clear(t.names)
		}
		t.names[string(name)] = texts
	}
	return texts[0], texts[1]
}
