package transfer_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/tsig"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/filter"
	"anyu/serve/transfer"
)

// RFC 5936, Sections 2.2, 3.5: SOA first and last; glue below cuts and names that a cut hides are transferred too.
// servers.md 5.1, cases 67, 68.
func TestStream_axfrHasEverythingOnce(t *testing.T) {
	text := soa(5) + apexNS + `
sub 300 IN NS ns.sub
ns.sub 300 IN A 192.0.2.53
hidden.deep.sub 300 IN TXT "below a cut"
dname 300 IN DNAME other.example.
below.dname 300 IN A 192.0.2.9
*.wild 300 IN TXT "wild"
Mixed.Case 300 IN MX 10 Mail.Example.ORG.
big 300 IN TXT ` + strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 30) + "\n"
	z := load(t, apex, "$ORIGIN example.org.\n"+text)
	s := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, z)
	list := stream(t, s, axfr(apex))
	rr := records(list)
	if !strings.Contains(rr[0], "SOA") || rr[0] != rr[len(rr)-1] {
		t.Errorf("begins with %s, ends with %s", rr[0], rr[len(rr)-1])
	}
	_, want, _ := z.Size()
	if len(rr) != want+1 {
		t.Errorf("%d records, want %d and the SOA again", len(rr), want)
	}
	for _, must := range []string{"ns.sub.example.org. 300 IN A", "hidden.deep.sub.example.org.", "below.dname.example.org.", "Mixed.Case.example.org. 300 IN MX 10 Mail.Example.ORG."} {
		if !slices.ContainsFunc(rr, func(s string) bool { return strings.HasPrefix(s, must) }) {
			t.Errorf("%s is missing in\n%s", must, strings.Join(rr, "\n"))
		}
	}
	// Without EDNS the size is that of the messages: packed again, they are as long.
	size, err := transfer.Size(z)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, m := range list {
		sum += m.Len()
	}
	if size < sum*9/10 || size > sum*11/10 {
		t.Errorf("a transfer has %d octets, its messages %d", size, sum)
	}
	m := list[0]
	if len(m.Question) != 1 || !m.Authoritative || !m.Response || m.Rcode != 0 {
		t.Errorf("first message: %v", m)
	}
}

// A large zone goes in many messages, of which one is in memory at a time; only the first has the question.
func TestStream_axfrOfManyMessages(t *testing.T) {
	var b strings.Builder
	b.WriteString(soa(1) + apexNS)
	const hosts = 20_000
	for i := range hosts {
		fmt.Fprintf(&b, "host-%05d.example.org. 300 IN A 10.%d.%d.%d\n", i, i>>16, i>>8&255, i&255)
	}
	s := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, load(t, apex, b.String()))
	list := stream(t, s, axfr(apex))
	if n := len(records(list)); n != hosts+4 {
		t.Errorf("%d records, want %d", n, hosts+4)
	}
	if len(list) < 20 {
		t.Errorf("%d messages", len(list))
	}
	for i, m := range list {
		if (len(m.Question) == 1) != (i == 0) {
			t.Errorf("message %d has %d questions", i, len(m.Question))
		}
	}
	req, _ := axfr(apex).Pack()
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Stream(req, client(), func([]byte) error { return nil })
		}
	}).AllocedBytesPerOp()
	if allocated > 300<<10 {
		t.Errorf("a transfer of 20,000 records allocates %d octets", allocated)
	}
}

// Records too big for a message with the question, or for one of the usual size, get a message of their own. One that fits into no message
// ends the transfer: half a zone is no zone. servers.md 5.1, case 69 (RFC 5936, Section 2.2).
func TestStream_axfrOfHugeRecords(t *testing.T) {
	for _, c := range []struct {
		size int
		fits bool
	}{{16 << 10, true}, {40_000, true}, {65535 - 12 - 18 - 10, true}, {65535 - 12 - 17 - 10, false}} {
		rdata := make([]byte, c.size)
		e := version(t, 3).Edit()
		owner := mustName(t, "huge.example.org.") // 18 octets; compression makes 7 of them when it may point
		if err := e.Add(owner, wire.Type(65280), 300, rdata); err != nil {
			t.Fatal(err)
		}
		z, err := e.Done()
		if err != nil {
			t.Fatal(err)
		}
		s := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, z)
		b, _ := axfr(apex).Pack()
		list, err := streamRaw(t, s, b)
		if (err == nil) != c.fits {
			t.Errorf("%d octets: %v after %d messages", c.size, err, len(list))
		}
	}
}

