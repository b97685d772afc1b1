package nameserver

import (
	"math"
	"sync"
	"time"
)

const (
	window = int64(5 * time.Second)
	// outageServers that had answered before and now are silent, all within two windows, while not a quarter as many answer, are an
	// outage of our own network. Servers that never answered do not count: else phantom domains could feign an outage.
	outageServers = 8
	// outageEnd servers that answer end it.
	outageEnd = 3

	// familyServers of an address family that cannot be reached, none in between that could, mean that the family does not work
	// here; so many silent ones mean the same where the other family works.
	familyUnreachable = 3
	familySilent      = 8
	familyFirst       = 10 * time.Second // how long it is left alone, doubled each time
	familyMax         = 10 * time.Minute
)

// network is what is known of our own network: whether it is there at all, and for which address families.
type network struct {
	mu            sync.Mutex
	window        int64 // number of the current one, from 1
	silents       [2]int
	heards        [2]int // servers in the current window and the one before
	from          int64  // of the last outage; timeouts since then are forgiven
	until         int64
	out           bool
	since         int // servers that answered since it began
	lastHeard     [2]int64
	families      [2]family
	everHeard     [2]bool
	pardonedUntil int64
}

type family struct {
	unreachable int
	silent      int
	down        int64 // until
	wait        time.Duration
}

func (n *network) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.window, n.silents, n.heards, n.from, n.until, n.out, n.since = 0, [2]int{}, [2]int{}, 0, 0, false, 0
	n.lastHeard, n.families, n.everHeard, n.pardonedUntil = [2]int64{}, [2]family{}, [2]bool{}, 0
}

// turn makes the window of now the current one.
func (n *network) turn(now int64) {
	w := now/window + 1
	switch {
	case w == n.window+1:
		n.silents[1], n.heards[1] = n.silents[0], n.heards[0]
		n.silents[0], n.heards[0] = 0, 0
	case w > n.window+1:
		n.silents, n.heards = [2]int{}, [2]int{}
	}
	n.window = max(n.window, w)
}

// heard notes an answer. in is the window in which the server was counted last.
func (n *network) heard(f int, in *int64, now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.turn(now)
	n.lastHeard[f], n.everHeard[f] = now, true
	n.families[f] = family{}
	if *in == n.window {
		return
	}
	*in = n.window
	n.heards[0]++
	if n.out {
		if n.since++; n.since >= outageEnd {
			n.out, n.until = false, now
			n.silents = [2]int{}
		}
	}
}

// silent notes a timeout and tells whether it is our own network's doing. known: the server had answered before; first: it is its first
// timeout in a row.
func (n *network) silent(f int, known, first bool, in *int64, now int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.turn(now)
	if known && *in != n.window {
		*in = n.window
		n.silents[0]++
	}
	silents, heards := n.silents[0]+n.silents[1], n.heards[0]+n.heards[1]
	if !n.out && silents >= outageServers && 4*heards < silents {
		n.out, n.from, n.until, n.since = true, now-2*window, math.MaxInt64, 0
	}
	if n.out {
		return true
	}
	if first {
		n.familySilence(f, now)
	}
	return false
}

// familySilence counts servers of a family that are silent, while the other family works.
func (n *network) familySilence(f int, now int64) {
	other := 1 - f
	if !n.everHeard[other] || now-n.lastHeard[other] > int64(time.Minute) {
		return
	}
	fam := &n.families[f]
	if fam.silent++; fam.silent >= familySilent && now >= fam.down {
		fam.rest(now)
		fam.silent = familySilent - 1 // one more is enough the next time
	}
}

// unreachable notes a server that cannot be reached.
func (n *network) unreachable(f int, now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fam := &n.families[f]
	if fam.unreachable++; fam.unreachable >= familyUnreachable && now >= fam.down {
		fam.rest(now)
		fam.unreachable = familyUnreachable - 1
	}
}

func (f *family) rest(now int64) {
	f.wait = min(max(2*f.wait, familyFirst), familyMax)
	f.down = now + int64(f.wait)
}

func (n *network) familyDown(f int, now int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return now < n.families[f].down
}

// forgives tells whether a timeout was noticed in the last outage, or before a Pardon.
func (n *network) forgives(at int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.until > 0 && at >= n.from && at <= n.until || at < n.pardonedUntil
}

// Outage tells whether our own network seems to be gone.
func (t *Table) Outage() bool {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	return t.network.out
}

// Pardon forgets all timeouts and what is held against address families: the machine has a new link or address.
func (t *Table) Pardon(now int64) {
	n := &t.network
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pardonedUntil = now + 1
	n.families = [2]family{}
	n.out, n.until = false, min(n.until, now)
	n.silents = [2]int{}
}

// Families tells whether IPv4 and IPv6 work from here, as far as is known.
func (t *Table) Families(now int64) (v4, v6 bool) {
	return !t.network.familyDown(0, now), !t.network.familyDown(1, now)
}
