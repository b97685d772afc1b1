package load

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Spare measures what nobody wants of the CPUs that this process may use. Use it from one goroutine.
type Spare struct {
	cpus float64 // that the process may use at a time

	at   time.Time
	used time.Duration
	each map[int]hostTime
}

// NewSpare is for a process that may use so many CPUs.
func NewSpare(cpus int) *Spare { return &Spare{cpus: float64(cpus)} }

// Processors tells how many had nothing to do since the last call, on average: of those that the kernel may give to the process, at most as many as a control
// group leaves it. The first call, and one where nothing can be read, knows of none.
func (s *Spare) Processors(now time.Time) float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var mine unix.CPUSet
	if unix.SchedGetaffinity(0, &mine) != nil {
		return 0
	}
	each, used := parseEach(text), processTime()
	idle := 0.0
	for cpu, t := range each {
		before, known := s.each[cpu]
		if total := t.total - before.total; known && mine.IsSet(cpu) && t.total > before.total && t.idle >= before.idle {
			idle += float64(t.idle-before.idle) / float64(total)
		}
	}
	if wall := now.Sub(s.at); !s.at.IsZero() && wall > 0 {
		idle = max(0, min(idle, min(s.cpus, quota("/"))-float64(used-s.used)/float64(wall)))
	}
	s.at, s.used, s.each = now, used, each
	return idle
}

// parseEach reads the lines of the CPUs, "cpu3 user nice ...".
func parseEach(text []byte) map[int]hostTime {
	each := map[int]hostTime{}
	for line := range bytes.Lines(text) {
		number, rest, ok := bytes.Cut(line, []byte(" "))
		if !ok || !bytes.HasPrefix(number, []byte("cpu")) {
			continue
		}
		if cpu, err := strconv.Atoi(string(number[3:])); err == nil {
			each[cpu] = parseHostTime(append([]byte("cpu "), rest...))
		}
	}
	return each
}

// quota is how many CPUs at a time the control groups of this process leave it: the least of its own and of those above it, of version 2 or 1 (cgroups(7)). Go's
// GOMAXPROCS is no measure of it: half a CPU is two there. Without a limit it is very many. The root is that of the file system, for tests.
func quota(root string) float64 {
	least := math.Inf(1)
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return least
	}
	for line := range strings.Lines(string(text)) { // "0::/user.slice" or "4:cpu,cpuacct:/"
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 || fields[1] != "" && !slices.Contains(strings.Split(fields[1], ","), "cpu") {
			continue
		}
		folder := filepath.Join(root, "sys/fs/cgroup", fields[1])
		for group := filepath.Clean("/" + fields[2]); ; group = filepath.Dir(group) {
			least = min(least, quotaOf(filepath.Join(folder, group)))
			if group == "/" {
				break
			}
		}
	}
	return least
}

func quotaOf(folder string) float64 {
	number := func(text string) float64 {
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || n <= 0 {
			return math.Inf(1) // "max", or -1
		}
		return n
	}
	if text, err := os.ReadFile(filepath.Join(folder, "cpu.max")); err == nil {
		if time, period, ok := strings.Cut(string(text), " "); ok {
			return number(time) / min(number(period), 1e6) // the kernel's largest period, us
		}
	}
	time, err := os.ReadFile(filepath.Join(folder, "cpu.cfs_quota_us"))
	if err != nil {
		return math.Inf(1)
	}
	period, err := os.ReadFile(filepath.Join(folder, "cpu.cfs_period_us"))
	if err != nil {
		return math.Inf(1)
	}
	return number(string(time)) / min(number(string(period)), 1e6)
}
