package trail

import (
	"testing"
	"time"
)

// A core that others use for some part: segments are made with what is left but for spareKept, and with leastShare at least.
func TestPace_takesWhatIsLeft(t *testing.T) {
	for _, c := range []struct{ others, want float64 }{{0, 0.9}, {0.5, 0.4}, {0.85, leastShare}, {1, leastShare}} {
		var p pace
		now := time.Unix(1e9, 0)
		const turn = time.Millisecond
		var worked, rested time.Duration
		settled := now.Add(5 * time.Second)
		for p.begin(now); now.Before(settled.Add(20 * time.Second)); {
			now = now.Add(turn)
			if p.due(now) {
				p.set(now, max(0, 1-c.others-p.share))
			}
			rest := p.rest(now)
			now = now.Add(rest)
			p.resumed = now
			if now.After(settled) {
				worked, rested = worked+turn, rested+rest
			}
		}
		if got := worked.Seconds() / (worked + rested).Seconds(); got < c.want-0.03 || got > c.want+0.03 {
			t.Errorf("beside others that take %v, segments get %.2f of a core, wanted %.2f", c.others, got, c.want)
		}
	}
}

func TestPace_endsAFileInTime(t *testing.T) {
	var p pace
	now := time.Unix(1e9, 0)
	p.begin(now)
	p.set(now, 0)
	now = now.Add(slowestFile - time.Second)
	if p.resumed = now.Add(-50 * time.Millisecond); p.rest(now) != 450*time.Millisecond {
		t.Error("half a second of a tenth of a core")
	}
	now = now.Add(time.Second)
	if p.resumed = now.Add(-50 * time.Millisecond); p.rest(now) != 0 {
		t.Error("a file that takes long is made at full speed in the end")
	}
}

func TestKeeper_hurriesWhereItMust(t *testing.T) {
	asked := 0
	done := make(chan struct{})
	k := keeper{spare: func() float64 { asked++; return 0 }, done: done}
	if k.file(maxBehind + 1); asked != 0 {
		t.Error("too many wait: whether processors are idle is not asked")
	}
	took := func(turn func()) time.Duration {
		k.resumed = time.Now().Add(-time.Second) // owes nine
		begin := time.Now()
		turn()
		return time.Since(begin)
	}
	turn := k.file(1)
	k.hurry.Add(1)
	if d := took(turn); d > 5*time.Second {
		t.Errorf("somebody waits, and it rests for %v", d)
	}
	k.hurry.Add(-1)
	close(done)
	if d := took(turn); d > 5*time.Second {
		t.Errorf("the log is being closed, and it rests for %v", d)
	}
}
