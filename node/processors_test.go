package node

import (
	"testing"
	"time"
)

func TestProcessors_areSpareWhileThereIsMuchToResolve(t *testing.T) {
	const second = int64(time.Second)
	p := processors{cpus: 2}
	sent, at := uint64(0), 1000*second
	for i, c := range []struct {
		after int64 // ns
		sends uint64
		want  bool
	}{
		{second, 5000, false}, // since when is not known
		{second, 399, false},
		{second, 400, true},
		{second / 4, 90, true}, // less, but it is not calm for long
		{2 * second, 0, true},
		{second, 0, false},
		{second / 4, 100, true},
		{2 * second, 800, true},
		{2 * second, 0, true},
		{second, 0, false},
	} {
		at += c.after
		sent += c.sends
		if got := p.next(at, sent); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
