package serve_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/house/port"
	"anyu/serve"
	"anyu/serve/cache"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/local"
)

// localRules are rules in our words and in those of Unbound.
var localRules = []struct {
	name    string
	action  local.Action
	unbound string
	records []string
}{
	{"st.example.", local.Static, "static", []string{"st.example. 3600 SOA ns.st.example. a. 1 2 3 4 60", "www.st.example. A 10.0.0.1", "a.b.st.example. 60 TXT \"two words\""}},
	{"bare.example.", local.Static, "static", []string{"www.bare.example. A 10.0.0.1", "www.bare.example. A 10.0.0.2", "www.bare.example. MX 10 mx.bare.example."}},
	{"empty.example.", local.Static, "static", nil},
	{"re.example.", local.Redirect, "redirect", []string{"re.example. A 10.0.0.2", "re.example. AAAA 2001:db8::1"}},
	{"rf.example.", local.Refuse, "refuse", []string{"www.rf.example. A 10.0.0.1"}},
	{"dn.example.", local.Drop, "deny", []string{"www.dn.example. A 10.0.0.1"}},
	{"nx.example.", local.NXDomain, "always_nxdomain", nil},
	{"nd.example.", local.NoData, "always_nodata", nil},
	{"tr.example.", local.Transparent, "transparent", []string{"www.tr.example. A 10.0.0.3"}},
	{"deep.st.example.", local.NXDomain, "always_nxdomain", nil},
}

// unlooked is a Resolver for questions that should not come to it.
type unlooked struct{ t testing.TB }

func (u unlooked) Resolve(d *serve.Deferred) bool {
	u.t.Errorf("%s %s is looked up", d.Question.Name, d.Question.Type)
	return false
}
func (unlooked) Prefetch(message.Question, bool) {}

func localWorker(t testing.TB, c local.Config) *serve.Worker {
	all := filter.Everybody()
	s := serve.New(&serve.Config{Payload: 1232, Clients: all, Recursion: &serve.Recursion{Allow: all, Local: local.New(c, nil), Resolver: unlooked{t},
		Cache: cache.New(cache.Config{Bytes: 1 << 20})}}, event.NewNames(), nil, nil)
	return s.NewWorker(nil, 0)
}

func localConfig(t testing.TB) (c local.Config, unbound string) {
	var b strings.Builder
	for _, r := range localRules {
		name, err := wire.ParseName(r.name)
		if err != nil {
			t.Fatal(err)
		}
		rule := local.Rule{Name: name, Action: r.action, Reason: event.NoReason}
		fmt.Fprintf(&b, "  local-zone: %q %s\n", r.name, r.unbound)
		for _, text := range r.records {
			record, err := zone.ParseRecord(text, wire.Root())
			if err != nil {
				t.Fatal(err)
			}
			rule.Records = append(rule.Records, local.Record(record))
			fmt.Fprintf(&b, "  local-data: '%s'\n", text)
		}
		c.Rules = append(c.Rules, rule)
	}
	return c, b.String()
}

