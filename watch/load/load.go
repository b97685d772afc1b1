// Package load measures how busy this process and its machine are, from Linux's /proc.
//
// It promises to be cheap enough for once a second and to say nothing rather than something wrong: what cannot be read
// stays zero. It refuses to judge; gauge keeps the figures and pages show them.
// Limits today: Linux only. The CPUs "it may use" are told to New.
package load

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"anyu/watch/gauge"
)

// Meter measures differences between calls. Use it from one goroutine.
type Meter struct {
	cpus        int
	connections func() int

	at     time.Time
	cpu    time.Duration // used by the process so far
	host   hostTime
	sample []metrics.Sample
}

// New returns a meter for a process that may use so many CPUs; connections tells how many client connections are open, and may be nil.
func New(cpus int, connections func() int) *Meter {
	return &Meter{cpus: cpus, connections: connections, sample: []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}}
}

// Sample is the load since the last call. The first call knows no CPU.
func (m *Meter) Sample(now time.Time) gauge.Load {
	var l gauge.Load
	cpu := processTime()
	if wall := now.Sub(m.at); !m.at.IsZero() && wall > 0 {
		l.CPU = min(1, float64(cpu-m.cpu)/float64(wall)/float64(m.cpus))
	}
	host := readHostTime()
	if total := host.total - m.host.total; m.host.total > 0 && total > 0 {
		l.HostCPU = 1 - float64(host.idle-m.host.idle)/float64(total)
	}
	m.at, m.cpu, m.host = now, cpu, host

	l.Resident = resident()
	metrics.Read(m.sample)
	if m.sample[0].Value.Kind() == metrics.KindUint64 {
		l.Heap = m.sample[0].Value.Uint64()
	}
	if m.connections != nil {
		l.Connections = m.connections()
	}
	return l
}

// CPUTime is what the process has used of all CPUs since it started.
func CPUTime() time.Duration { return processTime() }

func processTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// hostTime is the first line of /proc/stat, in ticks: all time, and the part in which the machine had nothing to do.
type hostTime struct{ total, idle uint64 }

func readHostTime() hostTime {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return hostTime{}
	}
	return parseHostTime(text)
}

// parseHostTime reads "cpu user nice system idle iowait irq softirq steal guest guest_nice"; the guest times are part of user and nice.
func parseHostTime(text []byte) (h hostTime) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 5 || string(fields[0]) != "cpu" {
		return hostTime{}
	}
	for i, f := range fields[1:min(len(fields), 9)] {
		n, err := strconv.ParseUint(string(f), 10, 64)
		if err != nil {
			return hostTime{}
		}
		h.total += n
		if i == 3 || i == 4 { // idle, iowait
			h.idle += n
		}
	}
	return h
}

func resident() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
