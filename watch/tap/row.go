package tap

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"anyu/dns/wire"
	"anyu/event"
)

// Row is a transaction for people and programs; what was not observed is not there. The keys of the JSON are those of the query log where it
// has the same.
type Row struct {
	Time        *time.Time `json:"time,omitempty"`
	TimeOf      string     `json:"time_of,omitempty"` // reply: when the question came is not known
	Kind        string     `json:"kind"`
	Node        string     `json:"node,omitempty"`
	Client      string     `json:"client,omitempty"`
	ClientPort  *uint16    `json:"client_port,omitempty"`
	Server      string     `json:"server,omitempty"`
	ServerPort  *uint16    `json:"server_port,omitempty"`
	Transport   string     `json:"transport"`
	ID          uint16     `json:"id"`
	Name        string     `json:"qname,omitempty"`
	Type        string     `json:"qtype,omitempty"`
	Class       string     `json:"qclass,omitempty"`
	Opcode      uint8      `json:"opcode"`
	Rcode       string     `json:"rcode,omitempty"`
	QueryFlags  *uint16    `json:"query_flags,omitempty"`
	Flags       *uint16    `json:"flags,omitempty"`
	Payload     *uint16    `json:"edns_payload,omitempty"`
	DO          *bool      `json:"do,omitempty"`
	Subnet      string     `json:"subnet,omitempty"`
	EDE         *uint16    `json:"ede,omitempty"`
	QuerySize   *uint16    `json:"query_size,omitempty"`
	ReplySize   *uint16    `json:"reply_size,omitempty"`
	Latency     *float64   `json:"latency_us,omitempty"`
	LatencyFrom string     `json:"latency_from,omitempty"` // message: both times in one; pair: the times of two messages
	Seen        string     `json:"seen"`                   // both, query or reply
	Zone        string     `json:"query_zone,omitempty"`
}

// NewRow writes a transaction out.
func NewRow(t *Transaction) *Row {
	q := &t.Query
	r := &Row{Kind: t.Kind.String(), Node: printable(t.Identity), Transport: q.Transport.String(), ID: q.ID, Seen: "both"}
	flags := q.QueryFlags
	if q.Has&event.HasTime != 0 {
		at := q.At()
		r.Time = &at
		if q.Has&event.TimeOfReply != 0 {
			r.TimeOf = "reply"
		}
	}
	if q.Has&event.HasClient != 0 {
		r.Client, r.ClientPort = q.ClientAddr().String(), known(q.ClientPort)
	}
	if q.Has&event.HasServer != 0 {
		r.Server, r.ServerPort = q.ServerAddr().String(), known(q.ServerPort)
	}
	if q.Name != nil {
		r.Name, r.Type, r.Class = wire.Name(q.Name).String(), wire.Type(q.Type).String(), wire.Class(q.Class).String()
	}
	if q.Has&event.HasQuery != 0 {
		r.QueryFlags, r.QuerySize, r.Payload, r.DO = known(q.QueryFlags), known(q.QuerySize), known(q.Payload), known(q.DO)
	} else {
		r.Seen, flags = "reply", q.Flags
	}
	r.Opcode = uint8(flags >> 11 & 15)
	if q.Has&event.HasReply != 0 {
		r.Flags, r.ReplySize, r.Rcode = known(q.Flags), known(q.ReplySize), wire.Rcode(q.Rcode).String()
	} else {
		r.Seen = "query"
	}
	if q.Has&event.HasReason != 0 && q.Reason != event.NoReason {
		r.EDE = known(q.Reason)
	}
	if p := q.SubnetPrefix(); p.IsValid() {
		r.Subnet = p.String()
	}
	if q.Has&event.HasLatency != 0 {
		r.Latency = known(float64(q.Latency) / 1000)
		r.LatencyFrom = map[event.Clock]string{event.ClockTap: "message", event.ClockPaired: "pair"}[q.Clock]
	}
	if len(t.Zone) > 0 && wire.ValidName(t.Zone) == nil {
		r.Zone = wire.Name(t.Zone).String()
	}
	return r
}

func known[T any](v T) *T { return &v }

// printable keeps control characters of a stranger off the screen.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(b), "?"))
}

// Line is the row on one line: time, kind, node, who asked whom over what, the question, what became of it.
func (r *Row) Line() string {
	var b strings.Builder
	if r.Time == nil {
		b.WriteString("-")
	} else {
		b.WriteString(r.Time.Format("2006-01-02T15:04:05.000000Z"))
	}
	fmt.Fprintf(&b, " %s %s > %s %s", r.Kind, socket(r.Client, r.ClientPort), socket(r.Server, r.ServerPort), r.Transport)
	if r.Node != "" {
		fmt.Fprintf(&b, " [%s]", r.Node)
	}
	question := "(no question)"
	if r.Name != "" {
		question = r.Name + " " + r.Class + " " + r.Type
	}
	fmt.Fprintf(&b, " %d", r.ID)
	if r.Opcode != 0 {
		fmt.Fprintf(&b, " opcode %d", r.Opcode)
	}
	b.WriteString(" " + question)
	switch r.Seen {
	case "query":
		b.WriteString(" (no reply seen)")
	case "reply":
		b.WriteString(" " + r.Rcode + " (no query seen)")
	default:
		b.WriteString(" " + r.Rcode)
	}
	if r.EDE != nil {
		fmt.Fprintf(&b, " EDE %d", *r.EDE)
	}
	if r.Latency != nil {
		fmt.Fprintf(&b, " %.3f ms", *r.Latency/1000)
	}
	return b.String() + sizes(r)
}

func sizes(r *Row) string {
	switch {
	case r.QuerySize != nil && r.ReplySize != nil:
		return fmt.Sprintf(" %d/%d octets", *r.QuerySize, *r.ReplySize)
	case r.QuerySize != nil:
		return fmt.Sprintf(" %d octets", *r.QuerySize)
	case r.ReplySize != nil:
		return fmt.Sprintf(" %d octets", *r.ReplySize)
	}
	return ""
}

func socket(address string, port *uint16) string {
	if address == "" {
		return "?"
	}
	a, err := netip.ParseAddr(address)
	if err != nil || port == nil {
		return address
	}
	return netip.AddrPortFrom(a, *port).String()
}
