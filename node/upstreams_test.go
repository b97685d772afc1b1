package node_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/house/port"
)

// secureServer answers everything over TLS (or TCP without a certificate) after a time, and counts.
type secureServer struct {
	at    string
	asked atomic.Int64
	stop  func()
}

func newSecureServer(t *testing.T, at string, config *tls.Config, delay time.Duration) *secureServer {
	t.Helper()
	s := &secureServer{at: at}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		s.asked.Add(1)
		time.Sleep(delay)
		m := new(dns.Msg).SetReply(q)
		rr, _ := dns.NewRR(q.Question[0].Name + " 300 A 192.0.2.1")
		soa, _ := dns.NewRR(". 300 SOA a. b. 1 2 3 4 5")
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{rr}
		} else {
			m.Ns = []dns.RR{soa}
		}
		w.WriteMsg(m)
	})}
	go server.ActivateAndServe()
	s.stop = func() { server.Shutdown() }
	t.Cleanup(s.stop)
	return s
}

// Encrypted upstreams are ordered by how fast they answer, not by the list; when the fast one goes, the others take over, and one that refuses connections is
// left alone meanwhile. Each server has a protocol of its own.
func TestForward_ordersEncryptedUpstreams(t *testing.T) {
	cert, key := certificates(t, "dns.example.net")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"dot"}}
	at := func() string { return fmt.Sprintf("127.0.0.1:%d", port.Free(t)) }
	dead := at()
	slow, fast, plain := newSecureServer(t, at(), config, 700*time.Millisecond), newSecureServer(t, at(), config, 0), newSecureServer(t, at(), nil, 0)
	n := startAt(t, at(), fmt.Sprintf("recursion:\n  validation: {off: true}\n  forward:\n  - name: .\n    servers: [{address: %q, protocol: tls}, {address: %q, protocol: tls}, {address: %q, protocol: tls}, {address: %q, protocol: tcp}]\n",
		dead, slow.at, fast.at, plain.at))
	i := 0
	ask := func(times int) {
		t.Helper()
		for range times {
			i++
			if a := look(t, n.at, fmt.Sprintf("n%d.example.", i), false); a.address != "192.0.2.1" {
				t.Fatalf("question %d: %+v", i, a)
			}
		}
	}
	ask(30)
	if f, s := fast.asked.Load(), slow.asked.Load(); f < 20 || s > 10 {
		t.Errorf("the fast one was asked %d times, the slow one %d", f, s)
	}
	if plain.asked.Load() > 0 {
		t.Errorf("%d questions where others can listen", plain.asked.Load())
	}
	for _, u := range state(t, n).Streams {
		if u.Server == dead && u.Queries > 6 {
			t.Errorf("the one that refuses was tried %d times", u.Queries)
		}
	}
	fast.stop()
	ask(4)
	if slow.asked.Load() == 0 {
		t.Error("nobody took over")
	}
	slow.stop()
	ask(4)
	if plain.asked.Load() == 0 {
		t.Error("the last one, over TCP, was not asked")
	}
}
