package transfer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/transfer"
)

// feed gives a Receiver the messages of a script: records one a line, a line of dashes begins the next message, SOA N is the SOA of that
// serial.
func feed(t testing.TB, r *transfer.Receiver, typ uint16, script string) (done bool, err error) {
	t.Helper()
	for i, part := range strings.Split(script, "----\n") {
		m := new(dns.Msg)
		m.SetQuestion(apex, typ)
		m.Response, m.Authoritative = true, true
		if i > 0 {
			m.Question = nil
		}
		for line := range strings.Lines(part) {
			line = strings.TrimSpace(line)
			if line == "" {
				continue
			}
			var serial uint32
			if n, _ := fmt.Sscanf(line, "SOA %d", &serial); n == 1 {
				line = soa(serial)
			}
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if done, err := r.Message(b); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// What a transfer may be, and what comes of it (RFC 5936, Section 2.2; RFC 1995, Section 4). servers.md 5.1, cases 67, 70, 71, 72.
func TestReceiver_forms(t *testing.T) {
	base := version(t, 10, "a", "b") // a is .10, b is .11
	head := "example.org. 3600 IN NS ns.example.org.\nns.example.org. 3600 IN A 192.0.2.1\n"
	for _, c := range []struct {
		name, script string
		axfr         bool
		err          error
		unfinished   bool
		upToDate     bool
		versions     []uint32
		has, hasNot  string
		dropped      int
	}{
		{name: "whole zone", axfr: true, script: "SOA 5\n" + head + "x.example.org. 1 IN A 192.0.2.9\nSOA 5\n", versions: []uint32{5}, has: "x.example.org."},
		{name: "whole zone in three messages", axfr: true, script: "SOA 5\n----\n" + head + "----\nSOA 5\n", versions: []uint32{5}},
		{name: "whole zone, end missing", axfr: true, script: "SOA 5\n" + head, unfinished: true},
		{name: "SOA in the middle", axfr: true, script: "SOA 5\n" + head + "SOA 5\nx.example.org. 1 IN A 192.0.2.9\nSOA 5\n", err: transfer.ErrStream},
		{name: "another SOA at the end", axfr: true, script: "SOA 5\n" + head + "SOA 6\n", err: transfer.ErrStream},
		{name: "no SOA first", axfr: true, script: head + "SOA 5\nSOA 5\n", err: transfer.ErrStream},
		{name: "SOA of another name first", axfr: true, script: "sub.example.org. 1 IN SOA a. b. 5 1 1 1 1\nSOA 5\n" + head + "SOA 5\n", err: transfer.ErrStream},
		{name: "SOA below the apex", axfr: true, script: "SOA 5\n" + head + "sub.example.org. 1 IN SOA a. b. 5 1 1 1 1\nSOA 5\n", err: transfer.ErrStream},
		{name: "nothing but SOA", axfr: true, script: "SOA 5\nSOA 5\n", err: transfer.ErrStream},
		{name: "no NS at the apex", axfr: true, script: "SOA 5\nx.example.org. 1 IN A 192.0.2.9\nSOA 5\n", err: transfer.ErrStream},
		{name: "outside the zone", axfr: true, script: "SOA 5\n" + head + "www.example.net. 1 IN A 192.0.2.66\norg. 1 IN NS evil.example.\nSOA 5\n", versions: []uint32{5}, hasNot: "192.0.2.66", dropped: 2},
		{name: "another class", axfr: true, script: "SOA 5\n" + head + "x.example.org. 1 CH TXT x\nSOA 5\n", err: transfer.ErrStream},
		{name: "OPT as data", axfr: true, script: "SOA 5\n" + head + "x.example.org. 1 IN TYPE41 \\# 0\nSOA 5\n", err: transfer.ErrStream},

		{name: "changes", script: "SOA 11\nSOA 10\na.example.org. 300 IN A 192.0.2.10\nSOA 11\nc.example.org. 300 IN A 192.0.2.12\nSOA 11\n", versions: []uint32{11}, has: "c.example.org.", hasNot: "a.example.org."},
		{name: "changes in two steps", script: "SOA 12\nSOA 10\na.example.org. 300 IN A 192.0.2.10\n----\nSOA 11\nSOA 11\nSOA 12\nc.example.org. 300 IN A 192.0.2.12\nSOA 12\n", versions: []uint32{11, 12}, has: "c.example.org.", hasNot: "a.example.org."},
		{name: "a record a message", script: "SOA 11\n----\nSOA 10\n----\nSOA 11\n----\nc.example.org. 300 IN A 192.0.2.12\n----\nSOA 11\n", versions: []uint32{11}, has: "c.example.org."},
		{name: "up to date", script: "SOA 10\n", upToDate: true},
		{name: "primary behind us", script: "SOA 9\n", upToDate: true},
		{name: "newer SOA alone", script: "SOA 11\n", unfinished: true},
		{name: "whole zone instead", script: "SOA 11\n" + head + "SOA 11\n", versions: []uint32{11}, hasNot: "a.example.org."},
		{name: "TTL of a set changes", script: "SOA 11\nSOA 10\na.example.org. 300 IN A 192.0.2.10\nSOA 11\na.example.org. 900 IN A 192.0.2.10\nSOA 11\n", versions: []uint32{11}, has: "900"},
		{name: "removed and added again", script: "SOA 11\nSOA 10\na.example.org. 300 IN A 192.0.2.10\nSOA 11\na.example.org. 300 IN A 192.0.2.10\nSOA 11\n", versions: []uint32{11}, has: "a.example.org."},
		{name: "removes what we do not have", script: "SOA 11\nSOA 10\nzz.example.org. 300 IN A 192.0.2.10\nSOA 11\nSOA 11\n", err: transfer.ErrInconsistent},
		{name: "removes twice", script: "SOA 11\nSOA 10\na.example.org. 300 IN A 192.0.2.10\na.example.org. 300 IN A 192.0.2.10\nSOA 11\nSOA 11\n", err: transfer.ErrInconsistent},
		{name: "adds what we have", script: "SOA 11\nSOA 10\nSOA 11\na.example.org. 300 IN A 192.0.2.10\nSOA 11\n", err: transfer.ErrInconsistent},
		{name: "begins elsewhere", script: "SOA 11\nSOA 9\nSOA 11\nSOA 11\n", err: transfer.ErrInconsistent},
		{name: "old SOA differs from ours", script: "SOA 11\nexample.org. 3600 IN SOA other. other. 10 1 1 1 1\nSOA 11\nSOA 11\n", err: transfer.ErrInconsistent},
		{name: "steps do not follow", script: "SOA 13\nSOA 10\nSOA 11\nSOA 12\nSOA 13\nSOA 13\n", err: transfer.ErrInconsistent},
		{name: "step backwards", script: "SOA 11\nSOA 10\nSOA 9\nSOA 11\n", err: transfer.ErrInconsistent},
		{name: "records after the end", script: "SOA 11\nSOA 10\nSOA 11\nSOA 11\nx.example.org. 1 IN A 192.0.2.1\n", err: transfer.ErrStream},
		{name: "removes the NS of the apex", script: "SOA 11\nSOA 10\nexample.org. 3600 IN NS ns.example.org.\nSOA 11\nSOA 11\n", err: transfer.ErrStream},
		{name: "changes outside the zone", script: "SOA 11\nSOA 10\nx.example.net. 1 IN A 192.0.2.1\nSOA 11\ny.example.net. 1 IN A 192.0.2.66\nSOA 11\n", versions: []uint32{11}, hasNot: "192.0.2.66", dropped: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked, typ, from := dns.TypeIXFR, wire.TypeIXFR, base
			if c.axfr {
				asked, typ, from = dns.TypeAXFR, wire.TypeAXFR, nil
			}
			r := transfer.NewReceiver(base.Apex(), typ, from, transfer.Limits{})
			done, err := feed(t, r, asked, c.script)
			if !errors.Is(err, c.err) || err != nil && c.err == nil {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if c.err != nil {
				return
			}
			if done == c.unfinished || r.UpToDate() != c.upToDate || r.Dropped() != c.dropped {
				t.Fatalf("done %v, up to date %v, dropped %d", done, r.UpToDate(), r.Dropped())
			}
			checkVersions(t, r.Versions(), c.versions, c.has, c.hasNot)
			if base.Serial() != 10 || !strings.Contains(textOf(t, base), "192.0.2.10") {
				t.Error("the version before was changed")
			}
		})
	}
}

func checkVersions(t *testing.T, got []*zone.Zone, want []uint32, has, hasNot string) {
	t.Helper()
	var serials []uint32
	for _, v := range got {
		serials = append(serials, v.Serial())
	}
	if fmt.Sprint(serials) != fmt.Sprint(want) {
		t.Fatalf("versions %d, want %d", serials, want)
	}
	if len(got) == 0 {
		return
	}
	text := textOf(t, got[len(got)-1])
	short := func(s string) string { return strings.TrimSuffix(s, ".example.org.") }
	if has != "" && !strings.Contains(text, short(has)) || hasNot != "" && strings.Contains(text, "\n"+short(hasNot)) {
		t.Errorf("has %q and not %q?\n%s", has, hasNot, text)
	}
}

// Serials over the end of the numbers (RFC 1982, Section 3.2). case 72
func TestReceiver_serialsWrap(t *testing.T) {
	base := version(t, 1<<32-1, "a")
	r := transfer.NewReceiver(base.Apex(), wire.TypeIXFR, base, transfer.Limits{})
	done, err := feed(t, r, dns.TypeIXFR, "SOA 1\nSOA 4294967295\nSOA 0\nSOA 0\na.example.org. 300 IN A 192.0.2.10\nSOA 1\nSOA 1\n")
	if err != nil || !done {
		t.Fatal(done, err)
	}
	checkVersions(t, r.Versions(), []uint32{0, 1}, "", "a.example.org.")
}

// A message that is no part of a transfer, and one over a limit.
func TestReceiver_refusesMessages(t *testing.T) {
	good := func(change func(*dns.Msg)) []byte {
		m := new(dns.Msg)
		m.SetQuestion(apex, dns.TypeAXFR)
		m.Response = true
		rr, _ := dns.NewRR(soa(1))
		m.Answer = []dns.RR{rr}
		change(m)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var rcode *transfer.RcodeError
	for name, c := range map[string]struct {
		msg []byte
		is  func(error) bool
	}{
		"no reply":         {good(func(m *dns.Msg) { m.Response = false }), nil},
		"truncated":        {good(func(m *dns.Msg) { m.Truncated = true }), nil},
		"another question": {good(func(m *dns.Msg) { m.Question[0].Name = "example.net." }), nil},
		"another type":     {good(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }), nil},
		"no question":      {good(func(m *dns.Msg) { m.Question = nil }), nil},
		"short":            {good(func(*dns.Msg) {})[:20], nil},
		"refused":          {good(func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }), func(err error) bool { return errors.As(err, &rcode) && rcode.Rcode == wire.Refused }},
	} {
		r := transfer.NewReceiver(mustName(t, apex), wire.TypeAXFR, nil, transfer.Limits{})
		_, err := r.Message(c.msg)
		if c.is == nil {
			c.is = func(err error) bool { return errors.Is(err, transfer.ErrStream) }
		}
		if !c.is(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, l := range map[string]transfer.Limits{"octets": {Bytes: 10}, "records": {Records: 3}} {
		r := transfer.NewReceiver(mustName(t, apex), wire.TypeAXFR, nil, l)
		if _, err := feed(t, r, dns.TypeAXFR, "SOA 5\n"+apexNS+"----\nx.example.org. 1 IN A 192.0.2.1\nSOA 5\n"); !errors.Is(err, transfer.ErrLimit) {
			t.Errorf("limit of %s: %v", name, err)
		}
	}
}

// No message makes the Receiver panic, and what comes out of one is a zone with its SOA and NS.
func FuzzReceiver(f *testing.F) {
	base := version(f, 10, "a", "b")
	for _, script := range []string{
		"SOA 11\nSOA 10\na.example.org. 300 IN A 192.0.2.10\nSOA 11\nc.example.org. 300 IN A 192.0.2.12\nSOA 11\n", "SOA 11\n" + apexNS + "SOA 11\n", "SOA 10\n",
	} {
		m := new(dns.Msg)
		m.SetQuestion(apex, dns.TypeIXFR)
		m.Response = true
		for line := range strings.Lines(script) {
			var serial uint32
			if n, _ := fmt.Sscanf(line, "SOA %d", &serial); n == 1 {
				line = soa(serial)
			}
			rr, _ := dns.NewRR(strings.TrimSpace(line))
			m.Answer = append(m.Answer, rr)
		}
		m.Compress = true
		b, _ := m.Pack()
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, msg []byte, incremental bool) {
		typ, from := wire.TypeAXFR, (*zone.Zone)(nil)
		if incremental {
			typ, from = wire.TypeIXFR, base
		}
		r := transfer.NewReceiver(base.Apex(), typ, from, transfer.Limits{})
		for range 3 {
			if done, err := r.Message(msg); done || err != nil {
				break
			}
		}
		for _, z := range r.Versions() {
			if _, ok := z.ApexNode().Set(wire.TypeNS); !ok {
				t.Error("a version without NS")
			}
		}
	})
}
