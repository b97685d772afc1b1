package scene

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/exchange"
)

// answered is a reply to a client; nil: it got none.
type answered struct {
	reply *dns.Msg
	odd   string // what a client's library has to say of it
}

// asking is a client's question as its options make it.
type asking struct {
	m         *dns.Msg
	transport event.Transport
	client    netip.Addr
	size      int
	do, edns  bool
	cookie    bool
	subnet    bool
}

// query sends a client's question. Options: +do +cd +ad +norec +tcp +tls +noedns +bufsize=N +cookie +ecs +class=CH +client=ADDRESS; RD is set, but for
// +norec; client steps give options to all.
func (w *world) query(name, typ string, options []string) {
	a := asking{m: new(dns.Msg), transport: event.UDP, client: netip.MustParseAddr("192.0.2.1"), size: exchange.Payload, edns: true}
	a.m.SetQuestion(dns.Fqdn(name), typeOf(typ))
	a.m.Id = 1
	for _, o := range slices.Concat(w.client, options) {
		if !a.option(o) {
			w.fail("query has no option %s", o)
		}
	}
	if a.edns {
		a.m.SetEdns0(uint16(a.size), a.do)
		if a.subnet {
			opt := a.m.IsEdns0()
			opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: a.client.AsSlice()})
		}
		if a.cookie {
			cookie := cmp.Or(w.cookies[a.client], "0102030405060708")
			opt := a.m.IsEdns0()
			opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
		}
	}
	b, err := a.m.Pack()
	if err != nil {
		w.fail("%v", err)
		return
	}
	w.port++
	w.machine.ask(b, netip.AddrPortFrom(a.client, 40000+w.port%20000), a.transport, func(reply []byte) { w.replied(a.client, reply) })
}

// octets sends what need not be a message.
func (w *world) octets(text string) {
	b, err := hex.DecodeString(text)
	if err != nil {
		w.fail("%v", err)
		return
	}
	client := netip.MustParseAddr("127.0.0.1")
	w.port++
	w.machine.ask(b, netip.AddrPortFrom(client, 40000+w.port%20000), event.UDP, func(reply []byte) { w.replied(client, reply) })
}

func typeOf(text string) uint16 {
	if n, ok := strings.CutPrefix(text, "TYPE"); ok {
		v, _ := strconv.Atoi(n)
		return uint16(v)
	}
	return dns.StringToType[text]
}

func (a *asking) option(o string) bool {
	key, value, _ := strings.Cut(o, "=")
	switch key {
	case "+do":
		a.do = true
	case "+tcp":
		a.transport = event.TCP
	case "+tls":
		a.transport = event.TLS
	case "+bufsize":
		a.size, _ = strconv.Atoi(value)
	case "+noedns":
		a.edns = false
	case "+rd":
		a.m.RecursionDesired = true
	case "+norec":
		a.m.RecursionDesired = false
	case "+cd":
		a.m.CheckingDisabled = true
	case "+ad":
		a.m.AuthenticatedData = true
	case "+cookie":
		a.cookie = true
	case "+client":
		a.client = netip.MustParseAddr(value)
	case "+ecs":
		a.subnet = true
	case "+class":
		a.m.Question[0].Qclass = dns.StringToClass[value]
	case "+nowait":
	default:
		return false
	}
	return true
}

// replied takes what came back.
func (w *world) replied(client netip.Addr, reply []byte) {
	if len(reply) == 0 {
		w.answers = append(w.answers, answered{})
		return
	}
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		w.answers = append(w.answers, answered{odd: fmt.Sprintf("%v, counts %x: %v\n", wire.Rcode(reply[3]&15), reply[4:12], err)})
		return
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				w.cookies[client] = c.Cookie
			}
		}
	}
	w.answers = append(w.answers, answered{reply: m})
}

// describe is a question on its way to a server.
func (w *world) describe(x *exchange.Exchange, msg []byte, stream bool) string {
	q := x.Ask().Question
	text := describeAddr(x.Server())
	if stream {
		text += " tcp"
	}
	text += fmt.Sprintf(" %s %s", q.Name, q.Type)
	if x.Ask().RD {
		text += " rd"
	}
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		w.fail("a query of ours cannot be read: %v", err)
		return text
	}
	opt := m.IsEdns0()
	if opt == nil {
		return text + " noedns"
	}
	for _, o := range opt.Option {
		if c, ok := o.(*dns.EDNS0_COOKIE); ok && len(c.Cookie) > 16 {
			text += " cookie"
		}
		if o.Option() == dns.EDNS0SUBNET {
			text += " ecs"
		}
	}
	return text
}

const (
	maxSent    = 14 // questions told one by one
	maxEvents  = 4
	maxPrinted = 50 // records of a section
)

