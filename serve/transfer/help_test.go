package transfer_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/tsig"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/transfer"
)

const apex = "example.org."

// soa is the SOA of test zones; timers in seconds.
func soa(serial uint32) string {
	return fmt.Sprintf("example.org. 3600 IN SOA ns.example.org. admin.example.org. %d 100 20 400 60\n", serial)
}

const apexNS = "example.org. 3600 IN NS ns.example.org.\nns.example.org. 3600 IN A 192.0.2.1\n"

func mustName(t testing.TB, s string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// load reads a master file from text.
func load(t testing.TB, name, text string) *zone.Zone {
	t.Helper()
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: mustName(t, name), File: "test", Open: func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return z
}

// version is a small zone with a serial and hosts.
func version(t testing.TB, serial uint32, hosts ...string) *zone.Zone {
	t.Helper()
	text := soa(serial) + apexNS
	for i, h := range hosts {
		text += fmt.Sprintf("%s.example.org. 300 IN A 192.0.2.%d\n", h, i+10)
	}
	return load(t, apex, text)
}

func textOf(t testing.TB, z *zone.Zone) string {
	t.Helper()
	if z == nil {
		return "no zone"
	}
	var b strings.Builder
	if err := z.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sameZone compares two versions record by record, TTLs included.
func sameZone(t testing.TB, got, want *zone.Zone) {
	t.Helper()
	if got == nil || want == nil {
		t.Fatalf("got %v, want %v", got, want)
	}
	if a, b := textOf(t, got), textOf(t, want); a != b {
		t.Fatalf("zones differ\ngot:\n%s\nwant:\n%s", clip(a), clip(b))
	}
}

func clip(s string) string { return s[:min(len(s), 3000)] }

// sink collects findings.
type sink struct {
	mu   sync.Mutex
	open map[string]event.Finding
}

func (s *sink) Report(f event.Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[string]event.Finding{}
	}
	key := f.Kind + " " + f.Subject
	if f.Open() {
		s.open[key] = f
	} else {
		delete(s.open, key)
	}
}

func (s *sink) has(kind, subject string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.open[kind+" "+subject]
	return ok
}

func (s *sink) fact(kind, subject, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.open[kind+" "+subject].Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// site is one node's worth of transfers: what it serves, and what it found.
type site struct {
	*transfer.Room
	findings *sink
	mu       sync.Mutex
	served   map[string]transfer.Served
	times    int
}

func newSite(t testing.TB, o transfer.Options) *site {
	t.Helper()
	s := &site{findings: &sink{}, served: map[string]transfer.Served{}}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Findings = s.findings
	o.Publish = func(list []transfer.Served) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, v := range list {
			s.served[v.Name.String()] = v
			s.times++
		}
	}
	o.Withdraw = func(names []wire.Name) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range names {
			delete(s.served, n.String())
		}
	}
	s.Room = transfer.New(o)
	return s
}

func (s *site) zone(name string) *zone.Zone {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served[name].Zone
}

func (s *site) serves(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.served[name]
	return ok
}

func (s *site) state(name string) transfer.State {
	for _, st := range s.States() {
		if st.Name == name {
			return st
		}
	}
	return transfer.State{}
}

// primary makes a site with one primary zone and the versions it had.
func primary(t testing.TB, conf transfer.Zone, keys []*tsig.Key, versions ...*zone.Zone) *site {
	t.Helper()
	s := newSite(t, transfer.Options{})
	conf.Name = versions[0].Apex()
	s.Configure([]transfer.Zone{conf}, keys)
	var old *zone.Zone
	for _, v := range versions {
		s.Published(conf.Name, old, v)
		old = v
	}
	return s
}

func everybody() transfer.Who { return transfer.Who{Addresses: filter.Everybody()} }

func client() *listen.Client {
	return &listen.Client{Remote: netip.MustParseAddrPort("127.0.0.1:4444"), Local: netip.MustParseAddrPort("127.0.0.1:53")}
}