// Who may have a zone: by address, by key, or nobody; and why not (RFC 5936, Section 5; RFC 8914).
func TestStream_refusesWithReason(t *testing.T) {
	k := &tsig.Key{Name: mustName(t, "k."), Secret: []byte("secret")}
	for _, c := range []struct {
		name   string
		allow  transfer.Who
		signed bool
		ask    string
		want   int
	}{
		{"nobody", transfer.Who{}, false, apex, dns.RcodeRefused},
		{"address", transfer.Who{Addresses: filter.NewACL([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})}, false, apex, 0},
		{"other address", transfer.Who{Addresses: filter.NewACL([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})}, false, apex, dns.RcodeRefused},
		{"key", transfer.Who{Keys: []wire.Name{mustName(t, "K.")}}, true, apex, 0},
		{"key, unsigned", transfer.Who{Keys: []wire.Name{mustName(t, "k.")}}, false, apex, dns.RcodeRefused},
		{"other key", transfer.Who{Keys: []wire.Name{mustName(t, "j.")}}, true, apex, dns.RcodeRefused},
		{"unknown zone", everybody(), false, "example.net.", dns.RcodeNotAuth},
		{"name inside the zone", everybody(), false, "ns.example.org.", dns.RcodeNotAuth},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := primary(t, transfer.Zone{AllowTransfer: c.allow}, []*tsig.Key{k}, version(t, 1))
			m := axfr(c.ask)
			m.SetEdns0(1232, false)
			b, _ := m.Pack()
			if c.signed {
				b = tsig.NewChain(k).Sign(b, time.Now())
			}
			list, err := streamRaw(t, s, b)
			if err != nil || len(list) == 0 || list[0].Rcode != c.want {
				t.Fatalf("%v %v, want RCODE %d", list, err, c.want)
			}
			if c.want == dns.RcodeRefused && !strings.Contains(list[0].String(), "EDE") {
				t.Errorf("no reason in %v", list[0])
			}
			if (list[0].IsTsig() != nil) != c.signed {
				t.Errorf("signed request %v, signed answer %v", c.signed, list[0].IsTsig() != nil)
			}
		})
	}
}

// A zone that is not loaded is SERVFAIL, as its names are.
func TestStream_zoneNotLoaded(t *testing.T) {
	s := newSite(t, transfer.Options{})
	s.Configure([]transfer.Zone{{Name: mustName(t, apex), AllowTransfer: everybody()}}, nil)
	if list := stream(t, s, axfr(apex)); list[0].Rcode != dns.RcodeServerFailure {
		t.Errorf("%v", list[0])
	}
}

// Every message of a signed transfer is signed, each MAC over the one before (RFC 8945, Section 5.3.1), as miekg/dns checks it.
func TestStream_signsEveryMessage(t *testing.T) {
	k := &tsig.Key{Name: mustName(t, "k."), Secret: []byte("secret")}
	text := soa(1) + apexNS
	for i := range 3000 {
		text += fmt.Sprintf("h%d.example.org. 300 IN AAAA 2001:db8::%x\n", i, i)
	}
	s := primary(t, transfer.Zone{AllowTransfer: transfer.Who{Keys: []wire.Name{k.Name}}}, []*tsig.Key{k}, load(t, apex, text))
	secret := base64.StdEncoding.EncodeToString(k.Secret)
	m := axfr(apex)
	m.SetTsig("k.", dns.HmacSHA256, 300, time.Now().Unix())
	b, mac, err := dns.TsigGenerate(m, secret, "", false)
	if err != nil {
		t.Fatal(err)
	}
	messages := 0
	_, err = s.Stream(b, client(), func(msg []byte) error {
		var r dns.Msg
		if err := r.Unpack(msg); err != nil {
			return err
		}
		if err := dns.TsigVerify(bytes.Clone(msg), secret, mac, messages > 0); err != nil {
			return fmt.Errorf("message %d: %w", messages, err)
		}
		mac = r.IsTsig().MAC
		messages++
		return nil
	})
	if err != nil || messages < 3 {
		t.Errorf("%d messages, %v", messages, err)
	}
}

