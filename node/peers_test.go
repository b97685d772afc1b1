package node_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/config"
	"anyu/house/port"
	"anyu/node"
)

// The other servers here are real ones, installed from Debian. Without one its tests skip; in CI that is a failure.

const (
	peerZone   = "transfer.test."
	peerKey    = "between.test."
	peerSecret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	// Timers far longer than a test: what comes in time came by NOTIFY.
	peerTimers = "86400 3600 604800 300"
)

// zoneText is a version of the zone; versions differ in a few of their records.
func zoneText(serial int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL 3600\n@ SOA ns1 hostmaster %d %s\n@ NS ns1\nns1 A 127.0.0.1\n", peerZone, serial, peerTimers)
	b.WriteString("sub NS ns.sub\nns.sub A 192.0.2.53\nhidden.sub TXT \"below a cut\"\nMixed MX 10 Mail.Example.ORG.\nalias CNAME www\n*.wild TXT \"w\"\ntype65280 TYPE65280 \\# 3 010203\n")
	for i := range 500 {
		fmt.Fprintf(&b, "host%d A 10.0.%d.%d\n", i, i/250, i%250+1)
	}
	for i := range 3 {
		fmt.Fprintf(&b, "version%d-%d TXT \"only in %d\"\n", serial, i, serial)
	}
	return b.String()
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("SKIPPED: %s is not installed", name)
	}
	return path
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// running is a node of ours.
type running struct {
	*node.Node
	at   string // where it answers
	data string
	stop func()
	mu   sync.Mutex
	text string
}

// startNode runs a node with a configuration (without listen, console and data).
func startNode(t *testing.T, port int, text string) *running {
	t.Helper()
	return startAt(t, fmt.Sprintf("127.0.0.1:%d", port), text)
}

func startAt(t *testing.T, at, text string) *running {
	t.Helper()
	return startIn(t, t.TempDir(), at, text)
}

// startIn runs a node in a data folder, which may have been that of another.
func startIn(t *testing.T, dir, at, text string) *running {
	t.Helper()
	n := &running{at: at, data: dir}
	n.configure(text)
	log := &testLog{t: t}
	inner, err := node.New(node.Options{
		Read: func() (*config.Config, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			console := "console:\n  off: true\n"
			if strings.Contains(n.text, "console:") {
				console = ""
			}
			queries := "log:\n  queries: false\n"
			if strings.Contains(n.text, "log:") {
				queries = ""
			}
			return config.Parse("test", []byte(fmt.Sprintf("data: %s\n%s%s%s", n.data, console, queries, n.text)))
		},
		Log: slog.New(slog.NewTextHandler(log, nil)), Out: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Node = inner
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- inner.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(at, log.String())
		}
	})
	t.Cleanup(n.stop)
	eventually(t, "the node answers", func() bool {
		c := dns.Client{Timeout: 200 * time.Millisecond}
		m := new(dns.Msg)
		m.SetQuestion("localhost.", dns.TypeA)
		_, _, err := c.Exchange(m, n.address())
		return err == nil
	})
	return n
}

func (n *running) configure(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !strings.Contains(text, "listen:") {
		text = fmt.Sprintf("listen:\n  dns: [%q]\n", n.at) + text
	}
	n.text = text
}

func (n *running) address() string { return n.at }

func (n *running) port() string { return n.at[strings.LastIndexByte(n.at, ':')+1:] }

// zone is the state of the test zone.
func (n *running) zone() node.ZoneState {
	for _, z := range n.Zones() {
		if z.Name == peerZone {
			return z
		}
	}
	return node.ZoneState{}
}

