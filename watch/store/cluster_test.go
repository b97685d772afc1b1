package store_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch/store"
	"anyu/watch/trail"
)

// shards are real ClickHouse servers on loopback that form a cluster named "anyu".
type shards struct {
	dir       string
	addresses []string
	running   []*exec.Cmd
}

func startShards(t *testing.T, n int) *shards {
	t.Helper()
	path, err := exec.LookPath("clickhouse-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("clickhouse-server is not installed: .ci/run should have installed it")
		}
		t.Skip("clickhouse-server is not installed (apt-get install clickhouse-server): the store is not tested against a real one")
	}
	s := &shards{dir: t.TempDir(), running: make([]*exec.Cmd, n)}
	remote := ""
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all are taken before one is given back
		_, port, _ := net.SplitHostPort(l.Addr().String())
		s.addresses = append(s.addresses, l.Addr().String())
		remote += "<shard><replica><host>127.0.0.1</host><port>" + port + "</port></replica></shard>"
	}
	for i := range n {
		_, port, _ := net.SplitHostPort(s.addresses[i])
		dir := s.folder(i)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		// A zone of time that is not UTC: days are UTC's all the same.
		write(t, filepath.Join(dir, "config.xml"), `<yandex><logger><level>warning</level><log>`+dir+`/log</log><errorlog>`+dir+`/err</errorlog></logger>
<tcp_port>`+port+`</tcp_port><listen_host>127.0.0.1</listen_host><mark_cache_size>67108864</mark_cache_size><timezone>Asia/Shanghai</timezone>
<path>`+dir+`/data/</path><tmp_path>`+dir+`/tmp/</tmp_path><users_config>`+dir+`/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database>
<remote_servers><anyu>`+remote+`</anyu></remote_servers></yandex>`)
		write(t, filepath.Join(dir, "users.xml"), `<yandex><profiles><default><max_memory_usage>2000000000</max_memory_usage></default></profiles>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
<quotas><default><interval><duration>3600</duration><queries>0</queries><errors>0</errors><result_rows>0</result_rows><read_rows>0</read_rows><execution_time>0</execution_time></interval></default></quotas></yandex>`)
	}
	t.Cleanup(func() {
		for i := range s.running {
			s.kill(i)
		}
	})
	_ = path
	return s
}

func (s *shards) folder(i int) string { return filepath.Join(s.dir, fmt.Sprint("shard", i)) }

// start starts one and waits until it answers.
func (s *shards) start(t *testing.T, i int) {
	t.Helper()
	cmd := exec.Command("clickhouse-server", "--config-file="+filepath.Join(s.folder(i), "config.xml"))
	cmd.Dir = s.folder(i)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.running[i] = cmd
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("tcp", s.addresses[i])
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(s.folder(i), "err"))
			t.Fatalf("clickhouse-server does not listen: %v\n%s", err, log)
		}
	}
}

// kill ends one as a power failure would.
func (s *shards) kill(i int) {
	if s.running[i] != nil {
		s.running[i].Process.Kill()
		s.running[i].Wait()
		s.running[i] = nil
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// noted is a sink that remembers.
type noted struct {
	mu  sync.Mutex
	all []event.Finding
}

func (n *noted) Report(f event.Finding) { n.mu.Lock(); n.all = append(n.all, f); n.mu.Unlock() }

// last tells how a kind of finding stands; nil: never reported open.
func (n *noted) last(kind string) (f *event.Finding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.all {
		if n.all[i].Kind == kind && (n.all[i].Open() || f != nil) {
			f = &n.all[i]
		}
	}
	return f
}

// forward tells a store of segments, as node does.
type forward struct{ to func() *store.Store }

func (f forward) Closed(path string, _ int64, _, _ time.Time) error {
	if s := f.to(); s != nil {
		s.Closed(path)
	}
	return nil
}
func (f forward) Removed(path, _ string) error {
	if s := f.to(); s != nil {
		s.Removed(path)
	}
	return nil
}

// question is the n-th of a made-up stream.
func question(names *event.Names, at time.Time, n int) *event.Query {
	client := netip.AddrFrom4([4]byte{192, 0, byte(n % 3), byte(n % 250)}).As16()
	if n%10 == 0 {
		client = netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::%x", n%4, n%1000)).As16()
	}
	q := &event.Query{
		Has:  event.HasClient | event.HasTime | event.HasLatency | event.HasQuery | event.HasReply | event.HasZone | event.HasReason,
		Zone: names.ID("example.org."), Time: at.UnixNano(), Latency: int64(n) * 1000, Clock: event.ClockSelf,
		Client: client, ClientPort: uint16(1024 + n%60000), QueryFlags: 0x0100, Flags: 0x8580, Rcode: uint16(3 * (n % 2)), Type: 28, Class: 1, Payload: 1232,
		Reason: event.NoReason, QuerySize: 40, ReplySize: 90, Transport: event.TLS, From: event.FromAuthority, DO: n%2 == 0,
		Name: append(append([]byte{5}, fmt.Sprintf("n%04d", n%5000)...), "\x07Example\x03org\x00"...),
	}
	switch n % 50 {
	case 1:
		q.Name = []byte("\x05a.'\\b\x07example\x03net\x00") // a dot, a quote and a backslash inside a label
	case 2:
		q.Has &^= event.HasReply | event.HasLatency
	case 3:
		q.Has &^= event.HasClient
	case 4:
		q.Has &^= event.HasQuery
	case 5:
		q.ReplySize = 0
	}
	return q
}

func open(t *testing.T, opts store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// drained waits until everything is sent.
func drained(t *testing.T, s *store.Store, patience time.Duration) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		st := s.Status()
		if st.Segments == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still waiting: %+v", st)
		}
	}
}

var errStop = errors.New("stop")

func count(t *testing.T, s *store.Search) (n int) {
	t.Helper()
	seen := map[string]bool{}
	if _, err := s.Each(context.Background(), trail.Filter{}, func(r *trail.Row) error {
		n++
		seen[fmt.Sprint(r.Time, r.Client, r.Name, r.Segment, *orZero(r.Latency))] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func orZero(p *int64) *int64 {
	if p == nil {
		return new(int64)
	}
	return p
}
