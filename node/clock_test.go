package node_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"anyu/house/port"
)

// A wrong clock, as a node sees it: the root's signatures are over, or begin later. Nothing that is signed is passed on unchecked, the finding names the clock,
// and ends once the signatures fit; what validation is not wanted for goes on (RFC 4035, Section 3.2.2).
func TestRecursion_findsAWrongClock(t *testing.T) {
	w := newWorld(t)
	in := filepath.Join(w.dir, "zone.")
	publish := func(times ...string) {
		t.Helper()
		args := append([]string{"-q", "-P", "-S", "-K", w.dir, "-d", w.dir, "-o", ".", "-f", in + ".signed"}, times...)
		if out, err := exec.Command(tool(t, "dnssec-signzone"), append(args, in)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, n := range w.nodes {
			if n.at == worldRoot+":53" {
				if err := n.Reload(t.Context(), "test", true); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, c := range []struct{ begin, end, says string }{{"20200101000000", "20200201000000", "fast"}, {"20350101000000", "20350201000000", "slow"}} {
		publish("-s", c.begin, "-e", c.end)
		n := startAt(t, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), w.conf(""))
		if a := look(t, n.at, "www.good.world.", false); a.rcode != dns.RcodeServerFailure || len(a.ede) == 0 {
			t.Errorf("%s: %+v", c.says, a)
		}
		if a := look(t, n.at, "www.good.world.", true); a.rcode != dns.RcodeSuccess {
			t.Errorf("%s, with CD: %+v", c.says, a)
		}
		eventually(t, "the finding", func() bool { _, open := finding(t, n, "resolver-validation"); return open })
		if text, _ := finding(t, n, "resolver-validation"); !strings.Contains(text, "the clock of this machine is "+c.says) {
			t.Errorf("%s: %s", c.says, text)
		}
		n.stop()
	}
}
