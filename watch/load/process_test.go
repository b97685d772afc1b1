package load

import (
	"os"
	"testing"
	"time"
)

// This process is busy for a while; a process that is not there is unknown.
func TestProcess_measuresAnother(t *testing.T) {
	p := NewProcess(os.Getpid())
	now := time.Now()
	if _, _, ok := p.Sample(now); ok {
		t.Error("a first sample knows no difference")
	}
	for time.Since(now) < 100*time.Millisecond {
	}
	cpu, resident, ok := p.Sample(time.Now())
	if !ok || cpu <= 0 || resident < 1<<20 {
		t.Errorf("%v, %d, %v", cpu, resident, ok)
	}
	if _, _, ok := NewProcess(1 << 30).Sample(now); ok {
		t.Error("a process that is not there was measured")
	}
	if ticks, pages, ok := parseStat([]byte("7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 40 2 13 14 15 16 17 18 19 20 99 22")); !ok || ticks != 42 || pages != 99 {
		t.Errorf("%d, %d, %v", ticks, pages, ok)
	}
}
