package serve_test

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/filter"
	"anyu/serve/listen"
)

// small is a server with one zone and the settings given.
func small(t *testing.T, c *serve.Config) *serve.Worker {
	s := serve.New(c, event.NewNames(), nil, nil)
	z := load(t, "example.org.", fuzzZone)
	s.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z}}})
	return s.NewWorker(nil, 1<<20)
}

func plainConfig() *serve.Config { return &serve.Config{Payload: 1232, Clients: filter.Everybody()} }

// raw sends octets and returns the header of the answer and its length.
func raw(w *serve.Worker, msg []byte, transport event.Transport) (wire.Header, []byte) {
	out := make([]byte, 65535)
	n := w.Answer(msg, client(transport), out)
	if n < wire.HeaderSize {
		return wire.Header{}, nil
	}
	return wire.ReadHeader(out), out[:n]
}

func packed(m *dns.Msg) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// case 38: outside all zones: REFUSED with EDE 20 (Not Authoritative, RFC 8914, Section 4.21), no upward referral.
func TestAnswer_outsideIsRefused(t *testing.T) {
	w := small(t, plainConfig())
	m := query("elsewhere.example.com.", dns.TypeA)
	m.SetEdns0(1232, false)
	r := ask(t, w, m, event.UDP)
	if r.Rcode != dns.RcodeRefused || len(r.Ns)+len(r.Answer) > 0 || !hasEDE(r, 20) {
		t.Errorf("%v", r)
	}
}

func hasEDE(r *dns.Msg, code uint16) bool {
	if o := r.IsEdns0(); o != nil {
		for _, x := range o.Option {
			if e, ok := x.(*dns.EDNS0_EDE); ok && e.InfoCode == code {
				return true
			}
		}
	}
	return false
}

// case 39: a zone that is ours and not loaded, or expired: SERVFAIL with EDE 14 (Not Ready), not REFUSED.
func TestAnswer_zoneWithoutDataIsServfail(t *testing.T) {
	s, w := newServer()
	s.Change(serve.Change{Put: []serve.Zone{{Name: mustName(t, "example.org."), Why: "expired"}}})
	m := query("www.example.org.", dns.TypeA)
	m.SetEdns0(1232, false)
	if r := ask(t, w, m, event.UDP); r.Rcode != dns.RcodeServerFailure || !hasEDE(r, 14) {
		t.Errorf("%v", r)
	}
}

// case 54: a query without a question and with a COOKIE is answered with a cookie (RFC 7873, Section 5.4).
func TestAnswer_cookieOnly(t *testing.T) {
	c := plainConfig()
	c.Cookies = &filter.Cookies{Current: filter.Secret{1}}
	w := small(t, c)
	m := new(dns.Msg)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"})
	r := ask(t, w, m, event.UDP)
	if r == nil || r.Rcode != dns.RcodeSuccess || len(r.IsEdns0().Option) != 1 || len(r.IsEdns0().Option[0].(*dns.EDNS0_COOKIE).Cookie) != 48 {
		t.Errorf("%v", r)
	}
}

// case 56: a FORMERR answer has only QR, opcode and RD; the ID is the question's.
func TestAnswer_formerrFlags(t *testing.T) {
	w := small(t, plainConfig())
	msg := packed(query("www.example.org.", dns.TypeA))
	msg[2], msg[3] = msg[2]|0x07, 0xF0 // AA TC RD, RA Z AD CD
	h, b := raw(w, msg[:len(msg)-1], event.UDP)
	if h.Rcode() != wire.FormErr || h.Flags != wire.FlagQR|wire.FlagRD|uint16(wire.FormErr) || h.ID != uint16(msg[0])<<8|uint16(msg[1]) || len(b) != 12 {
		t.Errorf("%+v %x", h, b)
	}
}

// case 57: unknown opcodes are NOTIMP, UPDATE is refused.
func TestAnswer_opcodes(t *testing.T) {
	w := small(t, plainConfig())
	for opcode, want := range map[byte]wire.Rcode{1: wire.NotImp, 2: wire.NotImp, 3: wire.NotImp, 5: wire.Refused, 6: wire.NotImp, 15: wire.NotImp} {
		msg := packed(query("example.org.", dns.TypeSOA))
		msg[2] = opcode << 3
		if h, _ := raw(w, msg, event.UDP); h.Rcode() != want || h.Opcode() != wire.Opcode(opcode) {
			t.Errorf("opcode %d: %+v", opcode, h)
		}
	}
}

