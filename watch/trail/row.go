package trail

import (
	"encoding/binary"
	"net/netip"
	"time"

	"anyu/dns/wire"
	"anyu/event"
)

// Row is one line of the query log, and with its tags the schema of the segments. What is nil, or empty where text is
// optional, was not observed.
type Row struct {
	Time       int64  `parquet:"time,timestamp(microsecond),delta" json:"time"` // arrival, us since 1970 UTC; of the logging where the arrival is unknown
	Node       string `parquet:"node,dict" json:"node"`
	Source     string `parquet:"source,dict" json:"source"`
	Client     string `parquet:"client,optional,dict" json:"client,omitempty"`
	ClientPort *int32 `parquet:"client_port,optional" json:"client_port,omitempty"`
	Transport  string `parquet:"transport,dict" json:"transport"`
	Name       string `parquet:"qname,optional,dict" json:"qname,omitempty"`        // presentation form in lower case, with the last dot
	NameAsked  string `parquet:"qname_asked,optional" json:"qname_asked,omitempty"` // the same as it was asked, where that had upper case
	Type       string `parquet:"qtype,optional,dict" json:"qtype,omitempty"`
	Class      string `parquet:"qclass,optional,dict" json:"qclass,omitempty"`
	Rcode      string `parquet:"rcode,optional,dict" json:"rcode,omitempty"` // none where there was no reply
	QueryFlags *int32 `parquet:"query_flags,optional" json:"query_flags,omitempty"`
	Flags      *int32 `parquet:"flags,optional" json:"flags,omitempty"`
	Payload    *int32 `parquet:"edns_payload,optional" json:"edns_payload,omitempty"` // 0: no EDNS
	DO         *bool  `parquet:"do,optional" json:"do,omitempty"`
	EDE        *int32 `parquet:"ede,optional" json:"ede,omitempty"`
	QuerySize  *int32 `parquet:"query_size,optional" json:"query_size,omitempty"`
	ReplySize  *int32 `parquet:"reply_size,optional" json:"reply_size,omitempty"` // 0: deliberately not answered
	Latency    *int64 `parquet:"latency_us,optional" json:"latency_us,omitempty"`
	From       string `parquet:"from,dict" json:"from"`
	Zone       string `parquet:"zone,optional,dict" json:"zone,omitempty"`

	Segment string `parquet:"-" json:"-"` // that it was read from, relative to the log's folder; "": an append-only file
}

// At is the row's time.
func (r *Row) At() time.Time { return time.UnixMicro(r.Time).UTC() }

// rowFixed is the length of a row in an append-only file before its name. The layout is part of walMagic's version.
const rowFixed = 68

// appendRow packs an observation.
func appendRow(b []byte, q *event.Query) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(q.Has))
	b = le.AppendUint32(b, q.Zone)
	b = le.AppendUint64(b, uint64(q.Time))
	b = le.AppendUint64(b, uint64(q.Latency))
	b = append(b, q.Client[:]...)
	for _, v := range [...]uint16{q.Source, q.ClientPort, q.QueryFlags, q.Flags, q.Rcode, q.Type, q.Class, q.Payload, q.Reason, q.QuerySize, q.ReplySize, q.ID} {
		b = le.AppendUint16(b, v)
	}
	do, name := byte(0), q.Name
	if q.DO {
		do = 1
	}
	if len(name) > 255 {
		name = nil
	}
	b = append(b, byte(q.Transport)|byte(q.Clock)<<4, byte(q.From), do, byte(len(name)))
	return append(b, name...)
}

// setRowTime changes the time of the packed row b begins with.
func setRowTime(b []byte, at time.Time) { binary.LittleEndian.PutUint64(b[8:], uint64(at.UnixNano())) }

// nextRow unpacks the first row of b into q and gives the rest; false at the end or where b is no row. q.Name is a part of b.
func nextRow(b []byte, q *event.Query) (rest []byte, ok bool) {
	if len(b) < rowFixed || len(b) < rowFixed+int(b[rowFixed-1]) {
		return nil, false
	}
	le := binary.LittleEndian
	q.Has, q.Zone = event.Known(le.Uint32(b)), le.Uint32(b[4:])
	q.Time, q.Latency = int64(le.Uint64(b[8:])), int64(le.Uint64(b[16:]))
	copy(q.Client[:], b[24:40])
	for i, v := range [...]*uint16{&q.Source, &q.ClientPort, &q.QueryFlags, &q.Flags, &q.Rcode, &q.Type, &q.Class, &q.Payload, &q.Reason, &q.QuerySize, &q.ReplySize, &q.ID} {
		*v = le.Uint16(b[40+2*i:])
	}
	q.Transport, q.Clock, q.From, q.DO = event.Transport(b[64]&15), event.Clock(b[64]>>4), event.From(b[65]), b[66] != 0
	end := rowFixed + int(b[rowFixed-1])
	q.Name = b[rowFixed:end:end]
	return b[end:], true
}

// translator makes rows for people from packed ones. It remembers texts, for the same names and clients come again.
type translator struct {
	zone    func(uint32) string
	source  func(uint16) (name, node string)
	names   map[string][2]string // wire form: lower case, as asked
	clients map[[16]byte]string
	buf     []byte
	numbers []numbers // for the next rows
}

// numbers is where the pointers of one row point: one allocation for many rows.
type numbers struct {
	values  [8]int32
	used    int
	do      bool
	latency int64
}

func (t *translator) take() *numbers {
	if len(t.numbers) == 0 {
		t.numbers = make([]numbers, 256)
	}
	n := &t.numbers[0]
	t.numbers = t.numbers[1:]
	return n
}

func (n *numbers) of(v uint16) *int32 {
	p := &n.values[n.used]
	n.used++
	*p = int32(v)
	return p
}

// maxTexts bounds what a translator remembers (stops: memory filled by random names).
const maxTexts = 32 << 10

func newTranslator(zone func(uint32) string, source func(uint16) (string, string)) *translator {
	return &translator{zone: zone, source: source, names: map[string][2]string{}, clients: map[[16]byte]string{}}
}

func (t *translator) row(q *event.Query) Row {
	r := Row{Time: q.Time / 1000, Transport: q.Transport.String(), From: q.From.String()}
	n := t.take()
	r.Source, r.Node = t.source(q.Source)
	if q.Has&event.HasClient != 0 {
		r.Client, r.ClientPort = t.client(q.Client), n.of(q.ClientPort)
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
	return r
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
