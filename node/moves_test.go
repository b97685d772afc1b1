package node_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/config"
	"anyu/house/port"
	"anyu/node"
)

// A node of ours as the secondary of another: a reload that adds, changes role and removes; what control and the pages show; the
// readable copy; EXPIRE (RFC 7314).
func TestMoves_reload(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "zone"), zoneText(1))
	a, b := port.Free(t), port.Free(t)
	from := startNode(t, a, primaryConf(file, b))
	to := startNode(t, b, "")
	if serial(to.address()) != -1 {
		t.Fatal("the zone is there before it is configured")
	}
	copied := filepath.Join(t.TempDir(), "copy")
	secondary := secondaryConf(a) + "  file: " + copied + "\n  secondaries:\n  - address: 127.0.0.1:9\n"
	to.configure(secondary)
	reload(t, to)
	eventually(t, "the zone", func() bool { return serial(to.address()) == 1 })
	if text, err := os.ReadFile(copied); err != nil || !strings.Contains(string(text), "version1-0") {
		t.Errorf("readable copy: %v %.300s", err, text)
	}
	fetched := to.zone().Moves.In.AXFR
	reload(t, to)
	reload(t, to)
	time.Sleep(200 * time.Millisecond)
	if in := to.zone().Moves.In; in.AXFR != fetched || in.UpToDate != 0 {
		t.Errorf("a reload that changed nothing asked the primary: %+v", in)
	}
	to.configure(secondary + "  allow_query: [192.0.2.0/24]\n")
	reload(t, to)
	if serial(to.address()) != -1 {
		t.Error("a client that allow_query left out is answered")
	}
	to.configure(secondary)
	reload(t, to)
	if serial(to.address()) != 1 {
		t.Error("allow_query is gone and its refusal stayed")
	}
	if got := expire(t, from.address()); got != 604800 {
		t.Errorf("EXPIRE of the primary: %d", got)
	}
	if got := expire(t, to.address()); got < 604700 || got > 604800 {
		t.Errorf("EXPIRE of the secondary: %d", got)
	}

	// The secondary becomes a primary, and a secondary again: it is served all the time, from the one or the other.
	own := write(t, filepath.Join(t.TempDir(), "zone"), zoneText(7))
	to.configure(primaryConf(own, a))
	reload(t, to)
	eventually(t, "our own version", func() bool { return serial(to.address()) == 7 })
	if z := to.zone(); z.Role != "primary" || z.State != "ok" {
		t.Errorf("state %+v", z)
	}
	to.configure(secondary)
	reload(t, to)
	eventually(t, "the primary's version", func() bool { return serial(to.address()) == 1 })
	to.configure("")
	reload(t, to)
	if serial(to.address()) != -1 || len(to.Zones()) != 0 {
		t.Error("a zone that was removed is served")
	}
	for _, bad := range []string{
		strings.Replace(secondary, "127.0.0.1:9", "ns.example", 1), strings.Replace(secondary, peerSecret, "no base64!", 1),
		secondaryConf(a) + "  primaries: []\n",
	} {
		to.configure(bad)
		if err := to.Reload(t.Context(), "test", false); err == nil {
			t.Errorf("taken:\n%s", bad)
		} else if strings.Contains(err.Error(), "no base64!") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func reload(t *testing.T, n *running) {
	t.Helper()
	var err error
	eventually(t, "the end of the start", func() bool {
		err = n.Reload(t.Context(), "test", false)
		return err == nil || !strings.Contains(err.Error(), "only starting")
	})
	if err != nil {
		t.Fatal(err)
	}
}

// expire asks for the SOA with the EXPIRE option; -1 where it is not told.
func expire(t *testing.T, at string) int {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(peerZone, dns.TypeSOA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EXPIRE{Code: dns.EDNS0EXPIRE, Empty: true}}
	r, err := dns.Exchange(m, at)
	if err != nil {
		t.Fatal(err)
	}
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EXPIRE); ok {
				return int(e.Expire)
			}
		}
	}
	return -1
}

// The other side of TestMoves_killed: this test binary as a node, until it is killed. Without its configuration it is no test.
func TestMoves_nodeProcess(t *testing.T) {
	text := os.Getenv("ANYU_TEST_NODE")
	if text == "" {
		return
	}
	n, err := node.New(node.Options{Read: func() (*config.Config, error) { return config.Parse("test", []byte(text)) }, Out: io.Discard, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Kill -9 at any moment, while new versions arrive all the time: after a restart, without its primary, the node serves at once, and at
// least what it had served before.
func TestMoves_killed(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "zone"), zoneText(1))
	a, b := port.Free(t), port.Free(t)
	from := startNode(t, a, primaryConf(file, b))
	eventually(t, "the primary", func() bool { return serial(from.address()) == 1 })
	data := t.TempDir()
	head := fmt.Sprintf("data: %s\nconsole:\n  off: true\nlog:\n  queries: false\nlisten:\n  dns: [127.0.0.1:%d]\n", data, b)
	address := fmt.Sprintf("127.0.0.1:%d", b)
	version := 1
	for round := range 5 {
		kill := startProcess(t, head+secondaryConf(a))
		eventually(t, "the secondary", func() bool { return serial(address) >= 1 })
		served := 0
		end := time.Now().Add(time.Duration(300+137*round) * time.Millisecond)
		for time.Now().Before(end) {
			version++
			write(t, file, zoneText(version))
			reload(t, from)
			from.Control(t, "notify", peerZone)
			served = max(served, serial(address))
		}
		kill()
		// Nobody is at the primary's address now.
		kill = startProcess(t, head+secondaryConf(1))
		eventually(t, "the last copy", func() bool { return serial(address) >= 1 })
		if got := serial(address); got < served {
			t.Errorf("round %d: serial %d after the kill, %d was served before", round, got, served)
		}
		kill()
	}
	if version < 10 {
		t.Errorf("only %d versions", version)
	}
}

// Control runs a command of the control socket.
func (n *running) Control(t *testing.T, command string, args ...string) {
	t.Helper()
	if _, err := node.Control(n.data, command, args...); err != nil {
		t.Error(err)
	}
}

// startProcess runs a node as a process of its own and returns what kills it.
func startProcess(t *testing.T, text string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMoves_nodeProcess$")
	cmd.Env = append(os.Environ(), "ANYU_TEST_NODE="+text)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dead := false
	kill = func() {
		if !dead {
			dead = true
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	t.Cleanup(kill)
	return kill
}
