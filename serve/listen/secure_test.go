package listen_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/listen"
)

// pair is a certificate on disk and the pool that trusts it.
type pair struct {
	cert, key string
	pool      *x509.CertPool
	serial    int64
}

func newPair(t testing.TB, dir string, serial int64) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "dns.example"}, DNSNames: []string{"dns.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Duration(serial) * 24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := pair{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), pool: x509.NewCertPool(), serial: serial}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.pool.AppendCertsFromPEM(certPEM)
	for file, data := range map[string][]byte{p.cert: certPEM, p.key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p pair) client(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: p.pool, ServerName: "dns.example", NextProtos: protocols, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
}

func secure(p pair) listen.Config {
	return listen.Config{
		TLS: []netip.AddrPort{loopback4}, HTTPS: []netip.AddrPort{loopback4}, QUIC: []netip.AddrPort{loopback4},
		Certificate: p.cert, Key: p.key,
	}
}

func dialTLS(t testing.TB, at netip.AddrPort, c *tls.Config) *tls.Conn {
	t.Helper()
	over := tls.Client(dial(t, "tcp", at), c)
	if err := over.Handshake(); err != nil {
		t.Fatal(err)
	}
	return over
}

// RFC 7858, Section 3: the messages of DNS over TCP, on a session that a later connection resumes.
func TestTLS_answersAndResumes(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	var name atomic.Value
	s := start(t, secure(p), func(q []byte, from *listen.Client, out []byte) int {
		if from.Transport != event.TLS {
			return listen.Drop
		}
		name.Store(from.ServerName)
		return echo(q, from, out)
	}, nil)
	config := p.client("dot")
	for try := range 2 {
		c := dialTLS(t, bound(t, s, "tls"), config)
		mustWrite(t, c, frame(question(1, 40), question(2, 5000)))
		wantFrame(t, c, replyTo(question(1, 40)))
		wantFrame(t, c, replyTo(question(2, 5000)))
		state := c.ConnectionState()
		if state.NegotiatedProtocol != "dot" || state.DidResume != (try == 1) {
			t.Errorf("connection %d: protocol %q, resumed %v", try, state.NegotiatedProtocol, state.DidResume)
		}
	}
	if name.Load() != "dns.example" {
		t.Errorf("server name is %v", name.Load())
	}
}

func TestTLS_agreesOnItsProtocolOnly(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	s := start(t, secure(p), echo, nil)
	at := bound(t, s, "tls")
	none := dialTLS(t, at, p.client()) // clients without ALPN are taken
	mustWrite(t, none, frame(question(1, 40)))
	wantFrame(t, none, replyTo(question(1, 40)))
	over := tls.Client(dial(t, "tcp", at), p.client("h2"))
	if err := over.Handshake(); err == nil {
		t.Error("a client that wants h2 only was taken")
	}
	old := p.client("dot")
	old.MaxVersion = tls.VersionTLS11
	if err := tls.Client(dial(t, "tcp", at), old).Handshake(); err == nil {
		t.Error("TLS 1.1 was taken (RFC 8996)")
	}
	mustWrite(t, dial(t, "tcp", at), []byte("not a handshake at all, far from it"))
}

// RFC 9103, Section 7: zone transfer over TLS needs TLS 1.3.
func TestTLS_transfersWithTLS13Only(t *testing.T) {
	p := newPair(t, t.TempDir(), 1)
	s := start(t, secure(p), transfers, streamer(func(_ []byte, _ *listen.Client, send func([]byte) error) error {
		for i := range uint16(20) {
			if err := send(question(i, 20000)); err != nil {
				return err
			}
		}
		return nil
	}))
	c := dialTLS(t, bound(t, s, "tls"), p.client("dot"))
	mustWrite(t, c, frame(question(1, 100)))
	for i := range uint16(20) {
		wantFrame(t, c, question(i, 20000))
	}
	config := p.client("dot")
	config.MaxVersion = tls.VersionTLS12
	old := dialTLS(t, bound(t, s, "tls"), config)
	mustWrite(t, old, frame(question(1, 40), question(1, 100)))
	wantFrame(t, old, replyTo(question(1, 40)))
	wantClosed(t, old)
}

// A new certificate is taken without a restart and without a broken connection; a broken one is refused and shown.
func TestCertificate_isSwappedWhole(t *testing.T) {
	dir := t.TempDir()
	first := newPair(t, dir, 1)
	c := secure(first)
	c.Limits.CertificateCheck = 10 * time.Millisecond
	s := start(t, c, echo, nil)
	at := bound(t, s, "tls")
	kept := dialTLS(t, at, first.client("dot"))
	end := s.Statistics().CertificateEnd
	if d := time.Until(end); d < 23*time.Hour || d > 25*time.Hour {
		t.Errorf("certificate ends in %v", d)
	}

	os.WriteFile(first.key, []byte("broken"), 0o600)
	eventually(t, "the broken key is noticed", func() bool { return s.Statistics().CertificateError != "" })
	mustWrite(t, dialTLS(t, at, first.client("dot")), frame(question(1, 40)))
	if err := s.Reload(c); err == nil {
		t.Error("reload took a broken key")
	}

	second := newPair(t, dir, 2)
	eventually(t, "the new certificate is in use", func() bool { return s.Statistics().CertificateEnd.After(end) })
	if text := s.Statistics().CertificateError; text != "" {
		t.Errorf("error stays: %s", text)
	}
	if got := dialTLS(t, at, second.client("dot")).ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != 2 {
		t.Errorf("certificate %d is served", got)
	}
	mustWrite(t, kept, frame(question(1, 40)))
	wantFrame(t, kept, replyTo(question(1, 40)))
}

func TestNew_wantsACertificate(t *testing.T) {
	c := secure(pair{})
	if _, err := listen.New(c, func() listen.Answerer { return answer(echo) }, nil, nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error is %v", err)
	}
}

// refused answers a real query with REFUSED and its question.
func refused(q []byte, from *listen.Client, out []byte) int {
	var query wire.Query
	if query.Read(q) != wire.Good {
		return listen.Drop
	}
	n := copy(out, q[:query.End])
	out[2] |= 0x80
	out[3] = 5
	clear(out[6:12])
	return n
}

// kdig of Knot DNS asks over each transport that it knows.
func TestPeer_kdig(t *testing.T) {
	kdig, err := exec.LookPath("kdig")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("kdig is not installed (Debian: knot-dnsutils)")
		}
		t.Skip("SKIPPED: kdig is not installed (Debian: knot-dnsutils)")
	}
	p := newPair(t, t.TempDir(), 1)
	c := secure(p)
	c.Plain = []netip.AddrPort{loopback4}
	s := start(t, c, refused, nil)
	for _, try := range []struct{ service, option, says string }{
		{"dns", "+notcp", "(UDP)"}, {"dns", "+tcp", "(TCP)"}, {"tls", "+tls", "TLS session (TLS1.3)"}, {"tls", "+tls-ca=" + p.cert, "TLS session (TLS1.3)"},
		{"https", "+https", "HTTP/2-POST"}, {"https", "+https-get", "HTTP/2-GET"}, {"quic", "+quic", "QUIC session"},
	} {
		t.Run(try.option, func(t *testing.T) {
			at := bound(t, s, try.service)
			args := []string{"@" + at.Addr().String(), "-p", port(at), try.option, "+timeout=3", "+retry=0", "+nopadding", "name.example", "A"}
			if strings.Contains(try.option, "ca=") {
				args = append(args, "+tls-hostname=dns.example")
			}
			out, err := exec.Command(kdig, args...).CombinedOutput()
			text := string(out)
			if strings.Contains(text, "not supported") || strings.Contains(text, "invalid option") || strings.Contains(text, "Unrecognized") {
				t.Skipf("SKIPPED: this kdig does not know %s", try.option)
			}
			if err != nil || !strings.Contains(text, "status: REFUSED") || !strings.Contains(text, try.says) {
				t.Errorf("%v: %v\n%s", args, err, text)
			}
		})
	}
}

func port(at netip.AddrPort) string {
	_, p, _ := net.SplitHostPort(at.String())
	return p
}
