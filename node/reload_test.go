package node_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/config"
	"anyu/house/port"
	"anyu/node"
)

// reloads is another value for every key of recursion: what a running node must take. A key that is not here fails the test.
var reloads = []struct {
	key   string // as in the configuration
	value string
	flush bool // what is cached was learned in a way that the new value does not allow
}{
	{key: "hints", value: "HINTS", flush: true}, {key: "prime", value: "false"},
	{key: "stub", value: "[{name: elsewhere.example, servers: [{address: 127.77.0.9}]}]"},
	{key: "forward", value: "[{name: elsewhere.example, servers: [{address: 127.77.0.9}]}]"},
	{key: "minimise", value: "false"}, {key: "case_randomisation", value: "false"}, {key: "ipv4", value: "false"}, {key: "ipv6", value: "false"},
	{key: "source", value: "[127.77.0.200]"}, {key: "forbidden", value: "[203.0.113.0/24]"}, {key: "permitted", value: "[127.77.0.0/16, 127.78.0.0/16]"},
	{key: "private", value: "[203.0.113.0/24]", flush: true}, {key: "private_names", value: "[home.example]"}, {key: "dns64", value: "64:ff9b::/96", flush: true}, {key: "dns64_ignore", value: "[odd.example]", flush: true}, {key: "open", value: "[test]"},
	{key: "local.records", value: "[x.example. A 192.0.2.7, z.example. A 192.0.2.9]"}, {key: "local.files", value: "[LINES]"}, {key: "local.hosts", value: "[HOSTS]"}, {key: "local.reverse", value: "true"},
	{key: "local.rules", value: "[{name: ads.example, answer: nxdomain}]"},
	{key: "aggressive", value: "false"}, {key: "minimal", value: "false"}, {key: "snoop", value: "true"}, {key: "reasons", value: "false"},
	{key: "local_root.sources", value: "[\"file:/does/not/exist\"]"}, {key: "local_root.tls_roots", value: "ROOTS"},
	{key: "validation.off", value: "true", flush: true}, {key: "validation.anchors", value: "ANCHOR"}, {key: "validation.update", value: "false"},
	{key: "validation.signal", value: "false"}, {key: "validation.negative", value: "[{name: other.example, owner: o, reason: r, end: END}]"},
	{key: "validation.sha1", value: "true", flush: true}, {key: "validation.refused", value: "[5]", flush: true}, {key: "validation.skew", value: "1h"},
	{key: "cache.size", value: "32MiB"}, {key: "cache.max_ttl", value: "2h"}, {key: "cache.min_ttl", value: "10s"}, {key: "cache.negative_ttl", value: "10m"},
	{key: "cache.failure_ttl", value: "9s"}, {key: "cache.stale", value: "2h"}, {key: "cache.stale_after", value: "1s"}, {key: "cache.stale_ttl", value: "9s"},
	{key: "cache.prefetch", value: "false"}, {key: "cache.save", value: "false"}, {key: "cache.save_every", value: "2m"},
	{key: "limits.tasks", value: "100"}, {key: "limits.waiters", value: "100"}, {key: "limits.client_waiters", value: "100"}, {key: "limits.zone_queries", value: "100"},
	{key: "limits.server_queries", value: "100"},
	{key: "rate.per_second", value: "7"}, {key: "rate.burst", value: "9"}, {key: "rate.slip", value: "3"}, {key: "rate.prefix4", value: "24"}, {key: "rate.prefix6", value: "48"},
	{key: "rate.exempt", value: "[192.0.2.0/24]"},
	{key: "discovery.off", value: "true"}, {key: "discovery.name", value: "other.example.net"}, {key: "off", value: "true"},
}

// keysOf lists the keys of a part of the configuration; lists of structures are one key.
func keysOf(t reflect.Type, prefix string) (list []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		switch {
		case tag == "-":
		case f.Type.Kind() == reflect.Struct && strings.HasPrefix(f.Type.PkgPath(), "anyu/config"):
			list = append(list, keysOf(f.Type, prefix+tag+".")...)
		default:
			list = append(list, prefix+tag)
		}
	}
	return list
}

