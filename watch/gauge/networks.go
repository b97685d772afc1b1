package gauge

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// MaxNetworks bounds the client networks that are counted by name: each observation is held against them.
const MaxNetworks = 64

// networks counts what clients of some prefixes asked.
type networks struct {
	all    []network // the longest prefix first; the last is everything else
	counts map[networkSource]*[outcomes]uint64
}

// network is a prefix as two halves of an address and of its mask.
type network struct {
	prefix                     netip.Prefix
	high, low, highBits, lowOf uint64
}

type networkSource struct{ network, source int }

// SetNetworks names the client prefixes that are counted, at most MaxNetworks. It is called before anything is observed.
func (g *Gauge) SetNetworks(prefixes []netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := slices.Clone(prefixes[:min(len(prefixes), MaxNetworks)])
	slices.SortFunc(list, func(a, b netip.Prefix) int { return cmp.Compare(bitsOf(b), bitsOf(a)) })
	g.networks = networks{counts: map[networkSource]*[outcomes]uint64{}}
	for _, p := range list {
		a, n := p.Addr().As16(), network{prefix: p}
		bits := bitsOf(p)
		n.highBits, n.lowOf = ^uint64(0)<<max(0, 64-bits), ^uint64(0)<<min(64, 128-bits)
		n.high, n.low = binary.BigEndian.Uint64(a[:8])&n.highBits, binary.BigEndian.Uint64(a[8:])&n.lowOf
		g.networks.all = append(g.networks.all, n)
	}
}

// bitsOf is the length of a prefix among addresses of 16 octets.
func bitsOf(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 96 + p.Bits()
	}
	return p.Bits()
}

// add counts an observation of a client. Nothing is configured mostly.
func (n *networks) add(source int, client *[16]byte, o Outcome) {
	if len(n.all) == 0 {
		return
	}
	high, low := binary.BigEndian.Uint64(client[:8]), binary.BigEndian.Uint64(client[8:])
	at := 0
	v4 := isIPv4(client)
	for at < len(n.all) && !n.all[at].holds(high, low, v4) {
		at++
	}
	key := networkSource{at, source}
	c := n.counts[key]
	if c == nil {
		c = new([outcomes]uint64)
		n.counts[key] = c
	}
	c[o]++
}

// holds tells whether an address is in the prefix. ::/0 is all of IPv6, not the IPv4 that is written in it.
func (n *network) holds(high, low uint64, v4 bool) bool {
	return high&n.highBits == n.high && low&n.lowOf == n.low && v4 == n.prefix.Addr().Is4()
}

// Network is what clients of one prefix asked one source since the start.
type Network struct {
	Source, Node, Prefix string // Prefix is "other" for clients of none

	Outcomes [4]uint64
}

// Networks are the configured prefixes that clients asked from, and the others.
func (g *Gauge) Networks() (list []Network) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, c := range g.networks.counts {
		n := Network{Source: g.sources[key.source].name, Node: g.sources[key.source].node, Prefix: other, Outcomes: *c}
		if key.network < len(g.networks.all) {
			n.Prefix = g.networks.all[key.network].prefix.String()
		}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b Network) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Prefix, b.Prefix))
	})
	return list
}
