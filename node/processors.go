package node

import (
	"context"
	"runtime"
	"time"
)

// Go runs as many threads at a time as there are CPUs (GOMAXPROCS, its "processors"). A worker that comes back from a system call needs one of
// them. While loops resolve many questions all may be taken, and the worker waits until one pauses, 10 ms at worst: the
// hits of others become slow because somebody asks for random names. With more processors than CPUs the kernel decides, which favours
// who has just slept. It is not so all the time, since goroutines that hand work to each other, as those of net/http
// do for each query over HTTPS, then do it from thread to thread: half as many answers a second.
const (
	// busySends is how many questions a second to servers make the resolver busy, for each CPU.
	busySends = 200
	// calmTime is how long it must not be so before the spare processors go: each change stops the world, for some 0.1 ms.
	calmTime = 3 * time.Second
)

// processors decides whether there are spare ones. It keeps no clock.
type processors struct {
	cpus  int
	spare bool
	sent  uint64
	seen  int64 // ns since 1970, when sent was counted
	busy  int64 // the last time it was so
}

// next returns whether there should be spare processors, told how many questions were sent so far.
func (p *processors) next(now int64, sent uint64) bool {
	if seconds := float64(now-p.seen) / 1e9; p.seen != 0 && float64(sent-p.sent) >= busySends*float64(p.cpus)*seconds {
		p.spare, p.busy = true, now
	}
	if p.spare && now-p.busy >= int64(calmTime) {
		p.spare = false
	}
	p.sent, p.seen = sent, now
	return p.spare
}

// tendProcessors gives workers spare processors while there is much to resolve.
func (n *Node) tendProcessors(ctx context.Context) {
	p, have := processors{cpus: n.cpus}, false
	defer func() {
		if have {
			runtime.SetDefaultGOMAXPROCS()
		}
	}()
	tick := time.NewTicker(time.Second / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			c := n.resolver().loops.Counts()
			switch want := p.next(now.UnixNano(), c.Sent+c.SentStream); {
			case want && !have:
				runtime.GOMAXPROCS(2*n.cpus + 1) // workers, loops, and one for the rest
				have = true
			case !want && have:
				runtime.SetDefaultGOMAXPROCS() // the CPUs, and again as many as there are when that changes
				have = false
			}
		}
	}
}
