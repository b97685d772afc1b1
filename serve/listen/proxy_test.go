package listen_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"anyu/serve/listen"
)

var signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// proxyHeader builds a PROXYv2 header with TLVs behind the addresses.
func proxyHeader(remote, local netip.AddrPort, tlvs []byte) []byte {
	h := append(bytes.Clone(signature), 0x21, 0x11)
	if remote.Addr().Is6() {
		h[13] = 0x21
	}
	a := append(remote.Addr().AsSlice(), local.Addr().AsSlice()...)
	a = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(a, remote.Port()), local.Port())
	a = append(a, tlvs...)
	return append(binary.BigEndian.AppendUint16(h, uint16(len(a))), a...)
}

var (
	client4 = netip.MustParseAddrPort("192.0.2.7:4711")
	server4 = netip.MustParseAddrPort("198.51.100.1:53")
	client6 = netip.MustParseAddrPort("[2001:db8::7]:4711")
	server6 = netip.MustParseAddrPort("[2001:db8::53]:53")
	local   = append(bytes.Clone(signature), 0x20, 0, 0, 0)
)

// corpus is the folder of test data that the project shares, or the end of the test.
func corpus(t testing.TB, below string) string {
	t.Helper()
	root := os.Getenv("ANYU_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	dir := filepath.Join(root, below)
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("test data is absent: %v", err)
		}
		t.Skipf("SKIPPED: test data is absent: %s", dir)
	}
	return dir
}

func TestParseProxy_readsHeaders(t *testing.T) {
	long := proxyHeader(client4, server4, make([]byte, 300))
	cases := map[string]struct {
		in   []byte
		want listen.Proxied
	}{
		"IPv4":  {proxyHeader(client4, server4, nil), listen.Proxied{Known: true, Remote: client4, Local: server4, Size: 28}},
		"IPv6":  {proxyHeader(client6, server6, nil), listen.Proxied{Known: true, Remote: client6, Local: server6, Size: 52}},
		"TLVs":  {long, listen.Proxied{Known: true, Remote: client4, Local: server4, Size: len(long)}},
		"LOCAL": {local, listen.Proxied{Size: 16}},
	}
	for name, c := range cases {
		got, err := listen.ParseProxy(append(bytes.Clone(c.in), "query"...))
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		for n := range c.in {
			if _, err := listen.ParseProxy(c.in[:n]); !errors.Is(err, listen.ErrProxyShort) {
				t.Errorf("%s: first %d octets: %v", name, n, err)
			}
		}
	}
	for name, at := range map[string]int{"signature": 3, "version": 12, "family": 13} {
		bad := proxyHeader(client4, server4, nil)
		bad[at] = 0xF1
		if _, err := listen.ParseProxy(bad); err == nil || errors.Is(err, listen.ErrProxyShort) {
			t.Errorf("wrong %s: %v", name, err)
		}
	}
}

