package trail

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Answers come before segments: what is in an append-only file is safe, and searches find it. So segments are made with the processor time that nobody else
// wants, and slowly where there is none, until files wait that are too many.
const (
	// leastShare is what making segments takes of a processor at least.
	leastShare = 0.05
	// spareKept is how much of a processor stays idle while segments are made: who answers must not find all taken.
	spareKept = 0.1
	// paceEvery is how often the share is set anew, for /proc counts in hundredths of a second, and how long a rest is at most: who waits for the end of one waits as long.
	paceEvery = 250 * time.Millisecond
	// shortestRest is worth sleeping for; less is owed until it is as much.
	shortestRest = 2 * time.Millisecond
	// longestTurn is the work that a turn may be, the end of a row group: what took longer waited, for the disk or a processor.
	longestTurn = 200 * time.Millisecond
	// slowestFile is for how long one file may take its time: a million rows at leastShare.
	slowestFile = time.Minute
	// maxBehind is how many files wait before their segments are made at full speed, a minute and a half of a core that does nothing but answer
	// (bounds: the disk that append-only files take, eight times their segments', and searches, which read them row by row).
	maxBehind = 16
)

// pace is how fast segments are made. It keeps no clock.
type pace struct {
	share   float64       // of a processor
	looked  time.Time     // when share was set
	began   time.Time     // the file
	resumed time.Time     // the turn
	owed    time.Duration // of rest; negative: more was had
}

// begin is the beginning of a file. What the processors did before says nothing about now.
func (p *pace) begin(now time.Time) {
	*p = pace{share: leastShare, looked: now, began: now, resumed: now}
}

// due tells whether spare is to be asked for.
func (p *pace) due(now time.Time) bool { return now.Sub(p.looked) >= paceEvery }

// set takes how many processors had nothing to do since it was asked before, where the process may use them.
func (p *pace) set(now time.Time, spare float64) {
	p.looked = now
	switch {
	case spare < spareKept/2:
		p.share /= 4 // others want all of it: at once
	case spare > spareKept:
		p.owed = min(p.owed, 0) // nobody wants it: reading the file may have counted as seconds of rest
	}
	p.share = min(1, max(leastShare, p.share+spare-spareKept))
}

// rest tells how long to rest when a turn ends.
func (p *pace) rest(now time.Time) time.Duration {
	left := slowestFile - now.Sub(p.began)
	if left <= 0 {
		return 0
	}
	worked := min(now.Sub(p.resumed), longestTurn)
	if p.owed += time.Duration(float64(worked) * (1/p.share - 1)); p.owed < shortestRest {
		return 0
	}
	return min(p.owed, paceEvery, left)
}

// resume is when the next turn begins. That others had the processor meanwhile is rest, too.
func (p *pace) resume(ended, now time.Time) {
	p.owed = max(p.owed-now.Sub(ended), -paceEvery)
	p.resumed = now
}

// keeper is what makes segments: its pace, and what lets it hurry.
type keeper struct {
	pace
	spare func() float64 // processors that had nothing to do since the last call; nil: all the time of them is its own
	done  <-chan struct{}
	tend  func()       // does what is due meanwhile
	hurry atomic.Int32 // so many wait for it
}

// file is the beginning of one of some files that wait; tight is where segments make room on a full disk.
func (k *keeper) file(waiting int, tight bool) (turn func()) {
	if k.spare == nil || waiting > maxBehind || tight {
		return runtime.Gosched
	}
	k.spare()
	k.begin(time.Now())
	return k.turn
}

// turn lets others go on, and rests.
func (k *keeper) turn() {
	now := time.Now()
	if k.due(now) {
		k.set(now, k.spare())
		k.tend()
	}
	rest := k.rest(now)
	if rest > 0 && k.hurry.Load() == 0 {
		select {
		case <-k.done:
		case <-time.After(rest):
		}
	} else {
		runtime.Gosched()
	}
	k.resume(now, time.Now())
}
