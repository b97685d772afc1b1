package local_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/filter"
	"anyu/serve/local"
)

func name(t testing.TB, text string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func record(t testing.TB, text string) local.Record {
	t.Helper()
	r, err := zone.ParseRecord(text, wire.Root())
	if err != nil {
		t.Fatal(err)
	}
	return local.Record(r)
}

var client = netip.MustParseAddr("192.0.2.1")

// Ten thousand records and as many rules: a look allocates nothing, whether something is found, a rule decides, or nothing is said.
func TestLook_allocatesNothing(t *testing.T) {
	var c local.Config
	for i := range 10_000 {
		c.Records = append(c.Records, record(t, fmt.Sprintf("h%d.corp.example. A 10.0.0.5", i)))
		c.Rules = append(c.Rules, local.Rule{Name: name(t, fmt.Sprintf("ads%d.example.net.", i)), Action: local.NXDomain})
	}
	table := local.New(c, nil)
	room := make([]byte, 256)
	for text, want := range map[string]local.Outcome{"h77.CORP.example.": local.Found, "x.ads9.example.net.": local.NoName, "www.example.org.": local.Pass, ".": local.Pass,
		"a.b.c.d.e.f.g.h.": local.Pass} {
		n := name(t, text)
		var got local.Outcome
		if a := testing.AllocsPerRun(100, func() { got = table.Look(n, wire.TypeA, client, true, room[:0]).Outcome }); a != 0 || got != want {
			t.Errorf("%s: %v allocations, outcome %d, want %d", text, a, got, want)
		}
	}
	if table.Records() != 10_000 || table.Answered() == 0 || table.Rules()[9].Answered == 0 {
		t.Errorf("%d records, %d answers, %+v", table.Records(), table.Answered(), table.Rules()[9])
	}
}

// A reload does not begin to count anew, but for rules that are others.
func TestNew_goesOnCounting(t *testing.T) {
	rules := []local.Rule{{Name: name(t, "a."), Action: local.Refuse}, {Name: name(t, "b."), Action: local.Refuse}}
	one := local.New(local.Config{Rules: rules}, nil)
	for _, text := range []string{"x.a.", "b."} {
		one.Look(name(t, text), wire.TypeA, client, true, nil)
	}
	rules[1].Action = local.Drop
	two := local.New(local.Config{Rules: rules}, one)
	if got := fmt.Sprint(two.Rules()); got != "[{a. refuse 1} {b. drop 0}]" {
		t.Error(got)
	}
	if local.New(local.Config{}, two) != nil {
		t.Error("an empty table is one")
	}
}

// The first rule of a name that fits the client counts.
func TestLook_choosesByClient(t *testing.T) {
	some, others := filter.NewACL([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}), filter.NewACL([]netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")})
	table := local.New(local.Config{Rules: []local.Rule{{Name: name(t, "a."), Action: local.Drop, Clients: &others}, {Name: name(t, "a."), Action: local.NoData, Clients: &some},
		{Name: name(t, "a."), Action: local.Refuse}}}, nil)
	for _, c := range []struct {
		from string
		open bool
		want local.Outcome
	}{{"192.0.2.1", true, local.Absent}, {"192.0.2.1", false, local.Absent}, {"198.51.100.9", false, local.Dropped}, {"203.0.113.1", true, local.Refused},
		{"203.0.113.1", false, local.Pass}} {
		if v := table.Look(name(t, "x.a."), wire.TypeA, netip.MustParseAddr(c.from), c.open, nil); v.Outcome != c.want {
			t.Errorf("%s %v: %d, want %d", c.from, c.open, v.Outcome, c.want)
		}
	}
}

func TestHosts_readsAndRefuses(t *testing.T) {
	list, err := local.Hosts(strings.NewReader("# ours\n127.0.0.1 localhost\n10.0.0.5\tprinter printer.corp # first floor\n::ffff:10.0.0.6 six\n2001:db8::1 www.corp.\nfe80::1%eth0 link\n0.0.0.0 ads.example\n"), "hosts", 6)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range append(list, local.Reverse(list)...) {
		got = append(got, fmt.Sprintf("%s %s", r.Owner, r.Type))
	}
	if s := strings.Join(got, ", "); s != "printer. A, printer.corp. A, six. A, www.corp. AAAA, link. AAAA, ads.example. A, "+
		"5.0.0.10.in-addr.arpa. PTR, 6.0.0.10.in-addr.arpa. PTR, 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR, "+
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa. PTR" {
		t.Error(s)
	}
	for text, want := range map[string]string{"10.0.0.5 a\nten b": `hosts:2:1: "ten" is no address`, "10.0.0.5": "hosts:1:1: 10.0.0.5 has no name", "10.0.0.5 a a..b": "hosts:1:12: ",
		"10.0.0.5 a b\n10.0.0.6 c": "hosts:2:10: too many records"} {
		if _, err := local.Hosts(strings.NewReader(text), "hosts", 2); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// RFC 1034, Section 3.6.2: beside a CNAME there is nothing, whichever files the two come from.
func TestCheck_findsRecordsBesideAliases(t *testing.T) {
	of := func(where string, texts ...string) local.Source {
		s := local.Source{Where: where}
		for _, text := range texts {
			s.Records = append(s.Records, record(t, text))
		}
		return s
	}
	records := of("recursion.local.records", "www.example. CNAME cdn.example.", "mail.example. A 192.0.2.1")
	for _, c := range []struct {
		other local.Source
		want  string
	}{
		{of("hosts", "mail.example. A 192.0.2.2"), "<nil>"},
		{of("a file", "WWW.example. CNAME CDN.example."), "<nil>"},
		{of("hosts", "WWW.example. A 192.0.2.2"), "hosts: WWW.example. has a record of type A, and a CNAME in recursion.local.records"},
		{of("a file", "www.example. CNAME other.example."), "a file: www.example. has a CNAME, and another in recursion.local.records"},
		{of("a file", "mail.example. CNAME other.example."), "recursion.local.records: mail.example. has a record of type A, and a CNAME in a file"},
	} {
		if got := fmt.Sprint(local.Check([]local.Source{records, c.other})); got != c.want {
			t.Errorf("%s: %s, want %s", c.other.Where, got, c.want)
		}
	}
	many := make([]local.Record, local.MaxRecords/2+1)
	if err := local.Check([]local.Source{{Where: "one", Records: many}, {Where: "two", Records: many}}); err == nil || !strings.HasPrefix(err.Error(), "two: too many records") {
		t.Error(err)
	}
}
