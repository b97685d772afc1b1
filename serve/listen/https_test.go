package listen_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/listen"
)

// webClients are clients of each HTTP version, by name.
func webClients(t testing.TB, p pair) map[string]*http.Client {
	h1 := &http.Transport{TLSClientConfig: p.client(), Protocols: new(http.Protocols)}
	h1.Protocols.SetHTTP1(true)
	h2 := &http.Transport{TLSClientConfig: p.client(), Protocols: new(http.Protocols)}
	h2.Protocols.SetHTTP2(true)
	h3 := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: p.pool, ServerName: "dns.example"}}
	t.Cleanup(func() { h1.CloseIdleConnections(); h2.CloseIdleConnections(); h3.Close() })
	clients := map[string]*http.Client{"HTTP/1.1": {Transport: h1}, "HTTP/2.0": {Transport: h2}, "HTTP/3.0": {Transport: h3}}
	for _, c := range clients {
		c.Timeout = 5 * time.Second
	}
	return clients
}

func request(t testing.TB, method, url, kind string, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return r
}

// RFC 8484, Section 4: the two methods, and the statuses for what is not a DNS request, in every version of HTTP.
func TestHTTPS_answersAndRefuses(t *testing.T) {
	const dns = "application/dns-message"
	p := newPair(t, t.TempDir(), 1)
	s := start(t, secure(p), func(q []byte, from *listen.Client, out []byte) int {
		if from.Transport != event.HTTPS || !from.Remote.Addr().IsLoopback() || !from.Local.Addr().IsLoopback() || from.ServerName != "dns.example" {
			return listen.Drop
		}
		return echo(q, from, out)
	}, nil)
	base := "https://" + bound(t, s, "https").String()
	q, long := question(0, 40), question(0, listen.MaxMessage)
	get := "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(q)
	cases := []struct {
		name, method, path, kind string
		body                     []byte
		status                   int
		reply                    []byte
	}{
		{"GET", "GET", get, "", nil, 200, replyTo(q)},
		{"HEAD", "HEAD", get, "", nil, 200, nil},
		{"POST", "POST", "/dns-query", dns, q, 200, replyTo(q)},
		{"longest POST", "POST", "/dns-query", dns, long, 200, replyTo(long)},
		{"too long", "POST", "/dns-query", dns, make([]byte, 65536), 413, nil},
		{"other type", "POST", "/dns-query", "text/plain", q, 415, nil},
		{"no type", "POST", "/dns-query", "", q, 415, nil},
		{"other method", "PUT", "/dns-query", dns, q, 405, nil},
		{"other path", "GET", "/", "", nil, 404, nil},
		{"no query", "GET", "/dns-query", "", nil, 400, nil},
		{"not base64url", "GET", "/dns-query?dns=%2B%2B%2F", "", nil, 400, nil},
		{"shorter than a header", "POST", "/dns-query", dns, q[:11], 400, nil},
	}
	for version, client := range webClients(t, p) {
		for _, c := range cases {
			t.Run(version+" "+c.name, func(t *testing.T) {
				r, err := client.Do(request(t, c.method, base+c.path, c.kind, c.body))
				if err != nil {
					t.Fatal(err)
				}
				defer r.Body.Close()
				body, err := io.ReadAll(r.Body)
				if r.Proto != version || r.StatusCode != c.status || err != nil {
					t.Fatalf("%s %d %v, want %d", r.Proto, r.StatusCode, err, c.status)
				}
				if c.status != 200 {
					return
				}
				if !bytes.Equal(body, c.reply) || r.Header.Get("Content-Type") != dns || r.Header.Get("Cache-Control") == "" {
					t.Errorf("%d octets, header %v", len(body), r.Header)
				}
				if alt := r.Header.Get("Alt-Svc"); (version == "HTTP/3.0") != (alt == "") || alt != "" && !strings.Contains(alt, port(bound(t, s, "https"))) {
					t.Errorf("Alt-Svc is %q", alt)
				}
			})
		}
	}
}

