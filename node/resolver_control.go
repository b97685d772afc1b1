package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/serve/mirror"
	"anyu/serve/pending"
	"anyu/serve/resolve"
)

// RecursionState is the resolver in figures, for `anyu control recursion`.
type RecursionState struct {
	Off      bool         `json:"off"`
	Allowed  []string     `json:"allowed"`
	Cache    CacheState   `json:"cache"`
	Loops    []LoopState  `json:"loops"`
	Anchors  []AnchorKey  `json:"anchors"`
	Negative []Negative   `json:"negative"`
	Zones    []string     `json:"zones"` // stub and forward
	Servers  []ServerInfo `json:"servers"`
	Outage   bool         `json:"outage"`
	// LocalRoot is the copy of the root zone; nil: none is configured.
	LocalRoot *LocalRootState `json:"local_root,omitempty"`
	// Outgoing counts messages to and from other servers, by what became of them.
	Outgoing map[string]uint64 `json:"outgoing"`
	// Streams are the configured servers spoken to over TLS, HTTPS and QUIC.
	Streams []StreamInfo `json:"streams,omitempty"`
	// ClientRate is the limit of queries of one client.
	ClientRate ClientRateState `json:"client_rate"`
	// Local is what the operator wants answered here.
	Local LocalState `json:"local"`
}

// LocalRootState is the copy of the root zone as people see it.
type LocalRootState = mirror.State

// StreamInfo is a server spoken to over TLS, HTTPS or QUIC.
type StreamInfo struct {
	Server   string    `json:"server"`
	Protocol string    `json:"protocol"`
	Name     string    `json:"name,omitempty"`
	Open     uint64    `json:"open"`
	Since    time.Time `json:"connected,omitzero"`
	Queries  uint64    `json:"queries"`
	Replies  uint64    `json:"replies"`
	Failed   uint64    `json:"failed"`
	Problem  string    `json:"problem,omitempty"`
}

// CacheState is what the cache holds.
type CacheState struct {
	Bytes   int64  `json:"bytes"`
	Size    int64  `json:"size"`
	RRsets  int    `json:"rrsets"`
	Answers int    `json:"answers"`
	Packets int    `json:"packets"`
	Denials int    `json:"denials"`
	Hits    uint64 `json:"hits"`
	Misses  uint64 `json:"misses"`
	Evicted uint64 `json:"evicted"`
}

// LoopState is one loop of the resolver.
type LoopState struct {
	Tasks   int `json:"tasks"`
	Waiting int `json:"waiting"`
	pending.Counts
}

// AnchorKey is a key or DS that is trusted, or on its way to be.
type AnchorKey struct {
	Zone    string    `json:"zone"`
	Type    string    `json:"type"`
	Tag     uint16    `json:"tag"`
	State   string    `json:"state"`
	Since   time.Time `json:"since,omitzero"`
	Probe   time.Time `json:"next_probe,omitzero"`
	Problem string    `json:"problem,omitempty"`
}

// ServerInfo is a server of others, as it was met.
type ServerInfo struct {
	Address string  `json:"address"`
	RTT     float64 `json:"rtt_seconds"` // 0: not known
	Down    bool    `json:"down"`
	NoEDNS  bool    `json:"no_edns"`
	TCPOnly bool    `json:"tcp_only"`
	Under   int     `json:"under_way"`
}

// protocolNames are for people.
var protocolNames = map[resolve.Protocol]string{resolve.TLS: "tls", resolve.HTTPS: "https", resolve.QUIC: "quic"}

// maxShownServers bounds the list that control gets: those asked most are of use, and there may be 20,000.
const maxShownServers = 200

// state is a snapshot.
func (r *resolver) state(now time.Time) RecursionState {
	s := RecursionState{Outage: r.servers.Outage(), Outgoing: r.sum().outgoing}
	if r.root != nil {
		s.LocalRoot = r.root.State()
	}
	for _, u := range r.streams.Upstreams() {
		if u.Protocol == resolve.Plain {
			continue // a long answer now and then: these come and go
		}
		s.Streams = append(s.Streams, StreamInfo{Server: u.Server.String(), Protocol: protocolNames[u.Protocol], Name: u.Name, Open: u.Open, Since: u.Connected,
			Queries: u.Queries, Replies: u.Replies, Failed: u.Failed, Problem: u.Problem})
	}
	c := r.cache.Stats()
	s.Cache = CacheState{Bytes: c.Bytes, RRsets: c.RRsets, Answers: c.Answers + c.Failures, Packets: c.Packets, Denials: c.Denials, Hits: c.Hits, Misses: c.Misses, Evicted: c.Evicted}
	for _, l := range r.loops.Each() {
		s.Loops = append(s.Loops, loopState(l))
	}
	for _, f := range r.servers.List(now.UnixNano()) {
		s.Servers = append(s.Servers, ServerInfo{Address: f.Addr.String(), RTT: f.RTT.Seconds(), Down: f.Down, NoEDNS: f.NoEDNS, TCPOnly: f.TCPOnly, Under: f.Outstanding})
	}
	slices.SortFunc(s.Servers, func(a, b ServerInfo) int {
		if d := b.Under - a.Under; d != 0 {
			return d
		}
		return strings.Compare(a.Address, b.Address)
	})
	s.Servers = s.Servers[:min(len(s.Servers), maxShownServers)]
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Cache.Size = r.plan.cache.Bytes
	for i, z := range r.plan.resolve.Zones {
		kind := "stub"
		if z.Forward {
			kind = "forward"
		}
		s.Zones = append(s.Zones, fmt.Sprintf("%s %s", kind, r.plan.resolve.Zones[i].Name))
	}
	s.Anchors = r.anchors.keys()
	s.Negative = r.negatives(now)
	s.ClientRate = r.rateState()
	s.Local = localState(r.local)
	return s
}