// A signature that fails gets NOTAUTH with its error and nothing of the zone (RFC 8945, Section 5.2).
func TestStream_badSignature(t *testing.T) {
	k := &tsig.Key{Name: mustName(t, "k."), Secret: []byte("secret")}
	wrong := &tsig.Key{Name: k.Name, Secret: []byte("wrong")}
	s := primary(t, transfer.Zone{AllowTransfer: everybody()}, []*tsig.Key{k}, version(t, 1))
	b, _ := axfr(apex).Pack()
	for want, msg := range map[uint16][]byte{
		dns.RcodeBadSig:  tsig.NewChain(wrong).Sign(bytes.Clone(b), time.Now()),
		dns.RcodeBadTime: tsig.NewChain(k).Sign(bytes.Clone(b), time.Now().Add(-time.Hour)),
	} {
		list, err := streamRaw(t, s, msg)
		if err != nil || len(list) != 1 || list[0].Rcode != dns.RcodeNotAuth || len(list[0].Answer) != 0 || list[0].IsTsig().Error != want {
			t.Errorf("want error %d: %v %v", want, list, err)
		}
	}
}

// RFC 1995, Sections 2 and 4: the forms of an answer. servers.md 5.1, cases 70 and 72 (RFC 1982: serials wrap, 0 included).
func TestStream_ixfrForms(t *testing.T) {
	const top = 1<<32 - 1
	hosts := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}
	versions := []*zone.Zone{
		version(t, top-1, hosts...), version(t, top, hosts[:11]...), version(t, 0, hosts[:10]...), version(t, 1, hosts[:9]...),
	}
	s := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, versions...)
	for _, c := range []struct {
		serial uint32
		soas   int // in the answer
		form   string
	}{
		{1, 1, "equal serial: one SOA"},
		{2, 1, "newer serial: one SOA"},
		{1<<31 - 1, 1, "newer by far: one SOA"},
		{0, 4, "one step"},
		{top, 6, "two steps over the end of the numbers"},
		{top - 1, 8, "three steps"},
		{top - 2, 2, "no history: the whole zone"},
		{1<<31 + 2, 2, "no history: the whole zone"},
	} {
		list := stream(t, s, ixfr(apex, c.serial))
		soas := 0
		for _, rr := range records(list) {
			if strings.Contains(rr, " SOA ") {
				soas++
			}
		}
		if soas != c.soas || !strings.Contains(records(list)[0], " 1 100 20") {
			t.Errorf("from %d: %d SOA, want %d (%s)\n%s", c.serial, soas, c.soas, c.form, strings.Join(records(list), "\n"))
		}
	}
	m := ixfr(apex, 0)
	m.Ns = nil
	if list := stream(t, s, m); list[0].Rcode != dns.RcodeFormatError {
		t.Errorf("IXFR without SOA: %v", list[0])
	}
}

// What an IXFR holds, and in which order (RFC 1995, Section 4, 7).
func TestStream_ixfrSequence(t *testing.T) {
	text := func(serial uint32, rest string) *zone.Zone {
		filler := ""
		for i := range 20 {
			filler += fmt.Sprintf("filler%d.example.org. 300 IN TXT \"so that the history is shorter than the zone\"\n", i)
		}
		return load(t, apex, soa(serial)+apexNS+filler+rest)
	}
	s := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil,
		text(1, "old.example.org. 300 IN A 192.0.2.7\nttl.example.org. 300 IN A 192.0.2.8\n"),
		text(2, "new.example.org. 300 IN A 192.0.2.9\nttl.example.org. 600 IN A 192.0.2.8\n"))
	got := records(stream(t, s, ixfr(apex, 1)))
	soa1 := strings.Join(strings.Fields(soa(1)), " ")
	soa2 := strings.Join(strings.Fields(soa(2)), " ")
	want := []string{soa2, soa1, "old.example.org. 300 IN A 192.0.2.7", "ttl.example.org. 300 IN A 192.0.2.8", soa2,
		"new.example.org. 300 IN A 192.0.2.9", "ttl.example.org. 600 IN A 192.0.2.8", soa2}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Over UDP IXFR is answered with the SOA alone, AXFR is malformed (RFC 1995, Section 2; RFC 5936, Section 4.2). case 70
