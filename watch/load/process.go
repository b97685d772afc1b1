package load

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// Process measures another process of this machine. Use it from one goroutine.
type Process struct {
	pid   int
	at    time.Time
	ticks uint64
}

// NewProcess returns a meter for a process.
func NewProcess(pid int) *Process { return &Process{pid: pid} }

// ticksPerSecond is USER_HZ, which Linux tells user space whatever its clock.
const ticksPerSecond = 100

// Sample is its share of this machine's CPUs since the last call, and its memory; not ok at the first call, and where it cannot be read.
func (p *Process) Sample(now time.Time) (cpu float64, resident uint64, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0, 0, false
	}
	ticks, pages, ok := parseStat(text)
	if !ok {
		return 0, 0, false
	}
	wall := now.Sub(p.at).Seconds()
	ok = !p.at.IsZero() && wall > 0 && ticks >= p.ticks
	if ok {
		cpu = float64(ticks-p.ticks) / ticksPerSecond / wall / float64(runtime.NumCPU())
	}
	p.at, p.ticks = now, ticks
	return cpu, pages * uint64(os.Getpagesize()), ok
}

// parseStat reads /proc/PID/stat (proc_pid_stat(5)): utime and stime are fields 14 and 15, rss 24; the name, field 2, may hold anything.
func parseStat(text []byte) (ticks, pages uint64, ok bool) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, 0, false
	}
	f := bytes.Fields(text[end+1:]) // begins with field 3
	if len(f) < 22 {
		return 0, 0, false
	}
	user, err1 := strconv.ParseUint(string(f[11]), 10, 64)
	system, err2 := strconv.ParseUint(string(f[12]), 10, 64)
	pages, err3 := strconv.ParseUint(string(f[21]), 10, 64)
	return user + system, pages, err1 == nil && err2 == nil && err3 == nil
}