// The same rules and records in Unbound: RCODE, AA and all records are the same.
func TestLocal_sameAsUnbound(t *testing.T) {
	path, err := exec.LookPath("unbound")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("unbound is not installed")
		}
		t.Skip("SKIPPED: unbound is not installed (apt-get install unbound): our rules are not compared with its")
	}
	config, text := localConfig(t)
	at := startUnbound(t, path, text)
	w := localWorker(t, config)
	c := dns.Client{Timeout: 300 * time.Millisecond}
	names := []string{"st.example.", "www.st.example.", "WWW.st.example.", "b.st.example.", "a.b.st.example.", "no.st.example.", "x.www.st.example.", "x.deep.st.example.", "bare.example.",
		"www.bare.example.", "no.bare.example.", "empty.example.", "x.empty.example.", "re.example.", "x.y.re.example.", "rf.example.", "x.rf.example.", "www.rf.example.", "dn.example.",
		"www.dn.example.", "nx.example.", "a.b.nx.example.", "nd.example.", "x.nd.example.", "www.tr.example."}
	for _, name := range names {
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeSOA} {
			m := query(name, typ)
			m.RecursionDesired = true
			m.SetEdns0(1232, true)
			b, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			theirs, _, err := c.Exchange(m.Copy(), at)
			ours := new(dns.Msg)
			if reply := answers(w, b, event.UDP); reply == nil {
				ours = nil
			} else if err := ours.Unpack(reply); err != nil {
				t.Fatal(err)
			}
			if err != nil {
				theirs = nil // dropped
			}
			if x, y := inShort(ours), inShort(theirs); x != y {
				t.Errorf("%s %s:\nours   %s\ntheirs %s", name, dns.TypeToString[typ], x, y)
			}
		}
	}
}

// inShort is a reply as it is compared.
func inShort(m *dns.Msg) string {
	if m == nil {
		return "no reply"
	}
	s := fmt.Sprintf("%s aa=%v ad=%v", dns.RcodeToString[m.Rcode], m.Authoritative, m.AuthenticatedData)
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		var list []string
		for _, rr := range section {
			list = append(list, strings.ToLower(rr.String()))
		}
		slices.Sort(list)
		s += fmt.Sprintf(" %q", list)
	}
	return s
}

func startUnbound(t *testing.T, path, text string) (at string) {
	dir, p := t.TempDir(), port.Free(t)
	conf := filepath.Join(dir, "conf")
	text = fmt.Sprintf("server:\n  interface: 127.0.0.1\n  port: %d\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  directory: %q\n  pidfile: \"\"\n  use-syslog: no\n  module-config: iterator\n%s\nremote-control:\n  control-enable: no\nforward-zone:\n  name: .\n  forward-addr: 127.0.0.1@1\n", p, dir, text)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-d", "-c", conf)
	var log strings.Builder
	cmd.Stderr, cmd.Stdout = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	at = fmt.Sprintf("127.0.0.1:%d", p)
	c := dns.Client{Timeout: 300 * time.Millisecond}
	for range 100 {
		if _, _, err := c.Exchange(query("st.example.", dns.TypeSOA), at); err == nil {
			return at
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("unbound does not answer:\n%s", log.String())
	return ""
}

// The whole way of an answer from local data allocates nothing; nor does that of a client who is not answered at all.
func TestLocal_allocatesNothing(t *testing.T) {
	config, _ := localConfig(t)
	w := localWorker(t, config)
	out := make([]byte, 65535)
	for name, want := range map[string]uint16{"www.st.example.": dns.RcodeSuccess, "no.st.example.": dns.RcodeNameError, "x.re.example.": dns.RcodeSuccess, "rf.example.": dns.RcodeRefused} {
		m := query(name, dns.TypeA)
		m.SetEdns0(1232, true)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		from, n := client(event.UDP), 0
		if a := testing.AllocsPerRun(100, func() { n = w.Answer(b, from, out) }); a != 0 || n < 12 || uint16(out[3]&15) != want {
			t.Errorf("%s: %v allocations, %d octets", name, a, n)
		}
	}
}

// clients.drop: no reply, whoever else allows it.
func TestAnswer_ignoresWhomTheOperatorDrops(t *testing.T) {
	list := filter.NewACL([]netip.Prefix{netip.PrefixFrom(client(event.UDP).Remote.Addr(), client(event.UDP).Remote.Addr().BitLen())})
	s := serve.New(&serve.Config{Payload: 1232, Clients: filter.Everybody(), Ignored: &list}, event.NewNames(), nil, nil)
	b, err := query("localhost.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	if n := s.NewWorker(nil, 0).Answer(b, client(event.UDP), make([]byte, 512)); n != listen.Drop {
		t.Errorf("%d octets", n)
	}
}
