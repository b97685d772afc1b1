package node_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"anyu/house/port"
)

// recursion.local over sockets: records from lines, files and hosts, the way back, a rule; what answered is counted, a reload counts on; a file that
// is wrong refuses the reload and says where.
func TestLocal_answersAndCounts(t *testing.T) {
	w := newWorld(t)
	lines := write(t, filepath.Join(w.dir, "lines"), "$ORIGIN good.world.\nprinter 60 A 10.0.0.8\n")
	hosts := write(t, filepath.Join(w.dir, "hosts"), "10.0.0.9 nas nas.corp\n")
	conf := func(more string) string {
		return w.conf(fmt.Sprintf("  local:\n    records: [www.good.world. A 10.0.0.7]\n    files: [%s]\n    hosts: [%s]\n    reverse: true\n    rules: [{name: ads.world, answer: nxdomain}%s]\n", lines, hosts, more))
	}
	at := fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	n := startAt(t, at, w.conf(""))
	if a := look(t, at, "www.good.world.", false); a.address == "10.0.0.7" || a.rcode != dns.RcodeSuccess {
		t.Fatalf("%+v", a)
	}
	n.configure(conf(""))
	reload(t, n)
	for name, want := range map[string]string{"www.good.world.": "10.0.0.7", "printer.good.world.": "10.0.0.8", "NAS.": "10.0.0.9", "nas.corp.": "10.0.0.9"} {
		if a := look(t, at, name, true); a.address != want || a.ad {
			t.Errorf("%s: %+v, want %s", name, a, want)
		}
	}
	back, err := dns.Exchange(new(dns.Msg).SetQuestion("9.0.0.10.in-addr.arpa.", dns.TypePTR), at)
	if err != nil || len(back.Answer) != 1 || !strings.HasSuffix(back.Answer[0].String(), "PTR\tnas.") {
		t.Errorf("%v %v", back, err)
	}
	if a := look(t, at, "x.ads.world.", false); a.rcode != dns.RcodeNameError {
		t.Errorf("%+v", a)
	}
	n.configure(conf(", {name: more.world, answer: refuse}"))
	reload(t, n)
	if l := state(t, n).Local; l.Records != 7 || l.Answered != 5 || fmt.Sprint(l.Rules) != "[{ads.world. nxdomain 1} {more.world. refuse 0}]" {
		t.Errorf("%+v", l)
	}
	write(t, hosts, "10.0.0.9 nas\nten nas\n")
	if err := n.Reload(t.Context(), "test", false); err == nil || !strings.Contains(err.Error(), hosts+`:2:1: "ten" is no address`) {
		t.Error(err)
	}
	write(t, hosts, "10.0.0.9 nas\n")
	write(t, lines, "nas. 60 CNAME printer.good.world.\n")
	if err := n.Reload(t.Context(), "test", false); err == nil || !strings.Contains(err.Error(), hosts+": nas. has a record of type A, and a CNAME in "+lines) {
		t.Error(err)
	}
	if a := look(t, at, "nas.corp.", true); a.address != "10.0.0.9" {
		t.Errorf("after a reload that was refused: %+v", a)
	}
}