// case 58: EDNS version over 0 is BADVERS with version 0 (RFC 6891, Section 6.1.3).
func TestAnswer_badVersion(t *testing.T) {
	w := small(t, plainConfig())
	m := query("www.example.org.", dns.TypeA)
	m.SetEdns0(1232, true)
	m.IsEdns0().SetVersion(1)
	r := ask(t, w, m, event.UDP)
	if r.Rcode != dns.RcodeBadVers || r.IsEdns0() == nil || r.IsEdns0().Version() != 0 || len(r.Answer) != 0 {
		t.Errorf("%v", r)
	}
	// What looks broken to version 0 may be right in version 1: NSID with a length beyond the record, a COOKIE of 3 octets.
	for _, options := range []string{"\x00\x03\x00\x09x", "\x00\x0a\x00\x03abc", "\x00"} {
		msg := packed(query("www.example.org.", dns.TypeA))
		msg[11] = 1
		msg = append(msg, 0, 0, 41, 4, 208, 0, 1, 0, 0, 0, byte(len(options)))
		_, b := raw(w, append(msg, options...), event.UDP)
		if err := r.Unpack(b); err != nil || r.Rcode != dns.RcodeBadVers {
			t.Errorf("options %x: %v %v", options, err, r)
		}
	}
}

// case 59: unknown EDNS options and flags are ignored and not echoed (RFC 6891, Sections 6.1.2 and 6.1.4).
func TestAnswer_unknownOptions(t *testing.T) {
	w := small(t, plainConfig())
	m := query("www.example.org.", dns.TypeA)
	m.SetEdns0(1232, true)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")})
	m.IsEdns0().Hdr.Ttl |= 0x7FFF
	r := ask(t, w, m, event.UDP)
	if r.Rcode != 0 || len(r.Answer) != 1 || len(r.IsEdns0().Option) != 0 || r.IsEdns0().Hdr.Ttl&0xFFFF != 0x8000 {
		t.Errorf("%v", r)
	}
}

// bigZone has an answer of some 1,000 octets, and one of over 1,232.
func bigZone(t *testing.T) *serve.Worker {
	text := fuzzZone
	for i := range 9 {
		text += "kilo TXT \"" + string(bytes.Repeat([]byte{byte('a' + i)}, 100)) + "\"\n"
	}
	for i := range 20 {
		text += "large TXT \"" + string(bytes.Repeat([]byte{byte('a' + i)}, 100)) + "\"\n"
	}
	_, w := newServer(load(t, "example.org.", text))
	return w
}

// case 60: a payload below 512 counts as 512, our own cap is 1232, OPT fits also beside TC. case 61: whole sets or none.
func TestAnswer_sizes(t *testing.T) {
	w := bigZone(t)
	for _, c := range []struct {
		name      string
		payload   uint16
		transport event.Transport
		tc        bool
		most      int
	}{
		{"kilo", 0, event.UDP, true, 512}, {"kilo", 100, event.UDP, true, 512}, {"kilo", 900, event.UDP, true, 900},
		{"kilo", 1232, event.UDP, false, 1232}, {"large", 4096, event.UDP, true, 1232}, {"large", 512, event.TCP, false, 65535},
	} {
		m := query(c.name+".example.org.", dns.TypeTXT)
		if c.payload > 0 {
			m.SetEdns0(c.payload, false)
		}
		h, b := raw(w, packed(m), c.transport)
		var r dns.Msg
		if err := r.Unpack(b); err != nil {
			t.Fatal(err)
		}
		if r.Truncated != c.tc || len(b) > c.most || (r.IsEdns0() != nil) != (c.payload > 0) || c.tc && h.AN != 0 || !c.tc && h.AN == 0 {
			t.Errorf("%s with %d over %v: %d octets, %+v", c.name, c.payload, c.transport, len(b), h)
		}
	}
}

