package outbound_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"anyu/house/port"
	"anyu/serve/listen"
	"anyu/serve/outbound"
	"anyu/serve/resolve"
)

// truncating sends everybody to TCP.
func truncating(q []byte, send func([]byte)) { send(shortTo(q, 0, 2)) }

// overTCP is a rig that asks a server over TCP only.
func overTCP(t testing.TB, f *fake, streams outbound.StreamConfig) *rig {
	return newRig(t, rigConfig{hosts: []netip.AddrPort{f.at}, stream: true, streams: streams})
}

func TestTCP_isSharedAndPipelined(t *testing.T) {
	var mu sync.Mutex
	f := serveFake(t, nil, func(c net.Conn, read func() ([]byte, error)) {
		for { // the answers of four at a time, the last first (RFC 7766, Section 6.2.1.1)
			var back [][]byte
			for range 4 {
				q, err := read()
				if err != nil {
					return
				}
				back = append([][]byte{answerTo(q)}, back...)
			}
			mu.Lock()
			c.Write(frame(back...))
			mu.Unlock()
		}
	})
	r := overTCP(t, f, outbound.StreamConfig{})
	var all []chan *resolve.Answer
	for i := range 40 {
		all = append(all, r.begin(fmt.Sprintf("n%d.example.com", i)))
	}
	for i, c := range all {
		if a := <-c; a == nil || len(a.Answer) != 1 || !bytes.Equal(a.Answer[0].Name, wireName(fmt.Sprintf("n%d.example.com", i))) {
			t.Fatalf("question %d: %+v", i, a)
		}
	}
	if n := f.accepted(); n != 1 {
		t.Errorf("%d connections", n)
	}
	u := r.streams.Upstreams()
	if len(u) != 1 || u[0].Server != f.at || u[0].Opened != 1 || u[0].Open != 1 || u[0].Queries != 40 || u[0].Replies != 40 || u[0].Waiting != 0 || u[0].Connected.IsZero() {
		t.Errorf("%+v", u)
	}
}

