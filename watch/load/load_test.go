package load

import (
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