// A running node takes another value of every key of recursion: those whose work it is have it afterwards, the cache is as it was, and with the old value
// all is as before. Looked at are the settings that the engines, tables, sockets, cache and validator hold, not the configuration.
func TestReload_takesEveryKeyOfRecursion(t *testing.T) {
	w := newWorld(t)
	cert, private := certificates(t, "dns.example.net")
	plain, tls := port.Free(t), port.Free(t)
	at := fmt.Sprintf("127.0.0.1:%d", plain)
	hints, err := os.ReadFile(w.hints)
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("HINTS", write(t, filepath.Join(w.dir, "hints2"), string(hints)+". 3600 NS b.root.\nb.root. 3600 A "+worldRoot+"\n"), "ROOTS", cert, "LINES", write(t, filepath.Join(w.dir, "lines"), "x.example. 60 A 192.0.2.7\n"), "HOSTS", write(t, filepath.Join(w.dir, "hosts"), "192.0.2.7 x.example\n"), "END", time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"ANCHOR", write(t, filepath.Join(w.dir, "anchor2"), w.ds+"other.example. IN DS 12345 13 2 "+strings.Repeat("5a", 32)+"\n"))
	base := map[string]string{"hints": w.hints, "permitted": "[127.77.0.0/16]", "private": "[10.0.0.0/8]", "ipv6": "true", "prime": "true", "validation.anchors": "[" + w.anchor + "]",
		"local_root.sources": "[\"file:/not/there\"]", "rate.per_second": "1000", "local.records": "[y.example. A 192.0.2.8]", "discovery.name": "dns.example.net"}
	conf := func(key, value string) string {
		tree := map[string]string{}
		for k, v := range base {
			tree[k] = v
		}
		if key != "" {
			tree[key] = value
		}
		parts := map[string][]string{}
		var order []string
		for k, v := range tree {
			part, leaf, nested := strings.Cut(k, ".")
			if !nested {
				part, leaf = k, ""
			}
			if parts[part] == nil {
				order = append(order, part)
			}
			if leaf == "" {
				parts[part] = []string{v}
			} else {
				parts[part] = append(parts[part], leaf+": "+v)
			}
		}
		slices.Sort(order)
		var b strings.Builder
		for _, p := range order {
			text := strings.Join(parts[p], ", ")
			if strings.Contains(text, ": ") && !strings.HasPrefix(text, "[") && !strings.HasPrefix(text, "{") {
				text = "{" + text + "}"
			}
			fmt.Fprintf(&b, "  %s: %s\n", p, text)
		}
		return fmt.Sprintf("listen: {dns: [%s], tls: [127.0.0.1:%d], certificate: %s, key: %s}\nrecursion:\n%s", at, tls, cert, private, b.String())
	}
	n := startAt(t, at, conf("", ""))
	learn := func() int {
		if a := look(t, at, "www.good.world.", false); a.rcode != dns.RcodeSuccess {
			t.Fatalf("%+v", a)
		}
		return state(t, n).Cache.RRsets
	}
	learn()
	var before string
	eventually(t, "peace", func() bool { // priming, the first probe of the trust anchors
		now := node.InUse(n.Node)
		same := now == before
		before = now
		if !same {
			time.Sleep(300 * time.Millisecond)
		}
		return same
	})
	known := map[string]bool{}
	for _, r := range reloads {
		known[r.key] = true
		held := learn()
		value := fill.Replace(r.value)
		if r.key == "validation.anchors" {
			value = "[" + value + "]"
		}
		n.configure(conf(r.key, value))
		if err := n.Reload(t.Context(), "test", false); err != nil {
			t.Errorf("%s: %v", r.key, err)
			continue
		}
		if node.InUse(n.Node) == before {
			t.Errorf("%s: %s changes nothing", r.key, r.value)
		}
		if have := node.Cached(n.Node); !r.flush && have < held || r.flush && have >= held {
			t.Errorf("%s: %d RRsets in the cache, before %d", r.key, have, held)
		}
		n.configure(conf("", ""))
		reload(t, n)
		if after := node.InUse(n.Node); after != before {
			t.Errorf("%s: with the value of before it is not as before:\n%s", r.key, firstDifference(before, after))
		}
	}
	for _, k := range keysOf(reflect.TypeFor[config.Recursion](), "") {
		if !known[k] {
			t.Errorf("recursion.%s: no reload is tried", k)
		}
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] + "\n" + y[i]
		}
	}
	return "one is longer"
}

// recursion.source by a reload: the servers see the new address, over UDP and over connections that were open; what was learned is there still.
func TestReload_takesAnotherSource(t *testing.T) {
	seen := make(chan netip.AddrPort, 100)
	server := fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	for _, network := range []string{"udp", "tcp"} {
		ready := make(chan struct{})
		s := &dns.Server{Addr: server, Net: network, NotifyStartedFunc: func() { close(ready) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			seen <- netip.MustParseAddrPort(w.RemoteAddr().String())
			m := new(dns.Msg).SetReply(q)
			rr, _ := dns.NewRR(q.Question[0].Name + " 300 A 192.0.2.1")
			m.Answer = []dns.RR{rr}
			w.WriteMsg(m)
		})}
		go s.ListenAndServe()
		t.Cleanup(func() { s.Shutdown() })
		<-ready
	}
	for _, protocol := range []string{"udp", "tcp"} {
		conf := func(source string) string {
			return fmt.Sprintf("recursion:\n  source: [%s]\n  validation: {off: true}\n  forward: [{name: example., servers: [{address: %q, protocol: %s}]}]\n", source, server, protocol)
		}
		n := startAt(t, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), conf("127.77.2.1"))
		for i, source := range []string{"127.77.2.1", "127.77.2.2", "127.77.2.1"} {
			n.configure(conf(source))
			reload(t, n)
			if a := look(t, n.at, fmt.Sprintf("n%d.example.", i), false); a.address != "192.0.2.1" {
				t.Fatalf("%s: %+v", protocol, a)
			}
			for len(seen) > 0 {
				if from := (<-seen).Addr().String(); from != source {
					t.Errorf("%s: asked from %s, configured is %s", protocol, from, source)
				}
			}
		}
		if s := state(t, n); s.Cache.Answers < 3 {
			t.Errorf("%s: the cache holds %+v", protocol, s.Cache)
		}
	}
}

// A node that began with recursion.off resolves after a reload, and again after it was switched off and on.
func TestReload_switchesRecursionOn(t *testing.T) {
	w := newWorld(t)
	n := startAt(t, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), "recursion: {off: true}\n")
	for round := range 2 {
		if a := look(t, n.at, "www.good.world.", false); a.rcode != dns.RcodeRefused {
			t.Errorf("off, round %d: %+v", round, a)
		}
		n.configure(w.conf(""))
		reload(t, n)
		if a := look(t, n.at, "www.good.world.", false); a.rcode != dns.RcodeSuccess || !a.ad {
			t.Errorf("on, round %d: %+v", round, a)
		}
		n.configure("recursion: {off: true}\n")
		reload(t, n)
	}
}
