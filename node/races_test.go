package node_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/house/port"
)

// gate is a server that passes questions on to another one, and keeps those for one name until it is opened.
type gate struct {
	at    string
	name  string
	mu    sync.Mutex
	open  chan struct{}
	held  chan struct{} // one waits
	asked atomic.Int64  // for the name
}

func newGate(t *testing.T, to, name string) *gate {
	t.Helper()
	g := &gate{at: fmt.Sprintf("127.0.0.1:%d", port.Free(t)), name: name, held: make(chan struct{}, 100)}
	for _, network := range []string{"udp", "tcp"} {
		ready := make(chan struct{})
		s := &dns.Server{Addr: g.at, Net: network, NotifyStartedFunc: func() { close(ready) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			r, _, err := (&dns.Client{Net: "tcp", Timeout: 5 * time.Second}).Exchange(q, to)
			if err != nil {
				return
			}
			g.mu.Lock()
			open := g.open
			g.mu.Unlock()
			if dns.CanonicalName(q.Question[0].Name) == name {
				g.asked.Add(1)
				if open != nil {
					g.held <- struct{}{}
					<-open
				}
			}
			if network == "udp" {
				r.Truncate(1232)
			}
			w.WriteMsg(r)
		})}
		go s.ListenAndServe()
		t.Cleanup(func() { s.Shutdown() })
		<-ready
	}
	return g
}

// during asks for the name and does something while the answer is under way.
func (g *gate) during(t *testing.T, at string, do func()) {
	t.Helper()
	open := make(chan struct{})
	g.mu.Lock()
	g.open = open
	g.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := dns.Client{Timeout: 10 * time.Second}
		c.Exchange(new(dns.Msg).SetQuestion(g.name, dns.TypeA), at)
	}()
	<-g.held
	do()
	g.mu.Lock()
	g.open = nil
	g.mu.Unlock()
	close(open)
	<-done
}

// An answer that is under way while its name is flushed, or a negative trust anchor begins or ends, is not in the cache afterwards.
func TestCache_keepsNothingFromBeforeAFlush(t *testing.T) {
	w := newWorld(t)
	g := newGate(t, worldLeaf+":53", "www.bad.world.")
	n := startAt(t, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), w.conf(fmt.Sprintf("  stub: [{name: bad.world, servers: [{address: %q}]}]\n", g.at)))
	if a := look(t, n.at, "www.good.world.", false); !a.ad { // the chain down to world. is known
		t.Fatalf("%+v", a)
	}
	g.during(t, n.at, func() { control(t, n, "nta", "add", "bad.world", "ops", "a test", "1h") })
	if a := look(t, n.at, "www.bad.world.", false); a.rcode != dns.RcodeSuccess || a.ad {
		t.Errorf("a negative trust anchor came while it was looked up: %+v", a)
	}
	control(t, n, "flush", "bad.world", "subtree")
	g.during(t, n.at, func() { control(t, n, "nta", "remove", "bad.world") })
	if a := look(t, n.at, "www.bad.world.", false); a.rcode != dns.RcodeServerFailure {
		t.Errorf("a negative trust anchor went while it was looked up: %+v", a)
	}
	control(t, n, "nta", "add", "bad.world", "ops", "a test", "1h")
	for what, args := range map[string][]string{"name": {"www.bad.world"}, "subtree": {"world", "subtree"}, "all": {"all"}} {
		control(t, n, "flush", "bad.world", "subtree")
		g.during(t, n.at, func() { control(t, n, "flush", args...) })
		before := g.asked.Load()
		if a := look(t, n.at, "www.bad.world.", false); a.rcode != dns.RcodeSuccess || g.asked.Load() == before {
			t.Errorf("flush %s while it was looked up: %+v, asked again %v", what, a, g.asked.Load() > before)
		}
		before = g.asked.Load()
		if look(t, n.at, "www.bad.world.", false); g.asked.Load() != before {
			t.Errorf("flush %s: what came afterwards is not kept", what)
		}
	}
}
