package node_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The small world of these tests: a root, a TLD and zones below it, each at an address of its own on loopback, port 53, which is where
// referrals lead. The servers are nodes of ours without recursion.
const (
	worldRoot = "127.77.0.1"
	worldTLD  = "127.77.0.2"
	worldLeaf = "127.77.0.3"
)

// world is its servers and what a resolver needs to start in it.
type world struct {
	dir           string
	hints, anchor string // files
	ds            string // of the root
	nodes         []*running
}

// newWorld signs the zones with BIND's tools and serves them.
func newWorld(t *testing.T) *world {
	t.Helper()
	signer, keygen := tool(t, "dnssec-signzone"), tool(t, "dnssec-keygen")
	probe, err := net.ListenPacket("udp", worldRoot+":53")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: port 53 on %s is not ours: %v", worldRoot, err)
	}
	probe.Close()
	w := &world{dir: t.TempDir()}
	sign := func(name, text string) (file, ds string) {
		in := write(t, filepath.Join(w.dir, "zone."+strings.Trim(name, ".")), text)
		for _, kind := range [][]string{{"-f", "KSK"}, nil} {
			out, err := exec.Command(keygen, append(append([]string{"-q", "-K", w.dir, "-a", "ECDSAP256SHA256"}, kind...), name)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		file = in + ".signed"
		out, err := exec.Command(signer, "-q", "-S", "-K", w.dir, "-d", w.dir, "-o", name, "-f", file, in).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(filepath.Join(w.dir, "dsset-"+name))
		if err != nil {
			t.Fatal(err)
		}
		return file, string(b)
	}
	leaf := func(name, more string) string {
		return fmt.Sprintf("$ORIGIN %s\n$TTL 600\n@ SOA ns hostmaster 1 7200 3600 1209600 60\n@ NS ns\nns A %s\nwww A 192.0.2.10\n%s", name, worldLeaf, more)
	}
	good, goodDS := sign("good.world.", leaf("good.world.", "alias CNAME www.plain.world.\ninside A 10.1.2.3\nmirror A 127.0.0.1\n"))
	bad, badDS := sign("bad.world.", leaf("bad.world.", ""))
	plain := write(t, filepath.Join(w.dir, "plain"), leaf("plain.world.", ""))
	// A digest that fits no key, as after a key was lost.
	badDS = wrongDigest(badDS)
	cuts := ""
	for _, zone := range []string{"good", "bad", "plain"} {
		cuts += fmt.Sprintf("%s NS ns.%s\nns.%s A %s\n", zone, zone, zone, worldLeaf)
	}
	tld, tldDS := sign("world.", fmt.Sprintf("$ORIGIN world.\n$TTL 600\n@ SOA ns hostmaster 1 7200 3600 1209600 60\n@ NS ns\nns A %s\n%s%s%s", worldTLD, cuts, goodDS, badDS))
	root, rootDS := sign(".", fmt.Sprintf("$ORIGIN .\n$TTL 600\n@ SOA a.root. h.root. 1 7200 3600 1209600 60\n@ NS a.root.\na.root. A %s\nworld. NS ns.world.\nns.world. A %s\n%s", worldRoot, worldTLD, tldDS))
	w.hints = write(t, filepath.Join(w.dir, "hints"), fmt.Sprintf(". 3600 NS a.root.\na.root. 3600 A %s\n", worldRoot))
	w.ds = rootDS
	w.anchor = write(t, filepath.Join(w.dir, "anchor"), rootDS)
	for at, zones := range map[string]string{
		worldRoot: fmt.Sprintf("- {name: ., file: %s}\n", root),
		worldTLD:  fmt.Sprintf("- {name: world, file: %s}\n", tld),
		worldLeaf: fmt.Sprintf("- {name: good.world, file: %s}\n- {name: bad.world, file: %s}\n- {name: plain.world, file: %s}\n", good, bad, plain),
	} {
		w.nodes = append(w.nodes, startAt(t, at+":53", "recursion: {off: true}\nrate: {per_second: 0}\nzones:\n"+zones))
	}
	return w
}

// wrongDigest changes the last digits of DS records.
func wrongDigest(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines {
		end := "0000"
		if strings.HasSuffix(l, end) {
			end = "1111"
		}
		lines[i] = l[:len(l)-4] + end
	}
	return strings.Join(lines, "\n") + "\n"
}

// conf makes a node resolve in the world.
func (w *world) conf(more string) string {
	return fmt.Sprintf("recursion:\n  hints: %s\n  permitted: [127.77.0.0/16]\n  private: [10.0.0.0/8]\n  ipv6: false\n  validation: {anchors: [%s]}\n%s", w.hints, w.anchor, more)
}

// close ends the world: what is answered from now on was known.
func (w *world) close() {
	for _, n := range w.nodes {
		n.stop()
	}
}

// reply is an answer in short.
type reply struct {
	rcode   int
	ad      bool
	address string
	ede     []uint16
	text    string
}

// look asks a resolver, with DO.
func look(t *testing.T, at, name string, cd bool) reply {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, dns.TypeA)
	m.SetEdns0(1232, true)
	m.CheckingDisabled = cd
	c := dns.Client{Timeout: 15 * time.Second}
	r, _, err := c.Exchange(m, at)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	a := reply{rcode: r.Rcode, ad: r.AuthenticatedData}
	for _, rr := range r.Answer {
		if x, ok := rr.(*dns.A); ok {
			a.address = x.A.String()
		}
	}
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				a.ede, a.text = append(a.ede, e.InfoCode), e.ExtraText
			}
		}
	}
	return a
}

// outside is an address of this machine that is not loopback.
func outside(t *testing.T) netip.Addr {
	t.Helper()
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			return p.Addr()
		}
	}
	// Not a failure in CI either: its machine may have no network, and serve's TestRecursion_isForAllowedClientsOnly holds the rule without one.
	t.Skip("SKIPPED: this machine has no address but loopback, from where nobody can be refused")
	return netip.Addr{}
}