type testLog struct {
	t  *testing.T
	mu sync.Mutex
	b  strings.Builder
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(45 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("never came: %s", what)
}

// serial asks a server for the serial of the test zone; -1 without an answer.
func serial(at string) int {
	m := new(dns.Msg)
	m.SetQuestion(peerZone, dns.TypeSOA)
	c := dns.Client{Timeout: time.Second}
	r, _, err := c.Exchange(m, at)
	if err != nil || r.Rcode != 0 || len(r.Answer) != 1 {
		return -1
	}
	return int(r.Answer[0].(*dns.SOA).Serial)
}

// whole fetches the zone from a server and returns its records in order, the SOA once.
func whole(t *testing.T, at string) []string {
	t.Helper()
	m := new(dns.Msg)
	m.SetAxfr(peerZone)
	m.SetTsig(peerKey, dns.HmacSHA256, 300, time.Now().Unix())
	tr := &dns.Transfer{TsigSecret: map[string]string{peerKey: peerSecret}}
	in, err := tr.In(m, at)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for e := range in {
		if e.Error != nil {
			t.Fatal(e.Error)
		}
		for _, rr := range e.RR {
			// NSD keeps names in lower case only.
			list = append(list, strings.ToLower(strings.Join(strings.Fields(rr.String()), " ")))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func sameZones(t *testing.T, a, b string) {
	t.Helper()
	x, y := whole(t, a), whole(t, b)
	if slices.Equal(x, y) {
		return
	}
	for _, rr := range x {
		if !slices.Contains(y, rr) {
			t.Errorf("only first: %s", rr)
		}
	}
	for _, rr := range y {
		if !slices.Contains(x, rr) {
			t.Errorf("only second: %s", rr)
		}
	}
}

// process is another server.
type process struct {
	cmd *exec.Cmd
	out *testLog
}

func startPeer(t *testing.T, dir, path string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(path, args...), out: &testLog{t: t}}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan struct{})
		go func() { p.cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(3 * time.Second):
			p.cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			t.Logf("%s says:\n%s", filepath.Base(path), p.out.String())
		}
	})
	return p
}

// peer writes the configuration of a server: as a secondary of the node at ours, or as a primary that notifies it.
type peer struct {
	program   string
	secondary func(dir string, port, ours int) (conf string, args []string)
	primary   func(dir string, port, ours int) (conf string, args []string)
	changes   bool // as a primary it sends IXFR after its file changed
}

var transferPeers = []peer{
	{"knotd", func(dir string, port, ours int) (string, []string) {
		return knotHead(dir, port) + fmt.Sprintf("remote:\n  - id: other\n    address: 127.0.0.1@%d\n    key: %s\nacl:\n  - id: notify\n    key: %s\n    action: [notify, transfer]\nzone:\n  - domain: %s\n    file: %s/copy\n    master: other\n    acl: notify\n", ours, peerKey, peerKey, peerZone, dir), []string{"-c", "CONF"}
	}, func(dir string, port, ours int) (string, []string) {
		return knotHead(dir, port) + fmt.Sprintf("remote:\n  - id: other\n    address: 127.0.0.1@%d\n    key: %s\nacl:\n  - id: out\n    key: %s\n    action: transfer\nzone:\n  - domain: %s\n    file: %s/zone\n    zonefile-load: difference\n    journal-content: changes\n    notify: other\n    acl: out\n", ours, peerKey, peerKey, peerZone, dir), []string{"-c", "CONF"}
	}, true},
	{"named", func(dir string, port, ours int) (string, []string) {
		return namedHead(dir, port) + fmt.Sprintf("zone \"%s\" { type secondary; file \"copy\"; primaries { 127.0.0.1 port %d key \"%s\"; }; allow-notify { 127.0.0.1; }; allow-transfer { any; }; };\n", peerZone, ours, peerKey), []string{"-f", "-n", "1", "-c", "CONF"}
	}, func(dir string, port, ours int) (string, []string) {
		return namedHead(dir, port) + fmt.Sprintf("zone \"%s\" { type primary; file \"zone\"; ixfr-from-differences yes; allow-transfer { key \"%s\"; }; notify explicit; also-notify { 127.0.0.1 port %d key \"%s\"; }; };\n", peerZone, peerKey, ours, peerKey), []string{"-f", "-n", "1", "-c", "CONF"}
	}, true},
	{"nsd", func(dir string, port, ours int) (string, []string) {
		return nsdHead(dir, port) + fmt.Sprintf("zone:\n  name: %s\n  zonefile: %s/copy\n  request-xfr: 127.0.0.1@%d %s\n  allow-notify: 127.0.0.1 NOKEY\n  allow-notify: 127.0.0.1 %s\n  provide-xfr: 127.0.0.1 %s\n", peerZone, dir, ours, peerKey, peerKey, peerKey), []string{"-d", "-c", "CONF"}
	}, func(dir string, port, ours int) (string, []string) {
		return nsdHead(dir, port) + fmt.Sprintf("zone:\n  name: %s\n  zonefile: %s/zone\n  provide-xfr: 127.0.0.1 %s\n  notify: 127.0.0.1@%d %s\n  notify-retry: 2\n", peerZone, dir, peerKey, ours, peerKey), []string{"-d", "-c", "CONF"}
	}, false},
}

