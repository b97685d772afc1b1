package internet_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/lab/internet"
)

const inside = "ANYU_LAB_NAMESPACE"

// Debian's Unbound, a resolver that was not written for this world, comes to what Truth says: RCODE and AD. The test runs in a network namespace
// of its own, where port 53 is free.
func TestTruth_unboundAgrees(t *testing.T) {
	unbound, err := exec.LookPath("unbound")
	if err != nil {
		unbound, err = exec.LookPath("/usr/sbin/unbound")
	}
	if err != nil {
		missing(t, "unbound is not installed")
	}
	if os.Getenv(inside) == "" {
		again := exec.Command("unshare", "--net", "--", "sh", "-c", `ip link set lo up && exec "$0" "$@"`, os.Args[0], "-test.run=^TestTruth_unboundAgrees$", "-test.v")
		again.Env = append(os.Environ(), inside+"=1")
		out, err := again.CombinedOutput()
		if exec.Command("unshare", "--net", "true").Run() != nil {
			missing(t, "no right to make a network namespace")
		}
		if err != nil {
			t.Fatalf("in the namespace: %v\n%s", err, out)
		}
		return
	}
	w := open(t, internet.Config{Seed: 11})
	s, err := w.Serve(context.Background(), internet.ServeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	startUnbound(t, unbound, w)
	checkTruth(t, w)
}

func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
}

const unboundConf = `server:
  interface: 127.0.0.1@5300
  num-threads: 1
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  do-ip6: no
  do-not-query-localhost: no
  root-hints: "%[1]s/hints"
  trust-anchor-file: "%[1]s/anchors"
remote-control:
  control-enable: no
`

func startUnbound(t *testing.T, program string, w *internet.World) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"hints": w.HintsText(), "anchors": w.AnchorsText(), "conf": fmt.Sprintf(unboundConf, dir)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-d", "-c", filepath.Join(dir, "conf"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// lost is what may fail by bad luck, of 1,000: three of ten datagrams of some servers are.
const lost = 3

func checkTruth(t *testing.T, w *internet.World) {
	t.Helper()
	knows := func(a dnssec.Algorithm) bool { return a != dnssec.SM2SM3 && a.Supported() }
	type result struct {
		q    internet.Question
		want internet.Truth
		got  *message.Message
	}
	const count, askers = 3000, 32
	questions, results := make(chan internet.Question), make(chan result)
	go func() {
		for q := range w.Questions(count) {
			questions <- q
		}
		close(questions)
	}()
	for range askers {
		go func() {
			for q := range questions {
				results <- result{q, w.Truth(q.Name, q.Type, knows), ask(q)}
			}
		}()
	}
	wrong, secure := 0, 0
	for range count {
		r := <-results
		if r.got == nil {
			// Unbound asks silent servers longer than we wait.
			if r.want.Rcode != wire.ServFail && !r.want.Either && r.want.Reason == "" {
				wrong++
				t.Logf("%v %v: no answer", r.q.Name, r.q.Type)
			}
			continue
		}
		fits := r.got.Rcode == r.want.Rcode || r.want.Either
		ad := r.got.Has(wire.FlagAD)
		if r.got.Rcode != wire.ServFail && !r.want.Unsettled {
			fits = fits && ad == (r.want.Security == dnssec.Secure)
		}
		if ad {
			secure++
		}
		if !fits {
			wrong++
			t.Logf("%v %v: %v AD %v, want %+v", r.q.Name, r.q.Type, r.got.Rcode, ad, r.want)
		}
	}
	if wrong > lost*count/1000 || secure < count/10 {
		t.Errorf("%d of %d answers are wrong, %d are secure", wrong, count, secure)
	}
}

// ask asks Unbound; nil: no answer.
func ask(q internet.Question) *message.Message {
	conn, err := net.Dial("udp", "127.0.0.1:5300")
	if err != nil {
		return nil
	}
	defer conn.Close()
	msg := query(uint16(len(q.Name))<<8|uint16(q.Type), q.Name, q.Type)
	binary.BigEndian.PutUint16(msg[2:], wire.FlagRD)
	var b [4096]byte
	for range 4 {
		conn.Write(msg)
		conn.SetReadDeadline(time.Now().Add(3 * time.Second))
		n, err := conn.Read(b[:])
		if e, ok := err.(net.Error); err != nil && !(ok && e.Timeout()) {
			time.Sleep(200 * time.Millisecond) // Unbound is starting
			continue
		}
		if m, err := message.Parse(b[:n]); err == nil {
			return m
		}
	}
	return nil
}