// The two headers that PowerDNS fuzzes with are read to their end.
func TestParseProxy_readsPowerDNSCorpus(t *testing.T) {
	dir := corpus(t, "wire/powerdns-fuzz/proxy-protocol-raw-packets")
	for name, known := range map[string]bool{"proxy-protocol-v4-with-tlvs": true, "proxy-protocol-local-header": false} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if p, err := listen.ParseProxy(b); err != nil || p.Known != known || p.Size > len(b) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// A header that is read has its size in the octets, its prefix is not enough, and what follows does not matter.
func FuzzParseProxy(f *testing.F) {
	f.Add(proxyHeader(client4, server4, []byte{1, 0, 1, 7}))
	f.Add(proxyHeader(client6, server6, nil))
	f.Add(local)
	if files, _ := filepath.Glob("../../../shared/corpora/wire/powerdns-fuzz/proxy-protocol-raw-packets/*"); files != nil {
		for _, name := range files {
			if b, err := os.ReadFile(name); err == nil {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := listen.ParseProxy(b)
		if err != nil {
			return
		}
		if p.Size < 16 || p.Size > len(b) || p.Known != p.Remote.IsValid() || p.Known != p.Local.IsValid() {
			t.Fatalf("%+v from %d octets", p, len(b))
		}
		if _, err := listen.ParseProxy(b[:p.Size-1]); !errors.Is(err, listen.ErrProxyShort) {
			t.Errorf("without its last octet: %v", err)
		}
		if again, err := listen.ParseProxy(append(b[:p.Size:p.Size], 1, 2, 3)); err != nil || again != p {
			t.Errorf("with other octets behind: %+v, %v", again, err)
		}
	})
}

// The header of a trusted proxy names the client, over UDP, TCP and before TLS; servers.md 3.2, "cookie + proxy".
func TestProxy_namesTheClient(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	c := listen.Config{Plain: []netip.AddrPort{loopback4}, TLS: []netip.AddrPort{loopback4}, Certificate: p.cert, Key: p.key,
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Limits: listen.Limits{Message: 300 * time.Millisecond}}
	var seen atomic.Pointer[listen.Client]
	s := start(t, c, func(q []byte, from *listen.Client, out []byte) int {
		one := *from
		seen.Store(&one)
		return echo(q, from, out)
	}, nil)
	want := func(remote, local netip.AddrPort) {
		t.Helper()
		if c := seen.Load(); c == nil || c.Remote != remote || c.Local != local {
			t.Errorf("client is %+v, want %v to %v", c, remote, local)
		}
	}
	q := question(1, 40)

	udp := dial(t, "udp", bound(t, s, "dns"))
	if got := askUDP(t, udp, append(proxyHeader(client6, server6, make([]byte, 50)), q...)); !bytes.Equal(got, replyTo(q)) {
		t.Errorf("got %x", got)
	}
	want(client6, server6)
	mustWrite(t, udp, q) // no header: dropped
	mustWrite(t, udp, signature)
	askUDP(t, udp, append(bytes.Clone(local), q...))
	want(netip.MustParseAddrPort(udp.LocalAddr().String()), bound(t, s, "dns"))

	tcp := dial(t, "tcp", bound(t, s, "dns"))
	for _, octet := range proxyHeader(client4, server4, make([]byte, 600)) {
		mustWrite(t, tcp, []byte{octet})
	}
	mustWrite(t, tcp, frame(q, q))
	wantFrame(t, tcp, replyTo(q))
	wantFrame(t, tcp, replyTo(q))
	want(client4, server4)

	raw := dial(t, "tcp", bound(t, s, "tls"))
	mustWrite(t, raw, proxyHeader(client4, server4, nil))
	over := tls.Client(raw, p.client("dot"))
	mustWrite(t, over, frame(q))
	wantFrame(t, over, replyTo(q))
	want(client4, server4)

	for _, bad := range [][]byte{frame(q), signature, proxyHeader(client4, server4, make([]byte, 5000))} {
		c := dial(t, "tcp", bound(t, s, "dns"))
		mustWrite(t, c, bad)
		wantClosed(t, c)
	}
}

func TestProxy_ofStrangersIsDropped(t *testing.T) {
	c := listen.Config{Plain: []netip.AddrPort{loopback4}, Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	s := start(t, c, echo, nil)
	udp := dial(t, "udp", bound(t, s, "dns"))
	mustWrite(t, udp, append(proxyHeader(client4, server4, nil), question(1, 40)...))
	if got := askUDP(t, udp, question(2, 40)); !bytes.Equal(got, replyTo(question(2, 40))) {
		t.Errorf("got %x", got)
	}
	if r := s.Statistics().Transports[0].Refused; r != 1 {
		t.Errorf("%d refused", r)
	}
}

// Connections behind a proxy are counted for the client it names, not for the proxy.
func TestProxy_limitsTheClientNotTheProxy(t *testing.T) {
	c := listen.Config{Plain: []netip.AddrPort{loopback4}, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Limits: listen.Limits{ClientConnections: 2}}
	s := start(t, c, echo, nil)
	at := bound(t, s, "dns")
	other := dial(t, "tcp", at)
	mustWrite(t, other, append(proxyHeader(client6, server6, nil), frame(question(1, 40))...))
	wantFrame(t, other, replyTo(question(1, 40)))
	for range 6 {
		one := dial(t, "tcp", at)
		mustWrite(t, one, append(proxyHeader(client4, server4, nil), frame(question(1, 40))...))
		wantFrame(t, one, replyTo(question(1, 40)))
	}
	mustWrite(t, other, frame(question(2, 40)))
	wantFrame(t, other, replyTo(question(2, 40)))
	if open := s.Statistics().Connections; open != 3 {
		t.Errorf("%d connections, want 2 and 1", open)
	}
}
