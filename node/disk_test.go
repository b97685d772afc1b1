package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"anyu/house/port"
	"anyu/node"
)

// Full disk: answers go on, findings say what could not be written, and are written themselves once there is room.
func TestRecursion_onAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: needs tmpfs for a small disk, which is Linux: a full disk is not tried here")
	}
	if err := unix.Mount("anyu-test", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("SKIPPED: a small disk needs root and CAP_SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	w := newWorld(t)
	n := startIn(t, dir, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), w.conf(""))
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	if a := look(t, n.at, "www.good.world.", false); a.rcode != dns.RcodeSuccess || !a.ad {
		t.Errorf("with a full disk: %+v", a)
	}
	eventually(t, "the finding", func() bool { return slices.Contains(node.OpenFindings(n.Node), "anchors-not-saved") })
	if a := look(t, n.at, "www.bad.world.", false); a.rcode != dns.RcodeServerFailure {
		t.Errorf("a bogus zone with a full disk: %+v", a)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	control(t, n, "flush", "all") // the keys are asked for again
	look(t, n.at, "www.good.world.", false)
	eventually(t, "the end of the finding", func() bool { return !slices.Contains(node.OpenFindings(n.Node), "anchors-not-saved") })
	if a := look(t, n.at, "www.good.world.", false); a.rcode != dns.RcodeSuccess || !a.ad {
		t.Errorf("with room again: %+v", a)
	}
}
