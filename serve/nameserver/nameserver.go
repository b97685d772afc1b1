// Package nameserver remembers what was learned of the servers of others: how long they take, whether they answer at all, what
// they cannot do, their cookies, and for which zones they are lame.
//
// It promises: memory is bounded, whoever names the servers; nothing is held against a server for ever, whatever was
// learned; a server that is down costs one query at a time; an outage of our own network is not held against the servers
// (servers.md 4, row 1); an address family that does not work is noticed once and not per server (row 3). What it says depends on
// what it was told and when, and on nothing else. Safe for concurrent use; each call holds one lock of 16 for a moment.
//
// It refuses to choose a server, and to judge replies: SetEDNS, SetCookie and SetLame are for what a reply said that
// matched the question in everything, else a stranger could switch off what protects us (CVE-2026-52690).
//
// Limits today: the scope of a link-local address is not part of its key; zones are known by a 128-bit hash only, so that List cannot
// name them.
package nameserver

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"anyu/dns/wire"
)

// Config bounds a Table. Zero fields take the defaults.
type Config struct {
	Servers int           // remembered at most; 20,000
	Lame    int           // pairs of server and zone that are lame, remembered at most; 20,000
	TTL     time.Duration // how long what was learned counts without news; 15 minutes
	Seed    uint64        // of the hash of zones and shards; not changed by Configure
}

const (
	defaultServers = 20_000
	defaultLame    = 20_000
	defaultTTL     = 15 * time.Minute

	shards = 16
)

func (c Config) withDefaults() Config {
	if c.Servers <= 0 {
		c.Servers = defaultServers
	}
	if c.Lame <= 0 {
		c.Lame = defaultLame
	}
	if c.TTL <= 0 {
		c.TTL = defaultTTL
	}
	c.Servers = max(c.Servers, shards)
	c.Lame = max(c.Lame, shards)
	return c
}

// Table is what is known. Use New.
type Table struct {
	seed    uint64
	ttl     atomic.Int64
	shards  [shards]shard
	network network
}

// shard is a part of the table. Nothing in it holds a pointer that the garbage collector would follow.
type shard struct {
	mu      sync.Mutex
	servers clock[address, server]
	lame    clock[zoneKey, lameness]
}

// address is an IP address, IPv4 mapped, and a port.
type address [18]byte

func keyOf(addr netip.AddrPort) (a address) {
	ip := addr.Addr().Unmap().As16()
	copy(a[:], ip[:])
	binary.BigEndian.PutUint16(a[16:], addr.Port())
	return a
}

func (a address) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[:16])).Unmap(), binary.BigEndian.Uint16(a[16:]))
}

// family is 0 for IPv4, 1 for IPv6.
func (a address) family() int {
	if netip.AddrFrom16([16]byte(a[:16])).Is4In6() {
		return 0
	}
	return 1
}

// New returns an empty table.
func New(config Config) *Table {
	t := &Table{seed: config.Seed}
	t.Configure(config)
	return t
}

// Configure changes the bounds and keeps what is known, as far as it fits.
func (t *Table) Configure(config Config) {
	config = config.withDefaults()
	t.ttl.Store(int64(config.TTL))
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.servers.resize(config.Servers / shards)
		s.lame.resize(config.Lame / shards)
		s.mu.Unlock()
	}
}

func (t *Table) shard(a address) *shard {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(a[8:])^t.seed|1, binary.LittleEndian.Uint64(a[:])^0x9e3779b97f4a7c15)
	return &t.shards[(hi^lo^uint64(a[17]))%shards]
}

// State is what is known of a server at a moment.
type State struct {
	Known    bool          // it has answered, and RTT says how fast
	RTT      time.Duration // smoothed
	RTO      time.Duration // how long to wait for an answer
	Timeouts int           // in a row
	Answers  bool          // it has answered, and not been silent since
	Down     bool          // too many of them: Begin lets one query through at a time, and not often
	Probe    bool          // with Down: one would be let through now

	FamilyDown  bool // its address family does not work from here
	Unreachable bool // the network said that it cannot be reached

	Lame          bool // for the zone asked about: not authoritative, for any type
	LameA         bool // for type A only
	LameOther     bool // for other types only
	LameRecursive bool // answers from its cache
	DNSSECLame    bool // leaves signatures out

	NoEDNS  bool // answers only without EDNS
	EDNS    bool // has answered with EDNS
	TCPOnly bool // UDP does not get answers that can be trusted
	Cookie  Cookie

	Outstanding int // queries under way
	drops       uint8
	silent      uint8 // kinds of questions that it was silent to, last
}

// Drops tells whether the server answers, but not questions of this type (u/iter_timeout_ra_aaaa).
func (s *State) Drops(t wire.Type) bool { return s.drops&(1<<kindOf(t)) != 0 }

// Rests tells whether the server is down for questions of this type, and it is not time yet to try again.
func (s *State) Rests(t wire.Type) bool {
	return s.Down && !s.Probe && s.silent&(1<<kindOf(t)) != 0
}

// LameFor tells whether the server is lame for the zone where this type is concerned.
func (s *State) LameFor(t wire.Type) bool {
	if t == wire.TypeA {
		return s.Lame || s.LameA
	}
	return s.Lame || s.LameOther
}

// Look returns what is known of a server, and of it as a server of a zone; without a zone nothing is said of lameness.
func (t *Table) Look(addr netip.AddrPort, zone wire.Name, now int64) State {
	a := keyOf(addr)
	state := State{RTO: firstRTO, FamilyDown: t.network.familyDown(a.family(), now)}
	s := t.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.servers.get(a); e != nil {
		t.refresh(e, now)
		e.tell(&state, now)
	}
	if zone != nil {
		if l := s.lame.get(t.zoneKey(a, zone)); l != nil {
			l.tell(&state, now)
		}
	}
	return state
}

// Server is a row of List.
type Server struct {
	Addr netip.AddrPort
	State
}

// List returns all servers that something is known of, in no order.
func (t *Table) List(now int64) []Server {
	var list []Server
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.servers.each(func(a address, e *server) {
			t.refresh(e, now)
			row := Server{Addr: a.addrPort()}
			row.RTO = firstRTO
			row.FamilyDown = t.network.familyDown(a.family(), now)
			e.tell(&row.State, now)
			list = append(list, row)
		})
		s.mu.Unlock()
	}
	return list
}

// Forget drops what is known of a server, lameness apart, which ends by itself.
func (t *Table) Forget(addr netip.AddrPort) {
	a := keyOf(addr)
	s := t.shard(a)
	s.mu.Lock()
	s.servers.remove(a)
	s.mu.Unlock()
}

// Clear drops everything.
func (t *Table) Clear() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.servers.clear()
		s.lame.clear()
		s.mu.Unlock()
	}
	t.network.clear()
}