func knotHead(dir string, port int) string {
	return fmt.Sprintf("server:\n  listen: 127.0.0.1@%d\n  rundir: %s\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\nlog:\n  - target: stderr\n    any: info\ndatabase:\n  storage: %s\nkey:\n  - id: %s\n    algorithm: hmac-sha256\n    secret: %s\n", port, dir, dir, peerKey, peerSecret)
}

func namedHead(dir string, port int) string {
	return fmt.Sprintf("options { listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; directory \"%s\"; recursion no; pid-file none; session-keyfile none; dnssec-validation no; empty-zones-enable no; notify no; serial-query-rate 100; notify-delay 0; };\ncontrols { };\nlogging { channel e { stderr; severity info; }; category default { e; }; };\nkey \"%s\" { algorithm hmac-sha256; secret \"%s\"; };\n", port, dir, peerKey, peerSecret)
}

func nsdHead(dir string, port int) string {
	return fmt.Sprintf("server:\n  ip-address: 127.0.0.1@%d\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"%s\"\n  pidfile: \"%s/nsd.pid\"\n  database: \"\"\n  xfrdfile: \"%s/xfrd\"\n  zonelistfile: \"%s/zl\"\n  xfrdir: \"%s\"\n  xfrd-reload-timeout: 0\n  verbosity: 2\nremote-control:\n  control-enable: no\nkey:\n  name: %s\n  algorithm: hmac-sha256\n  secret: %s\n", port, dir, dir, dir, dir, dir, peerKey, peerSecret)
}

const keysConf = "keys:\n- name: " + peerKey + "\n  secret: " + peerSecret + "\n"

func primaryConf(file string, peerPort int) string {
	return keysConf + fmt.Sprintf("zones:\n- name: %s\n  file: %s\n  allow_transfer: [\"key:%s\"]\n  secondaries:\n  - address: 127.0.0.1:%d\n    key: %s\n", peerZone, file, peerKey, peerPort, peerKey)
}

func secondaryConf(peerPort int) string {
	return keysConf + fmt.Sprintf("zones:\n- name: %s\n  allow_transfer: [\"key:%s\"]\n  primaries:\n  - address: 127.0.0.1:%d\n    key: %s\n", peerZone, peerKey, peerPort, peerKey)
}

// Other servers as our secondaries: AXFR, NOTIFY and IXFR, all signed; what they then serve is what we serve
// (RFC 5936, RFC 1996, RFC 1995, RFC 8945).
func TestTransfer_toOthers(t *testing.T) {
	for _, p := range transferPeers {
		t.Run(p.program, func(t *testing.T) {
			path := tool(t, p.program)
			dir := t.TempDir()
			port, ours := port.Free(t), port.Free(t)
			file := write(t, filepath.Join(t.TempDir(), "zone"), zoneText(1))
			n := startNode(t, ours, primaryConf(file, port))
			eventually(t, "our zone", func() bool { return serial(n.address()) == 1 })
			conf, args := p.secondary(dir, port, ours)
			args[slices.Index(args, "CONF")] = write(t, filepath.Join(dir, "conf"), conf)
			startPeer(t, dir, path, args...)
			other := fmt.Sprintf("127.0.0.1:%d", port)
			eventually(t, "the first transfer", func() bool { return serial(other) == 1 })
			write(t, file, zoneText(2))
			if err := n.Reload(t.Context(), "test", true); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the second version", func() bool { return serial(other) == 2 })
			if out := n.zone().Moves.Out; out.AXFR != 1 || out.IXFR != 1 {
				t.Errorf("transfers out: %+v, want one of each", out)
			}
			sameZones(t, n.address(), other)
			eventually(t, "the answer to our NOTIFY", func() bool {
				told := n.zone().Moves.Secondaries
				return len(told) == 1 && told[0].Serial == 2 && !told[0].Acked.IsZero()
			})
		})
	}
}

