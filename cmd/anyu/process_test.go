package main_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/house/port"
)

// binary builds anyu once for all tests of this package.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "anyu-test")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "anyu")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func anyu(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// process is a running `anyu serve`.
type process struct {
	*exec.Cmd
	dns, http, data string
	out             *output
	ended           chan struct{}
}

// output is read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// freeAddress is a place for a server.
func freeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", port.Free(t))
}

const testZone = "$TTL 3600\n@ SOA ns hostmaster %d 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.%d\n"

// writeZone writes example.org with a serial and the last octet of www's address.
func writeZone(t testing.TB, dir string, serial, octet int) string {
	t.Helper()
	file := filepath.Join(dir, "example.org.zone")
	if err := os.WriteFile(file+".new", fmt.Appendf(nil, testZone, serial, octet), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	return file
}

// serve starts anyu and waits until it is ready.
func serve(t testing.TB, data string, args ...string) *process {
	t.Helper()
	p := &process{dns: freeAddress(t), http: freeAddress(t), data: data, out: &output{}, ended: make(chan struct{})}
	p.Cmd = exec.Command(anyu(t), append([]string{"serve", "--dns", p.dns, "--http", p.http, "--data", data}, args...)...)
	p.Stdout, p.Stderr, p.Dir = p.out, p.out, t.TempDir()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		p.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(20 * time.Second):
			p.Process.Kill()
			t.Errorf("anyu does not stop:\n%s", p.out)
		}
	})
	p.waitFor(t, "localhost.", "127.0.0.1")
	return p
}

// ask asks for the address of a name once.
func (p *process) ask(name string) (string, error) {
	m := new(dns.Msg).SetQuestion(name, dns.TypeA)
	c := dns.Client{Timeout: time.Second}
	r, _, err := c.Exchange(m, p.dns)
	if err != nil {
		return "", err
	}
	if len(r.Answer) == 0 {
		return dns.RcodeToString[r.Rcode], nil
	}
	return r.Answer[len(r.Answer)-1].(*dns.A).A.String(), nil
}

// waitFor asks until the answer is the one wanted.
func (p *process) waitFor(t testing.TB, name, want string) {
	t.Helper()
	var got string
	var err error
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(30 * time.Millisecond) {
		if got, err = p.ask(name); got == want {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("anyu ended:\n%s", p.out)
		default:
		}
	}
	t.Fatalf("%s: %s, %v; want %s\n%s", name, got, err, want, p.out)
}

// run runs another command of anyu to its end.
func run(t testing.TB, args ...string) (out string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, anyu(t), args...)
	b, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// A changed file is read; a wrong version is refused with a reason and the old one served; SIGHUP and control reload read too.
