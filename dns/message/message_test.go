package message_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/miekg/dns"

	"anyu/dns/message"
	"anyu/dns/wire"
)

func parse(t testing.TB, m *dns.Msg) *message.Message {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	p, err := message.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rr(t testing.TB, text string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const sig = " 300 IN RRSIG A 13 2 300 20300101000000 20250101000000 1 example. AAAA"

// RFC 9499, Section 5: an RRset is all records of an owner, class and type; RFC 2181, Section 5.2: with one TTL, here the lowest; Section 5: no two alike.
func TestParse_groupsRecords(t *testing.T) {
	m := parse(t, &dns.Msg{Question: []dns.Question{{Name: "a.example.", Qtype: 1, Qclass: 1}}, Answer: []dns.RR{
		rr(t, "a.example. 300 A 192.0.2.1"), rr(t, "A.example. 200 A 192.0.2.2"), rr(t, "a.example. 300 A 192.0.2.1"), rr(t, "a.example."+sig), rr(t, "b.example. 300 A 192.0.2.3")}})
	if len(m.Answer) != 2 || len(m.Answer[0].Data) != 2 || len(m.Answer[0].Sigs) != 1 || m.Answer[0].TTL != 200 || len(m.Answer[1].Data) != 1 {
		t.Fatalf("got %v", m.Answer)
	}
	if m.Question.String() != "a.example. A" || message.Find(m.Answer, m.Answer[1].Name, wire.TypeA) != m.Answer[1] {
		t.Errorf("question %v", m.Question)
	}
}

// Signatures belong to what they cover wherever that stands; those of nothing stay an RRset of their own (an answer to RRSIG).
func TestParse_givesSignaturesToWhatTheyCover(t *testing.T) {
	m := parse(t, &dns.Msg{Answer: []dns.RR{rr(t, "a.example. 300 A 192.0.2.1")}, Extra: []dns.RR{rr(t, "a.example."+sig), rr(t, "b.example."+sig)}})
	if len(m.Answer[0].Sigs) != 1 || len(m.Additional) != 1 || m.Additional[0].Type != wire.TypeRRSIG || m.Additional[0].Name.String() != "b.example." {
		t.Errorf("answer %v, additional %v", m.Answer, m.Additional)
	}
}

// RFC 2181, Section 8: a TTL with the first bit set is 0. RFC 6891, Section 6.1.3: OPT holds the upper bits of the RCODE.
func TestParse_readsTTLAndOPT(t *testing.T) {
	q := &dns.Msg{Answer: []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "a.", Rrtype: 1, Class: 1, Ttl: 1 << 31}, A: []byte{192, 0, 2, 1}}}}
	q.SetEdns0(1232, true)
	q.Rcode = dns.RcodeBadCookie
	m := parse(t, q)
	if m.Answer[0].TTL != 0 || m.Rcode != wire.BadCookie || !m.EDNS.DO || m.EDNS.Payload != 1232 {
		t.Errorf("got %+v, TTL %d", m, m.Answer[0].TTL)
	}
}

// A record whose RDATA does not fit its type is left out, and the good ones beside it stay (servers.md 5.2, case 29); a broken SVCB passes.
func TestParse_leavesOutWhatDoesNotFit(t *testing.T) {
	wrong := &dns.RFC3597{Hdr: dns.RR_Header{Name: "a.", Rrtype: dns.TypeA, Class: 1, Ttl: 60}, Rdata: "0102030405"}
	svcb := &dns.RFC3597{Hdr: dns.RR_Header{Name: "a.", Rrtype: dns.TypeHTTPS, Class: 1, Ttl: 60}, Rdata: "00010000010003026832"}
	m := parse(t, &dns.Msg{Answer: []dns.RR{wrong, rr(t, "a. 60 A 192.0.2.1"), svcb}})
	if m.Dropped != 1 || len(m.Answer) != 2 || len(m.Answer[0].Data) != 1 {
		t.Errorf("dropped %d, answer %v", m.Dropped, m.Answer)
	}
}

// CVE-2024-1737, CacheFlush: the number of records is bounded.
func TestParse_boundsRecords(t *testing.T) {
	b := []byte{0, 0, 0x80, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}
	if _, err := message.Parse(b); err == nil {
		t.Error("65,535 records were believed")
	}
	many := &dns.Msg{}
	for i := range message.MaxOfRRset + 1 {
		many.Answer = append(many.Answer, &dns.A{Hdr: dns.RR_Header{Name: "a.", Rrtype: 1, Class: 1}, A: []byte{10, 0, byte(i >> 8), byte(i)}})
	}
	if b, err := many.Pack(); err != nil {
		t.Fatal(err)
	} else if _, err := message.Parse(b); err == nil {
		t.Error("an RRset of any size is taken")
	}
}

// CVE-2026-41292: of thousands of options the first ones are kept.
func TestParse_boundsOptions(t *testing.T) {
	q := &dns.Msg{}
	q.SetEdns0(1232, false)
	for i := range 3000 {
		q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: uint16(65001 + i%500), Data: []byte{1}})
	}
	if got := len(parse(t, q).EDNS.Options); got != 20 {
		t.Errorf("%d options are kept", got)
	}
}

// Memory is taken for records that are there, whatever the header says of their number.
func TestParse_takesMemoryForWhatIsThere(t *testing.T) {
	b := []byte{0, 0, 0x80, 0, 0, 0, 0x07, 0xff, 0, 0, 0, 0} // 2,047 answers
	const rounds = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		if _, err := message.Parse(b); err == nil {
			t.Fatal("records that are not there were believed")
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / rounds; got > 4096 {
		t.Errorf("a message of %d octets took %d octets of memory", len(b), got)
	}
}

func FuzzParse(f *testing.F) {
	m := &dns.Msg{Question: []dns.Question{{Name: "a.example.", Qtype: 1, Qclass: 1}}, Answer: []dns.RR{rr(f, "a.example. 300 A 192.0.2.1"), rr(f, "a.example."+sig)}, Extra: []dns.RR{rr(f, "a.example."+sig)}}
	m.SetEdns0(1232, true)
	b, _ := m.Pack()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := message.Parse(b)
		if err != nil {
			return
		}
		kept := bytes.Clone(b)
		for _, section := range m.Sections() {
			for _, s := range section {
				if wire.ValidName(s.Name) != nil || len(s.Data) == 0 || s.TTL > 1<<31-1 {
					t.Fatalf("RRset %v", s)
				}
				for _, d := range s.Data {
					if s.Type != wire.TypeSVCB && s.Type != wire.TypeHTTPS && wire.CheckRData(s.Type, d) != nil {
						t.Fatalf("RDATA %x of %v", d, s)
					}
				}
			}
		}
		if !bytes.Equal(b, kept) {
			t.Fatal("the message was changed")
		}
	})
}
