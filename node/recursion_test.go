package node_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/config"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/house/port"
	"anyu/node"
)

func control(t *testing.T, n *running, command string, args ...string) string {
	t.Helper()
	var b []byte
	var err error
	eventually(t, "the control socket", func() bool { // it opens after the doors
		b, err = node.Control(n.data, command, args...)
		return !errors.Is(err, node.ErrNotRunning)
	})
	if err != nil {
		t.Fatalf("control %s %v: %v", command, args, err)
	}
	return string(b)
}

func state(t *testing.T, n *running) (s node.RecursionState) {
	t.Helper()
	if err := json.Unmarshal([]byte(control(t, n, "recursion")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// The whole way: from hints over referrals to answers that are secure, insecure, bogus, private or not there; what a reload, a flush, a
// negative trust anchor and a restart change of it.
func TestRecursion_inASmallWorld(t *testing.T) {
	w := newWorld(t)
	dir, at := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	n := startIn(t, dir, at, w.conf(""))

	if a := look(t, at, "www.good.world.", false); a.rcode != dns.RcodeSuccess || !a.ad || a.address != "192.0.2.10" {
		t.Errorf("a signed zone: %+v", a)
	}
	if a := look(t, at, "alias.good.world.", false); a.rcode != dns.RcodeSuccess || a.ad || a.address != "192.0.2.10" {
		t.Errorf("an alias into an unsigned zone: %+v", a)
	}
	if a := look(t, at, "nothing.good.world.", false); a.rcode != dns.RcodeNameError || !a.ad {
		t.Errorf("a name that is not there: %+v", a)
	}
	// RFC 8914: a bogus answer says why.
	bogus := look(t, at, "www.bad.world.", false)
	if bogus.rcode != dns.RcodeServerFailure || len(bogus.ede) == 0 || bogus.ede[0] < 6 || bogus.ede[0] > 12 || !strings.Contains(bogus.text, "bad.world") {
		t.Errorf("a zone whose DS fits no key: %+v", bogus)
	}
	if a := look(t, at, "www.bad.world.", true); a.rcode != dns.RcodeSuccess || a.address != "192.0.2.10" {
		t.Errorf("the same with CD: %+v", a)
	}
	if a := look(t, at, "inside.good.world.", false); a.address != "" {
		t.Errorf("a private address of a stranger is passed on: %+v", a)
	}

	t.Run("negative trust anchor", func(t *testing.T) { testNegative(t, n) })
	t.Run("trust anchors are followed", func(t *testing.T) {
		eventually(t, "a probe of the root's keys", func() bool {
			return slices.ContainsFunc(state(t, n).Anchors, func(k node.AnchorKey) bool { return k.Zone == "." && k.Type == "DNSKEY" && k.State == "VALID" })
		})
		files, err := filepath.Glob(filepath.Join(dir, "anchors", "root-*.key"))
		if err != nil || len(files) != 1 {
			t.Errorf("files %v, %v", files, err)
		}
	})
	t.Run("discovery", func(t *testing.T) { testNoDiscovery(t, at) })
	t.Run("metrics", func(t *testing.T) {
		if s := state(t, n); s.Cache.RRsets == 0 || s.Cache.Bytes == 0 || len(s.Loops) == 0 || len(s.Servers) < 3 {
			t.Errorf("state %+v", s)
		}
	})

	look(t, at, "www.good.world.", false)
	w.close()
	known := func(when string) {
		t.Helper()
		if a := look(t, at, "www.good.world.", false); a.rcode != dns.RcodeSuccess || !a.ad || a.address != "192.0.2.10" {
			t.Errorf("%s: %+v", when, a)
		}
	}
	known("with all servers gone")
	n.configure(w.conf("  minimal: false\n  limits: {tasks: 100}\n  forward: [{name: else.where, servers: [{address: 127.77.0.9}]}]\n"))
	reload(t, n)
	known("after a reload of other settings")
	n.configure(strings.Replace(w.conf(""), w.hints, "/does/not/exist", 1))
	if err := n.Reload(t.Context(), "test", false); err == nil {
		t.Error("hints that are not there were taken")
	}
	known("after a reload that was refused")

	// A restart: the cache is there again.
	n.configure(w.conf(""))
	reload(t, n)
	known("after a reload that takes a forward zone away")
	n.stop()
	n = startIn(t, dir, at, w.conf(""))
	eventually(t, "the cache of before", func() bool { return state(t, n).Cache.RRsets > 5 })
	known("after a restart")

	if text := control(t, n, "flush", "good.world", "subtree"); strings.Contains(text, " 0 entries") {
		t.Error(text)
	}
	if a := look(t, at, "www.good.world.", false); a.rcode != dns.RcodeServerFailure {
		t.Errorf("after a flush: %+v", a)
	}
	control(t, n, "flush", "all")
	if s := state(t, n); s.Cache.RRsets > 3 {
		t.Errorf("after flush all: %+v", s.Cache)
	}
}

// RFC 7646: below a negative trust anchor nothing is validated, until it ends; others are not touched.
func testNegative(t *testing.T, n *running) {
	if _, err := node.Control(n.data, "nta", "add", "bad.world", "", "", "1h"); err == nil {
		t.Error("taken without owner and reason")
	}
	if _, err := node.Control(n.data, "nta", "add", "bad.world", "o", "r", "200h"); err == nil {
		t.Error("taken for more than a week")
	}
	control(t, n, "nta", "add", "bad.world", "ops", "the key is lost", "1h")
	if a := look(t, n.at, "www.bad.world.", false); a.rcode != dns.RcodeSuccess || a.ad {
		t.Errorf("under a negative trust anchor: %+v", a)
	}
	if a := look(t, n.at, "www.good.world.", false); !a.ad {
		t.Errorf("beside it: %+v", a)
	}
	if text := control(t, n, "nta", "list"); !strings.Contains(text, "the key is lost") || !strings.Contains(text, `"ops"`) {
		t.Error(text)
	}
	control(t, n, "nta", "remove", "bad.world")
	if a := look(t, n.at, "www.bad.world.", false); a.rcode != dns.RcodeServerFailure {
		t.Errorf("after it was removed: %+v", a)
	}
}

// RFC 9462, Section 6.4: without an encrypted door resolver.arpa is answered here, with nothing.
func testNoDiscovery(t *testing.T, at string) {
	m := new(dns.Msg).SetQuestion("_dns.resolver.arpa.", dns.TypeSVCB)
	r, err := dns.Exchange(m, at)
	if err != nil || len(r.Answer) != 0 {
		t.Errorf("%v %v", err, r)
	}
}

// An open resolver is a weapon (RFC 5358): who is not on the list is refused, and told why.
func TestRecursion_isRefusedToOthers(t *testing.T) {
	us := outside(t)
	at := net.JoinHostPort(us.String(), fmt.Sprint(port.Free(t)))
	n := startAt(t, at, "")
	a := look(t, at, "www.good.world.", false)
	if a.rcode != dns.RcodeRefused || len(a.ede) == 0 {
		t.Errorf("a stranger gets %+v", a)
	}
	// Allowed by a reload; there is nobody to ask, which is another answer.
	n.configure(fmt.Sprintf("clients: {recursion: [%s/32]}\nrecursion: {forward: [{name: ., servers: [{address: 127.77.0.99:9}]}]}\n", us))
	reload(t, n)
	if a := look(t, at, "www.good.world.", false); a.rcode != dns.RcodeServerFailure {
		t.Errorf("who is allowed gets %+v", a)
	}
	n.configure("recursion: {off: true}\n")
	reload(t, n)
	if a := look(t, at, "www.good.world.", false); a.rcode != dns.RcodeRefused {
		t.Errorf("switched off: %+v", a)
	}
}

// RFC 9462, Section 4: who asks for _dns.resolver.arpa is told of the encrypted doors, under a name of the certificate.
func TestDiscovery_tellsEncryptedDoors(t *testing.T) {
	cert, key := certificates(t, "dns.example.net")
	plain, tls, https := port.Free(t), port.Free(t), port.Free(t)
	n := startAt(t, fmt.Sprintf("127.0.0.1:%d", plain), fmt.Sprintf("listen:\n  dns: [127.0.0.1:%d]\n  tls: [127.0.0.1:%d]\n  https: [127.0.0.1:%d]\n  certificate: %s\n  key: %s\nrecursion: {discovery: {name: dns.example.net}}\n",
		plain, tls, https, cert, key))
	r, err := dns.Exchange(new(dns.Msg).SetQuestion("_dns.resolver.arpa.", dns.TypeSVCB), n.at)
	if err != nil || len(r.Answer) != 2 {
		t.Fatalf("%v %v", err, r)
	}
	for i, want := range []string{
		fmt.Sprintf(`1 dns.example.net. alpn="dot" port="%d" ipv4hint="127.0.0.1"`, tls),
		fmt.Sprintf(`2 dns.example.net. alpn="h2,h3" port="%d" ipv4hint="127.0.0.1" dohpath="/dns-query{?dns}"`, https),
	} {
		if got := r.Answer[i].String(); !strings.HasSuffix(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// node.Query is `anyu query`: the walk tells an operator what is wrong with a zone.
func TestQuery_explainsABogusName(t *testing.T) {
	w := newWorld(t)
	c, err := config.Parse("test", []byte(w.conf("")))
	if err != nil {
		t.Fatal(err)
	}
	name, _ := wire.ParseName("www.bad.world.")
	l, err := node.Query(t.Context(), c, message.Question{Name: name, Type: wire.TypeA, Class: wire.ClassIN}, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var walk strings.Builder
	for _, s := range l.Steps {
		fmt.Fprintln(&walk, s.Text)
	}
	if l.Rcode != wire.ServFail || !strings.Contains(l.Text, "bad.world") {
		t.Errorf("%v %d %q", l.Rcode, l.Reason, l.Text)
	}
	for _, want := range []string{worldRoot, worldTLD, worldLeaf, "referral to world.", "referral to bad.world.", "validation"} {
		if !strings.Contains(walk.String(), want) {
			t.Errorf("the walk says nothing of %q:\n%s", want, walk.String())
		}
	}
}

// A damaged cache file is not taken, and neither is one made with other trust anchors or forwarders.
func TestRecursion_takesNoOtherCache(t *testing.T) {
	dir, at := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	if err := os.WriteFile(filepath.Join(dir, "cache"), []byte("anyu cache 1 x\nnonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := startIn(t, dir, at, "")
	if s := state(t, n); s.Cache.RRsets != 0 {
		t.Errorf("%+v", s.Cache)
	}
	time.Sleep(50 * time.Millisecond) // the file is looked at beside answering
	n.stop()
	if b, err := os.ReadFile(filepath.Join(dir, "cache")); err != nil || !strings.HasPrefix(string(b), "anyu cache 1 ") || strings.Contains(string(b), "nonsense") {
		t.Errorf("the damaged file is not replaced: %v", err)
	}
}

// finding is the last word on a kind in the file of findings.
func finding(t *testing.T, n *running, kind string) (text string, open bool) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(n.data, "findings.jsonl"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, `"kind":"`+kind+`"`) {
			text, open = line, !strings.Contains(line, `"closed"`)
		}
	}
	return text, open
}

// Nobody to ask, keys that are not the root's, a cache that cannot be written: each is a finding that says what to do.
func TestRecursion_findsWhatIsWrongWithIt(t *testing.T) {
	n := startAt(t, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), "recursion: {forward: [{name: ., servers: [{address: 127.77.0.99:9}]}]}\n")
	if a := look(t, n.at, "www.good.world.", false); a.rcode != dns.RcodeServerFailure {
		t.Errorf("%+v", a)
	}
	eventually(t, "the finding that nobody answers", func() bool { _, open := finding(t, n, "resolver-upstream"); return open })
	if err := os.MkdirAll(filepath.Join(n.data, "cache", "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	n.stop()
	if text, open := finding(t, n, "cache-not-saved"); !open {
		t.Errorf("no finding about the cache: %q", text)
	}

	w := newWorld(t)
	other := write(t, filepath.Join(t.TempDir(), "other"), wrongDigest(w.ds))
	n = startAt(t, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), strings.Replace(w.conf(""), w.anchor, other, 1))
	if a := look(t, n.at, "www.good.world.", false); a.rcode != dns.RcodeServerFailure || len(a.ede) == 0 {
		t.Errorf("with a wrong trust anchor: %+v", a)
	}
	eventually(t, "the finding that nothing validates", func() bool { _, open := finding(t, n, "resolver-validation"); return open })
	if text, _ := finding(t, n, "resolver-validation"); !strings.Contains(text, "trust anchor") {
		t.Error(text)
	}
	n.configure(w.conf(""))
	reload(t, n)
	if a := look(t, n.at, "www.good.world.", false); a.rcode != dns.RcodeSuccess || !a.ad {
		t.Errorf("with the right one after a reload: %+v", a)
	}
}
