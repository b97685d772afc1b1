package trail

import (
	"slices"
	"strings"

	"anyu/event"
)

// optionalColumns are those that can be left out. Where a column is made of facts that nothing else needs, they are not even written to the append-only file.
var optionalColumns = [...]struct {
	name  string
	facts event.Known
	clear func(*Row)
}{
	{"client", event.HasClient, func(r *Row) { r.Client, r.ClientPort = "", nil }},
	{"client_port", 0, func(r *Row) { r.ClientPort = nil }},
	{"qname", 0, func(r *Row) { r.Name, r.NameAsked = "", "" }},
	{"qname_asked", 0, func(r *Row) { r.NameAsked = "" }},
	{"qtype", 0, func(r *Row) { r.Type = "" }},
	{"qclass", 0, func(r *Row) { r.Class = "" }},
	{"rcode", 0, func(r *Row) { r.Rcode = "" }},
	{"query_flags", 0, func(r *Row) { r.QueryFlags = nil }},
	{"flags", 0, func(r *Row) { r.Flags = nil }},
	{"edns_payload", 0, func(r *Row) { r.Payload = nil }},
	{"do", 0, func(r *Row) { r.DO = nil }},
	{"ede", event.HasReason, func(r *Row) { r.EDE = nil }},
	{"query_size", 0, func(r *Row) { r.QuerySize = nil }},
	{"reply_size", 0, func(r *Row) { r.ReplySize = nil }},
	{"latency_us", event.HasLatency, func(r *Row) { r.Latency = nil }},
	{"zone", event.HasZone, func(r *Row) { r.Zone = "" }},
	{"server", event.HasServer, func(r *Row) { r.Server, r.ServerPort = "", nil }},
	{"server_port", 0, func(r *Row) { r.ServerPort = nil }},
	{"id", 0, func(r *Row) { r.ID = nil }},
	{"policy", event.HasPolicy, func(r *Row) { r.Policy = "" }},
	{"ecs", event.HasSubnet, func(r *Row) { r.Subnet = "" }},
	{"upstream", event.HasUpstream, func(r *Row) { r.Upstream, r.UpstreamPort, r.UpstreamOver = "", nil, "" }},
	{"asked", event.HasAsked, func(r *Row) { r.Asked, r.AskedTime = nil, nil }},
	{"answers", 0, func(r *Row) { r.Answers, r.AnswerTTL, r.LeftOut, r.AnswerIPs = nil, nil, nil, nil }},
	{"answer_ips", 0, func(r *Row) { r.AnswerIPs = nil }},
}

// DefaultWithout is left out where nothing else is said: the ID of a query is two octets that no compression makes smaller, and few ask for it.
func DefaultWithout() []string { return []string{"id"} }

// Optional names the columns that can be left out.
func Optional() []string {
	all := make([]string, len(optionalColumns))
	for i, c := range optionalColumns {
		all[i] = c.name
	}
	return all
}

func columnNumber(name string) int {
	for i, c := range optionalColumns {
		if c.name == name {
			return i
		}
	}
	return -1
}

// without is a set of columns, by their numbers.
type without uint32

// leaveOut makes the set of a list. Unknown names, of a file that a later anyu wrote, are passed over.
func leaveOut(list []string) (w without) {
	for _, name := range list {
		if i := columnNumber(name); i >= 0 {
			w |= 1 << i
		}
	}
	return w
}

var withoutAnswers = leaveOut([]string{"answers"})

func (w without) has(name string) bool { return w&(1<<columnNumber(name)) != 0 }

// packing is what is written of observations at all.
func (w without) packing() packing {
	p := packing{has: ^event.Known(0), answers: !w.has("answers")}
	for i, c := range optionalColumns {
		if w&(1<<i) != 0 {
			p.has &^= c.facts
		}
	}
	return p
}

// strip empties the columns of the set.
func (w without) strip(r *Row) {
	for i := range optionalColumns {
		if w&(1<<i) != 0 {
			optionalColumns[i].clear(r)
		}
	}
}

// String is the list, sorted, with commas.
func (w without) String() string {
	var list []string
	for i, c := range optionalColumns {
		if w&(1<<i) != 0 {
			list = append(list, c.name)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}