// Two exchanges may have drawn the same ID. Replies with IDs that nobody waits for are passed over.
func TestTCP_repliesAreMatchedByID(t *testing.T) {
	f := serveFake(t, nil, func(c net.Conn, read func() ([]byte, error)) {
		for {
			q, err := read()
			if err != nil {
				return
			}
			other := answerTo(q)
			other[0] ^= 0xFF
			copy(other[len(other)-15:], []byte{6, 6, 6, 6})
			c.Write(frame(other, answerTo(q), answerTo(q)))
		}
	})
	s := outbound.NewStreams(outbound.StreamConfig{})
	t.Cleanup(s.Close)
	query := func(name string) []byte {
		return append(append([]byte{7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, wireName(name)...), 0, 1, 0, 1)
	}
	var all sync.WaitGroup
	for i := range 30 {
		all.Add(1)
		q := query(fmt.Sprintf("n%d.example", i))
		s.Send(f.at, nil, q, 5*time.Second, func(msg []byte) {
			if !bytes.Equal(msg, answerTo(q)) {
				t.Errorf("question %d: %x", i, msg)
			}
			all.Done()
		})
	}
	all.Wait()
}

// A connection that worked breaks in the middle of an answer: what was asked is asked once more, on a fresh one.
func TestTCP_brokenConnectionIsRetriedOnAFreshOne(t *testing.T) {
	var mu sync.Mutex
	connections := 0
	f := serveFake(t, nil, func(c net.Conn, read func() ([]byte, error)) {
		mu.Lock()
		connections++
		first := connections == 1
		mu.Unlock()
		for i := 0; ; i++ {
			q, err := read()
			if err != nil {
				return
			}
			if first && i == 1 {
				c.Write(frame(answerTo(q))[:20])
				return
			}
			c.Write(frame(answerTo(q)))
		}
	})
	r := overTCP(t, f, outbound.StreamConfig{})
	r.wantAnswer(t, "a.example.com")
	r.wantAnswer(t, "b.example.com")
	if u := r.streams.Upstreams()[0]; u.Opened != 2 || u.Retried != 1 || u.Failed != 0 {
		t.Errorf("%+v", u)
	}
}

// A server that always breaks is not asked for ever.
func TestTCP_closedMidAnswerFails(t *testing.T) {
	for name, cut := range map[string]int{"at once": 0, "in the length": 1, "in the message": 20} {
		t.Run(name, func(t *testing.T) {
			f := serveFake(t, truncating, func(c net.Conn, read func() ([]byte, error)) {
				if q, err := read(); err == nil {
					c.Write(frame(answerTo(q))[:cut])
				}
			})
			r := newRig(t, to(f))
			r.wantFailure(t, "www.example.com", 2*time.Second)
			if n := f.accepted(); n > 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestTCP_idleConnectionClosedByTheServerIsNoMatter(t *testing.T) {
	f := serveFake(t, nil, func(c net.Conn, read func() ([]byte, error)) {
		if q, err := read(); err == nil {
			c.Write(frame(answerTo(q)))
		}
	})
	r := overTCP(t, f, outbound.StreamConfig{})
	for i := range 20 { // with and without time to notice
		r.wantAnswer(t, fmt.Sprintf("n%d.example.com", i))
		if i%2 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	eventually(t, "no connection is left", func() bool { return r.streams.Upstreams()[0].Open == 0 })
}

// A server that takes one question a connection and closes it with the others unanswered: that is found out, and respected.
func TestTCP_serverThatAnswersOneAConnection(t *testing.T) {
	f := serveFake(t, nil, func(c net.Conn, read func() ([]byte, error)) {
		if q, err := read(); err == nil {
			time.Sleep(5 * time.Millisecond)
			c.Write(frame(answerTo(q)))
		}
	})
	r := overTCP(t, f, outbound.StreamConfig{})
	r.wantAnswer(t, "first.example.com")
	good := 0
	for round := range 3 {
		var all []chan *resolve.Answer
		for i := range 6 {
			all = append(all, r.begin(fmt.Sprintf("n%d-%d.example.com", round, i)))
		}
		good = 0
		for _, c := range all {
			if a := <-c; a != nil && len(a.Answer) == 1 {
				good++
			}
		}
	}
	if good != 6 {
		t.Errorf("%d of 6 answered in the end", good)
	}
}

func TestTCP_idleConnectionsAreClosed(t *testing.T) {
	f := serveFake(t, nil, goodTCP)
	r := overTCP(t, f, outbound.StreamConfig{Idle: 100 * time.Millisecond})
	r.wantAnswer(t, "www.example.com")
	eventually(t, "the connection is closed", func() bool { return r.streams.Upstreams()[0].Open == 0 })
	r.wantAnswer(t, "mail.example.com")
	if u := r.streams.Upstreams()[0]; u.Opened != 2 || u.Failed != 0 || u.Retried != 0 {
		t.Errorf("%+v", u)
	}
}

// Servers that send everybody to TCP cannot take all descriptors: the connection idle for longest goes for a new one.
func TestStreams_areBounded(t *testing.T) {
	s := outbound.NewStreams(outbound.StreamConfig{Connections: 3})
	t.Cleanup(s.Close)
	q := append(append([]byte{7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, wireName("a.example")...), 0, 1, 0, 1)
	for range 8 {
		f := serveFake(t, nil, goodTCP)
		came := make(chan []byte, 1)
		s.Send(f.at, nil, q, 5*time.Second, func(msg []byte) { came <- msg })
		if msg := <-came; msg == nil {
			t.Fatal("no reply")
		}
		open := uint64(0)
		for _, u := range s.Upstreams() {
			open += u.Open
		}
		if open > 4 { // one may be on its way out
			t.Fatalf("%d connections are open", open)
		}
	}
	eventually(t, "three are left", func() bool {
		open := uint64(0)
		for _, u := range s.Upstreams() {
			open += u.Open
		}
		return open == 3
	})
}

// A silent server costs what it is given, and no more: later questions wait for a bounded time, and too many are refused.
func TestStreams_silentServerHoldsNothingForEver(t *testing.T) {
	f := serveFake(t, nil, func(c net.Conn, read func() ([]byte, error)) {
		for {
			if _, err := read(); err != nil {
				return
			}
		}
	})
	s := outbound.NewStreams(outbound.StreamConfig{Waiting: 50, Pipelined: 5, OfUpstream: 2})
	t.Cleanup(s.Close)
	q := append(append([]byte{7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, wireName("a.example")...), 0, 1, 0, 1)
	came := make(chan []byte, 100)
	for range 80 {
		s.Send(f.at, nil, q, 300*time.Millisecond, func(msg []byte) { came <- msg })
	}
	for range 80 {
		select {
		case msg := <-came:
			if msg != nil {
				t.Fatal("a reply")
			}
		case <-time.After(8 * time.Second):
			t.Fatal("a question is not given up")
		}
	}
	if u := s.Upstreams()[0]; u.Waiting != 0 || u.Failed != 80 {
		t.Errorf("%+v", u)
	}
}

func TestStreams_afterCloseAnswerNothing(t *testing.T) {
	f := serveFake(t, nil, func(c net.Conn, read func() ([]byte, error)) { read(); read() })
	s := outbound.NewStreams(outbound.StreamConfig{})
	came := make(chan []byte, 2)
	q := append(append([]byte{7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, wireName("a.example")...), 0, 1, 0, 1)
	s.Send(f.at, nil, q, 5*time.Second, func(msg []byte) { came <- msg })
	eventually(t, "it is connected", func() bool { return f.accepted() == 1 })
	s.Close()
	s.Send(f.at, nil, q, 5*time.Second, func(msg []byte) { came <- msg })
	for range 2 {
		select {
		case msg := <-came:
			if msg != nil {
				t.Error("a reply")
			}
		case <-time.After(time.Second):
			t.Fatal("nothing was said")
		}
	}
}

// pair is a certificate on disk and the pool that trusts it.
type pair struct {
	cert, key string
	pool      *x509.CertPool
	tls       tls.Certificate
}

func newPair(t testing.TB) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dns.example"}, DNSNames: []string{"dns.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := pair{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), pool: x509.NewCertPool(), tls: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.pool.AppendCertsFromPEM(certPEM)
	for file, data := range map[string][]byte{p.cert: certPEM, p.key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// answerer is what our own server answers with.
type answerer struct{}

func (a answerer) Answer(query []byte, from *listen.Client, out []byte) int {
	if from.Transport.Encrypted() && len(query)%128 != 0 { // RFC 8467, Section 4.1
		return listen.Drop
	}
	return copy(out, answerTo(query))
}

// secureServer is our own server for all encrypted transports.
func secureServer(t testing.TB, p pair, limits listen.Limits) (s *listen.Server, at map[resolve.Protocol]netip.AddrPort) {
	t.Helper()
	any := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	s, err := listen.New(listen.Config{TLS: any, HTTPS: any, QUIC: any, Certificate: p.cert, Key: p.key, Limits: limits}, func() listen.Answerer { return answerer{} }, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	at = make(map[resolve.Protocol]netip.AddrPort)
	for _, a := range s.Addresses() {
		at[map[string]resolve.Protocol{"tls": resolve.TLS, "https": resolve.HTTPS, "quic": resolve.QUIC}[a.Service]] = a.Bound
	}
	return s, at
}

var protocols = map[string]resolve.Protocol{"TLS": resolve.TLS, "HTTPS": resolve.HTTPS, "QUIC": resolve.QUIC}

func over(p resolve.Protocol, at netip.AddrPort, name string) []*resolve.Upstream {
	return []*resolve.Upstream{{Address: at, Protocol: p, Name: name}}
}

// RFC 7858, RFC 8484, RFC 9250: many questions, few connections, and after an idle time a session that is resumed.
func TestEncrypted_isSharedAndResumed(t *testing.T) {
	p := newPair(t)
	_, at := secureServer(t, p, listen.Limits{})
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigConfig{upstreams: over(protocol, at[protocol], "dns.example"), streams: outbound.StreamConfig{Roots: p.pool, EncryptedIdle: 300 * time.Millisecond}})
			r.wantAnswer(t, "first.example.com")
			var all []chan *resolve.Answer
			for i := range 60 {
				all = append(all, r.begin(fmt.Sprintf("n%d.example.com", i)))
			}
			for i, c := range all {
				if a := <-c; a == nil || len(a.Answer) != 1 {
					t.Fatalf("question %d: %+v", i, a)
				}
			}
			u := r.streams.Upstreams()[0]
			if u.Opened != 1 || u.Queries != 61 || u.Replies != 61 || u.Resumed != 0 || u.Problem != "" {
				t.Errorf("%+v", u)
			}
			eventually(t, "the connection is closed for want of use", func() bool { return r.streams.Upstreams()[0].Open == 0 })
			r.wantAnswer(t, "last.example.com")
			if u = r.streams.Upstreams()[0]; u.Opened != 2 || u.Resumed != 1 || u.Failed != 0 {
				t.Errorf("%+v", u)
			}
		})
	}
}

// RFC 8310, Section 5: strict where a name is given: another certificate is refused, and nothing is asked. Without, any will do.
func TestEncrypted_checksTheNameOfTheCertificate(t *testing.T) {
	p, other := newPair(t), newPair(t)
	_, at := secureServer(t, p, listen.Limits{})
	for name, protocol := range protocols {
		for _, c := range []struct {
			name  string
			roots *x509.CertPool
			good  bool
		}{{"dns.example", p.pool, true}, {"", other.pool, true}, {"other.example", p.pool, false}, {"dns.example", other.pool, false}} {
			t.Run(fmt.Sprintf("%s/%s/%v", name, c.name, c.good), func(t *testing.T) {
				r := newRig(t, rigConfig{upstreams: over(protocol, at[protocol], c.name), streams: outbound.StreamConfig{Roots: c.roots}})
				if c.good {
					r.wantAnswer(t, "www.example.com")
					return
				}
				r.wantFailure(t, "www.example.com", 2*time.Second)
				if u := r.streams.Upstreams()[0]; u.Opened != 0 || !strings.Contains(u.Problem, "certificate") {
					t.Errorf("%+v", u)
				}
			})
		}
	}
}

// The server restarts, or forgets the connection: the next question finds out and is asked once more.
func TestEncrypted_serverThatForgetsConnectionsIsNoMatter(t *testing.T) {
	p := newPair(t)
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			_, at := secureServer(t, p, listen.Limits{Idle: 60 * time.Millisecond})
			r := newRig(t, rigConfig{upstreams: over(protocol, at[protocol], "dns.example"), streams: outbound.StreamConfig{Roots: p.pool}})
			for i := range 6 {
				r.wantAnswer(t, fmt.Sprintf("n%d.example.com", i))
				time.Sleep(time.Duration(55+i*3) * time.Millisecond) // about when it closes
			}
			if u := r.streams.Upstreams()[0]; u.Failed != 0 || u.Opened < 2 && protocol != resolve.QUIC { // whose idle time has a least length
				t.Errorf("%+v", u)
			}
		})
	}
}

func TestEncrypted_nobodyListensFails(t *testing.T) {
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			at := netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", port.Free(t)))
			r := newRig(t, rigConfig{upstreams: over(protocol, at, "dns.example")})
			r.wantFailure(t, "www.example.com", 8*time.Second)
			if u := r.streams.Upstreams()[0]; u.Problem == "" || u.Open != 0 {
				t.Errorf("%+v", u)
			}
		})
	}
}

// RFC 8484, Section 4.2.1: only a successful answer of the right type is one. Redirects are not followed: they would lead elsewhere.
func TestHTTPS_takesOnlyAnswers(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"500":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) },
		"text":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>log in first</html>") },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		"too short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/dns-message")
			w.Write([]byte{0})
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/dns-message")
			for range 100 {
				w.Write(make([]byte, 10000))
			}
		},
		"reset": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewUnstartedServer(handler)
			web.EnableHTTP2 = true
			web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			web.StartTLS()
			defer web.Close()
			at := web.Listener.Addr().(*net.TCPAddr).AddrPort()
			r := newRig(t, rigConfig{upstreams: over(resolve.HTTPS, at, "")})
			r.wantFailure(t, "www.example.com", 3*time.Second)
		})
	}
}

