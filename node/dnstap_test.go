package node_test

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/house/port"
	"anyu/watch/tap/framestream"
)

// What this server did is sent as dnstap, and BIND's dnstap-read reads it: questions and answers, whole ones and one whose last records did not fit. Where
// nobody listens, answers go on, and somebody who comes later is found.
func TestDnstap_isReadByOthers(t *testing.T) {
	reader := tool(t, "dnstap-read")
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	text := "$ORIGIN " + peerZone + "\n$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n"
	for i := range 60 {
		text += fmt.Sprintf("many A 10.0.0.%d\n", i+1)
	}
	file := write(t, filepath.Join(dir, "zone"), text)
	n := startNode(t, port.Free(t), fmt.Sprintf("recursion: {off: true}\ndnstap: {to: \"unix:%s\", identity: ours}\nzones:\n- {name: %s, file: %s}\n", sock, peerZone, file))
	eventually(t, "our zone", func() bool { return serial(n.address()) == 1 })
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	r := framestream.NewReader(c, c, framestream.ContentType)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg).SetQuestion("many."+peerZone, dns.TypeA)
	m.SetEdns0(4096, true)
	tcp := dns.Client{Net: "tcp", Timeout: 5 * time.Second}
	if a, _, err := tcp.Exchange(m, n.address()); err != nil || len(a.Answer) != 60 {
		t.Fatalf("%v, %v", err, a)
	}
	if _, err := dns.Exchange(new(dns.Msg).SetQuestion("nothing."+peerZone, dns.TypeTXT), n.address()); err != nil {
		t.Fatal(err)
	}
	var kept bytes.Buffer
	w := framestream.NewWriter(&kept, nil, framestream.ContentType)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	for told, cut := 0, 0; told < 2 || cut < 1; { // the last to come is not fixed: a worker and a connection have rings of their own
		frame, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(frame, []byte("\x07nothing")) {
			told++
		}
		if bytes.Contains(frame, []byte("response without")) {
			cut++
		}
		w.Frame(frame)
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(reader, "-p", write(t, filepath.Join(dir, "tap"), kept.String())).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{" AQ 127.0.0.1", " AR 127.0.0.1", "many.transfer.test/IN/A", "TCP", "nothing.transfer.test/IN/TXT", "status: NXDOMAIN", "10.0.0.1", "udp: 4096", "flags: do"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}