// tell writes down what came of a step.
func (w *world) tell(many bool) string {
	w.observe()
	var out strings.Builder
	if many || len(w.answers) > maxEvents {
		out.WriteString(tally("answered", w.answers, func(a answered) string {
			if a.reply == nil {
				return "nothing"
			}
			return heading(a.reply)
		}))
		w.answers = nil
	}
	for _, a := range w.answers {
		switch {
		case a.odd != "":
			out.WriteString(a.odd)
			continue
		case a.reply == nil:
			out.WriteString("no answer\n")
			continue
		}
		out.WriteString(Print(a.reply))
	}
	if len(w.sent) > maxSent {
		out.WriteString(tally("sent", w.sent, func(s string) string { return strings.Fields(s)[0] }))
	} else {
		for _, s := range w.sent {
			fmt.Fprintln(&out, "sent", s)
		}
	}
	if many || len(w.machine.seen) > maxEvents {
		out.WriteString(tally("event", w.machine.seen, func(s string) string { return s }))
	} else {
		for _, s := range w.machine.seen {
			fmt.Fprintln(&out, "event", s)
		}
	}
	w.machine.seen = nil
	for _, f := range w.machine.findings {
		out.WriteString(printFinding(f))
	}
	w.machine.findings = nil
	return out.String()
}

// tally counts what is alike.
func tally[T any](what string, list []T, key func(T) string) string {
	count := map[string]int{}
	for _, v := range list {
		count[key(v)]++
	}
	var lines []string
	for k, n := range count {
		lines = append(lines, fmt.Sprintf("count %s %s: %d\n", what, k, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// events writes an observation down.
func (w *world) events(q *event.Query) {
	rcode := dns.RcodeToString[int(q.Rcode)]
	if q.ReplySize == 0 {
		rcode = "silence"
	}
	text := fmt.Sprintf("%s %s %v", q.From, rcode, time.Duration(q.Latency).Round(time.Millisecond))
	if q.Has&event.HasReason != 0 {
		text += fmt.Sprintf(" reason=%d", q.Reason)
	}
	if q.Policy != event.NoPolicy {
		text += " policy=" + q.Policy.String()
	}
	if q.Has&event.HasUpstream != 0 {
		text += fmt.Sprintf(" upstream=%s/%s", q.UpstreamAddr().Addr(), q.UpstreamOver)
	}
	if q.Has&event.HasAsked != 0 {
		text += fmt.Sprintf(" asked=%d/%v", q.Asked, time.Duration(q.AskedTime).Round(time.Millisecond))
	}
	if q.Has&event.HasSubnet != 0 {
		text += " subnet=" + q.SubnetPrefix().String()
	}
	w.machine.seen = append(w.machine.seen, text)
}

func printFinding(f event.Finding) string {
	var b strings.Builder
	state := "opened"
	if !f.Open() {
		state = "closed"
	}
	fmt.Fprintf(&b, "finding %s %s", f.Kind, state)
	for _, fact := range f.Facts {
		fmt.Fprintf(&b, " %s=%q", fact.Name, fact.Value)
	}
	b.WriteString("\n")
	return b.String()
}

// heading is the first line of an answer.
func heading(r *dns.Msg) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s qr", dns.RcodeToString[r.Rcode])
	for _, f := range []struct {
		set  bool
		name string
	}{{r.Authoritative, "aa"}, {r.Truncated, "tc"}, {r.RecursionDesired, "rd"}, {r.RecursionAvailable, "ra"}, {r.AuthenticatedData, "ad"}, {r.CheckingDisabled, "cd"}} {
		if f.set {
			b.WriteString(" " + f.name)
		}
	}
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			switch o := o.(type) {
			case *dns.EDNS0_EDE:
				fmt.Fprintf(&b, " ede=%d", o.InfoCode)
				if o.ExtraText != "" {
					fmt.Fprintf(&b, " %q", o.ExtraText)
				}
			case *dns.EDNS0_COOKIE:
				if c, err := hex.DecodeString(o.Cookie); err == nil {
					fmt.Fprintf(&b, " cookie=%d", len(c))
				}
			case *dns.EDNS0_PADDING:
				fmt.Fprintf(&b, " padded")
			}
		}
	}
	return b.String()
}

// Print is a reply in the words of scenarios.
func Print(r *dns.Msg) string {
	var b strings.Builder
	b.WriteString(heading(r) + "\n")
	for _, s := range []struct {
		name string
		rrs  []dns.RR
	}{{"AN", r.Answer}, {"NS", r.Ns}, {"AR", r.Extra}} {
		if len(s.rrs) > maxPrinted {
			b.WriteString(tally(s.name, s.rrs, func(rr dns.RR) string { return rr.Header().Name + " " + dns.TypeToString[rr.Header().Rrtype] }))
			continue
		}
		for _, rr := range s.rrs {
			switch rr := rr.(type) {
			case *dns.OPT:
			case *dns.RRSIG:
				fmt.Fprintf(&b, "%s %s %d RRSIG %s labels=%d\n", s.name, rr.Hdr.Name, rr.Hdr.Ttl, dns.TypeToString[rr.TypeCovered], rr.Labels)
			default:
				fmt.Fprintf(&b, "%s %s\n", s.name, strings.Join(strings.Fields(rr.String()), " "))
			}
		}
	}
	return b.String()
}