// negatives are all of them, wherever they come from. r.mu is held.
func (r *resolver) negatives(now time.Time) (list []Negative) {
	for _, n := range r.plan.validate.Negative {
		a := Negative{Name: n.Name.String(), Owner: n.Owner, Reason: n.Reason, From: "configuration"}
		if n.End == 0 {
			a.From = "command line"
		} else {
			a.End = time.Unix(n.End, 0).UTC()
		}
		list = append(list, a)
	}
	return append(list, r.nta.current(now)...)
}

// keys are those of all trust anchors.
func (a *anchors) keys() (list []AnchorKey) {
	for zone, fixed := range a.fixed {
		p := a.points[zone]
		if p == nil {
			for _, f := range fixed {
				list = append(list, AnchorKey{Zone: zone, Type: f.Type.String(), Tag: tagOf(f.Type, f.Data), State: "configured"})
			}
			continue
		}
		list = append(list, p.keys...)
	}
	slices.SortFunc(list, func(x, y AnchorKey) int {
		if c := strings.Compare(x.Zone, y.Zone); c != 0 {
			return c
		}
		return int(x.Tag) - int(y.Tag)
	})
	return list
}

// tagOf is the key tag of a DNSKEY, or the one that a DS names (RFC 4034, Section 5.1.1).
func tagOf(t wire.Type, rdata []byte) uint16 {
	if t == wire.TypeDS && len(rdata) > 2 {
		return binary.BigEndian.Uint16(rdata)
	}
	return dnssec.KeyTag(rdata)
}

var errNoRecursion = errors.New("this node does not resolve: recursion.off is set")

// recursionCommand runs a control command about the resolver; ok is false for others.
func (n *Node) recursionCommand(command string, args []string) (result any, ok bool, err error) {
	switch command {
	case "flush", "nta", "recursion":
	default:
		return nil, false, nil
	}
	r := n.resolver()
	if r == nil || n.conf().Recursion.Off {
		return nil, true, errNoRecursion
	}
	switch command {
	case "recursion":
		s := r.state(time.Now())
		for _, p := range append(loopback[:], n.conf().Clients.Recursion...) {
			s.Allowed = append(s.Allowed, p.String())
		}
		return s, true, nil
	case "flush":
		result, err = r.flushCommand(args)
	default:
		result, err = r.negativeCommand(args, time.Now())
	}
	return result, true, err
}

// flushCommand: NAME, NAME subtree, or all.
func (r *resolver) flushCommand(args []string) (any, error) {
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && args[1] != "subtree" {
		return nil, errors.New("flush takes NAME, NAME --subtree, or all")
	}
	if args[0] == "all" {
		count := r.flush(".")
		r.validator.Flush(wire.Root(), true)
		return fmt.Sprintf("the cache is empty; %d entries were forgotten", count), nil
	}
	name, err := wire.ParseName(args[0])
	if err != nil {
		return nil, err
	}
	below := len(args) == 2
	count := r.cache.Flush(name, below)
	r.validator.Flush(name, below)
	what := canonical(name)
	if below {
		what += " and below"
	}
	return fmt.Sprintf("%s: %d entries were forgotten", what, count), nil
}

// negativeCommand: list, add NAME owner reason duration, remove NAME.
func (r *resolver) negativeCommand(args []string, now time.Time) (any, error) {
	switch {
	case len(args) == 1 && args[0] == "list":
		r.mu.Lock()
		defer r.mu.Unlock()
		list := r.negatives(now)
		if list == nil {
			list = []Negative{}
		}
		return list, nil
	case len(args) == 5 && args[0] == "add":
		life, err := time.ParseDuration(args[4])
		if err != nil {
			return nil, err
		}
		if err := r.nta.add(Negative{Name: args[1], Owner: args[2], Reason: args[3], Begin: now.UTC().Truncate(time.Second), End: now.Add(life).UTC().Truncate(time.Second)}, now); err != nil {
			return nil, err
		}
		r.retrust(args[1])
		return fmt.Sprintf("%s is not validated until %s", args[1], now.Add(life).Format(time.DateTime)), nil
	case len(args) == 2 && args[0] == "remove":
		if err := r.nta.remove(args[1], now); err != nil {
			return nil, err
		}
		r.retrust(args[1])
		return args[1] + " is validated again", nil
	}
	return nil, errors.New("nta takes list, add NAME --owner WHO --reason TEXT [--for 24h], or remove NAME")
}

// retrust makes the validator take the negative trust anchors of now, and forgets what was judged without them.
func (r *resolver) retrust(names ...string) {
	r.mu.Lock()
	r.validator.Configure(r.trust())
	r.mu.Unlock()
	for _, n := range names {
		r.flush(n)
	}
}

// endNegatives flushes what was cached under a negative trust anchor when that ends (RFC 7646, Section 4).
func (r *resolver) endNegatives(ctx context.Context) {
	before := r.names(time.Now())
	for {
		select {
		case <-time.After(negativeWake):
		case <-ctx.Done():
			return
		}
		after := r.names(time.Now())
		for name := range before {
			if !after[name] {
				r.retrust(name)
			}
		}
		before = after
	}
}

const negativeWake = 10 * time.Second

// names of the negative trust anchors in force.
func (r *resolver) names(now time.Time) map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]bool{}
	for _, n := range r.negatives(now) {
		if n.End.IsZero() || n.End.After(now) {
			all[n.Name] = true
		}
	}
	return all
}