// case 63: ANY over UDP gives one set, over a stream all (RFC 8482, Sections 4.1 and 4.4).
func TestAnswer_any(t *testing.T) {
	w := small(t, plainConfig())
	udp, tcp := ask(t, w, query("www.example.org.", dns.TypeANY), event.UDP), ask(t, w, query("www.example.org.", dns.TypeANY), event.TCP)
	if len(udp.Answer) != 1 || len(tcp.Answer) != 2 {
		t.Errorf("UDP %v\nTCP %v", udp.Answer, tcp.Answer)
	}
}

// case 64: CH answers the identity if configured, hidden by default; other classes are refused (CVE-2026-5946).
func TestAnswer_classes(t *testing.T) {
	hidden, shown := small(t, plainConfig()), plainConfig()
	shown.Version, shown.Hostname = "anyu", "bj1"
	open := small(t, shown)
	for _, name := range []string{"version.bind.", "VERSION.server.", "hostname.bind.", "id.server."} {
		m := query(name, dns.TypeTXT)
		m.Question[0].Qclass = dns.ClassCHAOS
		if r := ask(t, hidden, m, event.UDP); r.Rcode != dns.RcodeRefused {
			t.Errorf("hidden %s: %v", name, r)
		}
		if r := ask(t, open, m, event.UDP); r.Rcode != 0 || len(r.Answer) != 1 || r.Answer[0].Header().Class != dns.ClassCHAOS {
			t.Errorf("shown %s: %v", name, r)
		}
	}
	for _, class := range []uint16{0, 2, dns.ClassHESIOD, dns.ClassNONE, dns.ClassANY, 4711} {
		m := query("www.example.org.", dns.TypeA)
		m.Question[0].Qclass = class
		if r := ask(t, open, m, event.UDP); r.Rcode != dns.RcodeRefused || len(r.Answer) != 0 {
			t.Errorf("class %d: %v", class, r)
		}
	}
}

// RFC 5001: NSID is sent to who asks. RFC 7828, Section 3.2.2: keepalive over TCP only. RFC 8467, Section 4.1: padded answers
// over encrypted transports are multiples of 468.
func TestAnswer_options(t *testing.T) {
	c := plainConfig()
	c.NSID, c.Keepalive = []byte("bj1"), 10e9
	w := small(t, c)
	m := query("www.example.org.", dns.TypeA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}, &dns.EDNS0_PADDING{}}
	for transport, want := range map[event.Transport]string{event.UDP: "nsid", event.TCP: "nsid keepalive", event.TLS: "nsid keepalive padding", event.QUIC: "nsid padding"} {
		_, b := raw(w, packed(m), transport)
		var r dns.Msg
		if err := r.Unpack(b); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, o := range r.IsEdns0().Option {
			switch o.(type) {
			case *dns.EDNS0_NSID:
				got += " nsid"
			case *dns.EDNS0_TCP_KEEPALIVE:
				got += " keepalive"
			case *dns.EDNS0_PADDING:
				got += " padding"
			}
		}
		if got != " "+want || (transport.Encrypted() && len(b)%468 != 0) {
			t.Errorf("%v: %s, %d octets", transport, got, len(b))
		}
	}
}

// RFC 6303, RFC 6761: zones that are always there, and give way to configured ones.
func TestAnswer_localZones(t *testing.T) {
	s, w := newServer()
	for name, want := range map[string]int{"localhost.": 0, "a.b.localhost.": 0, "x.invalid.": dns.RcodeNameError, "1.0.0.10.in-addr.arpa.": dns.RcodeNameError, "31.172.in-addr.arpa.": 0, "x.onion.": dns.RcodeNameError} {
		if r := ask(t, w, query(name, dns.TypeA), event.UDP); r.Rcode != want || !r.Authoritative {
			t.Errorf("%s: %v", name, r)
		}
	}
	z := load(t, "invalid.", "$TTL 60\n@ SOA ns x 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nx A 192.0.2.2\n")
	s.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z}}})
	if r := ask(t, w, query("x.invalid.", dns.TypeA), event.UDP); len(r.Answer) != 1 {
		t.Errorf("the configured zone does not win: %v", r)
	}
	s.Change(serve.Change{Remove: []wire.Name{z.Apex()}})
	if r := ask(t, w, query("x.invalid.", dns.TypeA), event.UDP); r.Rcode != dns.RcodeNameError {
		t.Errorf("the local zone does not come back: %v", r)
	}
}

