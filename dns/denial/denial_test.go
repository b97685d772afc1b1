package denial_test

import (
	"crypto/sha1"
	"encoding/base32"
	"fmt"
	"strings"
	"testing"

	"anyu/dns/denial"
	"anyu/dns/message"
	"anyu/dns/wire"

	"github.com/miekg/dns"
)

func name(t testing.TB, text string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sets reads records in text, one RRset each.
func sets(t testing.TB, lines []string) (list []*message.RRset) {
	t.Helper()
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		m := new(dns.Msg)
		m.SetQuestion(".", dns.TypeA)
		m.Ns = []dns.RR{rr}
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := message.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, parsed.Authority[0])
	}
	return list
}

// The zone of these tests, in canonical order:
//
//	example.            SOA NS DNSKEY
//	a.example.          NS (no DS)
//	b.example.          NS DS
//	d.example.          DNAME
//	x.e.example.        A       (e.example. is an empty non-terminal)
//	*.w.example.        TXT
//	c.*.y.example.      A       (*.y.example. is an empty non-terminal)
//	z.example.          CNAME
const (
	nApex  = "example. NSEC a.example. NS SOA RRSIG NSEC DNSKEY"
	nA     = "a.example. NSEC b.example. NS RRSIG NSEC"
	nB     = "b.example. NSEC d.example. NS DS RRSIG NSEC"
	nD     = "d.example. NSEC x.e.example. DNAME RRSIG NSEC"
	nE     = "x.e.example. NSEC *.w.example. A RRSIG NSEC"
	nW     = "*.w.example. NSEC c.*.y.example. TXT RRSIG NSEC"
	nY     = "c.*.y.example. NSEC z.example. A RRSIG NSEC"
	nZ     = "z.example. NSEC example. CNAME RRSIG NSEC"
	proved = denial.Proven
)

// RFC 4035, Section 5.4, with RFC 4592 and RFC 6840, Section 4.
func TestNoData_withNSEC(t *testing.T) {
	for _, test := range []struct {
		what, name string
		typ        wire.Type
		records    []string
		want       denial.Verdict
	}{
		{"the name's own", "x.e.example.", wire.TypeMX, []string{nE}, proved},
		{"the type is there", "x.e.example.", wire.TypeA, []string{nE}, denial.Unproven},
		{"an alias is there", "z.example.", wire.TypeA, []string{nZ}, denial.Unproven}, // RFC 6840, Section 4.3
		{"an empty non-terminal", "e.example.", wire.TypeA, []string{nD}, proved},
		{"another name's", "x.e.example.", wire.TypeMX, []string{nW}, denial.Unproven},
		{"an unsigned delegation has no DS", "a.example.", wire.TypeDS, []string{nA}, proved},
		{"a signed one has", "b.example.", wire.TypeDS, []string{nB}, denial.Unproven},
		{"the parent speaks of the child's data", "a.example.", wire.TypeA, []string{nA}, denial.Unproven}, // RFC 6840, Section 4.1
		{"the child speaks of its DS", "example.", wire.TypeDS, []string{nApex}, denial.Unproven},
		{"the wildcard has no such type", "q.w.example.", wire.TypeA, []string{nW}, proved},
		{"the wildcard has it", "q.w.example.", wire.TypeTXT, []string{nW}, denial.Unproven},
		{"the wildcard is an empty non-terminal", "q.y.example.", wire.TypeA, []string{nW, nY}, proved}, // servers.md 5.2, case 63
		{"another wildcard", "q.example.", wire.TypeA, []string{nW, nE}, denial.Unproven},
		{"a name that is not there", "f.example.", wire.TypeA, []string{nE}, denial.Unproven},
		{"ANY where there is data", "x.e.example.", wire.TypeANY, []string{nE}, denial.Unproven},
		{"outside of the zone", "x.e.other.", wire.TypeA, []string{nE}, denial.Unproven},
		{"compact", "f.example.", wire.TypeA, []string{`f.example. NSEC \000.f.example. RRSIG NSEC NXNAME`}, proved}, // RFC 9824, Section 2
		{"root has no DS", ".", wire.TypeDS, nil, denial.Unproven},
	} {
		p := denial.NewProof(name(t, "example."), sets(t, test.records), 50, &denial.Hashes{Left: 10})
		if got := p.NoData(name(t, test.name), test.typ); got != test.want {
			t.Errorf("%s: %s %v with %q: %v, want %v", test.what, test.name, test.typ, test.records, got, test.want)
		}
	}
	p := denial.NewProof(wire.Root(), sets(t, []string{". NSEC aaa. NS SOA RRSIG NSEC DNSKEY"}), 50, &denial.Hashes{Left: 10})
	if got := p.NoData(wire.Root(), wire.TypeDS); got != proved {
		t.Errorf("the root has no parent, and no DS: %v", got)
	}
}

