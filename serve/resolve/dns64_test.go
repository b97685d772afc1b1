package resolve_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/serve/resolve"
)

// RFC 6147, Section 5: AAAA records are made where there are only A records, and from nothing else; names of addresses with the prefix are those
// of the address inside.
func TestResolve_makesAAAARecords(t *testing.T) {
	world := map[string]string{
		"four.example. A":              "four.example. 60 A 192.0.2.33",
		"both.example. A":              "both.example. 60 A 192.0.2.33",
		"both.example. AAAA":           "both.example. 60 AAAA 2001:db8::1",
		"mapped.example. A":            "mapped.example. 60 A 192.0.2.33",
		"mapped.example. AAAA":         "mapped.example. 60 AAAA ::ffff:192.0.2.1",
		"half.example. AAAA":           "half.example. 60 AAAA ::ffff:192.0.2.1\nhalf.example. 60 AAAA 2001:db8::1",
		"alias.example. AAAA":          "alias.example. 60 CNAME four.example.",
		"www.broken6.example. A":       "www.broken6.example. 60 A 192.0.2.33",
		"www.broken6.example. AAAA":    "www.broken6.example. 60 AAAA 2001:db8::bad",
		"fails.example. A":             "fails.example. 60 A 192.0.2.33",
		"33.2.0.192.in-addr.arpa. PTR": "33.2.0.192.in-addr.arpa. 60 PTR four.example.",
	}
	inside := "1.2.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa."
	outside := strings.Replace(inside, "b.9.f.f", "a.9.f.f", 1)
	for _, c := range []struct{ name, qtype, want string }{
		{"four.example.", "AAAA", "NOERROR 64:ff9b::c000:221"},
		{"both.example.", "AAAA", "NOERROR 2001:db8::1"},
		{"mapped.example.", "AAAA", "NOERROR 64:ff9b::c000:221"}, // Section 5.1.4
		{"half.example.", "AAAA", "NOERROR 2001:db8::1"},
		{"alias.example.", "AAAA", "NOERROR four.example. 64:ff9b::c000:221"}, // Section 5.1.5
		{"www.broken6.example.", "AAAA", "NOERROR 64:ff9b::c000:221"},         // said to be ignored
		{"fails.example.", "AAAA", "NOERROR 64:ff9b::c000:221"},               // Section 5.1.2: an error is as if there were none
		{"none.example.", "AAAA", "NOERROR"},
		{"gone.example.", "AAAA", "NXDOMAIN"}, // Section 5.1.2
		{"four.example.", "A", "NOERROR 192.0.2.33"},
		{inside, "PTR", "NOERROR four.example."}, // Section 5.3.1
		{outside, "PTR", "NOERROR"},
	} {
		e := engine(func(conf *resolve.Config) {
			conf.DNS64, conf.DNS64Ignore = netip.MustParsePrefix("64:ff9b::/96"), []wire.Name{name("broken6.example.")}
		})
		qtype, _ := wire.ParseType(c.qtype)
		a, _ := walk(t, e, c.name, qtype, func(_ string, q dns.Question) *dns.Msg {
			m := &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}}
			text, ok := world[q.Name+" "+dns.TypeToString[q.Qtype]]
			switch {
			case ok:
				m.Answer = records(t, strings.Split(text, "\n")...)
			case q.Name == "fails.example.":
				m.Rcode = dns.RcodeServerFailure
			case q.Name == "gone.example.":
				m.Rcode = dns.RcodeNameError
				fallthrough
			default:
				m.Ns = records(t, ". 60 SOA a. b. 1 2 3 4 5")
			}
			return m
		})
		got := fmt.Sprint(a.Rcode)
		for _, s := range a.Answer {
			for _, d := range s.Data {
				if addr, ok := netip.AddrFromSlice(d); ok && s.Type != wire.TypePTR && s.Type != wire.TypeCNAME {
					got += " " + addr.String()
				} else {
					got += " " + wire.Name(d).String()
				}
			}
		}
		if got != c.want {
			t.Errorf("%s %s: got %s, want %s (%s)", c.name, c.qtype, got, c.want, a.Text)
		}
	}
}

// Where A fails nothing can be made, but that is not so for as long as there is no AAAA record.
func TestResolve_aFailureOfADoesNotLastAsLongAsTheDenialOfAAAA(t *testing.T) {
	expires := func(failing bool) int64 {
		e := engine(func(conf *resolve.Config) { conf.DNS64 = netip.MustParsePrefix("64:ff9b::/96") })
		a, _ := walk(t, e, "lame.example.", wire.TypeAAAA, func(_ string, q dns.Question) *dns.Msg {
			m := &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}}
			if q.Qtype == dns.TypeA && q.Name == "lame.example." && failing {
				m.Rcode = dns.RcodeServerFailure
				return m
			}
			m.Ns = records(t, ". 600 SOA a. b. 1 2 3 4 600")
			return m
		})
		if a.Rcode != wire.NoError || len(a.Answer) != 0 {
			t.Fatalf("%+v", a)
		}
		return a.Expires
	}
	if none, failed := expires(false), expires(true); failed > none-500 {
		t.Errorf("the answer is kept until %d where A fails, until %d where there is none", failed, none)
	}
}
