package node_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"anyu/config"
	"anyu/console/account"
	"anyu/node"
)

// lines is what a node prints, to be read while it runs.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// withConsole makes a node whose console listens on an address.
func withConsole(t *testing.T, dir, console string, out io.Writer) (*node.Node, error) {
	t.Helper()
	return node.New(node.Options{Version: "test", Log: slog.New(slog.DiscardHandler), Out: out, Read: func() (*config.Config, error) {
		c := &config.Config{Data: dir}
		c.Listen.DNS = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
		c.Console.Listen = netip.MustParseAddrPort(console)
		c.Default()
		return c, nil
	}})
}

func TestConsole_answersFromTheStartAndEndsWithTheNode(t *testing.T) {
	out := &lines{}
	n, err := withConsole(t, t.TempDir(), "127.0.0.1:0", out)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	address := ""
	for range 100 {
		if m := regexp.MustCompile(`console +(http://\S+)`).FindStringSubmatch(out.String()); m != nil {
			address = m[1]
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for path, want := range map[string]string{"/": "</html>", "/zones": "</html>", "/about": "190", "/metrics": "anyu_build_info", "/healthz": "ok", "/api/anyu/overview": `"success_ratio"`} {
		answer, err := http.Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || !strings.Contains(string(b), want) {
			t.Errorf("%s: %s, without %q", path, answer.Status, want)
		}
	}
	live, err := http.Get(address + "/live?page=overview") // a live page must not hold the node back
	if err != nil {
		t.Fatal(err)
	}
	defer live.Body.Close()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a live page keeps the node from stopping")
	}
}

func TestConsole_refusesToStartWhereItMustNot(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct{ address, want string }{
		"a port in use":                      {taken.Addr().String(), "--http"},
		"beyond loopback, nobody can log in": {"0.0.0.0:0", "anyu user add"},
	} {
		n, err := withConsole(t, t.TempDir(), c.address, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	users, err := account.Open(filepath.Join(dir, node.UserFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := users.Set("lin", "correct horse battery", time.Now()); err != nil {
		t.Fatal(err)
	}
	n, err := withConsole(t, dir, "0.0.0.0:0", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := n.Run(ctx); err != nil {
		t.Errorf("with an account: %v", err)
	}
}