// RFC 4035, Section 3.1.3.2 and 5.4.
func TestNoName_withNSEC(t *testing.T) {
	for _, test := range []struct {
		what, name string
		records    []string
		want       denial.Verdict
	}{
		{"name and wildcard", "f.example.", []string{nE, nApex}, proved},
		{"the wildcard is not denied", "f.example.", []string{nE}, denial.Unproven},
		{"the name is not denied", "f.example.", []string{nApex}, denial.Unproven},
		{"one record for both", "a.x.e.example.", []string{nE}, proved},
		{"the wildcard is there", "q.w.example.", []string{nW}, denial.Unproven},
		{"an empty non-terminal", "e.example.", []string{nD, nApex}, denial.Unproven},
		{"below a delegation", "q.a.example.", []string{nA, nApex}, denial.Unproven}, // RFC 6840, Section 4.1
		{"below a DNAME", "q.d.example.", []string{nD, nApex}, denial.Unproven},      // RFC 6672, Section 5.3.4.1
		{"behind the last name", "zz.example.", []string{nZ, nApex}, proved},
		{"an overreaching record", "f.example.", []string{"a.example. NSEC a.other. NS", nApex}, denial.Unproven}, // CVE-2026-13321
		{"a record from outside", "f.example.", []string{"a.other. NSEC zz.example. A", nApex}, denial.Unproven},
		{"NXNAME", "f.example.", []string{`f.example. NSEC \000.f.example. RRSIG NSEC NXNAME`}, proved}, // RFC 9824, Section 3.5
		{"compact, and the name is there", "f.example.", []string{`f.example. NSEC \000.f.example. A RRSIG NSEC`}, denial.Unproven},
	} {
		p := denial.NewProof(name(t, "example."), sets(t, test.records), 50, &denial.Hashes{Left: 10})
		if got := p.NoName(name(t, test.name)); got != test.want {
			t.Errorf("%s: %s with %q: %v, want %v", test.what, test.name, test.records, got, test.want)
		}
	}
}

// RFC 4035, Section 5.3.4: no name closer than the wildcard's.
func TestNoCloser_withNSEC(t *testing.T) {
	for _, test := range []struct {
		what, name string
		labels     int
		records    []string
		want       denial.Verdict
	}{
		{"covered", "q.w.example.", 2, []string{nW}, proved},
		{"deeper", "p.q.w.example.", 2, []string{nW}, proved},
		{"a closer name", "q.w.example.", 1, []string{nW}, denial.Unproven},
		{"not covered", "q.w.example.", 2, []string{nE}, denial.Unproven},
		{"as many labels as the name", "q.w.example.", 3, []string{nW}, denial.Unproven},
	} {
		p := denial.NewProof(name(t, "example."), sets(t, test.records), 50, &denial.Hashes{Left: 10})
		if got := p.NoCloser(name(t, test.name), test.labels); got != test.want {
			t.Errorf("%s: %v, want %v", test.what, got, test.want)
		}
	}
}