// Other servers as our primaries: the same the other way round.
func TestTransfer_fromOthers(t *testing.T) {
	for _, p := range transferPeers {
		t.Run(p.program, func(t *testing.T) {
			path := tool(t, p.program)
			dir := t.TempDir()
			port, ours := port.Free(t), port.Free(t)
			write(t, filepath.Join(dir, "zone"), zoneText(1))
			conf, args := p.primary(dir, port, ours)
			args[slices.Index(args, "CONF")] = write(t, filepath.Join(dir, "conf"), conf)
			proc := startPeer(t, dir, path, args...)
			other := fmt.Sprintf("127.0.0.1:%d", port)
			eventually(t, "the other's zone", func() bool { return serial(other) == 1 })
			n := startNode(t, ours, secondaryConf(port))
			eventually(t, "the first transfer", func() bool { return serial(n.address()) == 1 })
			sameZones(t, other, n.address())
			time.Sleep(1100 * time.Millisecond) // a file's time has seconds for some
			write(t, filepath.Join(dir, "zone"), zoneText(2))
			proc.cmd.Process.Signal(syscall.SIGHUP)
			eventually(t, "the second version", func() bool { return serial(n.address()) == 2 })
			sameZones(t, other, n.address())
			in := n.zone().Moves.In
			if p.changes && (in.AXFR != 1 || in.IXFR != 1) || !p.changes && in.AXFR+in.IXFR != 2 {
				t.Errorf("transfers in: %+v", in)
			}
			if z := n.zone(); z.Role != "secondary" || z.State != "ok" || z.Error != "" || z.Source != other || z.Refresh.IsZero() || z.Expire.IsZero() {
				t.Errorf("state %+v", z)
			}
		})
	}
}

// certificates writes a pair for a name, which is its own authority.
func certificates(t *testing.T, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert = write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	key = write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	return cert, key
}

