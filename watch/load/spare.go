package load

import (
	"bytes"
	"os"
	"strconv"
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
		idle = max(0, min(idle, s.cpus-float64(used-s.used)/float64(wall)))
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
