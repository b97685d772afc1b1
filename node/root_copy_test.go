package node_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/config"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/house/corpora"
	"anyu/house/port"
	"anyu/node"
	"anyu/serve/validate"
	"anyu/serve/validate/anchor"
)

const (
	kindRootRefused = "root-copy-refused"
	kindRootOld     = "root-copy-old"
)

// The real root zone, as it was on two days of 2026.
const (
	rootJanuary, serialJanuary = "root-20260105-signed-zonemd", 2026010500
	rootJuly, serialJuly       = "root-20260731-signed-zonemd", 2026073102
)

func rootText(t *testing.T, version string) string {
	t.Helper()
	return filepath.Join(corpora.Path(t, "zones", version), "root.zone")
}

func realAnchors(t *testing.T) []validate.Anchor {
	t.Helper()
	text, err := os.ReadFile(corpora.Path(t, "zones", "root-trust", "root.ds"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := anchor.Read(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// findingsOf keeps what is open.
type findingsOf map[string]event.Finding

func (f findingsOf) Report(x event.Finding) {
	if x.Closed.IsZero() {
		f[x.Kind] = x
	} else {
		delete(f, x.Kind)
	}
}

// rootKeeper is a RootCopy at work.
type rootKeeper struct {
	*node.RootCopy
	dir   string
	inUse *zone.Zone
	open  findingsOf
	now   time.Time
}

func newKeeper(t *testing.T, dir, day string, sources ...string) *rootKeeper {
	t.Helper()
	k := &rootKeeper{dir: dir, open: findingsOf{}}
	var err error
	if k.now, err = time.Parse(time.DateOnly, day); err != nil {
		t.Fatal(err)
	}
	if k.RootCopy, err = node.NewRootCopy(dir, config.LocalRoot{Sources: sources}, realAnchors(t), k.open, func(z *zone.Zone) { k.inUse = z }); err != nil {
		t.Fatal(err)
	}
	return k
}

// pass lets time pass, and the keeper do what is due then.
func (k *rootKeeper) pass(t *testing.T, d time.Duration) {
	t.Helper()
	k.now = k.now.Add(d)
	for range 5 { // several sources are asked one after the other
		if k.Turn(t.Context(), k.now) > 0 {
			return
		}
	}
	t.Error("the keeper does not rest")
}

// nsdRoot is NSD with a copy of the root that others may transfer. set gives it another.
func nsdRoot(t *testing.T, version string) (source string, set func(version string)) {
	t.Helper()
	path, dir, at := tool(t, "nsd"), t.TempDir(), port.Free(t)
	file := filepath.Join(dir, "zone")
	put := func(version string) {
		b, err := os.ReadFile(rootText(t, version))
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, string(b))
	}
	put(version)
	conf := write(t, filepath.Join(dir, "conf"), nsdHead(dir, at)+fmt.Sprintf("zone:\n  name: .\n  zonefile: %s\n  provide-xfr: 127.0.0.0/8 NOKEY\n", file))
	p := startPeer(t, dir, path, "-d", "-c", conf)
	address := fmt.Sprintf("127.0.0.1:%d", at)
	up := func(want uint32) {
		eventually(t, fmt.Sprintf("NSD with serial %d", want), func() bool {
			r, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion(".", dns.TypeSOA), address)
			if err != nil || len(r.Answer) == 0 {
				return false
			}
			soa, ok := r.Answer[0].(*dns.SOA)
			return ok && soa.Serial == want
		})
	}
	serials := map[string]uint32{rootJanuary: serialJanuary, rootJuly: serialJuly}
	up(serials[version])
	return "axfr:" + address, func(version string) {
		time.Sleep(1100 * time.Millisecond) // a file's time has seconds for NSD
		put(version)
		p.cmd.Process.Signal(syscall.SIGHUP)
		up(serials[version])
	}
}

// RFC 8806, Sections 2 and 3: the root by AXFR from a real server, in use from its first verified version; kept over a restart; left when its
// expire time has come; never replaced by an older one.
func TestLocalRoot_fromNSD(t *testing.T) {
	source, set := nsdRoot(t, rootJanuary)
	dir := t.TempDir()
	k := newKeeper(t, dir, "2026-01-06", source)
	k.pass(t, 0)
	if k.inUse == nil || k.State().Serial != serialJanuary || k.State().Source != source {
		t.Fatalf("state %+v", k.State())
	}
	first := k.inUse
	k.pass(t, 31*time.Minute) // the refresh time: the SOA says that nothing changed
	if k.inUse != first || k.State().Failed != 0 || !k.State().Verified.Equal(k.now) {
		t.Errorf("after a refresh: %+v", k.State())
	}

	again := newKeeper(t, dir, "2026-01-07", "file:/does/not/exist")
	again.pass(t, 0)
	if again.inUse == nil || again.State().Source != "disk" || !again.State().Expires.Equal(k.State().Expires) {
		t.Errorf("after a restart it lives as long as without: %+v, before %+v", again.State(), k.State())
	}
	again.pass(t, 4*24*time.Hour)
	if f, ok := again.open[kindRootOld]; !ok || again.inUse == nil {
		t.Errorf("over half its life without a renewal: %v, finding %+v", again.inUse != nil, f)
	}
	again.pass(t, 3*24*time.Hour)
	if again.inUse != nil || again.State().Usable {
		t.Error("used after its expire time (RFC 1035, Section 3.3.13)")
	}

	set(rootJuly)
	k.now = k.now.AddDate(0, 6, 26)
	k.pass(t, 0)
	if k.inUse == nil || k.inUse.Serial() != serialJuly {
		t.Fatalf("the new version: %+v", k.State())
	}
	set(rootJanuary)
	k.pass(t, 31*time.Minute)
	if _, found := k.open[kindRootRefused]; k.inUse.Serial() != serialJuly || !found || !strings.Contains(k.State().Error, "older") {
		t.Errorf("an older version: %+v, findings %v", k.State(), k.open)
	}
	set(rootJuly)
	k.pass(t, 3*time.Hour)
	if _, found := k.open[kindRootRefused]; found || k.State().Error != "" {
		t.Errorf("good again: %+v, findings %v", k.State(), k.open)
	}
	for _, name := range []string{"root.zone", "root.zone.old"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// A source that is altered is refused, and the next one asked at once; a copy on disk that was altered is not used either.
func TestLocalRoot_altered(t *testing.T) {
	good := rootText(t, rootJuly)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	// One octet of one address, such as somebody on the way would change.
	altered := strings.Replace(string(text), "198.41.0.4", "198.41.0.5", 1)
	dir := t.TempDir()
	bad := write(t, filepath.Join(dir, "bad.zone"), altered)
	k := newKeeper(t, filepath.Join(dir, "mirror"), "2026-08-01", "file:"+bad)
	k.pass(t, 0)
	if f := k.open[kindRootRefused]; k.inUse != nil || len(f.Facts) == 0 || f.Facts[0].Value != "file:"+bad {
		t.Errorf("altered: in use %v, finding %+v", k.inUse != nil, f)
	}
	k = newKeeper(t, filepath.Join(dir, "mirror"), "2026-08-01", "file:"+bad, "file:"+good)
	k.pass(t, 0)
	if k.inUse == nil || k.State().Source != "file:"+good {
		t.Errorf("the good one of two: %+v", k.State())
	}
	write(t, filepath.Join(dir, "mirror", "root.zone"), altered)
	k = newKeeper(t, filepath.Join(dir, "mirror"), "2026-08-01", "file:/does/not/exist")
	k.pass(t, 0)
	if k.inUse != nil {
		t.Error("an altered copy on disk is used")
	}
	if _, found := k.open[kindRootOld]; !found {
		t.Error("no finding says that there is no copy")
	}
	if err := k.Configure(config.LocalRoot{Sources: []string{"file:" + good}}); err != nil {
		t.Fatal(err)
	}
	k.pass(t, time.Second)
	if k.inUse == nil || len(k.open) != 0 {
		t.Errorf("after a reload with another source: %+v, findings %v", k.State(), k.open)
	}
	if err := k.Configure(config.LocalRoot{}); err != nil {
		t.Fatal(err)
	}
	k.pass(t, time.Second)
	if k.inUse != nil || k.State() != nil {
		t.Error("used although no source is configured")
	}
}

// Over HTTPS: once whole, then by entity tag; what goes on for ever, leads elsewhere or includes files of ours is refused.
func TestLocalRoot_overHTTPS(t *testing.T) {
	text, err := os.ReadFile(rootText(t, rootJuly))
	if err != nil {
		t.Fatal(err)
	}
	whole, same := 0, 0
	mux := http.NewServeMux()
	mux.HandleFunc("/root.zone", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"july"`)
		if r.Header.Get("If-None-Match") == `"july"` {
			same++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		whole++
		w.Write(text)
	})
	mux.Handle("/elsewhere", http.RedirectHandler("http://127.0.0.1:1/root.zone", http.StatusFound))
	mux.HandleFunc("/include", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "$INCLUDE /etc/passwd\n") })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		line := []byte(strings.Repeat("; nothing\n", 6000))
		for {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	dir := t.TempDir()
	ca := write(t, filepath.Join(dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	k := newKeeper(t, filepath.Join(dir, "mirror"), "2026-08-01")
	use := func(path string) {
		t.Helper()
		if err := k.Configure(config.LocalRoot{Sources: []string{server.URL + path}, TLSRoots: ca}); err != nil {
			t.Fatal(err)
		}
		k.pass(t, time.Second)
	}
	for path, why := range map[string]string{"/elsewhere": "redirected", "/include": "includes no other files", "/endless": "longer than", "/nothing": "404"} {
		use(path)
		if k.inUse != nil || !strings.Contains(k.State().Error, why) {
			t.Errorf("%s: %+v, want %q", path, k.State(), why)
		}
	}
	use("/root.zone")
	k.pass(t, 31*time.Minute)
	if k.inUse == nil || whole != 1 || same != 1 {
		t.Errorf("%d times whole, %d times unchanged, state %+v", whole, same, k.State())
	}
	if err := k.Configure(config.LocalRoot{Sources: []string{server.URL + "/root.zone"}}); err != nil { // a certificate nobody vouches for
		t.Fatal(err)
	}
	k.pass(t, time.Hour)
	if !strings.Contains(k.State().Error, "certificate") {
		t.Errorf("state %+v", k.State())
	}
}

// RFC 9103: over TLS from a node of ours, whose certificate must have the name that is configured.
func TestLocalRoot_overTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificateFor(t, dir, "root.example")
	at := port.Free(t)
	plain := fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	startAt(t, plain, fmt.Sprintf("recursion: {off: true}\nlisten:\n  dns: [%q]\n  tls: [127.0.0.1:%d]\n  certificate: %s\n  key: %s\nzones:\n- {name: ., file: %s, allow_transfer: [127.0.0.0/8]}\n",
		plain, at, cert, key, rootText(t, rootJuly)))
	for name, good := range map[string]bool{"root.example": true, "other.example": false} {
		k := newKeeper(t, filepath.Join(dir, name), "2026-08-01")
		if err := k.Configure(config.LocalRoot{Sources: []string{fmt.Sprintf("xot:127.0.0.1:%d#%s", at, name)}, TLSRoots: cert}); err != nil {
			t.Fatal(err)
		}
		if good {
			eventually(t, "the zone over TLS", func() bool { k.now = k.now.Add(2 * time.Minute); k.Turn(t.Context(), k.now); return k.inUse != nil })
			continue
		}
		k.pass(t, 0)
		if k.inUse != nil || !strings.Contains(k.State().Error, "certificate") {
			t.Errorf("%s: %+v", name, k.State())
		}
	}
}

func certificateFor(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	bits, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert = write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	key = write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bits})))
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// The whole node: Knot DNS signs a root with ZONEMD, we transfer it, and resolve with it while every root server is silent; without the copy
// nothing is found.
func TestLocalRoot_resolvesWithoutRootServers(t *testing.T) {
	w := newWorld(t)
	source, ds := knotRoot(t, w)
	silent := write(t, filepath.Join(w.dir, "silent"), fmt.Sprintf(". 3600 NS a.root.\na.root. 3600 A %s\n", "127.77.0.99"))
	anchor := write(t, filepath.Join(w.dir, "knot.ds"), ds)
	conf := func(sources string) string {
		return fmt.Sprintf("recursion:\n  hints: %s\n  permitted: [127.77.0.0/16]\n  ipv6: false\n  validation: {anchors: [%s]}\n  local_root:\n    sources: [%s]\n", silent, anchor, sources)
	}
	dir, at := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	n := startIn(t, dir, at, conf(source))
	eventually(t, "the local root", func() bool { s := state(t, n).LocalRoot; return s != nil && s.Usable })
	if a := look(t, at, "www.good.world.", false); a.rcode != dns.RcodeSuccess || !a.ad || a.address != "192.0.2.10" {
		t.Errorf("a signed zone below the local root: %+v", a)
	}
	if a := look(t, at, "no.such.tld.", false); a.rcode != dns.RcodeNameError || !a.ad {
		t.Errorf("a name that the local root denies: %+v", a)
	}
	if a := look(t, at, "www.bad.world.", false); a.rcode != dns.RcodeServerFailure {
		t.Errorf("a bogus zone: %+v", a)
	}
	n.configure(conf(""))
	reload(t, n)
	eventually(t, "the end of the local root", func() bool { return state(t, n).LocalRoot == nil })
	control(t, n, "flush", "all")
	if a := look(t, at, "www.good.world.", false); a.rcode != dns.RcodeServerFailure {
		t.Errorf("without root servers and copy: %+v", a)
	}
}

// knotRoot lets Knot DNS sign the root of the small world.
func knotRoot(t *testing.T, w *world) (source, ds string) {
	t.Helper()
	path, manager, dir, at := tool(t, "knotd"), tool(t, "keymgr"), t.TempDir(), port.Free(t)
	text, err := os.ReadFile(filepath.Join(w.dir, "zone."))
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(dir, "root.zone"), string(text))
	conf := write(t, filepath.Join(dir, "conf"), knotHead(dir, at)+
		"acl:\n  - id: out\n    address: 127.0.0.0/8\n    action: transfer\npolicy:\n  - id: p\n    algorithm: ecdsap256sha256\n"+
		"zone:\n  - domain: .\n    file: "+file+"\n    acl: out\n    dnssec-signing: on\n    dnssec-policy: p\n    zonemd-generate: zonemd-sha384\n    zonefile-sync: -1\n    journal-content: all\n    zonefile-load: difference\n")
	startPeer(t, dir, path, "-c", conf)
	address := fmt.Sprintf("127.0.0.1:%d", at)
	eventually(t, "Knot's ZONEMD", func() bool {
		m := new(dns.Msg).SetQuestion(".", dns.TypeZONEMD)
		m.SetEdns0(4096, true)
		r, _, err := (&dns.Client{Net: "tcp"}).Exchange(m, address)
		return err == nil && len(r.Answer) == 2
	})
	out, err := exec.Command(manager, "-c", conf, ".", "ds").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := regexp.MustCompile(`(?m)^\. DS \d+ \d+ 2 .*$`).FindString(string(out))
	if lines == "" {
		t.Fatalf("no DS in %s", out)
	}
	return "axfr:" + address, strings.Replace(lines, ". DS", ". 3600 IN DS", 1) + "\n"
}
