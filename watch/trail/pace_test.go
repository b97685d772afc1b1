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
		settled := now.Add(4 * time.Second)
		for p.begin(now); now.Before(settled.Add(10 * time.Second)); {
			now = now.Add(turn)
			if p.due(now) {
				p.set(now, max(0, 1-c.others-p.share))
			}
			rest := p.rest(now)
			p.resume(now, now.Add(rest))
			now = now.Add(rest)
			if now.After(settled) {
				worked, rested = worked+turn, rested+rest
			}
		}
		if got := worked.Seconds() / (worked + rested).Seconds(); got < c.want-0.03 || got > c.want+0.03 {
			t.Errorf("beside others that take %v, segments get %.2f of a core, wanted %.2f", c.others, got, c.want)
		}
	}
}

// Who rests longer than it asked for, since others have the processor, has a share all the same.
func TestPace_creditsWhatOthersTook(t *testing.T) {
	var p pace
	now := time.Unix(1e9, 0)
	p.begin(now)
	var worked time.Duration
	for end := now.Add(10 * time.Second); now.Before(end); {
		now = now.Add(time.Millisecond)
		worked += time.Millisecond
		if p.due(now) {
			p.set(now, 0)
		}
		rest := p.rest(now) + 10*time.Millisecond // others are first, each time
		p.resume(now, now.Add(rest))
		now = now.Add(rest)
	}
	if got := worked.Seconds() / 10; got < leastShare*0.9 || got > leastShare*1.1 {
		t.Errorf("%.3f of a core, want %v", got, leastShare)
	}
}

func TestPace_endsAFileInTime(t *testing.T) {
	var p pace
	now := time.Unix(1e9, 0)
	p.begin(now)
	p.set(now, 0)
	now = now.Add(slowestFile - paceEvery/2)
	if got := p.rest(now); got != paceEvery/2 { // from the beginning on one turn, which waited for a disk
		t.Errorf("a rest of %v, and the file had %v", got, paceEvery/2)
	}
	p.resume(now, now.Add(time.Second))
	if got := p.rest(now.Add(time.Second)); got != 0 {
		t.Error("a file that takes long is made at full speed in the end")
	}
}

// Reading a file is one long turn at the share it begins with; on a machine that has nothing else to do the next look at it ends the rest.
func TestPace_owesNothingWhereThereIsEnough(t *testing.T) {
	var p pace
	now := time.Unix(1e9, 0)
	p.begin(now)
	now = now.Add(longestTurn)
	p.resume(now, now.Add(p.rest(now)))
	if now = now.Add(paceEvery); p.owed < time.Second || !p.due(now) {
		t.Fatalf("owes %v", p.owed)
	}
	p.set(now, 2)
	if got := p.rest(now); got != 0 || p.share != 1 {
		t.Errorf("a rest of %v at a share of %v, beside two idle processors", got, p.share)
	}
}

func TestPace_restsForAMomentOnly(t *testing.T) {
	var p pace
	now := time.Unix(1e9, 0)
	p.begin(now)
	for range 100 {
		now = now.Add(longestTurn / 2)
		rest := p.rest(now)
		if rest > paceEvery {
			t.Fatalf("a rest of %v: who waits for the keeper waits as long", rest)
		}
		p.resume(now, now.Add(rest))
		now = now.Add(rest)
	}
}

func TestKeeper_hurriesWhereItMust(t *testing.T) {
	asked := 0
	done := make(chan struct{})
	k := keeper{spare: func() float64 { asked++; return 0 }, done: done, tend: func() {}}
	k.file(maxBehind+1, false)
	if k.file(1, true); asked != 0 {
		t.Error("too many wait, or the disk is full: whether processors are idle is not asked")
	}
	turn := k.file(1, false)
	for _, c := range []struct {
		why   string
		begin func()
	}{{"somebody waits", func() { k.hurry.Add(1) }}, {"the log is being closed", func() { k.hurry.Add(-1); close(done) }}} {
		c.begin()
		k.owed = time.Hour
		now := time.Now()
		if turn(); time.Since(now) > paceEvery/2 {
			t.Errorf("%s, and it rests for %v", c.why, time.Since(now))
		}
	}
}
