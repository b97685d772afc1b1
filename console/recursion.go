package console

import (
	"net/http"
	"time"

	"anyu/console/unit"
)

// Resolver tells how the resolver is; nil: this node does not resolve.
type Resolver interface{ Recursion() *Recursion }

// Recursion is the resolver as the page shows it.
type Recursion struct {
	Allowed  []string
	Tasks    int // being looked up
	Waiting  int // clients
	Counts   []Counted
	Cache    CacheState
	Outgoing []Counted // by what became of them
	Known    int       // servers
	Down     []Peer    // the first maxDown of those that do not answer
	DownAll  int
	Outage   bool
	Anchors  []AnchorKey
	Negative []NegativeAnchor
	Zones    []string // configured upstreams
	Streams  []Stream
	Root     *RootCopy // nil: none is configured
	Rate     ClientRate
	Local    LocalData
}

// LocalData is what is answered here as the operator says.
type LocalData struct {
	Records  int
	Answered uint64 // from records without a rule
	Rules    []LocalRule
	More     int // rules beside these, which answered less
}

// LocalRule is a rule, and how often it answered.
type LocalRule struct {
	Name, Answer string
	Answered     uint64
}

// ClientRate is the limit of queries of one client, and who is over it now.
type ClientRate struct {
	PerSecond, Burst, Prefix4, Prefix6 int
	Worst                              []Offender
}

// Offender is a prefix, with how many of its queries were over the limit at least.
type Offender struct {
	Prefix string
	N      uint64
}

// Counted is a number with the key of its name.
type Counted struct {
	Key string
	N   uint64
}

// CacheState is what the cache holds.
type CacheState struct {
	Bytes, Size                       int64
	RRsets, Answers, Packets, Denials int
	Hits, Misses, Evicted             uint64
}

// Peer is a server of others.
type Peer struct {
	Address string
	RTT     time.Duration
	Under   int
}

// AnchorKey is a key that is trusted, or on its way to be (RFC 5011).
type AnchorKey struct {
	Zone, Type, State string
	Tag               uint16
	Since, Probe      time.Time
	Problem           string
}

// NegativeAnchor is where nothing is validated for a while (RFC 7646).
type NegativeAnchor struct {
	Name, Owner, Reason, From string
	End                       time.Time // zero: as long as the process runs
}

// Stream is a server spoken to over TLS, HTTPS or QUIC.
type Stream struct {
	Server, Name, Protocol         string
	Open, Queries, Replies, Failed uint64
	Problem                        string
}

// RootCopy is the local root (RFC 8806).
type RootCopy struct {
	Usable                  bool
	Serial                  uint32
	Source                  string
	Verified, Expires, Next time.Time
	Failed                  int
	Problem                 string
}

// MaxDown bounds the list of servers that do not answer: there may be thousands.
const MaxDown = 50

type recursionView struct {
	*page
	R *Recursion
}

func (c *Console) recursion(p *page) error {
	p.Title = p.T("nav.recursion")
	v := recursionView{page: p}
	if c.opts.Resolver != nil {
		v.R = c.opts.Resolver.Recursion()
	}
	return p.show("recursion", http.StatusOK, v)
}

// apiRecursion is the same for programs; null where nothing is resolved.
func (c *Console) apiRecursion(p *page) error {
	var r *Recursion
	if c.opts.Resolver != nil {
		r = c.opts.Resolver.Recursion()
	}
	p.json(http.StatusOK, map[string]any{"recursion": r})
	return nil
}

// Count writes a counter.
func (p *page) Count(n uint64) string { return unit.Count.Text(float64(n)) }

// RTT writes a round trip, which may be unknown.
func (p *page) RTT(d time.Duration) string {
	if d == 0 {
		return unit.Unknown
	}
	return unit.Seconds.Text(d.Seconds())
}

// Used is how full the cache is, HitRate how often it helped.
func (v recursionView) Used() string { return share(uint64(v.R.Cache.Bytes), uint64(v.R.Cache.Size)) }
func (v recursionView) HitRate() string {
	return share(v.R.Cache.Hits, v.R.Cache.Hits+v.R.Cache.Misses)
}
func (v recursionView) Looked() string { return v.Count(v.R.Cache.Hits + v.R.Cache.Misses) }

func share(part, whole uint64) string {
	if whole == 0 {
		return unit.Unknown
	}
	return unit.Ratio.Text(float64(part) / float64(whole))
}