func TestMessage_transfersOverUDP(t *testing.T) {
	s := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, version(t, 1, "a"), version(t, 2, "b"))
	for m, want := range map[*dns.Msg][2]int{ixfr(apex, 1): {dns.RcodeSuccess, 1}, axfr(apex): {dns.RcodeFormatError, 0}, ixfr("example.net.", 1): {dns.RcodeNotAuth, 0}} {
		b, _ := m.Pack()
		var r dns.Msg
		if err := r.Unpack(answer(s, b, client().Remote)); err != nil || r.Rcode != want[0] || len(r.Answer) != want[1] || r.Id != m.Id {
			t.Errorf("%v\n%v %v", m, &r, err)
		}
	}
}

// A signed plain question is answered as an unsigned one, and signed; the answer leaves room for that.
func TestMessage_signedQuestion(t *testing.T) {
	k := &tsig.Key{Name: mustName(t, "k."), Secret: []byte("secret")}
	s := primary(t, transfer.Zone{}, []*tsig.Key{k}, version(t, 1))
	m := new(dns.Msg)
	m.SetQuestion(apex, dns.TypeSOA)
	b, _ := m.Pack()
	chain := tsig.NewChain(k)
	out := answer(s, chain.Sign(b, time.Now()), client().Remote)
	plain, err := chain.Verify(out, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var r dns.Msg
	if err := r.Unpack(plain); err != nil || len(r.Answer) != 1 {
		t.Errorf("%v %v", &r, err)
	}
	if len(out)-len(plain) > k.RecordSize() {
		t.Errorf("the signature takes %d octets, %d were kept for it", len(out)-len(plain), k.RecordSize())
	}
}

// RFC 1996, Sections 3.7, 3.10, 4.7: the answer has AA, the ID and the opcode; unknown zone NOTAUTH, unknown sender REFUSED, and a message that
// is not whole is refused. servers.md 5.1, case 66.
func TestMessage_notify(t *testing.T) {
	s := newSite(t, transfer.Options{})
	s.Configure([]transfer.Zone{
		{Name: mustName(t, apex), Primaries: []transfer.Remote{{Address: netip.MustParseAddrPort("192.0.2.1:53")}},
			AllowNotify: transfer.Who{Addresses: filter.NewACL([]netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")})}},
		{Name: mustName(t, "primary.example.")},
	}, nil)
	for _, c := range []struct {
		from, zone string
		typ        uint16
		want       int
	}{
		{"192.0.2.1:9999", apex, dns.TypeSOA, 0},
		{"192.0.2.1:9999", "EXAMPLE.org.", dns.TypeSOA, 0},
		{"198.51.100.7:1", apex, dns.TypeSOA, 0},
		{"203.0.113.1:53", apex, dns.TypeSOA, dns.RcodeRefused},
		{"192.0.2.1:53", "example.net.", dns.TypeSOA, dns.RcodeNotAuth},
		{"192.0.2.1:53", "primary.example.", dns.TypeSOA, dns.RcodeRefused},
		{"192.0.2.1:53", apex, dns.TypeA, dns.RcodeNotImplemented},
	} {
		for _, withSOA := range []bool{true, false} {
			m := new(dns.Msg)
			m.SetNotify(c.zone)
			m.Question[0].Qtype = c.typ
			if withSOA {
				rr, _ := dns.NewRR(soa(9))
				m.Answer = []dns.RR{rr}
			}
			b, _ := m.Pack()
			var r dns.Msg
			if err := r.Unpack(answer(s, b, netip.MustParseAddrPort(c.from))); err != nil {
				t.Fatal(err)
			}
			if r.Rcode != c.want || r.Id != m.Id || r.Opcode != dns.OpcodeNotify || !r.Response || r.Authoritative != (c.want == 0) || len(r.Question) != 1 {
				t.Errorf("from %s for %s, SOA %v: %v", c.from, c.zone, withSOA, &r)
			}
		}
	}
}

// NOTIFYs from made-up addresses do not fill the log.
func TestMessage_notifyFloodIsNotLogged(t *testing.T) {
	var lines strings.Builder
	s := newSite(t, transfer.Options{Log: slog.New(slog.NewTextHandler(&lines, nil))})
	s.Configure([]transfer.Zone{{Name: mustName(t, apex), Primaries: []transfer.Remote{{Address: netip.MustParseAddrPort("192.0.2.1:53")}}}}, nil)
	m := new(dns.Msg)
	m.SetNotify(apex)
	b, _ := m.Pack()
	for range 200 {
		answer(s, b, netip.MustParseAddrPort("203.0.113.1:53"))
	}
	if n := strings.Count(lines.String(), "notify refused"); n < 1 || n > 5 {
		t.Errorf("200 refused NOTIFYs made %d lines", n)
	}
}

// The history survives a restart, and is dropped when the file changed meanwhile: it would lead elsewhere.
func TestPublished_historyAfterRestart(t *testing.T) {
	dir := t.TempDir()
	hosts := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	v1, v2 := version(t, 1, hosts...), version(t, 2, hosts[:7]...)
	start := func(z ...*zone.Zone) *site {
		s := newSite(t, transfer.Options{Dir: dir})
		s.Configure([]transfer.Zone{{Name: v1.Apex(), AllowTransfer: everybody()}}, nil)
		var old *zone.Zone
		for _, v := range z {
			s.Published(v.Apex(), old, v)
			old = v
		}
		return s
	}
	soas := func(s *site, from uint32) (n int) {
		for _, rr := range records(stream(t, s, ixfr(apex, from))) {
			if strings.Contains(rr, " SOA ") {
				n++
			}
		}
		return n
	}
	start(v1, v2)
	if n := soas(start(v2), 1); n != 4 {
		t.Errorf("%d SOA after a restart, want the step from 1 to 2", n)
	}
	if n := soas(start(version(t, 2, "x")), 1); n != 2 {
		t.Errorf("%d SOA after the file changed and its serial did not, want the whole zone", n)
	}
	start(v1, v2)
	start(version(t, 3, hosts...))
	if n := soas(start(version(t, 3, hosts...)), 1); n != 2 {
		t.Errorf("%d SOA after the file went on without us, want the whole zone", n)
	}
}

// A history never takes more than its limit on disk; the oldest steps go first.
func TestPublished_historyIsBounded(t *testing.T) {
	dir := t.TempDir()
	const limit = 8 << 10
	s := newSite(t, transfer.Options{Dir: dir, Limits: transfer.Limits{Journal: limit}})
	name := mustName(t, apex)
	s.Configure([]transfer.Zone{{Name: name, AllowTransfer: everybody()}}, nil)
	filler := make([]string, 100)
	for i := range filler {
		filler[i] = fmt.Sprintf("f%d", i)
	}
	var old *zone.Zone
	for serial := range uint32(200) {
		z := version(t, serial, append(filler, fmt.Sprintf("host%d", serial))...)
		s.Published(name, old, z)
		old = z
		info, err := os.Stat(filepath.Join(dir, apex, "steps"))
		if err == nil && info.Size() > limit {
			t.Fatalf("serial %d: %d octets, limit %d", serial, info.Size(), limit)
		}
	}
	steps := s.state(apex).Steps
	if steps < 5 || steps > 100 {
		t.Errorf("%d steps are left", steps)
	}
	from := 199 - uint32(steps)
	if rr := records(stream(t, s, ixfr(apex, from))); !strings.Contains(rr[1], fmt.Sprintf(" %d 100 20", from)) {
		t.Errorf("the oldest step left is not used: %v", rr[:2])
	}
	if rr := records(stream(t, s, ixfr(apex, from-1))); strings.Contains(rr[1], " SOA ") {
		t.Errorf("a step that is gone is used: %v", rr[:2])
	}
}
