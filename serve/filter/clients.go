package filter

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"sync/atomic"
)

const (
	// clientLines is the fixed size of the table, in lines of 64 octets: an attack with many sources costs no memory.
	clientLines = 1 << 13
	clientSlots = 8 // a line

	tagShift = 48
	timeMask = 1<<tagShift - 1 // of times, which begin anew after nine years

	// clockSlack is how far, in microseconds, the time of one worker may be behind that of another.
	clockSlack = 1_000_000

	// offenders is how many prefixes over the limit are counted by name, for people.
	offenders = 64
)

// ClientsConfig is what Clients holds to.
type ClientsConfig struct {
	PerSecond uint32 // queries of one prefix; not 0
	Burst     uint32 // that may come at once; not 0
	Slip      uint32 // every so-many-th query over the limit is told to come over TCP; 0 never, 1 always
	Bits4     int    // the length of prefixes of IPv4, at most 32
	Bits6     int    // and of IPv6, at most 64
	Exempt    ACL    // without limit, beside loopback
}

// Clients limits how many queries for recursion a prefix may send, so that one client, broken or hostile, does not take the resolver from the
// others. Over the limit a query over UDP is dropped, or told to come over TCP; one whose sender has proved its address is refused, with a reason.
// Addresses that are proved (by a cookie or a stream) have a count of their own: who forges a client's address cannot use that up.
//
// The table is shared by all workers: the kernel spreads the ports of one client over them, and the limit is meant for all together. It is changed by
// compare-and-swap on one word, no worker waits for another. A word holds 16 bits of tag and the time, in microseconds, until when what was used
// is paid for (the generic cell rate algorithm: a token bucket in one number). Where a line is full, the prefix that has been quiet for
// longest is forgotten, which errs towards answering.
type Clients struct {
	config   ClientsConfig
	interval uint64 // µs a query is paid for
	slack    uint64 // µs that may be owed
	seed     [2]uint64
	lines    []clientLine
	slips    atomic.Uint32
	counts   [3]atomic.Uint64
	worst    [offenders]offender
}

type clientLine [clientSlots]atomic.Uint64

// offender counts for one prefix of all that share its place: that with the most, as far as one number can tell.
type offender struct{ prefix, count atomic.Uint64 }

// NewClients returns a limiter. Its seed is random so that lines cannot be aimed at.
func NewClients(c ClientsConfig, seed [2]uint64) *Clients {
	interval := max(1, 1_000_000/uint64(c.PerSecond))
	return &Clients{config: c, interval: interval, slack: interval * uint64(max(c.Burst, 1)), seed: [2]uint64{seed[0] | 1, seed[1] | 1}, lines: make([]clientLine, clientLines)}
}

// Verdict of Clients.Allow.
type Verdict uint8

const (
	Within   Verdict = iota
	Drop             // no reply: the address may be forged
	Truncate         // come over TCP
	Refuse           // the address is proved: tell it
)

// Allow counts a query of a client. proved tells that its address is its own. now is in ns.
func (c *Clients) Allow(from netip.Addr, proved bool, now int64) Verdict {
	from = from.Unmap()
	if from.IsLoopback() || c.config.Exempt.Contains(from) {
		return Within
	}
	p := c.prefix(from)
	h := c.hash(p, proved)
	if c.spend(&c.lines[h%clientLines], max(1, h>>tagShift), uint64(now)/1000&timeMask) {
		return Within
	}
	c.note(p)
	v := Drop
	switch {
	case proved:
		v = Refuse
	case c.config.Slip > 0 && c.slips.Add(1)%c.config.Slip == 0:
		v = Truncate
	}
	c.counts[v-Drop].Add(1)
	return v
}