func TestServe_readsZonesAgain(t *testing.T) {
	dir := t.TempDir()
	file := writeZone(t, dir, 1, 2)
	p := serve(t, t.TempDir(), "--zone", "example.org="+file)
	p.waitFor(t, "www.example.org.", "192.0.2.2")
	writeZone(t, dir, 2, 3)
	p.waitFor(t, "www.example.org.", "192.0.2.3")

	os.WriteFile(file, []byte("@ SOA broken"), 0o644)
	for range 100 {
		if out, _ := run(t, "control", "zones", "--data", p.data); strings.Contains(out, "refused") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	out, status := run(t, "control", "zones", "--data", p.data)
	if !strings.Contains(out, "refused") || !strings.Contains(out, "example.org.zone:1:") || status != 0 {
		t.Errorf("status %d\n%s", status, out)
	}
	if got, _ := p.ask("www.example.org."); got != "192.0.2.3" {
		t.Errorf("the old version is gone: %s", got)
	}
	if _, status := run(t, "control", "reload", "--all", "--data", p.data); status != 1 {
		t.Errorf("reload of a broken zone has status %d", status)
	}
	if out, _ := run(t, "control", "status", "--json", "--data", p.data); !strings.Contains(out, `"open_findings": 1`) {
		t.Errorf("no finding:\n%s", out)
	}
	writeZone(t, dir, 4, 4)
	p.Process.Signal(syscall.SIGHUP)
	p.waitFor(t, "www.example.org.", "192.0.2.4")
	if out, _ := run(t, "control", "status", "--json", "--data", p.data); !strings.Contains(out, `"open_findings": 0`) {
		t.Errorf("the finding stays open:\n%s", out)
	}

	// A file that was away and is back as it was is right again.
	os.Rename(file, file+".away")
	if _, status := run(t, "control", "reload", "--data", p.data); status != 1 {
		t.Errorf("reload without the file has status %d", status)
	}
	os.Rename(file+".away", file)
	if out, status := run(t, "control", "reload", "--data", p.data); status != 0 {
		t.Errorf("status %d\n%s", status, out)
	}
	if out, _ := run(t, "control", "zones", "--data", p.data); strings.Contains(out, "refused") {
		t.Errorf("the zone stays refused:\n%s", out)
	}
}

// What cannot change in a running node is said, and nothing of that configuration is taken.
func TestServe_reloadRefusesWhatTakesARestart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "anyu.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	zone := "zones: [{name: example.org, file: " + writeZone(t, dir, 1, 2) + "}]\n"
	write(zone)
	p := serve(t, filepath.Join(dir, "data"), "--config", file)
	p.waitFor(t, "www.example.org.", "192.0.2.2")
	for key, text := range map[string]string{
		"log": "log: {days: 3}", "figures": "figures: {days: 3}", "notify": "notify: {webhooks: ['http://127.0.0.1:9/']}", "language": "language: zh",
		"answers.cookie_secret": "answers: {cookie_secret: 00112233445566778899aabbccddeeff}", "console": "console: {hosts: [ns.example.org]}",
	} {
		write(text + "\n") // and no zones
		if out, status := run(t, "control", "reload", "--data", p.data); status == 0 || !strings.Contains(out, key+" cannot change") {
			t.Errorf("%s: status %d\n%s", text, status, out)
		}
		if got, _ := p.ask("www.example.org."); got != "192.0.2.2" {
			t.Fatalf("%s: refused, and the zone is gone: %s", text, got)
		}
	}
	// Another file of the same size and time is another file.
	other := writeZone(t, t.TempDir(), 1, 3)
	info, err := os.Stat(filepath.Join(dir, filepath.Base(other)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(other, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	write("zones: [{name: example.org, file: " + other + "}]\n")
	if out, status := run(t, "control", "reload", "--data", p.data); status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	p.waitFor(t, "www.example.org.", "192.0.2.3")
}

// No query is lost while the configuration is reloaded again and again.
func TestServe_losesNothingOnReload(t *testing.T) {
	file := writeZone(t, t.TempDir(), 1, 2)
	p := serve(t, t.TempDir(), "--zone", "example.org="+file)
	p.waitFor(t, "www.example.org.", "192.0.2.2")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				run(t, "control", "reload", "--all", "--data", p.data)
			}
		}
	})
	for i := range 3000 {
		if got, err := p.ask("www.example.org."); got != "192.0.2.2" {
			t.Errorf("query %d: %s, %v", i, got, err)
			break
		}
	}
	close(stop)
	wg.Wait()
}

// kill -9 at any moment: the next start serves, the lock is free, findings and log are whole.
func TestServe_survivesKill(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	file := writeZone(t, dir, 1, 2)
	for i := range 4 {
		p := serve(t, data, "--zone", "example.org="+file)
		p.waitFor(t, "www.example.org.", "192.0.2.2")
		for range 200 {
			p.ask("www.example.org.")
		}
		time.Sleep(time.Duration(i) * 400 * time.Millisecond)
		p.Process.Kill()
		<-p.ended
	}
	p := serve(t, data, "--zone", "example.org="+file)
	p.waitFor(t, "www.example.org.", "192.0.2.2")
	if strings.Contains(p.out.String(), "level=ERROR") {
		t.Errorf("errors after kill:\n%s", p.out)
	}
}

