package node_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"anyu/house/port"
)

// Port 53 is redirected: the servers of the hints answer as a resolver does. The finding says what that is, and the walk what to do.
func TestRecursion_findsThatPort53IsRedirected(t *testing.T) {
	newWorld(t).close() // skips where port 53 is not ours
	const at = "127.77.9.1"
	ready := make(chan struct{})
	s := &dns.Server{Addr: at + ":53", Net: "udp", NotifyStartedFunc: func() { close(ready) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		rr, _ := dns.NewRR(". 300 NS somebody.example.")
		if q.Question[0].Qtype == dns.TypeA {
			rr, _ = dns.NewRR(q.Question[0].Name + " 300 A 192.0.2.1")
		}
		m.Answer = []dns.RR{rr}
		w.WriteMsg(m)
	})}
	go s.ListenAndServe()
	t.Cleanup(func() { s.Shutdown() })
	<-ready
	dir := t.TempDir()
	hints := write(t, dir+"/hints", ". 3600 NS a.root.\na.root. 3600 A "+at+"\n")
	n := startAt(t, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), fmt.Sprintf("recursion:\n  hints: %s\n  permitted: [127.77.0.0/16]\n  ipv6: false\n  validation: {off: true}\n", hints))
	look(t, n.at, "www.example.", false)
	eventually(t, "the finding", func() bool { _, open := finding(t, n, "resolver-redirected"); return open })
	if text, _ := finding(t, n, "resolver-redirected"); !strings.Contains(text, at) {
		t.Error(text)
	}
}

// The host of an HTTPS source of the local root is looked up by the node itself, at the root servers while there is no copy, or is where the configuration
// says: the system's resolver, which knows nothing of either name, is not asked.
func TestLocalRoot_looksItsSourcesUpItself(t *testing.T) {
	w := newWorld(t)
	for name, source := range map[string]string{"mirror.good.world": "https://mirror.good.world:%d/root.zone", "nowhere.invalid": "https://nowhere.invalid/root.zone#127.0.0.1:%d"} {
		cert, key := certificates(t, name)
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		var asked atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.TLS.ServerName == name && r.URL.Path == "/root.zone" {
				asked.Add(1)
			}
			http.Error(w, "not today", http.StatusServiceUnavailable)
		}))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		s.StartTLS()
		var at int
		fmt.Sscanf(s.Listener.Addr().String(), "127.0.0.1:%d", &at)
		n := startAt(t, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), w.conf(fmt.Sprintf("  local_root: {sources: [\"%s\"], tls_roots: %s}\n", fmt.Sprintf(source, at), cert)))
		eventually(t, "a request to "+name, func() bool { return asked.Load() > 0 })
		eventually(t, "the failure is shown", func() bool {
			r := state(t, n).LocalRoot
			return r != nil && strings.Contains(r.Error, "503")
		})
		n.stop()
		s.Close()
	}
}
