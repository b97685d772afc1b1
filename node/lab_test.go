package node_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/config"
	"anyu/house/port"
	"anyu/node"
)

// A node in the lab resolves and validates in the simulated Internet, asks nobody outside of it, and leaves the saved cache and the trust anchors of the
// real one alone.
func TestLab_resolvesInItsOwnInternet(t *testing.T) {
	dir, at := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	cache := write(t, filepath.Join(dir, "cache"), "of the real world")
	inner, err := node.New(node.Options{
		Read: func() (*config.Config, error) {
			return config.Parse("test", []byte(fmt.Sprintf("data: %s\nconsole: {off: true}\nlog: {queries: false}\nlisten: {dns: [%q]}\n", dir, at)))
		},
		Lab: true, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Out: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	start := time.Now()
	go func() { ended <- inner.Run(ctx) }()
	n := &running{Node: inner, at: at, data: dir}
	eventually(t, "the root of the lab", func() bool {
		m := new(dns.Msg).SetQuestion(".", dns.TypeNS)
		m.SetEdns0(1232, true)
		r, _, err := (&dns.Client{Timeout: time.Second}).Exchange(m, at)
		return err == nil && r.Rcode == dns.RcodeSuccess && r.AuthenticatedData && len(r.Answer) > 1
	})
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("started after %v", took)
	}
	eventually(t, "a zone that is served here", func() bool { return look(t, at, "www.shop.lab.", false).address != "" })
	eventually(t, "what users ask", func() bool { return state(t, n).Cache.Answers > 50 })
	prefix := netip.MustParsePrefix("127.53.0.0/16")
	for _, s := range state(t, n).Servers {
		if a := netip.MustParseAddrPort(s.Address); !prefix.Contains(a.Addr()) || a.Port() == 53 {
			t.Errorf("%v was asked, which is not in the lab", a)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(cache); err != nil || string(b) != "of the real world" {
		t.Errorf("the saved cache is %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "anchors")); err == nil {
		t.Error("the lab's trust anchors are among the real ones")
	}
}