// spend takes the place of a prefix in its line and moves the time until when it has paid.
func (c *Clients) spend(line *clientLine, tag, now uint64) bool {
	for {
		at, old := line.find(tag, now+c.slack+clockSlack)
		due := now
		if old>>tagShift == tag {
			// Not before now: what was not used is lost but for the burst. Workers count their batches out of order, so now may be a little less.
			// What lies further ahead was written before the clock was set back: holding to it would shut the client out for as long.
			if owed := (old - now) & timeMask; owed <= c.slack+clockSlack {
				due += owed
			}
		}
		due += c.interval
		if due > now+c.slack {
			return false
		}
		if at.CompareAndSwap(old, tag<<tagShift|due&timeMask) {
			return true
		}
	}
}

// find returns the place of a tag, or that of who has been quiet for longest. No time in use is past latest: one that is was written before the
// clock was set back, and counts as old.
func (l *clientLine) find(tag, latest uint64) (at *atomic.Uint64, old uint64) {
	most := uint64(0)
	at, old = &l[0], l[0].Load()
	for i := range l {
		v := l[i].Load()
		if v>>tagShift == tag {
			return &l[i], v
		}
		age := (latest - v) & timeMask
		if v == 0 {
			age = timeMask
		}
		if age >= most {
			most, at, old = age, &l[i], v
		}
	}
	return at, old
}

// mark4 is above all prefixes of IPv6 that clients can have (RFC 4291, Section 2.4: ff00::/8 is multicast).
const mark4 = 0xFFFF_FFFF << 32

// prefix is the client's prefix as one number.
func (c *Clients) prefix(from netip.Addr) uint64 {
	if from.Is4() {
		a := from.As4()
		return mark4 | uint64(binary.BigEndian.Uint32(a[:])&^uint32(1<<(32-c.config.Bits4)-1))
	}
	a := from.As16()
	return binary.BigEndian.Uint64(a[:]) &^ (1<<(64-c.config.Bits6) - 1)
}

func (c *Clients) readable(p uint64) netip.Prefix {
	if p&mark4 == mark4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(p)))), c.config.Bits4)
	}
	var a [16]byte
	binary.BigEndian.PutUint64(a[:], p)
	return netip.PrefixFrom(netip.AddrFrom16(a), c.config.Bits6)
}

func (c *Clients) hash(p uint64, proved bool) uint64 {
	if proved {
		p = bits.RotateLeft64(p, 17) ^ 0x9e3779b97f4a7c15
	}
	hi, lo := bits.Mul64(p^c.seed[0], c.seed[1])
	hi, lo = bits.Mul64(hi^lo^c.seed[1], c.seed[0])
	return hi ^ lo
}

// note counts a query over the limit. Two prefixes that share a place take from each other, so that the worst stays.
func (c *Clients) note(p uint64) {
	o := &c.worst[c.hash(p, false)>>32%offenders]
	switch o.prefix.Load() {
	case p:
		o.count.Add(1)
	default:
		if n := o.count.Load(); n > 0 {
			o.count.CompareAndSwap(n, n-1)
			return
		}
		o.prefix.Store(p)
		o.count.Store(1)
	}
}

// Over is what was over the limit.
type Over struct {
	Dropped   uint64 `json:"dropped"`
	Truncated uint64 `json:"truncated"`
	Refused   uint64 `json:"refused"`
}

// All is the sum.
func (o Over) All() uint64 { return o.Dropped + o.Truncated + o.Refused }

// Over counts since the start.
func (c *Clients) Over() Over {
	return Over{c.counts[0].Load(), c.counts[1].Load(), c.counts[2].Load()}
}

// Offender is a prefix with about how many of its queries were over the limit.
type Offender struct {
	Prefix netip.Prefix `json:"prefix"`
	Count  uint64       `json:"count"`
}

// Worst lists the prefixes that were over the limit since the last call of Forget, the worst first. Numbers are lower bounds.
func (c *Clients) Worst() (list []Offender) {
	for i := range c.worst {
		if n := c.worst[i].count.Load(); n > 0 {
			list = append(list, Offender{c.readable(c.worst[i].prefix.Load()), n})
		}
	}
	slices.SortFunc(list, func(a, b Offender) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	return list
}

// Forget begins the list of the worst anew.
func (c *Clients) Forget() {
	for i := range c.worst {
		c.worst[i].count.Store(0)
	}
}