// stream asks for a transfer and returns the messages.
func stream(t testing.TB, s *site, m *dns.Msg) []*dns.Msg {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	list, err := streamRaw(t, s, b)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func streamRaw(t testing.TB, s *site, b []byte) ([]*dns.Msg, error) {
	t.Helper()
	var list []*dns.Msg
	_, err := s.Stream(b, client(), func(msg []byte) error {
		r := new(dns.Msg)
		if err := r.Unpack(msg); err != nil {
			t.Fatalf("our message does not unpack: %v\n%x", err, msg)
		}
		list = append(list, r)
		return nil
	})
	return list, err
}

func axfr(name string) *dns.Msg {
	m := new(dns.Msg)
	m.SetAxfr(name)
	return m
}

func ixfr(name string, serial uint32) *dns.Msg {
	m := new(dns.Msg)
	m.SetIxfr(name, serial, "ns.example.org.", "admin.example.org.")
	return m
}

// records joins the answer sections.
func records(list []*dns.Msg) []string {
	var out []string
	for _, m := range list {
		for _, rr := range m.Answer {
			out = append(out, strings.Join(strings.Fields(rr.String()), " "))
		}
	}
	return out
}

// server runs a site behind a plain TCP and UDP socket, on an address of its own.
func serveOn(t testing.TB, s *site) netip.AddrPort {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(tcp.Addr().String())
	udp, err := net.ListenPacket("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close(); udp.Close() })
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go serveStream(s, c)
		}
	}()
	go func() {
		b := make([]byte, 65535)
		for {
			n, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			if out := answer(s, b[:n], netip.MustParseAddrPort(from.String())); out != nil {
				udp.WriteTo(out, from)
			}
		}
	}()
	return at
}

// serveStream answers transfers and SOA queries on one connection, as the server of a node does.
func serveStream(s *site, c net.Conn) {
	defer c.Close()
	for {
		var head [2]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(c, msg); err != nil {
			return
		}
		send := func(b []byte) error {
			_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
			return err
		}
		var q wire.Query
		if q.Read(msg) != wire.Good {
			return
		}
		if q.Type == wire.TypeAXFR || q.Type == wire.TypeIXFR {
			from := client()
			if a, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
				from.Remote = a
			}
			if _, err := s.Stream(msg, from, send); err != nil {
				return
			}
		} else if out := answer(s, msg, client().Remote); out == nil || send(out) != nil {
			return
		}
	}
}

// answer answers what is no transfer over a stream.
func answer(s *site, msg []byte, from netip.AddrPort) []byte {
	var q wire.Query
	if q.Read(msg) != wire.Good {
		return nil
	}
	inner := func(m, out []byte, _ int) int { return answerSOA(s, m, out) }
	out := make([]byte, 65535)
	if q.Opcode() == wire.OpcodeQuery && q.TSIG == 0 && q.Type == wire.TypeSOA {
		return out[:inner(msg, out, 0)]
	}
	c := client()
	c.Remote = from
	n, _ := s.Message(msg, &q, c, out, inner)
	return out[:n]
}

func answerSOA(s *site, msg, out []byte) int {
	var q dns.Msg
	if q.Unpack(msg) != nil {
		return 0
	}
	r := new(dns.Msg)
	r.SetReply(&q)
	r.Authoritative = true
	for _, st := range s.States() {
		if st.Name == strings.ToLower(q.Question[0].Name) && st.Serial != 0 {
			rr, _ := dns.NewRR(soa(st.Serial))
			rr.Header().Name = q.Question[0].Name
			r.Answer = []dns.RR{rr}
		}
	}
	if len(r.Answer) == 0 {
		r.Rcode = dns.RcodeServerFailure
	}
	b, _ := r.Pack()
	return copy(out, b)
}

// eventually waits for something that takes other goroutines a moment.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for range 500 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never came: %s", what)
}
