// Package storetest starts Debian's ClickHouse server for tests.
//
// It promises: servers listen on loopback only, with data in the test's folder, and are gone when the test is. Without a server installed the test is skipped,
// and fails in CI.
package storetest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Shards are real ClickHouse servers on loopback that form a cluster named "anyu".
type Shards struct {
	dir       string
	Addresses []string
	running   []*exec.Cmd
}

// New prepares n of them, or skips the test where there is no server.
func New(t *testing.T, n int) *Shards {
	t.Helper()
	if _, err := exec.LookPath("clickhouse-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("clickhouse-server is not installed: .ci/run should have installed it")
		}
		t.Skip("clickhouse-server is not installed (apt-get install clickhouse-server): the store is not tested against a real one")
	}
	s := &Shards{dir: t.TempDir(), running: make([]*exec.Cmd, n)}
	remote := ""
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all are taken before one is given back
		_, port, _ := net.SplitHostPort(l.Addr().String())
		s.Addresses = append(s.Addresses, l.Addr().String())
		remote += "<shard><replica><host>127.0.0.1</host><port>" + port + "</port></replica></shard>"
	}
	for i := range n {
		_, port, _ := net.SplitHostPort(s.Addresses[i])
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
			s.Kill(i)
		}
	})
	return s
}

func (s *Shards) folder(i int) string { return filepath.Join(s.dir, fmt.Sprint("shard", i)) }

// Start starts one and waits until it answers.
func (s *Shards) Start(t *testing.T, i int) {
	t.Helper()
	cmd := exec.Command("clickhouse-server", "--config-file="+filepath.Join(s.folder(i), "config.xml"))
	cmd.Dir = s.folder(i)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.running[i] = cmd
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("tcp", s.Addresses[i])
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

// Kill ends one as a power failure would.
func (s *Shards) Kill(i int) {
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
