package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/house/port"
	"anyu/node"
)

// tapped is another server that tells what it does: its configuration, with dnstap to a socket.
type tapped struct {
	name, program string
	needs         string // a file of the package with its dnstap; "" is in the program
	conf          func(dir string, port, backend int, socket string) (conf string, args []string)
}

var tapPeers = []tapped{
	{name: "bind", program: "named", conf: func(dir string, port, _ int, socket string) (string, []string) {
		head := strings.Replace(namedHead(dir, port), "options {", fmt.Sprintf("options { dnstap { client; auth; }; dnstap-output unix \"%s\"; dnstap-identity \"bind-1\"; fstrm-set-input-queue-size 16384;", socket), 1)
		return head + fmt.Sprintf("zone \"%s\" { type primary; file \"zone\"; };\n", peerZone), []string{"-f", "-n", "1", "-c", "CONF"}
	}},
	{name: "unbound", program: "unbound", conf: func(dir string, port, _ int, socket string) (string, []string) {
		return fmt.Sprintf("server:\n  interface: 127.0.0.1@%d\n  username: \"\"\n  chroot: \"\"\n  directory: %q\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  num-threads: 1\n  do-not-query-localhost: no\n  module-config: iterator\n  local-zone: %s static\n  local-data: \"%s SOA ns. h. 1 2 3 4 5\"\n  local-data: \"host1.%s A 10.0.0.2\"\n"+
			"dnstap:\n  dnstap-enable: yes\n  dnstap-socket-path: %q\n  dnstap-send-identity: yes\n  dnstap-identity: unbound-1\n  dnstap-log-client-query-messages: yes\n  dnstap-log-client-response-messages: yes\n", port, dir, peerZone, peerZone, peerZone, socket), []string{"-d", "-c", "CONF"}
	}},
	{name: "knot", program: "knotd", needs: "/usr/lib/*/knot/modules-*/dnstap.so", conf: func(dir string, port, _ int, socket string) (string, []string) {
		return knotHead(dir, port) + fmt.Sprintf("mod-dnstap:\n  - id: all\n    sink: unix:%s\n    identity: knot-1\ntemplate:\n  - id: default\n    global-module: mod-dnstap/all\nzone:\n  - domain: %s\n    file: %s/zone\n", socket, peerZone, dir), []string{"-c", "CONF"}
	}},
	{name: "nsd", program: "nsd", conf: func(dir string, port, _ int, socket string) (string, []string) {
		return nsdHead(dir, port) + fmt.Sprintf("dnstap:\n  dnstap-enable: yes\n  dnstap-socket-path: %q\n  dnstap-send-identity: yes\n  dnstap-identity: nsd-1\n  dnstap-log-auth-query-messages: yes\n  dnstap-log-auth-response-messages: yes\nzone:\n  name: %s\n  zonefile: %s/zone\n", socket, peerZone, dir), []string{"-d", "-c", "CONF"}
	}},
	{name: "dnsdist", program: "dnsdist", conf: func(dir string, port, backend int, socket string) (string, []string) {
		return fmt.Sprintf("setLocal('127.0.0.1:%d')\nnewServer({address='127.0.0.1:%d', healthCheckMode='up'})\nl = newFrameStreamUnixLogger('%s')\naddAction(AllRule(), DnstapLogAction('dnsdist-1', l))\naddResponseAction(AllRule(), DnstapLogResponseAction('dnsdist-1', l))\n", port, backend, socket), []string{"--supervised", "-C", "CONF"}
	}},
}

// peerLoad is how many questions a second each gets, and for how long: the figures are those of whole steps of ten seconds.
const (
	peerLoad = 400
	peerTime = 21 * time.Second
)

// asked is a peer under load.
type asked struct {
	tapped
	port           int
	sent, answered atomic.Uint64
}

func (a *asked) load(until time.Time) {
	conn, err := dns.Dial("udp", fmt.Sprintf("127.0.0.1:%d", a.port))
	if err != nil {
		return
	}
	defer conn.Close()
	for i := 0; time.Now().Before(until); i++ {
		m := new(dns.Msg).SetQuestion([]string{"host1.", "nothing."}[i%2]+peerZone, dns.TypeA)
		if conn.WriteMsg(m) != nil {
			continue
		}
		a.sent.Add(1)
		conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		if r, err := conn.ReadMsg(); err == nil && r.Id == m.Id {
			a.answered.Add(1)
		}
		time.Sleep(time.Second / peerLoad)
	}
}

