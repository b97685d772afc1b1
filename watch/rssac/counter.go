// Package rssac keeps the measurements that operators of root servers publish each day, RSSAC002: traffic-volume, traffic-sizes,
// rcode-volume, unique-sources, load-time and zone-size. docs/formats/rssac002.md tells each one's source, and what differs.
//
// It promises: a day is one of UTC; its files are written a minute after it is over, and say in their first lines what of the day is not in them;
// what was counted survives a stop, and a kill but for saveEvery; memory is bounded by maxExact sources of each kind, beyond which
// their number is an estimate and said to be one. It observes one source, this server or a tap.
// It refuses averages and sums over instances: that is for whoever has several.
// Limits today: encrypted transports are no part of RSSAC002 and are counted apart.
package rssac

import (
	"fmt"
	"sync"
	"time"

	"anyu/event"
)

// Options say what is counted and where it is kept.
type Options struct {
	Dir     string // DATA/rssac002
	Service string // l.root-servers.net
	Version string // rssac002v4
	Source  uint16 // of the observations
	Zones   []string
	Node    string
	Dropped func() uint64 // observations lost since the start of the process; nil: none
	Log     func(error)
}

const (
	// saveEvery bounds what a kill loses.
	saveEvery = 10 * time.Second
	// grace is how long after midnight observations of the day before may still come.
	grace = time.Minute
	day   = 24 * time.Hour
)

// Counter counts. Observe and Tick come from one goroutine, Keep and Close from another; all may ask.
type Counter struct {
	opts Options

	mu      sync.Mutex
	now     *counts
	before  *counts // until its files are written, by Keep alone
	dropped uint64  // at the last tick
	failed  error   // of the last save or the last files
	saved   time.Time
}

// Open reads what an earlier run counted of this day, and writes the files of days that are over.
func Open(o Options, now time.Time) (*Counter, error) {
	c := &Counter{opts: o}
	kept, err := load(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("reading what RSSAC002 has counted: %w", err)
	}
	for _, k := range kept {
		if k.Service == o.Service && k.Day == dayOf(now) {
			c.now = k
			continue
		}
		// What is there of another day, or of another service, is finished as it is.
		if err := c.finish(k); err != nil {
			return nil, err
		}
	}
	if c.now == nil {
		c.now = begin(o.Service, dayOf(now))
	}
	c.now.resume(now)
	return c, nil
}

func dayOf(t time.Time) int64 { return t.Unix() / 86400 }

// Observe counts one observation.
func (c *Counter) Observe(q *event.Query) {
	if q.Source != c.opts.Source {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	to := c.now
	if q.Has&event.HasTime != 0 && c.before != nil && q.Time/1e9/86400 == c.before.Day {
		to = c.before
	}
	to.observe(q)
}

// Tick notes that now is watched, and begins a day. Nothing is read or written: the one who calls drains the rings.
func (c *Counter) Tick(now time.Time, _ func(event.Finding)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opts.Dropped != nil {
		n := c.opts.Dropped()
		c.now.Dropped += n - c.dropped
		c.dropped = n
	}
	if today := dayOf(now); today != c.now.Day && c.before == nil {
		midnight := c.now.end()
		if today == c.now.Day+1 {
			c.now.watch(midnight)
		}
		c.before, c.now = c.now, begin(c.opts.Service, today)
		if today == c.before.Day+1 {
			c.now.resume(midnight)
		}
	}
	c.now.watch(now)
}

// Keep writes the files of a day that is over, and every saveEvery what was counted. It tells a finding about the day.
func (c *Counter) Keep(now time.Time, report func(event.Finding)) {
	c.mu.Lock()
	done := c.before
	over := done != nil && now.Sub(done.end()) >= grace
	due := now.Sub(c.saved) >= saveEvery || now.Before(c.saved)
	c.mu.Unlock()
	if over {
		err := c.finish(done)
		c.fails(err)
		if err == nil {
			c.mu.Lock()
			c.before = nil
			c.mu.Unlock()
			report(c.finding(done, now))
		} // else once more with the next call
	}
	if due {
		c.mu.Lock()
		c.saved = now
		c.mu.Unlock()
		c.fails(c.save())
	}
}

// fails notes an error, and logs it once.
func (c *Counter) fails(err error) {
	c.mu.Lock()
	fresh := err != nil && (c.failed == nil || c.failed.Error() != err.Error())
	c.failed = err
	c.mu.Unlock()
	if fresh && c.opts.Log != nil {
		c.opts.Log(err)
	}
}

// kindIncomplete is the finding about a day that was not counted whole.
const kindIncomplete = "rssac-incomplete"

// finding is open after a day of which something is missing, and closed by a whole one.
func (c *Counter) finding(k *counts, now time.Time) event.Finding {
	f := event.Finding{Kind: kindIncomplete, Subject: c.opts.Service, Node: c.opts.Node, Severity: event.Warning, Opened: now, Updated: now}
	missing, lost := k.missing(k.end()), k.Dropped
	if missing == 0 && lost == 0 {
		f.Opened, f.Closed = time.Time{}, now // with both it would be a finding of a moment, each whole day
		return f
	}
	f.Facts = []event.Fact{{Name: "day", Value: k.date().Format(time.DateOnly)}, {Name: "missing", Value: missing.String()}, {Name: "dropped", Value: fmt.Sprint(lost)}}
	return f
}

// ZoneServed notes that a version of a zone is served now, since when it was known to exist, and how many octets a transfer of it has.
func (c *Counter) ZoneServed(zone string, serial uint32, known, served time.Time, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, z := range c.opts.Zones {
		if z == zone {
			c.now.served(Version{Zone: zone, Serial: serial, Seconds: max(0, int64(served.Sub(known)/time.Second)), Size: size})
			return
		}
	}
}

// Wants tells whether a zone is measured: its size takes some time to be computed.
func (c *Counter) Wants(zone string) bool {
	for _, z := range c.opts.Zones {
		if z == zone {
			return true
		}
	}
	return false
}

// Close saves what was counted.
func (c *Counter) Close() error { return c.save() }