// A change of a zone is seen by the next question, also where the answer was compiled before.
func TestChange_isSeenAtOnce(t *testing.T) {
	s, w := newServer(load(t, "example.org.", fuzzZone))
	m := query("www.example.org.", dns.TypeA)
	ask(t, w, m, event.UDP)
	z := load(t, "example.org.", "$TTL 60\n@ SOA ns x 2 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nwww A 203.0.113.9\n")
	s.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z}}})
	if r := ask(t, w, m, event.UDP); len(r.Answer) != 1 || r.Answer[0].(*dns.A).A.String() != "203.0.113.9" {
		t.Errorf("%v", r)
	}
}

// Rate limiting drops and slips over UDP, and leaves streams and clients with a valid cookie alone.
func TestAnswer_rateLimit(t *testing.T) {
	c := plainConfig()
	c.Rate = filter.NewRate(5, 2, maphash.MakeSeed())
	c.Cookies = &filter.Cookies{Current: filter.Secret{1}}
	w := small(t, c)
	count := func(m *dns.Msg, transport event.Transport) (full, slipped, silent int) {
		for range 40 {
			switch r := ask(t, w, m, transport); {
			case r == nil:
				silent++
			case r.Truncated:
				slipped++
			default:
				full++
			}
		}
		return
	}
	m := query("www.example.org.", dns.TypeA)
	if full, slipped, silent := count(m, event.UDP); full < 5 || full > 8 || slipped < 14 || silent < 14 {
		t.Errorf("UDP: %d full, %d slipped, %d silent", full, slipped, silent)
	}
	if full, _, _ := count(m, event.TCP); full != 40 {
		t.Errorf("TCP: %d full", full)
	}
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}}
	r := ask(t, w, m, event.TCP)
	m.IsEdns0().Option = r.IsEdns0().Option
	if full, _, _ := count(m, event.UDP); full != 40 {
		t.Errorf("with a cookie: %d full", full)
	}
}

// unsigned takes the signature off and believes it.
type unsigned struct{ serve.Transfers }

func (unsigned) Message(msg []byte, q *wire.Query, _ *listen.Client, out []byte, inner func(q, out []byte, room int) int) (int, wire.Rcode) {
	plain := append([]byte(nil), msg[:q.TSIG]...)
	plain[11]--
	return inner(plain, out, 100), wire.NoError
}

// A question that is signed has the answer it has without.
func TestAnswer_signedAsUnsigned(t *testing.T) {
	c := plainConfig()
	c.Version = "anyu"
	s := serve.New(c, event.NewNames(), unsigned{}, nil)
	z := load(t, "example.org.", fuzzZone)
	s.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z}}})
	w := s.NewWorker(nil, 1<<20)
	for _, m := range []*dns.Msg{
		query("www.example.org.", dns.TypeA), query("nx.example.org.", dns.TypeA), query("elsewhere.example.", dns.TypeA), query("version.bind.", dns.TypeTXT),
		query("www.example.org.", dns.TypeOPT),
	} {
		if m.Question[0].Name == "version.bind." {
			m.Question[0].Qclass = dns.ClassCHAOS
		}
		plain := packed(m)
		signed := append(append([]byte(nil), plain...), "\x01k\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x00"...)
		signed[11]++
		_, want := raw(w, plain, event.UDP)
		for range 2 { // made anew, compiled
			if _, got := raw(w, signed, event.UDP); !bytes.Equal(got, want) {
				t.Errorf("%v:\n got %x\nwant %x", m.Question[0], got, want)
			}
		}
	}
}

