package node_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/house/port"
)

// Knot DNS writes a catalog of its zones (RFC 9432) and we serve what it lists: members come with the catalog and go with it.
func TestCatalog_ofKnot(t *testing.T) {
	path := tool(t, "knotd")
	dir := t.TempDir()
	port, ours := port.Free(t), port.Free(t)
	zones := func(names ...string) string {
		text := knotHead(dir, port) + fmt.Sprintf("remote:\n  - id: other\n    address: 127.0.0.1@%d\n    key: %s\nacl:\n  - id: out\n    key: %s\n    action: transfer\n", ours, peerKey, peerKey) +
			"template:\n  - id: default\n    acl: out\n    notify: other\n    semantic-checks: off\n" +
			"zone:\n  - domain: catalog.test.\n    catalog-role: generate\n"
		for _, n := range names {
			file := write(t, filepath.Join(dir, n+"zone"), strings.ReplaceAll(zoneText(1), peerZone, n))
			text += fmt.Sprintf("  - domain: %s\n    file: %s\n    catalog-role: member\n    catalog-zone: catalog.test.\n    catalog-group: anyu\n", n, file)
		}
		return text
	}
	conf := write(t, filepath.Join(dir, "conf"), zones("a.test.", "b.test."))
	knot := startPeer(t, dir, path, "-c", conf)
	catalog := keysConf + fmt.Sprintf("zones:\n- name: catalog.test\n  catalog: true\n  primaries:\n  - address: 127.0.0.1:%d\n    key: %s\n", port, peerKey)
	n := startNode(t, ours, catalog)
	served := func() (names []string) {
		for _, z := range n.Zones() {
			if z.State == "ok" && z.Moves.Catalog == "catalog.test." {
				names = append(names, z.Name)
			}
		}
		return names
	}
	eventually(t, "a.test. and b.test.", func() bool { return slices.Equal(served(), []string{"a.test.", "b.test."}) })
	write(t, conf, zones("b.test.", "c.test."))
	knot.cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "b.test. and c.test.", func() bool { return slices.Equal(served(), []string{"b.test.", "c.test."}) })
	for _, z := range n.Zones() {
		if z.Name == "catalog.test." && z.Moves.Members != 2 {
			t.Errorf("%d members", z.Moves.Members)
		}
	}
	// Who may ask for the catalog may ask for its members, and nobody else: now, and of members that come later.
	rcode := func(name string) int {
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeSOA)
		c := dns.Client{Timeout: time.Second}
		r, _, err := c.Exchange(m, n.address())
		if err != nil {
			return -1
		}
		return r.Rcode
	}
	n.configure(catalog + "  allow_query: [192.0.2.0/24]\n")
	reload(t, n)
	if got := rcode("b.test."); got != dns.RcodeRefused {
		t.Errorf("b.test. answers %d to who may not ask for its catalog", got)
	}
	write(t, conf, zones("b.test.", "d.test."))
	knot.cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "b.test. and d.test.", func() bool { return slices.Equal(served(), []string{"b.test.", "d.test."}) })
	if got := rcode("d.test."); got != dns.RcodeRefused {
		t.Errorf("d.test. answers %d to who may not ask for its catalog", got)
	}
}