func TestServe_saysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	bad := filepath.Join(dir, "bad.yaml")
	os.WriteFile(bad, []byte("listen:\n  dns: [here]\n"), 0o644)
	p := serve(t, filepath.Join(dir, "used"))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"serve", "--dns", busy.Addr().String(), "--http", "off", "--data", filepath.Join(dir, "a")}, busy.Addr().String()},
		{[]string{"serve", "--config", bad, "--data", filepath.Join(dir, "b")}, "bad.yaml:2:9"},
		{[]string{"serve", "--config", filepath.Join(dir, "none.yaml")}, "none.yaml"},
		{[]string{"serve", "--data", p.data, "--dns", "127.0.0.1:0", "--http", "off"}, "in use by process"},
		{[]string{"serve", "--zone", "nonsense", "--data", filepath.Join(dir, "c")}, "NAME=FILE"},
		{[]string{"serve", "example.org"}, "--zone"},
		{[]string{"frobnicate"}, "anyu help"},
		{[]string{"control", "status", "--data", filepath.Join(dir, "nobody")}, "no anyu is running"},
	} {
		out, status := run(t, c.args...)
		if status != 2 || !strings.Contains(out, c.want) {
			t.Errorf("%v: status %d, want 2 and %q:\n%s", c.args, status, c.want, out)
		}
	}
	// A zone that cannot be read is said, and the others are served.
	q := serve(t, filepath.Join(dir, "d"), "--zone", "example.org="+writeZone(t, dir, 1, 2), "--zone", "example.net="+filepath.Join(dir, "missing"))
	q.waitFor(t, "www.example.org.", "192.0.2.2")
	if got, _ := q.ask("www.example.net."); got != "SERVFAIL" {
		t.Errorf("the missing zone answers %s", got)
	}
}

// Backup of a running node, restore into a new folder, and the same accounts and findings there.
func TestBackup_andRestore(t *testing.T) {
	dir := t.TempDir()
	p := serve(t, filepath.Join(dir, "data"), "--zone", "example.net="+filepath.Join(dir, "missing"))
	time.Sleep(500 * time.Millisecond)
	if out, status := run(t, "backup", filepath.Join(dir, "copy"), "--data", p.data); status != 0 {
		t.Fatalf("backup: %d\n%s", status, out)
	}
	if out, status := run(t, "restore", filepath.Join(dir, "copy"), "--data", filepath.Join(dir, "new")); status != 0 {
		t.Fatalf("restore: %d\n%s", status, out)
	}
	if out, status := run(t, "ledger", "list", "--kind", "audit", "--data", filepath.Join(dir, "new")); status != 0 || !strings.Contains(out, "restore") {
		t.Errorf("the restore is no entry: %d\n%s", status, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "new", "log", "wal", "running")); err == nil {
		t.Error("the copy says that somebody writes its log")
	}
	if _, status := run(t, "restore", filepath.Join(dir, "copy"), "--data", p.data); status != 2 {
		t.Error("restored over a running node")
	}
	inside := filepath.Join(p.data, "copies", "today")
	if out, status := run(t, "backup", inside, "--data", p.data); status != 2 || !strings.Contains(out, "inside the data folder") {
		t.Errorf("backup into the data folder: %d\n%s", status, out)
	}
	if _, err := os.Stat(filepath.Dir(inside)); err == nil {
		t.Error("the refused backup left something behind")
	}
	secret := func(d string) string { b, _ := os.ReadFile(filepath.Join(d, "cookie.secret")); return string(b) }
	if secret(p.data) == "" || secret(p.data) != secret(filepath.Join(dir, "new")) {
		t.Error("the cookie secret did not come along")
	}
	q := serve(t, filepath.Join(dir, "new"))
	if out, _ := run(t, "control", "status", "--json", "--data", q.data); !strings.Contains(out, `"open_findings": 1`) {
		t.Errorf("findings did not come along:\n%s", out)
	}
}

