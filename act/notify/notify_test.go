package notify_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"anyu/act/notify"
	"anyu/event"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func finding() event.Finding {
	return event.Finding{
		ID: "nx-share-a-1", Kind: "nx-share", Subject: `a"]\.example.`, Node: "n1", Severity: event.Critical, Opened: noon, Updated: noon.Add(time.Second),
		Facts: []event.Fact{{Name: "share", Value: "96.0 %"}},
	}
}

func shut(t *testing.T, r *notify.Receiver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r.Close(ctx)
}

func TestWebhook_postsSignedJSON(t *testing.T) {
	type posted struct {
		body                       []byte
		kind, signature, authority string
	}
	got := make(chan posted, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- posted{body, r.Header.Get("Content-Type"), r.Header.Get("X-Anyu-Signature"), r.Header.Get("Authorization")}
	}))
	defer server.Close()
	w, err := notify.NewWebhook(notify.WebhookOptions{URL: server.URL + "/hook?token=secret", Secret: "s3cret", Headers: map[string]string{"Authorization": "Bearer x"}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.Name(), "secret") {
		t.Errorf("name %s", w.Name())
	}
	w.Notify(finding())
	p := <-got
	shut(t, w)
	var m notify.Message
	if err := json.Unmarshal(p.body, &m); err != nil || m.Version != 1 || m.State != "open" || m.Severity != "critical" || m.Finding.ID != "nx-share-a-1" || !strings.Contains(m.Text, "share 96.0 %") {
		t.Errorf("%s %v", p.body, err)
	}
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write(p.body)
	if p.kind != "application/json" || p.authority != "Bearer x" || p.signature != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		t.Errorf("%+v", p)
	}
	if w.Sent() != 1 || w.Dropped() != 0 {
		t.Errorf("%d sent, %d dropped", w.Sent(), w.Dropped())
	}
}

// answers is a transport that gives one status after the other and then the last again.
type answers struct {
	codes []int
	asked atomic.Int32
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	n := int(a.asked.Add(1)) - 1
	code := a.codes[min(n, len(a.codes)-1)]
	if code == 0 {
		return nil, fmt.Errorf("connection refused")
	}
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Header: http.Header{"Location": {"http://elsewhere.example/"}}, Body: http.NoBody, Request: r}, nil
}

func TestWebhook_triesAgainWhereThatMayHelp(t *testing.T) {
	for _, c := range []struct {
		name  string
		codes []int
		asked int32
		sent  uint64
	}{
		{"works at once", []int{204}, 1, 1},
		{"down for a while", []int{0, 503, 429, 200}, 4, 1},
		{"refused", []int{403}, 1, 0},
		{"redirected", []int{302}, 9, 0},
		{"down for good", []int{0}, 9, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &answers{codes: c.codes}
				w, err := notify.NewWebhook(notify.WebhookOptions{URL: "https://hook.example/", Client: &http.Client{Transport: a}})
				if err != nil {
					t.Fatal(err)
				}
				w.Notify(finding())
				time.Sleep(time.Hour)
				synctest.Wait()
				if a.asked.Load() != c.asked || w.Sent() != c.sent || w.Dropped() != 1-c.sent {
					t.Errorf("asked %d, sent %d, dropped %d", a.asked.Load(), w.Sent(), w.Dropped())
				}
				w.Close(t.Context())
			})
		})
	}
}

// The path of a webhook is often its secret: the log does not show it.
func TestWebhook_failureDoesNotShowThePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines strings.Builder
		w, err := notify.NewWebhook(notify.WebhookOptions{
			URL: "https://hook.example/services/T0KEN", Client: &http.Client{Transport: &answers{codes: []int{0}}}, Logger: slog.New(slog.NewTextHandler(&lines, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Notify(finding())
		time.Sleep(time.Hour)
		w.Close(t.Context())
		synctest.Wait()
		if !strings.Contains(lines.String(), "connection refused") || strings.Contains(lines.String(), "T0KEN") {
			t.Errorf("the log says: %s", lines.String())
		}
	})
}

// hanging never answers before it is cancelled.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestNotify_neverWaitsAndCountsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := notify.NewWebhook(notify.WebhookOptions{URL: "https://hook.example/", Client: &http.Client{Transport: hanging{}}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		const total = 1000
		for range total {
			w.Notify(finding())
		}
		if time.Since(begin) != 0 {
			t.Errorf("waited %v", time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		w.Close(ctx)
		if time.Since(begin) > 31*time.Second || w.Dropped() != total {
			t.Errorf("closed after %v, %d dropped", time.Since(begin), w.Dropped())
		}
	})
}

func TestOptions_refuseNonsense(t *testing.T) {
	for _, u := range []string{"", "file:///etc/passwd", "https://", "hook.example"} {
		if _, err := notify.NewWebhook(notify.WebhookOptions{URL: u}); err == nil {
			t.Errorf("webhook %q", u)
		}
	}
	for _, o := range []notify.SyslogOptions{{}, {Network: "udp"}, {Network: "sctp", Address: "x:1"}, {Network: "udp", Address: "x:1", Facility: 24}} {
		if _, err := notify.NewSyslog(o); err == nil {
			t.Errorf("syslog %+v", o)
		}
	}
}

// RFC 5424, Section 6: header, structured data with escapes, message in UTF-8.
var wanted = regexp.MustCompile(`^<130>1 2026-11-23T12:00:01\.000000Z box anyu \d+ nx-share \[finding@32473 id="nx-share-a-1" subject="a\\"\\]\\\\\.example\." node="n1" state="open" opened="2026-11-23T12:00:00Z"\] ` +
	"\ufeff" + `nx-share a"\]\\\.example\. open, critical, since 2026-11-23T12:00:00Z; share 96\.0 %$`)

func TestSyslog_sendsRFC5424OverDatagrams(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		address := "127.0.0.1:0"
		if network == "unixgram" {
			address = filepath.Join(t.TempDir(), "log")
		}
		server, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		s, err := notify.NewSyslog(notify.SyslogOptions{Network: network, Address: server.LocalAddr().String(), Hostname: "box"})
		if err != nil {
			t.Fatal(err)
		}
		s.Notify(finding())
		long := finding()
		long.Facts[0].Value = strings.Repeat("域", 2000)
		s.Notify(long)
		buf := make([]byte, 8192)
		n := read(t, server, buf)
		if !wanted.Match(buf[:n]) {
			t.Errorf("%s: %s", network, buf[:n])
		}
		if n = read(t, server, buf); n > 2048 || n < 2000 || !strings.HasSuffix(string(buf[:n]), "域") {
			t.Errorf("%s: long message of %d octets", network, n)
		}
		shut(t, s)
	}
}

func read(t *testing.T, server net.PacketConn, buf []byte) int {
	t.Helper()
	if err := server.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, _, err := server.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// RFC 6587, Section 3.4.1: over TCP each message is preceded by its length.
func TestSyslog_countsOctetsOverTCP(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s, err := notify.NewSyslog(notify.SyslogOptions{Network: "tcp", Address: server.Addr().String(), Hostname: "box"})
	if err != nil {
		t.Fatal(err)
	}
	s.Notify(finding())
	s.Notify(finding())
	conn, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream := bufio.NewReader(conn)
	for range 2 {
		length, err := stream.ReadString(' ')
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(length))
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(stream, text); err != nil || !wanted.Match(text) {
			t.Errorf("%s %v", text, err)
		}
	}
	shut(t, s)
}
