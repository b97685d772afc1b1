package node_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/house/port"
)

// proxied asks a node in the name of a client, as a proxy does (PROXYv2), and returns nil without a reply.
func proxied(t *testing.T, at, client, name string) *dns.Msg {
	t.Helper()
	from, to := netip.MustParseAddr(client).As4(), netip.MustParseAddrPort(at)
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 77, 1, 1)}, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	msg := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x12\x00\x0c"), from[:]...)
	a := to.Addr().As4()
	msg = append(msg, a[:]...)
	msg = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(msg, 999), to.Port())
	if _, err := c.Write(append(msg, q...)); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	in := make([]byte, 4096)
	n, err := c.Read(in)
	if err != nil {
		return nil
	}
	m := new(dns.Msg)
	if err := m.Unpack(in[:n]); err != nil {
		t.Fatal(err)
	}
	return m
}

// recursion.rate: one client too many queries; the others are answered; the finding, the figures and `control recursion` say who it was. A reload
// changes the limit, and the counts go on.
func TestRecursion_limitsAClient(t *testing.T) {
	w := newWorld(t)
	at := fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	conf := func(rate string) string {
		return "listen: {dns: [\"" + at + "\"], proxies: [127.77.1.1/32]}\nclients: {recursion: [198.51.100.0/24]}\n" + w.conf(rate)
	}
	n := startAt(t, at, conf("  rate: {per_second: 5, burst: 10, slip: 3}\n"))
	if r := proxied(t, at, "198.51.100.8", "www.good.world."); r == nil || len(r.Answer) == 0 {
		t.Fatalf("another client first: %v", r)
	}
	answered, truncated, silent := 0, 0, 0
	for range 40 {
		switch r := proxied(t, at, "198.51.100.7", "www.good.world."); {
		case r == nil:
			silent++
		case r.Truncated:
			truncated++
		case len(r.Answer) > 0:
			answered++
		}
		if silent > 8 {
			break
		}
	}
	if answered < 10 || truncated == 0 || silent == 0 {
		t.Errorf("%d answered, %d truncated, %d not", answered, truncated, silent)
	}
	if r := proxied(t, at, "198.51.100.8", "www.good.world."); r == nil || len(r.Answer) == 0 {
		t.Errorf("another client meanwhile: %v", r)
	}
	eventually(t, "the finding", func() bool { _, open := finding(t, n, "client-rate"); return open })
	if text, _ := finding(t, n, "client-rate"); !strings.Contains(text, "198.51.100.7/32") || strings.Contains(text, "198.51.100.8") {
		t.Error(text)
	}
	s := state(t, n).ClientRate
	if s.PerSecond != 5 || s.Dropped == 0 || s.Truncated == 0 || len(s.Worst) != 1 || s.Worst[0].Prefix.String() != "198.51.100.7/32" {
		t.Errorf("%+v", s)
	}
	n.configure(conf("  rate: {per_second: 5, exempt: [198.51.100.7/32]}\n"))
	reload(t, n)
	for i := range 30 {
		if r := proxied(t, at, "198.51.100.7", "www.good.world."); r == nil || len(r.Answer) == 0 {
			t.Fatalf("exempt, query %d: %v", i, r)
		}
	}
	if now := state(t, n).ClientRate; now.All() != s.All() {
		t.Errorf("counted %+v, before %+v", now, s)
	}
}