// RFC 8484, Sections 4.1 and 5.1: what a request looks like, over HTTP/2 and over HTTP/1.1.
func TestHTTPS_asksAsTheRFCSays(t *testing.T) {
	for _, two := range []bool{true, false} {
		var mu sync.Mutex
		var seen []string
		web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q, _ := io.ReadAll(r.Body)
			mu.Lock()
			seen = append(seen, fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.Header.Get("Content-Type"), " ", r.Header.Get("Accept"), " ", r.ProtoMajor, " id ", q[0], q[1], " ", r.Header.Values("Idempotency-Key")))
			mu.Unlock()
			w.Header().Set("Content-Type", "application/dns-message")
			w.Write(answerTo(q))
		}))
		web.EnableHTTP2 = two
		web.StartTLS()
		t.Cleanup(web.Close)
		at := web.Listener.Addr().(*net.TCPAddr).AddrPort()
		u := over(resolve.HTTPS, at, "")
		u[0].Path = "/resolve{?dns}"
		r := newRig(t, rigConfig{upstreams: u})
		r.wantAnswer(t, "www.example.com")
		version := map[bool]int{true: 2, false: 1}[two]
		want := fmt.Sprintf("POST /resolve application/dns-message application/dns-message %d id 0 0 []", version)
		mu.Lock()
		if len(seen) != 1 || seen[0] != want {
			t.Errorf("%q, want %q", seen, want)
		}
		mu.Unlock()
	}
}

