package node_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"anyu/house/port"
)

// RFC 5011, Section 2.1: a revocation that comes by when a client's question needs the keys counts at once, long before the next probe.
func TestAnchors_aRevocationCountsAtOnce(t *testing.T) {
	w := newWorld(t)
	keygen, revoke := tool(t, "dnssec-keygen"), tool(t, "dnssec-revoke")
	run := func(program string, args ...string) string {
		t.Helper()
		out, err := exec.Command(program, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v: %s", program, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	second := run(keygen, "-q", "-K", w.dir, "-a", "ECDSAP256SHA256", "-f", "KSK", ".")
	serial := 1
	publish := func() {
		t.Helper()
		serial++
		in := filepath.Join(w.dir, "zone.")
		b, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		write(t, in, strings.Replace(string(b), fmt.Sprintf("h.root. %d ", serial-1), fmt.Sprintf("h.root. %d ", serial), 1))
		run(tool(t, "dnssec-signzone"), "-q", "-S", "-K", w.dir, "-d", w.dir, "-o", ".", "-f", in+".signed", in)
		for _, n := range w.nodes {
			if n.at == worldRoot+":53" {
				if err := n.Reload(t.Context(), "test", true); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	publish()
	both, err := os.ReadFile(filepath.Join(w.dir, "dsset-."))
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.anchor, string(both))
	n := startAt(t, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), w.conf(""))
	count := func(is string) (c int) {
		for _, k := range state(t, n).Anchors {
			if k.Zone == "." && k.Type == "DNSKEY" && k.State == is {
				c++
			}
		}
		return c
	}
	if a := look(t, n.at, "www.good.world.", false); !a.ad {
		t.Fatalf("%+v", a)
	}
	eventually(t, "both keys are trusted", func() bool { return count("VALID") == 2 })
	run(revoke, "-f", "-K", w.dir, second)
	publish()
	control(t, n, "flush", "all")
	if a := look(t, n.at, "www.good.world.", false); !a.ad {
		t.Errorf("signed by the other key: %+v", a)
	}
	if count("REVOKED") != 1 || count("VALID") != 1 {
		t.Errorf("%+v", state(t, n).Anchors)
	}
	files, err := filepath.Glob(filepath.Join(n.data, "anchors", "root-*.key"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v %v", files, err)
	}
	eventually(t, "it is kept", func() bool {
		b, err := os.ReadFile(files[0])
		return err == nil && strings.Contains(string(b), "REVOKED")
	})
}