// RFC 4035, Section 5.2: what a name without DS is to its parent.
func TestNoDS_withNSEC(t *testing.T) {
	for _, test := range []struct {
		what, name string
		records    []string
		want       denial.Verdict
		cut        denial.Cut
	}{
		{"a delegation", "a.example.", []string{nA}, proved, denial.Delegated},
		{"a signed one", "b.example.", []string{nB}, denial.Unproven, denial.Inside},
		{"a name of the zone", "x.e.example.", []string{nE}, proved, denial.Inside},
		{"an alias", "z.example.", []string{nZ}, proved, denial.Inside},
		{"an empty non-terminal", "e.example.", []string{nD}, proved, denial.Inside},
		{"nothing", "f.example.", []string{nE}, proved, denial.Nothing},
		{"at a wildcard", "q.w.example.", []string{nW}, proved, denial.Nothing},
		{"below a delegation", "q.a.example.", []string{nA}, denial.Unproven, denial.Inside},
		{"the child's own", "example.", []string{nApex}, denial.Unproven, denial.Inside},
	} {
		p := denial.NewProof(name(t, "example."), sets(t, test.records), 50, &denial.Hashes{Left: 10})
		if got, cut := p.NoDS(name(t, test.name)); got != test.want || got == proved && cut != test.cut {
			t.Errorf("%s: %v %v, want %v %v", test.what, got, cut, test.want, test.cut)
		}
	}
}

// hash3 hashes a name with 2 iterations and no salt, not with the code under test.
func hash3(t testing.TB, text string) []byte {
	t.Helper()
	sum := sha1.Sum(name(t, strings.ToLower(text)))
	for range 2 {
		sum = sha1.Sum(sum[:])
	}
	return sum[:]
}

func b32(b []byte) string { return base32.HexEncoding.EncodeToString(b) }

// step is the hash just before or behind.
func step(h []byte, by int) []byte {
	h = append([]byte{}, h...)
	for i := len(h) - 1; i >= 0; i-- {
		h[i] += byte(by)
		if by > 0 && h[i] != 0 || by < 0 && h[i] != 0xFF {
			break
		}
	}
	return h
}

// at is the NSEC3 record of a name, which covers nothing; around covers only the hash of a name.
func at(t testing.TB, text string, flags int, types string) string {
	h := hash3(t, text)
	return fmt.Sprintf("%s.example. NSEC3 1 %d 2 - %s %s", b32(h), flags, b32(step(h, 1)), types)
}

func around(t testing.TB, text string, flags int) string {
	h := hash3(t, text)
	return fmt.Sprintf("%s.example. NSEC3 1 %d 2 - %s A", b32(step(h, -1)), flags, b32(step(h, 1)))
}

