package outbound_test

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

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/house/port"
	"anyu/serve/outbound"
	"anyu/serve/pending"
	"anyu/serve/resolve"
)

// Real servers of others as upstreams. One that is not installed is skipped, loudly; in CI that is a failure.

// peer is a server of others with the zone of peerZone. conf writes its configuration; secure and web are its ports for TLS and HTTPS.
type peer struct {
	name      string
	secure    bool // has TLS
	web       bool // and HTTPS
	cookies   bool // sends cookies as it comes
	keepalive bool // says how long a connection may stay
	args      []string
	conf      func(p place) string
}

type place struct {
	dir, zone, cert, key string
	plain, secure, web   int
}

// peerZone has a small answer, a name for strangers, and an answer that no packet takes.
func peerZone() string {
	z := "$ORIGIN peer.example.net.\n$TTL 300\n@ SOA ns admin 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.1\nalias CNAME www\n"
	for i := range 30 {
		z += fmt.Sprintf("big TXT \"%d %s\"\n", i, strings.Repeat("x", 200))
	}
	return z
}

var peers = []peer{
	{"named", true, true, true, true, []string{"-g", "-n", "1", "-c", "CONF"}, func(p place) string {
		return fmt.Sprintf(`tls mine { cert-file "%s"; key-file "%s"; };
options { directory "%s"; listen-on port %d { 127.0.0.1; }; listen-on port %d tls mine { 127.0.0.1; }; listen-on port %d tls mine http default { 127.0.0.1; };
listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none; dnssec-validation no; empty-zones-enable no; };
controls { };
zone "peer.example.net" { type primary; file "%s"; };
`, p.cert, p.key, p.dir, p.plain, p.secure, p.web, p.zone)
	}},
	{"nsd", true, false, true, false, []string{"-d", "-c", "CONF"}, func(p place) string {
		return fmt.Sprintf("server:\n  ip-address: 127.0.0.1@%d\n  ip-address: 127.0.0.1@%d\n  tls-port: %d\n  tls-service-key: \"%s\"\n  tls-service-pem: \"%s\"\n  answer-cookie: yes\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"%s\"\n  pidfile: \"%s/nsd.pid\"\n  database: \"\"\n  xfrdfile: \"%s/xfrd\"\n  zonelistfile: \"%s/zl\"\n  xfrdir: \"%s\"\nremote-control:\n  control-enable: no\nzone:\n  name: peer.example.net\n  zonefile: %s\n",
			p.plain, p.secure, p.secure, p.key, p.cert, p.dir, p.dir, p.dir, p.dir, p.dir, p.zone)
	}},
	{"knotd", false, false, true, false, []string{"-c", "CONF"}, func(p place) string {
		return fmt.Sprintf("server:\n  listen: 127.0.0.1@%d\n  rundir: %s\n  udp-workers: 1\n  tcp-workers: 1\nlog:\n  - target: stderr\n    any: error\ndatabase:\n  storage: %s\nmod-cookies:\n  - id: default\ntemplate:\n  - id: default\n    global-module: mod-cookies/default\nzone:\n  - domain: peer.example.net\n    file: %s\n    zonefile-sync: -1\n",
			p.plain, p.dir, p.dir, p.zone)
	}},
	{"unbound", true, true, false, true, []string{"-d", "-c", "CONF"}, func(p place) string {
		return fmt.Sprintf("server:\n  interface: 127.0.0.1@%d\n  interface: 127.0.0.1@%d\n  interface: 127.0.0.1@%d\n  tls-port: %d\n  https-port: %d\n  tls-service-key: \"%s\"\n  tls-service-pem: \"%s\"\n  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  do-not-query-localhost: no\n  module-config: \"iterator\"\n  num-threads: 1\n  edns-tcp-keepalive: yes\nauth-zone:\n  name: peer.example.net\n  zonefile: %s\n  for-downstream: yes\n  for-upstream: yes\nremote-control:\n  control-enable: no\n",
			p.plain, p.secure, p.web, p.secure, p.web, p.key, p.cert, p.zone)
	}},
	{"pdns_recursor", false, false, false, false, []string{"--config-dir=DIR", "--daemon=no", "--socket-dir=DIR", "--threads=1", "--hint-file=", "--security-poll-suffix=", "--dnssec=off", "--local-address=127.0.0.1", "--local-port=PLAIN", "--auth-zones=peer.example.net=ZONE", "--disable-syslog=yes", "--write-pid=no"}, func(place) string { return "" }},
	{"kresd", true, true, false, true, []string{"-n", "-c", "CONF", "DIR"}, func(p place) string {
		return fmt.Sprintf("net.listen('127.0.0.1', %d, {kind='dns'})\nnet.listen('127.0.0.1', %d, {kind='tls'})\nnet.listen('127.0.0.1', %d, {kind='doh2'})\nnet.tls('%s', '%s')\nmodules = {'hints > iterate', 'policy'}\nhints['www.peer.example.net'] = '192.0.2.1'\nlog_level('crit')\n", p.plain, p.secure, p.web, p.cert, p.key)
	}},
}