// Silence of the Answerer resets the stream, and nothing else on the connection.
func TestHTTPS_resetsWhatIsDropped(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	s := start(t, secure(p), func(q []byte, from *listen.Client, out []byte) int {
		if len(q) == 13 {
			return listen.Drop
		}
		return echo(q, from, out)
	}, nil)
	url := "https://" + bound(t, s, "https").String() + "/dns-query"
	for version, client := range webClients(t, p) {
		if r, err := client.Do(request(t, "POST", url, "application/dns-message", question(0, 13))); err == nil {
			t.Errorf("%s: status %d for a dropped query", version, r.StatusCode)
		}
		r, err := client.Do(request(t, "POST", url, "application/dns-message", question(0, 14)))
		if err != nil || r.StatusCode != 200 {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// Requests are counted before their body is read: who sends headers only cannot hold more than the limit.
func TestHTTPS_boundsRequests(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	c := secure(p)
	c.Limits.Requests = 2
	s := start(t, c, echo, nil)
	url := "https://" + bound(t, s, "https").String() + "/dns-query"
	client := webClients(t, p)["HTTP/2.0"]
	for range 2 {
		body, w := io.Pipe()
		t.Cleanup(func() { w.Close() })
		r, _ := http.NewRequest("POST", url, body)
		r.Header.Set("Content-Type", "application/dns-message")
		go func() {
			if r, err := client.Do(r); err == nil {
				r.Body.Close()
			}
		}()
	}
	eventually(t, "two requests wait for their body", func() bool { return s.Statistics().Requests == 2 })
	r, err := client.Do(request(t, "POST", url, "application/dns-message", question(0, 40)))
	if err != nil || r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %v, %v", r, err)
	}
}

// Plain HTTP is for the listed proxies, who name the client.
func TestPlainHTTP_believesTrustedProxiesOnly(t *testing.T) {
	var remote atomic.Value
	c := listen.Config{PlainHTTP: []netip.AddrPort{loopback4}, HTTPProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, HTTPPath: "/q"}
	s := start(t, c, func(q []byte, from *listen.Client, out []byte) int {
		remote.Store(from.Remote.String())
		return echo(q, from, out)
	}, nil)
	url := "http://" + bound(t, s, "plain http").String() + "/q"
	for _, h2 := range []bool{false, true} {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!h2)
		tr.Protocols.SetUnencryptedHTTP2(h2)
		defer tr.CloseIdleConnections()
		r := request(t, "POST", url, "application/dns-message", question(0, 40))
		r.Header.Set("Forwarded", `for=203.0.113.66, for="[2001:db8::7]:4711";proto=https, for=127.0.0.1`)
		if got, err := (&http.Client{Transport: tr}).Do(r); err != nil || got.StatusCode != 200 {
			t.Fatalf("%v %v", got, err)
		}
		if remote.Load() != "[2001:db8::7]:4711" {
			t.Errorf("client is %v", remote.Load())
		}
	}
	other := c
	other.HTTPProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	if err := s.Reload(other); err != nil {
		t.Fatal(err)
	}
	if r, err := new(http.Client).Do(request(t, "POST", url, "application/dns-message", question(0, 40))); err == nil {
		t.Errorf("status %d for an address that is no proxy", r.StatusCode)
	}
}

func TestForwardedFor_takesTheLastUntrusted(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	cases := []struct {
		header, value, want string
	}{
		{"Forwarded", "for=192.0.2.1", "192.0.2.1:0"},
		{"Forwarded", "for=198.51.100.9, For=192.0.2.1:99;by=10.0.0.1, for=10.0.0.2", "192.0.2.1:99"},
		{"Forwarded", `for="[2001:db8::1]"`, "[2001:db8::1]:0"},
		{"Forwarded", "for=unknown", ""},
		{"Forwarded", "for=192.0.2.1, for=_hidden", ""},
		{"Forwarded", "proto=https", ""},
		{"X-Forwarded-For", "198.51.100.9, 192.0.2.1, 10.0.0.2", "192.0.2.1:0"},
		{"X-Forwarded-For", "2001:db8::1", "[2001:db8::1]:0"},
		{"X-Forwarded-For", "10.0.0.1", ""},
		{"X-Forwarded-For", "", ""},
		{"Via", "192.0.2.1", ""},
	}
	for _, c := range cases {
		at, ok := listen.ForwardedFor(http.Header{c.header: {c.value}}, proxies)
		if ok != (c.want != "") || ok && at.String() != c.want {
			t.Errorf("%s: %s: got %v %v, want %s", c.header, c.value, at, ok, c.want)
		}
	}
}

// RFC 8484, Section 5.1; RFC 2308, Section 5.
func TestFreshness_isTheSmallestTTL(t *testing.T) {
	name, _ := wire.ParseName("www.example.")
	soa := append(append([]byte{0, 0}, make([]byte, 16)...), 0, 0, 1, 44) // MINIMUM 300
	build := func(add func(*wire.Builder)) []byte {
		var b wire.Builder
		b.Reset(make([]byte, 1024))
		b.Question(name, wire.TypeA, 1)
		add(&b)
		return b.Finish(0, 0x8400)
	}
	cases := map[string]struct {
		msg  []byte
		want uint32
	}{
		"answers": {build(func(b *wire.Builder) {
			b.RR(wire.Answers, name, wire.TypeA, 1, 600, []byte{1, 2, 3, 4})
			b.RR(wire.Answers, name, wire.TypeA, 1, 60, []byte{1, 2, 3, 5})
			b.RR(wire.Authorities, name, wire.TypeNS, 1, 5, []byte{0})
		}), 60},
		"minimum of the SOA": {build(func(b *wire.Builder) { b.RR(wire.Authorities, name, wire.TypeSOA, 1, 3600, soa) }), 300},
		"TTL of the SOA":     {build(func(b *wire.Builder) { b.RR(wire.Authorities, name, wire.TypeSOA, 1, 30, soa) }), 30},
		"top bit":            {build(func(b *wire.Builder) { b.RR(wire.Answers, name, wire.TypeA, 1, 1<<31, []byte{1, 2, 3, 4}) }), 0},
		"nothing":            {build(func(*wire.Builder) {}), 0},
		"cut short":          {build(func(b *wire.Builder) { b.RR(wire.Answers, name, wire.TypeA, 1, 600, []byte{1, 2, 3, 4}) })[:30], 0},
	}
	for what, c := range cases {
		if got := listen.Freshness(c.msg); got != c.want {
			t.Errorf("%s: got %d, want %d", what, got, c.want)
		}
	}
}

// Whatever a request holds, it is a message of an allowed length or a refusal with a status of RFC 8484; and a message of
// any content survives the look at its TTLs.
func FuzzDecodeDoH(f *testing.F) {
	f.Add("GET", "dns="+base64.RawURLEncoding.EncodeToString(question(0, 40)), "", []byte(nil))
	f.Add("POST", "", "application/dns-message", question(0, 40))
	f.Add("POST", "", "Application/DNS-Message ; x=y", []byte{})
	f.Add("HEAD", "dns=AAA=&dns=;%%", "", []byte(nil))
	allowed := map[int]bool{400: true, 405: true, 413: true, 414: true, 415: true}
	f.Fuzz(func(t *testing.T, method, query, kind string, body []byte) {
		r := httptest.NewRequest("GET", "/dns-query", bytes.NewReader(body))
		r.Method, r.URL.RawQuery = method, query
		r.Header.Set("Content-Type", kind)
		msg, status := listen.DecodeDoH(r)
		switch {
		case status == 200 && (len(msg) < 12 || len(msg) > listen.MaxMessage):
			t.Errorf("took %d octets", len(msg))
		case status == 200 && method == "POST" && !bytes.Equal(msg, body):
			t.Error("body was changed")
		case status == 200 && method != "POST":
			text := base64.RawURLEncoding.EncodeToString(msg)
			if !strings.HasPrefix(r.URL.Query().Get("dns"), text[:len(text)-1]) && !strings.ContainsAny(query, "\r\n%") {
				t.Errorf("decoded %q as %x", query, msg)
			}
		case status != 200 && (!allowed[status] || msg != nil):
			t.Errorf("status %d with %d octets", status, len(msg))
		}
		listen.Freshness(body)
		listen.Freshness(msg)
	})
}