// RFC 5155, Section 8.4 to 8.9, each part of a proof missing in turn.
func TestProofs_withNSEC3(t *testing.T) {
	apex := at(t, "example.", 0, "NS SOA")
	hash := func(s string) string { return around(t, s, 0) }
	open := func(s string) string { return around(t, s, 1) }
	noName := func(n string) func(p *denial.Proof) denial.Verdict {
		return func(p *denial.Proof) denial.Verdict { return p.NoName(name(t, n)) }
	}
	noData := func(n string, typ wire.Type) func(p *denial.Proof) denial.Verdict {
		return func(p *denial.Proof) denial.Verdict { return p.NoData(name(t, n), typ) }
	}
	noCloser := func(n string, labels int) func(p *denial.Proof) denial.Verdict {
		return func(p *denial.Proof) denial.Verdict { return p.NoCloser(name(t, n), labels) }
	}
	noDS := func(n string, cut denial.Cut) func(p *denial.Proof) denial.Verdict {
		return func(p *denial.Proof) denial.Verdict {
			v, at := p.NoDS(name(t, n))
			if (v == proved || v == denial.OptOut) && at != cut {
				t.Errorf("%s: %v, want %v", n, at, cut)
			}
			return v
		}
	}
	for _, test := range []struct {
		what    string
		ask     func(p *denial.Proof) denial.Verdict
		records []string
		want    denial.Verdict
	}{
		{"8.4 name error", noName("q.f.example."), []string{apex, hash("f.example."), hash("*.example.")}, proved},
		{"8.4 with opt-out", noName("q.f.example."), []string{apex, open("f.example."), hash("*.example.")}, denial.OptOut},
		{"8.4 the closest encloser is missing", noName("q.f.example."), []string{hash("f.example."), hash("*.example.")}, denial.Unproven},
		{"8.4 the next closer name is missing", noName("q.f.example."), []string{apex, hash("*.example.")}, denial.Unproven},
		{"8.4 the wildcard is missing", noName("q.f.example."), []string{apex, hash("f.example.")}, denial.Unproven},
		{"8.4 the name is there", noName("f.example."), []string{apex, at(t, "f.example.", 0, "A"), hash("*.example.")}, denial.Unproven},
		{"8.3 the encloser is a delegation", noName("q.a.example."), []string{at(t, "a.example.", 0, "NS"), hash("q.a.example."), hash("*.a.example.")}, denial.Unproven},
		{"8.3 the encloser has a DNAME", noName("q.a.example."), []string{at(t, "a.example.", 0, "DNAME"), hash("q.a.example."), hash("*.a.example.")}, denial.Unproven},
		{"8.5 no data", noData("f.example.", wire.TypeMX), []string{at(t, "f.example.", 0, "A")}, proved},
		{"8.5 the type is there", noData("f.example.", wire.TypeA), []string{at(t, "f.example.", 0, "A")}, denial.Unproven},
		{"8.5 an alias is there", noData("f.example.", wire.TypeA), []string{at(t, "f.example.", 0, "CNAME")}, denial.Unproven},
		{"8.5 the parent's record", noData("f.example.", wire.TypeA), []string{at(t, "f.example.", 0, "NS")}, denial.Unproven},
		{"8.5 empty non-terminal", noData("f.example.", wire.TypeA), []string{at(t, "f.example.", 0, "")}, proved},
		{"8.6 DS, with opt-out", noData("f.example.", wire.TypeDS), []string{apex, open("f.example.")}, denial.OptOut},
		{"8.6 DS, without opt-out", noData("f.example.", wire.TypeDS), []string{apex, hash("f.example.")}, denial.Unproven},
		{"8.6 DS, at the child's apex", noData("f.example.", wire.TypeDS), []string{at(t, "f.example.", 0, "NS SOA")}, denial.Unproven},
		{"8.7 the wildcard has no such type", noData("f.example.", wire.TypeMX), []string{apex, hash("f.example."), at(t, "*.example.", 0, "A")}, proved},
		{"8.7 the wildcard has it", noData("f.example.", wire.TypeA), []string{apex, hash("f.example."), at(t, "*.example.", 0, "A")}, denial.Unproven},
		{"8.7 no next closer name", noData("f.example.", wire.TypeMX), []string{apex, at(t, "*.example.", 0, "A")}, denial.Unproven},
		{"8.8 wildcard answer", noCloser("q.f.example.", 1), []string{hash("f.example.")}, proved},
		{"8.8 with opt-out", noCloser("q.f.example.", 1), []string{open("f.example.")}, denial.OptOut},
		{"8.8 a closer name is there", noCloser("q.f.example.", 1), []string{at(t, "f.example.", 0, "A")}, denial.Unproven},
		{"8.8 another name", noCloser("q.f.example.", 1), []string{hash("q.f.example.")}, denial.Unproven},
		{"8.9 delegation", noDS("f.example.", denial.Delegated), []string{at(t, "f.example.", 0, "NS")}, proved},
		{"8.9 with opt-out", noDS("f.example.", denial.Delegated), []string{apex, open("f.example.")}, denial.OptOut},
		{"8.9 no such name", noDS("f.example.", denial.Nothing), []string{apex, hash("f.example.")}, proved},
		{"8.9 no delegation", noDS("f.example.", denial.Inside), []string{at(t, "f.example.", 0, "A")}, proved},
		{"8.9 a DS record is there", noDS("f.example.", denial.Inside), []string{at(t, "f.example.", 0, "NS DS")}, denial.Unproven},
		{"8.9 the child's apex", noDS("f.example.", denial.Inside), []string{at(t, "f.example.", 0, "NS SOA")}, denial.Unproven},
		{"8.2 unknown flags", noData("f.example.", wire.TypeMX), []string{at(t, "f.example.", 2, "A")}, denial.Unproven},
		{"8.1 unknown hash", noData("f.example.", wire.TypeMX), []string{strings.Replace(at(t, "f.example.", 0, "A"), "NSEC3 1", "NSEC3 2", 1)}, denial.Unproven},
		{"8.2 another salt", noData("f.example.", wire.TypeMX), []string{apex, strings.Replace(at(t, "f.example.", 0, "A"), " - ", " aa ", 1)}, denial.Unproven},
		// CVE-2026-10723: a record from below the zone.
		{"another zone's", noData("f.example.", wire.TypeMX), []string{strings.Replace(at(t, "f.example.", 0, "A"), ".example.", ".sub.example.", 1)}, denial.Unproven},
		{"too many iterations", noData("f.example.", wire.TypeMX), []string{strings.Replace(at(t, "f.example.", 0, "A"), " 2 - ", " 51 - ", 1)}, denial.Iterations},
	} {
		p := denial.NewProof(name(t, "example."), sets(t, test.records), 50, &denial.Hashes{Left: 100})
		if got := test.ask(p); got != test.want {
			t.Errorf("%s: %v, want %v", test.what, got, test.want)
		}
	}
}