// Random names escape no limit: those below a cut or a wildcard have one answer and count as one, those that do not exist
// count for their zone. The identity of the server is limited, too.
func TestAnswer_rateLimitOfRandomNames(t *testing.T) {
	zone := "$TTL 60\n@ SOA ns x 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n*.w A 192.0.2.2\nsub NS ns.elsewhere.example.\nd DNAME w\n"
	for _, below := range []string{"sub.example.org.", "w.example.org.", "d.example.org.", "example.org.", ""} {
		c := plainConfig()
		c.Rate, c.Version = filter.NewRate(5, 0, maphash.MakeSeed()), "secret"
		s := serve.New(c, event.NewNames(), nil, nil)
		z := load(t, "example.org.", zone)
		s.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z}}})
		w := s.NewWorker(nil, 1<<20)
		got := 0
		for i := range 40 {
			m := query(fmt.Sprintf("r%d.%s", i, below), dns.TypeA)
			if below == "" {
				m = query("version.bind.", dns.TypeTXT)
				m.Question[0].Qclass = dns.ClassCHAOS
			}
			if ask(t, w, m, event.UDP) != nil {
				got++
			}
		}
		if got < 5 || got > 8 {
			t.Errorf("below %q: %d of 40 answered", below, got)
		}
	}
}

// RFC 7314, Section 2: EXPIRE is for who may have the zone's SOA; a refusal does not tell that the zone is here.
func TestAnswer_refusalTellsNoExpire(t *testing.T) {
	s, w := newServer()
	z := load(t, "example.org.", fuzzZone)
	nobody := filter.NewACL(nil)
	s.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z, Allow: &nobody}}})
	m := query("example.org.", dns.TypeSOA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EXPIRE{Code: dns.EDNS0EXPIRE, Empty: true}}
	r := ask(t, w, m, event.UDP)
	if r.Rcode != dns.RcodeRefused {
		t.Fatalf("%v", r)
	}
	for _, o := range r.IsEdns0().Option {
		if _, told := o.(*dns.EDNS0_EXPIRE); told {
			t.Errorf("%v", r)
		}
	}
}

// case 46: below an apex of 223 octets and more no hashed owner has room (RFC 5155, Section 1.3: the hash is one label of 32
// octets). Such a zone cannot have an NSEC3 chain, and one that claims to is answered without proofs and without harm.
func TestAnswer_apexTooLongForNSEC3(t *testing.T) {
	label := strings.Repeat("a", 55)
	apex := strings.Repeat(label+".", 4) + "example."
	text := "$TTL 60\n@ SOA ns x 1 2 3 4 5\n@ NS ns\n@ NSEC3PARAM 1 0 0 -\n@ DNSKEY 257 3 13 AAAA\nns A 192.0.2.1\n"
	_, w := newServer(load(t, apex, text))
	m := query("nx."+apex, dns.TypeA)
	m.SetEdns0(1232, true)
	if r := ask(t, w, m, event.UDP); r.Rcode != dns.RcodeNameError || len(r.Ns) != 1 {
		t.Errorf("%v", r)
	}
	if _, err := tryLoad(apex, text+strings.Repeat("b", 32)+" NSEC3 1 0 0 - "+strings.Repeat("0", 32)+" A\n"); err == nil {
		t.Error("an NSEC3 owner of over 255 octets was loaded")
	}
}

// case 60: a refusal of the longest name keeps to 512 octets beside NSID, cookie and words.
func TestAnswer_longestRefusalFits(t *testing.T) {
	c := plainConfig()
	c.NSID, c.Cookies = bytes.Repeat([]byte("n"), 128), &filter.Cookies{Current: filter.Secret{1}}
	s := serve.New(c, event.NewNames(), nil, nil)
	label := strings.Repeat("a", 63)
	name := label + "." + label + "." + label + "." + strings.Repeat("b", 61) + "."
	s.Change(serve.Change{Put: []serve.Zone{{Name: mustName(t, "."), Why: strings.Repeat("long reason ", 12)}}})
	m := query(name, dns.TypeA)
	m.SetEdns0(512, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}}
	h, b := raw(s.NewWorker(nil, 0), packed(m), event.UDP)
	if h.Rcode() != wire.ServFail || len(b) > 512 || len(b) < 300 {
		t.Errorf("%d octets, %+v", len(b), h)
	}
}
