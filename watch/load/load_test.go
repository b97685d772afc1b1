package load

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParseHostTime_knowsIdleFromBusy(t *testing.T) {
	for _, c := range []struct {
		text string
		want hostTime
	}{
		{"cpu  10 1 20 100 5 2 3 4 7 0\ncpu0 1 1 1 1\n", hostTime{total: 145, idle: 105}},
		{"cpu  10 1 20 100\n", hostTime{total: 131, idle: 100}},
		{"cpu  10 x 20 100\n", hostTime{}},
		{"intr 5\n", hostTime{}},
		{"", hostTime{}},
	} {
		if got := parseHostTime([]byte(c.text)); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
	}
}

func TestSample_seesWorkAndMemory(t *testing.T) {
	m := New(2, func() int { return 7 })
	m.Sample(time.Now())
	for begin := time.Now(); time.Since(begin) < 100*time.Millisecond; {
	}
	l := m.Sample(time.Now())
	if l.CPU <= 0 || l.CPU > 1 || l.Resident < 1<<20 || l.Heap == 0 || l.Connections != 7 {
		t.Errorf("%+v", l)
	}
}

func TestParseEach_readsTheLineOfEachCPU(t *testing.T) {
	got := parseEach([]byte("cpu  10 1 20 100 5 2 3 4 7 0\ncpu0 1 0 1 8 0 0 0 0 0 0\ncpu12 2 0 2 5 1\nintr 5\ncpux 1 1 1 1\n"))
	if len(got) != 2 || got[0] != (hostTime{total: 10, idle: 8}) || got[12] != (hostTime{total: 10, idle: 6}) {
		t.Errorf("%+v", got)
	}
}

// The kernel counts in hundredths of a second, so that a fifth of one says something.
func TestSpare_isWhatIsLeft(t *testing.T) {
	s := NewSpare(1)
	if first := s.Processors(time.Now()); first != 0 {
		t.Errorf("the first call knows of %v", first)
	}
	for begin := time.Now(); time.Since(begin) < 200*time.Millisecond; {
	}
	if left := s.Processors(time.Now()); left < 0 || left > 0.5 {
		t.Errorf("%v of one processor are left to who uses it all", left)
	}
}

func TestQuota_isTheLeastAboveTheProcess(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  float64
	}{
		{"none", map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"}, math.Inf(1)},
		{"version 2", map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "50000 100000\n", "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, 0.5},
		{"version 1", map[string]string{"proc/self/cgroup": "5:memory:/m\n4:cpu,cpuacct:/a\n", "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "2500\n", "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "5000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 0.5},
		{"nonsense", map[string]string{"proc/self/cgroup": "x\n0:/a\n0::/../../a\n", "sys/fs/cgroup/a/cpu.max": "5\n"}, math.Inf(1)},
		{"unreadable", nil, math.Inf(1)},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := quota(root); got != c.want {
			t.Errorf("%s: %v CPUs, want %v", c.name, got, c.want)
		}
	}
}
