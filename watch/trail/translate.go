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
	sorted  bool                 // rows of one name follow each other: no other text of it is remembered
	buf     []byte
	last    lastTexts
	answers answerReader
}

// lastTexts are those of the last row: rows of one name follow each other in a segment, and all are of a few sources and zones.
type lastTexts struct {
	wire, lower, asked string
	sourceID           uint16
	source, node       string
	zoneID             uint32
	zone               string
	known              event.Known // which of them are set: HasQuery stands for the source
}

// numbers is where the pointers of one row point.
type numbers struct {
	values  [14]int32
	used    int
	do      bool
	latency int64
	asked   int64
	oneOf   int64
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

// fill makes r, which is empty, the row of q; what r points to is in n.
func (t *translator) fill(r *Row, n *numbers, q *packed) {
	r.Time, r.Transport, r.From = q.Time/1000, q.Transport.String(), q.From.String()
	r.Source, r.Node = t.sourceOf(q.Source)
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
		r.Zone = t.zoneOf(q.Zone)
	}
	if q.oneOf > 1 {
		n.oneOf = q.oneOf
		r.Sample = &n.oneOf
	}
	t.more(r, q, n)
	if t.without != 0 {
		t.without.strip(r)
	}
}

// row is a row of its own.
func (t *translator) row(q *packed) Row {
	var one struct {
		row     Row
		numbers numbers
	}
	t.fill(&one.row, &one.numbers, q)
	return one.row
}

func (t *translator) sourceOf(id uint16) (name, node string) {
	l := &t.last
	if l.known&event.HasQuery == 0 || l.sourceID != id {
		l.known, l.sourceID = l.known|event.HasQuery, id
		l.source, l.node = t.source(id)
	}
	return l.source, l.node
}

func (t *translator) zoneOf(id uint32) string {
	l := &t.last
	if l.known&event.HasZone == 0 || l.zoneID != id {
		l.known, l.zoneID, l.zone = l.known|event.HasZone, id, t.zone(id)
	}
	return l.zone
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
	if t.without&withoutAnswers != 0 {
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
	l := &t.last
	if l.wire != string(name) {
		l.lower, l.asked = t.textsOf(name)
		l.wire = string(name)
	}
	return l.lower, l.asked
}

func (t *translator) textsOf(name []byte) (lower, asked string) {
	if t.sorted {
		return t.makeTexts(name)
	}
	texts, ok := t.names[string(name)]
	if !ok {
		texts[0], texts[1] = t.makeTexts(name)
		if len(t.names) >= maxTexts {
			clear(t.names)
		}
		t.names[string(name)] = texts
	}
	return texts[0], texts[1]
}

// makeTexts gives the presentation form in lower case, and as it was asked where that is another; "" where it is no name.
func (t *translator) makeTexts(name []byte) (lower, asked string) {
	if wire.ValidName(name) != nil {
		return "", ""
	}
	t.buf = wire.Name(name).AppendText(t.buf[:0])
	upper := false
	for _, c := range t.buf {
		upper = upper || wire.Lower(c) != c
	}
	if !upper {
		return string(t.buf), ""
	}
	asked = string(t.buf)
	for i, c := range t.buf {
		t.buf[i] = wire.Lower(c)
	}
	return string(t.buf), asked
}