// RFC 9000, Section 10.3: a server that has lost its state says so, and the question is asked on a new connection.
func TestQUIC_statelessReset(t *testing.T) {
	p := newPair(t)
	at := netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", port.Free(t)))
	key := new(quic.StatelessResetKey)
	rand.Read(key[:])
	stop := quicServer(t, p, at, key)
	r := newRig(t, rigConfig{upstreams: over(resolve.QUIC, at, "dns.example"), streams: outbound.StreamConfig{Roots: p.pool}})
	const rounds = 30 // a question hears of the end before its connection does, one time in ten
	r.wantAnswer(t, "first.example.com")
	for i := range rounds {
		stop() // without a word
		stop = quicServer(t, p, at, key)
		r.wantAnswer(t, fmt.Sprintf("r%d.example.com", i))
	}
	if u := r.streams.Upstreams()[0]; u.Opened != rounds+1 || u.Retried != rounds {
		t.Errorf("%+v", u)
	}
}

// quicServer answers DoQ on a socket that can be taken away from under it.
func quicServer(t testing.TB, p pair, at netip.AddrPort, key *quic.StatelessResetKey) (stop func()) {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: c, StatelessResetKey: key}
	l, err := tr.Listen(&tls.Config{Certificates: []tls.Certificate{p.tls}, NextProtos: []string{"doq"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for {
			conn, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				for {
					st, err := conn.AcceptStream(context.Background())
					if err != nil {
						return
					}
					if q, err := readFrame(st); err == nil {
						st.Write(frame(answerTo(q)))
					}
					st.Close()
				}
			}()
		}
	}()
	return func() { c.Close() }
}

// RFC 7828, Section 3.2.2: a connection that is not used is closed when the server says so, not when we would.
func TestTCP_closesWhenTheServerSaysSo(t *testing.T) {
	f := serveFake(t, truncating, func(c net.Conn, read func() ([]byte, error)) {
		for {
			q, err := read()
			if err != nil {
				return
			}
			r := answerTo(q)
			r[len(r)-1] = 6                  // of the OPT record
			r = append(r, 0, 11, 0, 2, 0, 3) // 300 ms
			c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(r))), r...))
		}
	})
	r := overTCP(t, f, outbound.StreamConfig{Idle: time.Hour})
	r.wantAnswer(t, "a.example")
	u := r.streams.Upstreams()
	if len(u) != 1 || u[0].Idle != 300*time.Millisecond {
		t.Fatalf("%+v", u)
	}
	for end := time.Now().Add(5 * time.Second); r.streams.Upstreams()[0].Open > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still open")
		}
	}
	r.wantAnswer(t, "b.example")
}