// The hashes are counted, each name once, and their end says nothing (CVE-2023-50868).
func TestHashes_areCounted(t *testing.T) {
	records := sets(t, []string{at(t, "example.", 0, "NS SOA"), around(t, "a.example.", 0), around(t, "*.example.", 0)})
	long := name(t, strings.Repeat("a.", 100)+"example.")
	for _, test := range []struct {
		left, used int
		want       denial.Verdict
	}{{200, 102, proved}, {102, 102, proved}, {101, 101, denial.Exhausted}, {5, 5, denial.Exhausted}, {0, 0, denial.Exhausted}} {
		h := &denial.Hashes{Left: test.left}
		p := denial.NewProof(name(t, "example."), records, 50, h)
		if got := p.NoName(long); got != test.want || test.left-h.Left != test.used {
			t.Errorf("%d hashes: %v after %d, want %v after %d", test.left, got, test.left-h.Left, test.want, test.used)
		}
		before := h.Left
		if p.NoName(long); h.Left != before && test.want == proved {
			t.Errorf("%d hashes computed again", before-h.Left)
		}
	}
}

// No more than MaxRecords are read.
func TestNewProof_readsAFew(t *testing.T) {
	var lines []string
	for i := range 3 * denial.MaxRecords {
		lines = append(lines, fmt.Sprintf("a%02d.example. NSEC a%02d-.example. A", i, i))
	}
	p := denial.NewProof(name(t, "example."), sets(t, lines), 50, &denial.Hashes{})
	first, last := p.NoData(name(t, "a00.example."), wire.TypeMX), p.NoData(name(t, "a23.example."), wire.TypeMX)
	if first != proved || last != denial.Unproven {
		t.Errorf("%v and %v", first, last)
	}
}

// FuzzProof: any record is read or refused, and says nothing of names outside of its zone.
func FuzzProof(f *testing.F) {
	f.Add([]byte("\x03www\x07example\x00"), []byte("\x07example\x00\x00\x01\x40"), uint16(1), uint16(47))
	f.Add([]byte("\x2000000000000000000000000000000000\x07example\x00"), append([]byte{1, 0, 0, 2, 0, 20}, make([]byte, 24)...), uint16(1), uint16(50))
	f.Fuzz(func(t *testing.T, owner, rdata []byte, typ, of uint16) {
		if wire.ValidName(owner) != nil || wire.CheckRData(wire.Type(of), rdata) != nil {
			return
		}
		zone := name(t, "example.")
		set := &message.RRset{Name: owner, Type: wire.Type(of), Class: wire.ClassIN, Data: [][]byte{rdata}}
		for _, text := range []string{"example.", "www.example.", "a.b.c.example.", "*.example.", "other."} {
			n := name(t, text)
			p := denial.NewProof(zone, []*message.RRset{set}, 50, &denial.Hashes{Left: 50})
			nothing, data := p.NoName(n), p.NoData(n, wire.Type(typ))
			closer := p.NoCloser(n, 1)
			delegation, _ := p.NoDS(n)
			says := max(nothing, data, closer, delegation)
			if (p.Empty() || text == "other.") && says != denial.Unproven {
				t.Errorf("%s: nothing proves something: %v %x %x", text, says, owner, rdata)
			}
		}
	})
}