// systemd hears READY=1 when zones are served, WATCHDOG=1 while answers come, STOPPING=1 at the end.
func TestServe_tellsSystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "400000")
	p := serve(t, t.TempDir())
	l.SetReadDeadline(time.Now().Add(10 * time.Second))
	heard := ""
	next := func(want string) {
		var b [512]byte
		for !strings.Contains(heard, want) {
			n, err := l.Read(b[:])
			if err != nil {
				t.Fatalf("no %s: %v, heard %q", want, err, heard)
			}
			heard += string(b[:n]) + "\n"
		}
	}
	next("READY=1")
	next("WATCHDOG=1")
	p.Process.Signal(syscall.SIGTERM)
	next("STOPPING=1")
}

// Port 53 without root, both ways: an ordinary user with one capability, as the systemd unit does it, and root that drops its
// privileges. In a network namespace of our own, which takes root to make.
func TestServe_port53WithoutRoot(t *testing.T) {
	for _, tool := range []string{"ip", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil || os.Getuid() != 0 {
			if os.Getenv("CI") == "true" {
				t.Fatalf("needs root and %s", tool)
			}
			t.Skipf("SKIPPED: needs root and %s", tool)
		}
	}
	ns := fmt.Sprintf("anyut%d", os.Getpid())
	for _, args := range [][]string{{"netns", "add", ns}, {"-n", ns, "link", "set", "lo", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: no network namespaces here: %s", out)
		}
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	config := filepath.Join(t.TempDir(), "anyu.yaml")
	os.WriteFile(config, []byte("user: nobody\nlisten: {dns: [\"127.0.0.1:53\"]}\nconsole: {off: true}\n"), 0o644)
	for name, wrap := range map[string][]string{
		"capability": {"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--bounding-set=-all,+net_bind_service", "--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"},
		"drop":       nil,
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			for dir := data; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
				os.Chmod(dir, 0o777)
			}
			for dir := filepath.Dir(config); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
				os.Chmod(dir, 0o755)
			}
			os.Chmod(filepath.Dir(anyu(t)), 0o755)
			args := append([]string{"netns", "exec", ns}, wrap...)
			args = append(args, anyu(t), "serve", "--config", config, "--data", filepath.Join(data, "d"))
			cmd := exec.Command("ip", args...)
			out := &output{}
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }()
			var answer []byte
			for range 100 {
				time.Sleep(50 * time.Millisecond)
				if answer, _ = exec.Command("ip", "netns", "exec", ns, "dig", "+short", "+time=1", "+tries=1", "@127.0.0.1", "localhost").Output(); strings.HasPrefix(string(answer), "127.0.0.1") {
					break
				}
			}
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if !strings.HasPrefix(string(answer), "127.0.0.1") || !strings.Contains(string(status), "Uid:\t65534\t65534\t65534\t65534") {
				t.Errorf("answer %q\n%s\n%s", answer, status, out)
			}
		})
	}
}

// A hundred reloads of a zone that changes each time do not grow the process: the old versions are let go.
func TestServe_reloadsDoNotGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: takes seconds (-short)")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "example.org.zone")
	write := func(serial int) {
		var b bytes.Buffer
		fmt.Fprintf(&b, testZone, serial, serial%250)
		for i := range 50_000 {
			fmt.Fprintf(&b, "host%d A 192.0.2.%d\n", i, (i+serial)%250)
		}
		os.WriteFile(file, b.Bytes(), 0o644)
	}
	write(1)
	p := serve(t, t.TempDir(), "--zone", "example.org="+file)
	p.waitFor(t, "www.example.org.", "192.0.2.1")
	resident := func() (kb int) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				fmt.Sscan(rest, &kb)
			}
		}
		return kb
	}
	reload := func(from, n int) {
		for i := range n {
			write(from + i)
			if out, status := run(t, "control", "reload", "--all", "--data", p.data); status != 0 {
				t.Fatal(out)
			}
		}
	}
	reload(2, 20)
	before := resident()
	reload(22, 100)
	if after := resident(); after > before*3/2 {
		t.Errorf("resident memory grew from %d to %d kB in 100 reloads", before, after)
	} else {
		t.Logf("resident memory: %d kB, after 100 more reloads %d kB", before, after)
	}
	p.waitFor(t, "www.example.org.", fmt.Sprintf("192.0.2.%d", 121%250))
}