// start runs a peer until the test ends.
func (p peer) start(t *testing.T, pair pair) place {
	t.Helper()
	path, err := exec.LookPath(p.name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", p.name)
		}
		t.Skipf("SKIPPED: %s is not installed", p.name)
	}
	at := place{dir: t.TempDir(), cert: pair.cert, key: pair.key, plain: port.Free(t), secure: port.Free(t), web: port.Free(t)}
	at.zone = filepath.Join(at.dir, "peer.zone")
	conf := filepath.Join(at.dir, "conf")
	for file, text := range map[string]string{at.zone: peerZone(), conf: p.conf(at)} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fill := strings.NewReplacer("CONF", conf, "DIR", at.dir, "PLAIN", fmt.Sprint(at.plain), "ZONE", at.zone)
	var args []string
	for _, a := range p.args {
		args = append(args, fill.Replace(a))
	}
	var log strings.Builder
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &log, &log, at.dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(3 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, log.String())
		}
	})
	q := append(append([]byte{7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, wireName("www.peer.example.net")...), 0, 1, 0, 1)
	for range 100 {
		if c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", at.plain)); err == nil {
			c.SetDeadline(time.Now().Add(100 * time.Millisecond))
			c.Write(q)
			n, _ := c.Read(make([]byte, 512))
			c.Close()
			if n > 40 {
				return at
			}
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", p.name, log.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not answer:\n%s", p.name, log.String())
	return at
}

// askType asks for any type.
func (r *rig) askType(t testing.TB, name string, qtype wire.Type) *resolve.Answer {
	t.Helper()
	came := make(chan *resolve.Answer, 1)
	q := message.Question{Name: wireName(name), Type: qtype, Class: wire.ClassIN}
	r.Call(func(_ *resolve.Engine, table *pending.Table) {
		table.Ask(time.Now().UnixNano(), q, false, pending.Client{Addr: netip.MustParseAddr("127.0.0.1"), Trusted: true, Done: func(a *resolve.Answer) { came <- a }})
	})
	select {
	case a := <-came:
		return a
	case <-time.After(15 * time.Second):
		t.Fatalf("%s: no answer in time", name)
		return nil
	}
}

func TestPeers_asUpstreams(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: starts BIND, Unbound, NSD, Knot and others; the plain run of CI does it")
	}
	pair := newPair(t)
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			at := p.start(t, pair)
			big := p.name != "kresd" // which has hints, no zone
			local := func(port int) netip.AddrPort {
				return netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", port))
			}
			ways := map[string]rigConfig{
				"UDP": {hosts: []netip.AddrPort{local(at.plain)}},
				"TCP": {hosts: []netip.AddrPort{local(at.plain)}, stream: true},
			}
			if p.secure {
				ways["TLS"] = rigConfig{upstreams: over(resolve.TLS, local(at.secure), "dns.example")}
			}
			if p.web {
				ways["HTTPS"] = rigConfig{upstreams: over(resolve.HTTPS, local(at.web), "dns.example")}
			}
			for way, config := range ways {
				t.Run(way, func(t *testing.T) {
					config.streams = outbound.StreamConfig{Roots: pair.pool}
					r := newRig(t, config)
					r.wantAnswer(t, "www.peer.example.net")
					if big {
						wantPeerZone(t, r)
					}
					c := r.Counts()
					if way == "UDP" != (c.Sent > 0) || c.Foreign != 0 || c.TimedOut != 0 || c.Errors != 0 {
						t.Errorf("%+v", c)
					}
					if way != "UDP" {
						// RFC 7828: BIND, Unbound and Knot Resolver say how long they keep connections over TCP and TLS; over HTTPS nobody asks.
						u := r.streams.Upstreams()
						if told, want := len(u) == 1 && u[0].Idle >= 0, p.keepalive && way != "HTTPS"; told != want {
							t.Errorf("said how long a connection stays: %v, want %v", told, want)
						}
						return
					}
					if _, has := r.servers.Cookie(local(at.plain), time.Now().UnixNano()); has != p.cookies {
						t.Errorf("a cookie was learned: %v, want %v", has, p.cookies)
					}
				})
			}
		})
	}
}

// wantPeerZone asks for the rest of the zone: an answer that needs a stream, an alias, a name that is not there.
func wantPeerZone(t *testing.T, r *rig) {
	t.Helper()
	if a := r.askType(t, "big.peer.example.net", wire.TypeTXT); a.Rcode != wire.NoError || len(a.Answer) != 1 || len(a.Answer[0].Data) != 30 {
		t.Errorf("big: %s, %d RRsets, %q", a.Rcode, len(a.Answer), a.Text)
	}
	if a := r.askType(t, "alias.peer.example.net", wire.TypeA); a.Rcode != wire.NoError || len(a.Answer) != 2 {
		t.Errorf("alias: %s, %v, %q", a.Rcode, a.Answer, a.Text)
	}
	if a := r.askType(t, "nothing.peer.example.net", wire.TypeA); a.Rcode != wire.NXDomain {
		t.Errorf("nothing: %s, %q", a.Rcode, a.Text)
	}
	for i := range 50 { // cookies and connections over more than one question
		if a := r.askType(t, fmt.Sprintf("n%d.peer.example.net", i), wire.TypeA); a.Rcode != wire.NXDomain {
			t.Fatalf("n%d: %s, %q", i, a.Rcode, a.Text)
		}
	}
}
