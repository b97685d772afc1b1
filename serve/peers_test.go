package serve_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/house/port"
	"anyu/lab/scene"
	"anyu/serve"
	"anyu/serve/filter"
)

// peer is another name server, started on loopback with one zone.
type peer struct {
	name string
	args func(dir, zone, file string, port int) (conf string, args []string)
}

var peers = []peer{
	{"knotd", func(dir, zone, file string, port int) (string, []string) {
		return fmt.Sprintf("server:\n  listen: 127.0.0.1@%d\n  rundir: %s\n  udp-workers: 1\n  tcp-workers: 1\n  udp-max-payload: 4096\nlog:\n  - target: stderr\n    any: error\ndatabase:\n  storage: %s\nzone:\n  - domain: %s\n    file: %s\n    semantic-checks: off\n    zonefile-sync: -1\n",
			port, dir, dir, zone, file), []string{"-c", "CONF"}
	}},
	{"nsd", func(dir, zone, file string, port int) (string, []string) {
		return fmt.Sprintf("server:\n  ip-address: 127.0.0.1@%d\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"%s\"\n  pidfile: \"%s/nsd.pid\"\n  database: \"\"\n  xfrdfile: \"%s/xfrd\"\n  zonelistfile: \"%s/zl\"\n  xfrdir: \"%s\"\n  rrl-ratelimit: 0\n  minimal-responses: yes\n  ipv4-edns-size: 4096\nremote-control:\n  control-enable: no\nzone:\n  name: %s\n  zonefile: %s\n",
			port, dir, dir, dir, dir, dir, zone, file), []string{"-d", "-c", "CONF"}
	}},
	{"named", func(dir, zone, file string, port int) (string, []string) {
		return fmt.Sprintf("options { listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; directory \"%s\"; recursion no; pid-file none; session-keyfile none; dnssec-validation no; minimal-responses no-auth; minimal-any yes; max-udp-size 4096; edns-udp-size 4096; empty-zones-enable no; check-integrity no; notify no; };\ncontrols { };\nzone \"%s\" { type primary; file \"%s\"; check-names ignore; check-mx ignore; check-srv-cname ignore; check-mx-cname ignore; check-sibling no; };\n",
			port, dir, zone, file), []string{"-f", "-n", "1", "-c", "CONF"}
	}},
}

// start runs a peer and returns its address.
func (p peer) start(t *testing.T, zone, file string) string {
	t.Helper()
	path, err := exec.LookPath(p.name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", p.name)
		}
		t.Skipf("SKIPPED: %s is not installed", p.name)
	}
	dir := t.TempDir()
	port := port.Free(t)
	file, _ = filepath.Abs(file)
	conf, args := p.args(dir, zone, file, port)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "CONF", filepath.Join(dir, "conf"))
	}
	var log strings.Builder
	cmd := exec.Command(path, args...)
	cmd.Stderr, cmd.Stdout, cmd.Dir = &log, &log, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(3 * time.Second):
			cmd.Process.Kill()
			<-done
		}
	})
	at := fmt.Sprintf("127.0.0.1:%d", port)
	c := dns.Client{Timeout: 300 * time.Millisecond}
	for range 100 {
		if r, _, err := c.Exchange(query(dns.Fqdn(zone), dns.TypeSOA), at); err == nil && len(r.Answer) > 0 {
			return at
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s does not answer for %s:\n%s", p.name, zone, log.String())
	return ""
}

// differential asks a peer and us the same and compares RCODE, AA, TC and the sections as sets. Differences that are accepted
// stand in testdata/peers.txt, one a line: PEER NAME TYPE FLAGS # reason with its RFC section.
func TestAnswer_sameAsPeers(t *testing.T) {
	long(t)
	known := judged(t, "testdata/peers.txt")
	used := map[string]bool{}
	for _, z := range []string{"base", "nsec", "nsec3", "optout"} {
		file := filepath.Join("testdata", "zones", z+".zone")
		ours, err := loadFile("example.org.", file)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range peers {
			t.Run(z+"/"+p.name, func(t *testing.T) {
				at := p.start(t, "example.org", file)
				_, w := wideServer(ours)
				asked, differ := 0, 0
				for _, q := range questions(ours) {
					for _, do := range []bool{false, true} {
						key := fmt.Sprintf("%s %s %s %s do=%v", z, p.name, strings.ToLower(q.Question[0].Name), dns.TypeToString[q.Question[0].Qtype], do)
						diff := compare(t, w, at, q, do)
						asked++
						if diff == "" {
							continue
						}
						if rule := accepted(known, key); rule != "" {
							used[rule] = true
							continue
						}
						if differ++; differ < 12 {
							t.Errorf("%s\n%s", key, diff)
						}
					}
				}
				t.Logf("%d questions, %d differ", asked, differ)
			})
		}
	}
	if !t.Failed() && !t.Skipped() && len(used) < len(known) {
		for rule := range known {
			if !used[rule] {
				t.Logf("testdata/peers.txt: %q was not needed", rule)
			}
		}
	}
}

// accepted finds the rule that a difference falls under; each word of a rule may be *.
func accepted(known map[string]string, key string) string {
	words := strings.Fields(key)
	for rule := range known {
		parts := strings.Fields(rule)
		if len(parts) != len(words) {
			continue
		}
		fits := true
		for i := range parts {
			ok, _ := filepath.Match(parts[i], words[i])
			fits = fits && (ok || parts[i] == words[i])
		}
		if fits {
			return rule
		}
	}
	return ""
}

func loadFile(apex, file string) (*zone.Zone, error) {
	n, err := wire.ParseName(apex)
	if err != nil {
		return nil, err
	}
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: n, File: file, Open: func(f string) (io.ReadCloser, error) { return os.Open(f) }})
	return z, err
}