// Real servers of others are under load, all at once, and anyu shows the four figures of each: volume, success, speed and load, under its own name.
func TestTaps_showOthersUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: six thousand questions to each of five servers take half a minute: taps of real servers under load are not tried with -short")
	}
	dir := t.TempDir()
	var all []*asked
	taps := "taps:\n"
	for _, p := range tapPeers {
		tool(t, p.program)
		if p.needs != "" {
			if found, _ := filepath.Glob(p.needs); len(found) == 0 && os.Getenv("CI") == "true" {
				t.Fatalf("%s: %s is not installed", p.name, p.needs)
			} else if len(found) == 0 {
				t.Logf("SKIPPED: %s: %s is not installed", p.name, p.needs)
				continue
			}
		}
		all = append(all, &asked{tapped: p, port: port.Free(t)})
		taps += fmt.Sprintf("  - {name: %s, from: \"dnstap+unix:%s/%s.sock\"}\n", p.name, dir, p.name)
	}
	n := startNode(t, port.Free(t), "recursion: {off: true}\n"+taps)
	for _, a := range all {
		own := filepath.Join(dir, a.name)
		if err := os.Mkdir(own, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(own, "zone"), zoneText(1))
		conf, args := a.conf(own, a.port, all[0].port, filepath.Join(dir, a.name+".sock"))
		args[slices.Index(args, "CONF")] = write(t, filepath.Join(own, "conf"), conf)
		startPeer(t, own, tool(t, a.program), args...)
		eventually(t, a.name+" answers", func() bool { return serial(fmt.Sprintf("127.0.0.1:%d", a.port)) > 0 })
		eventually(t, a.name+" is connected", func() bool { return source(n, a.name).Connections > 0 })
	}
	before := map[string]uint64{}
	for _, a := range all {
		eventually(t, a.name+" told of the first question", func() bool { return source(n, a.name).Matched > 0 })
		before[a.name] = source(n, a.name).Matched
	}
	var work sync.WaitGroup
	until := time.Now().Add(peerTime)
	for _, a := range all {
		work.Go(func() { a.load(until) })
	}
	work.Wait()
	for _, a := range all {
		eventually(t, a.name+" told of all", func() bool { return source(n, a.name).Matched-before[a.name] >= a.answered.Load() })
		s := source(n, a.name)
		t.Logf("%s: %.0f/s, success %s, p50 %v, p95 %v, CPU %s; %d sent, %d answered; %+v", a.name, value(s.PerSecond), text(s.Success), timeText(s.P50), timeText(s.P95), text(s.CPU), a.sent.Load(), a.answered.Load(), s.Status)
		switch {
		case a.answered.Load() < 2000:
			t.Errorf("%s: only %d answers", a.name, a.answered.Load())
		case s.PerSecond == nil || *s.PerSecond < peerLoad/8:
			t.Errorf("%s: volume %v", a.name, value(s.PerSecond))
		case s.Success == nil || *s.Success != 1:
			t.Errorf("%s: success %s", a.name, text(s.Success))
		case s.P95 == nil || *s.P95 <= 0 || *s.P95 > time.Second:
			t.Errorf("%s: speed %s", a.name, timeText(s.P95))
		case s.CPU == nil || *s.CPU <= 0 || *s.CPU > 1:
			t.Errorf("%s: load %s", a.name, text(s.CPU))
		case s.Identity != a.name+"-1" || s.Malformed+s.Broken+s.Dropped != 0 || s.Last.IsZero() || s.Lag == nil:
			t.Errorf("%s: %+v", a.name, s)
		}
	}
}

func source(n *running, name string) node.SourceState {
	for _, s := range n.Sources() {
		if s.Name == name {
			return s
		}
	}
	return node.SourceState{}
}

func value(v *float64) float64 {
	if v == nil {
		return -1
	}
	return *v
}

func text(v *float64) string {
	if v == nil {
		return "?"
	}
	return fmt.Sprintf("%.4f", *v)
}

func timeText(d *time.Duration) string {
	if d == nil {
		return "?"
	}
	return d.String()
}