// Zone transfer over TLS with BIND in both directions, and what kdig fetches from us (RFC 9103).
func TestTransfer_overTLS(t *testing.T) {
	path := tool(t, "named")
	cert, key := certificates(t, "xot.test")
	file := write(t, filepath.Join(t.TempDir(), "zone"), zoneText(1))
	first, secure := port.Free(t), port.Free(t)
	theirs, theirSecure, last := port.Free(t), port.Free(t), port.Free(t)
	text := fmt.Sprintf("listen:\n  dns: [127.0.0.1:%d]\n  tls: [127.0.0.1:%d]\n  certificate: %s\n  key: %s\n", first, secure, cert, key)
	n := startNode(t, first, text+primaryConf(file, theirs))
	eventually(t, "our zone", func() bool { return serial(n.address()) == 1 })

	dir := t.TempDir()
	conf := namedHead(dir, theirs) + fmt.Sprintf("tls in { ca-file \"%s\"; remote-hostname \"xot.test\"; };\ntls out { cert-file \"%s\"; key-file \"%s\"; };\n", cert, cert, key) +
		fmt.Sprintf("zone \"%s\" { type secondary; file \"copy\"; primaries { 127.0.0.1 port %d key \"%s\" tls in; }; allow-notify { 127.0.0.1; }; allow-transfer { any; }; notify explicit; also-notify { 127.0.0.1 port %d; }; };\n", peerZone, secure, peerKey, last)
	conf = strings.Replace(conf, "listen-on-v6", fmt.Sprintf("listen-on port %d tls out { 127.0.0.1; }; listen-on-v6", theirSecure), 1)
	conf = "include \"tls.conf\";\n" + conf
	// BIND wants the tls blocks before the options that name them.
	blocks := fmt.Sprintf("tls in { ca-file \"%s\"; remote-hostname \"xot.test\"; };\ntls out { cert-file \"%s\"; key-file \"%s\"; };\n", cert, cert, key)
	conf = blocks + strings.Replace(strings.TrimPrefix(conf, "include \"tls.conf\";\n"), blocks, "", 1)
	startPeer(t, dir, path, "-f", "-n", "1", "-c", write(t, filepath.Join(dir, "conf"), conf))
	other := fmt.Sprintf("127.0.0.1:%d", theirs)
	eventually(t, "BIND's transfer from us over TLS", func() bool { return serial(other) == 1 })

	end := startNode(t, last, keysConf+fmt.Sprintf("zones:\n- name: %s\n  allow_transfer: [\"key:%s\"]\n  primaries:\n  - {address: \"127.0.0.1:%d\", key: %s, tls: xot.test, tls_roots: %s}\n", peerZone, peerKey, theirSecure, peerKey, cert))
	eventually(t, "our transfer from BIND over TLS", func() bool { return serial(end.address()) == 1 })
	write(t, file, zoneText(2))
	if err := n.Reload(t.Context(), "test", true); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second version all the way", func() bool { return serial(end.address()) == 2 })
	sameZones(t, n.address(), end.address())
	if in := end.zone().Moves.In; in.IXFR != 1 {
		t.Errorf("transfers in: %+v, want the change as one IXFR", in)
	}

	kdig := tool(t, "kdig")
	out, err := exec.Command(kdig, "@127.0.0.1", "-p", fmt.Sprint(secure), "+tls", "+tls-ca="+cert, "+tls-hostname=xot.test", "-y", "hmac-sha256:"+peerKey+":"+peerSecret, peerZone, "AXFR").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "version2-0") || strings.Contains(string(out), "WARNING") {
		t.Errorf("kdig over TLS: %v\n%.2000s", err, out)
	}
}

// What dig and kdig make of our transfers.
func TestTransfer_digReadsThem(t *testing.T) {
	dig, kdig := tool(t, "dig"), tool(t, "kdig")
	file := write(t, filepath.Join(t.TempDir(), "zone"), zoneText(1))
	n := startNode(t, port.Free(t), primaryConf(file, port.Free(t)))
	eventually(t, "our zone", func() bool { return serial(n.address()) == 1 })
	write(t, file, zoneText(2))
	if err := n.Reload(t.Context(), "test", true); err != nil {
		t.Fatal(err)
	}
	y := "hmac-sha256:" + peerKey + ":" + peerSecret
	run := func(path string, args ...string) string {
		out, err := exec.Command(path, append([]string{"@127.0.0.1", "-p", n.port()}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s %v: %v\n%.2000s", path, args, err, out)
		}
		return string(out)
	}
	if out := run(dig, "-y", y, peerZone, "AXFR"); !strings.Contains(out, "version2-2.") || !strings.Contains(out, "XFR size: 5") || strings.Contains(out, "Couldn't verify") {
		t.Errorf("dig: %.3000s", out)
	}
	for _, out := range []string{run(dig, "-y", y, peerZone, "IXFR=1"), run(kdig, "-y", y, peerZone, "IXFR=1")} {
		if !strings.Contains(out, "version1-0.") || !strings.Contains(out, "version2-0.") || strings.Contains(out, "host1.") || strings.Contains(out, "WARNING") {
			t.Errorf("IXFR: %.3000s", out)
		}
	}
	if out := run(dig, "-y", y, peerZone, "IXFR=2"); strings.Count(out, "SOA") != 1 {
		t.Errorf("IXFR of what we have: %.3000s", out)
	}
	if out, _ := exec.Command(dig, "@127.0.0.1", "-p", n.port(), peerZone, "AXFR").CombinedOutput(); !strings.Contains(string(out), "Transfer failed") {
		t.Errorf("without the key: %.2000s", out)
	}
}