// wideServer answers with up to 4096 octets, as the peers are told to.
func wideServer(z *zone.Zone) (*serve.Server, *serve.Worker) {
	s := serve.New(&serve.Config{Payload: 4096, Clients: filter.Everybody()}, event.NewNames(), nil, nil)
	s.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z}}})
	return s, s.NewWorker(nil, 8<<20)
}

// questions are about every name of a zone, below it and beside it, for the types that matter.
func questions(z *zone.Zone) (list []*dns.Msg) {
	var room [256]byte
	seen := map[string]bool{}
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeSOA, dns.TypeMX, dns.TypeTXT, dns.TypeDS, dns.TypeCNAME, dns.TypeDNAME, dns.TypeSRV, dns.TypeDNSKEY, dns.TypeHTTPS}
	for node := range z.All() {
		owner := strings.ToLower(wire.Name(node.AppendOwner(room[:0], z.Apex())).String())
		parent := owner[strings.IndexByte(owner, '.')+1:]
		for _, name := range []string{owner, "x." + owner, "a.b." + owner, "zz." + parent, parent} {
			if seen[name] || !dns.IsSubDomain(z.Apex().String(), name) {
				continue
			}
			seen[name] = true
			for _, typ := range types {
				list = append(list, query(name, typ))
			}
		}
	}
	return list
}

func compare(t *testing.T, w *serve.Worker, at string, q *dns.Msg, do bool) string {
	q = q.Copy()
	q.SetEdns0(4096, do)
	ours := ask(t, w, q, event.UDP)
	c := dns.Client{Timeout: 2 * time.Second, UDPSize: 4096}
	theirs, _, err := c.Exchange(q, at)
	if err != nil {
		return fmt.Sprintf("the peer does not answer: %v", err)
	}
	return difference(ours, theirs)
}

// difference says where two answers differ; "" is nowhere that counts. Additional data is at the server's discretion in answers
// (RFC 1034, Section 4.3.2, step 6) and compared in referrals only.
func difference(a, b *dns.Msg) string {
	var out []string
	if a.Rcode != b.Rcode || a.Authoritative != b.Authoritative || a.Truncated != b.Truncated {
		out = append(out, "header")
	}
	if !sameRRs(a.Answer, b.Answer) {
		out = append(out, "answer")
	}
	if !sameRRs(a.Ns, b.Ns) {
		out = append(out, "authority")
	}
	if !a.Authoritative && len(a.Answer) == 0 && !sameRRs(a.Extra, b.Extra) {
		out = append(out, "additional")
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, ", ") + "\nours\n" + scene.Print(a) + "theirs\n" + scene.Print(b)
}

func sameRRs(a, b []dns.RR) bool {
	text := func(rrs []dns.RR) (list []string) {
		for _, rr := range rrs {
			if rr.Header().Rrtype != dns.TypeOPT {
				list = append(list, strings.ToLower(rr.String()))
			}
		}
		slices.Sort(list)
		return list
	}
	return slices.Equal(text(a), text(b))
}
