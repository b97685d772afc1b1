package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair is a certificate for loopback and its key, as files.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"dns.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// --at asks a server in every way that servers are spoken to.
func TestQuery_asksAServer(t *testing.T) {
	dir := t.TempDir()
	file := writeZone(t, dir, 1, 9)
	cert, key := pair(t)
	tls, https, quic := freeAddress(t), freeAddress(t), freeAddress(t)
	conf := filepath.Join(dir, "conf.yaml")
	text := fmt.Sprintf("listen: {tls: [%q], https: [%q], quic: [%q], certificate: %s, key: %s}\nzones: [{name: example.org, file: %s}]\n", tls, https, quic, cert, key, file)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := serve(t, t.TempDir(), "--config", conf)
	p.waitFor(t, "www.example.org.", "192.0.2.9")
	for _, at := range [][]string{{p.dns}, {p.dns, "--tcp"}, {"tls://" + tls, "--any-certificate"}, {"https://" + https, "--any-certificate"}, {"quic://" + quic, "--any-certificate"}} {
		out, status := run(t, append([]string{"query", "www.example.org", "--at"}, at...)...)
		if status != 0 || !strings.Contains(out, "192.0.2.9") || !strings.Contains(out, "status: NOERROR, flags: qr aa rd") {
			t.Errorf("%v: status %d\n%s", at, status, out)
		}
	}
	if out, status := run(t, "query", "www.example.org", "--at", "tls://"+tls); status != 2 || !strings.Contains(out, "certificate") {
		t.Errorf("a certificate nobody signed: status %d\n%s", status, out)
	}
	if out, status := run(t, "query", "nothing.example.org", "AAAA", "--at", p.dns); status != 0 || !strings.Contains(out, "NXDOMAIN") {
		t.Errorf("status %d\n%s", status, out)
	}
	out, status := run(t, "query", "www.example.org", "--json", "--at", p.dns)
	var got struct {
		Status string
		Answer []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || got.Status != "NOERROR" || len(got.Answer) != 1 {
		t.Errorf("%v %s", err, out)
	}
	if out, status := run(t, "query", "x", "--at", "127.0.0.1:1", "--timeout", "200ms"); status != 2 {
		t.Errorf("nobody there: status %d\n%s", status, out)
	}
}

// Without --at it resolves itself; what fails says why, and the walk shows who was asked.
func TestQuery_resolvesInProcess(t *testing.T) {
	file := writeZone(t, t.TempDir(), 1, 9)
	p := serve(t, t.TempDir(), "--zone", "example.org="+file)
	p.waitFor(t, "www.example.org.", "192.0.2.9")
	flags := []string{"--stub", "example.org=" + p.dns, "--forward", ".=127.0.0.1:1", "--insecure", "example.org"}
	out, status := run(t, append([]string{"query", "www.example.org", "--trace"}, flags...)...)
	if status != 0 || !strings.Contains(out, "192.0.2.9") || !strings.Contains(out, "; ") || !strings.Contains(out, p.dns+" (") || !strings.Contains(out, "by this process") {
		t.Errorf("status %d\n%s", status, out)
	}
	out, status = run(t, append([]string{"query", "www.example.net"}, flags...)...)
	if status != 1 || !strings.Contains(out, "SERVFAIL") || !strings.Contains(out, ";; EDE: ") {
		t.Errorf("nobody to ask: status %d\n%s", status, out)
	}
	for _, wrong := range [][]string{{"query"}, {"query", "a", "NOTYPE"}, {"query", "a..b"}, {"query", "a", "--stub", "x"}, {"query", "a", "--at", "ns.example"}, {"query", "a", "--at", "127.0.0.1", "--trace"}} {
		if out, status := run(t, wrong...); status != 2 || !strings.HasPrefix(out, "anyu: ") {
			t.Errorf("%v: status %d\n%s", wrong, status, out)
		}
	}
}

// The flags of serve: stub and forward win over the file, insecure stops validation, control shows and changes what is there.
func TestServe_resolves(t *testing.T) {
	file := writeZone(t, t.TempDir(), 1, 9)
	auth := serve(t, t.TempDir(), "--zone", "example.org="+file)
	auth.waitFor(t, "www.example.org.", "192.0.2.9")
	conf := filepath.Join(t.TempDir(), "conf.yaml")
	if err := os.WriteFile(conf, []byte("recursion:\n  forward: [{name: example.org, servers: [{address: \"127.0.0.1:1\"}]}, {name: ., servers: [{address: \"127.0.0.1:1\"}]}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := serve(t, t.TempDir(), "--config", conf, "--stub", "example.org="+auth.dns, "--insecure", "example.org")
	p.waitFor(t, "www.example.org.", "192.0.2.9")
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"recursion"}, "stub example.org."}, {[]string{"recursion"}, "not validated"}, {[]string{"recursion"}, auth.dns},
		{[]string{"flush", "www.example.org"}, "entries were forgotten"}, {[]string{"flush", "example.org", "--subtree"}, "and below"}, {[]string{"flush", "all"}, "the cache is empty"},
		{[]string{"nta", "add", "broken.example", "--owner", "me", "--reason", "lost key", "--for", "2h"}, "is not validated until"},
		{[]string{"nta", "list"}, "lost key"}, {[]string{"nta", "remove", "broken.example"}, "validated again"},
	} {
		if out, status := run(t, append(append([]string{"control"}, c.words...), "--data", p.data)...); status != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%v: status %d\n%s", c.words, status, out)
		}
	}
	if out, status := run(t, "control", "nta", "add", "a.example", "--data", p.data); status != 2 || !strings.Contains(out, "--reason") {
		t.Errorf("without a reason: status %d\n%s", status, out)
	}
	r, err := http.Get("http://" + p.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if metrics := string(b); err != nil || !strings.Contains(metrics, `anyu_cache_entries{kind="rrset"`) || !strings.Contains(metrics, "anyu_outgoing_total{") || !strings.Contains(metrics, "anyu_resolver_limited_total{") {
		t.Error("metrics of the resolver are missing")
	}
}
