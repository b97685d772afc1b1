package resolve

import (
	"cmp"
	"net/netip"
	"slices"

	"anyu/dns/message"
	"anyu/dns/wire"
)

// Config is what an engine resolves with. It does not change; Engine.Configure takes another one.
type Config struct {
	Hints []Host // root servers, to start from (RFC 9609)
	Prime bool   // ask the hints for the root's name servers first
	Zones []Zone // answered by configured servers
	Local Local  // zones held here; nil: none

	Minimise bool // QNAME minimisation (RFC 9156)
	Strict   bool // what servers say of a shorter name is final: they are not told the whole one when they fail or deny (Section 2.3 leaves that open)
	SameCase bool // ask in the letters of the question, not in random case (0x20)
	IPv4     bool // ask servers over IPv4
	IPv6     bool

	// KeepPromiscuous keeps NS records nobody asked for in the answers (CVE-2025-11411). Only to compare with others.
	KeepPromiscuous bool
	// VerifyGlue does not use addresses that a parent gives of servers outside the zone until asking for them has failed.
	VerifyGlue bool
	// NameServers of a zone that are looked at; 0: MaxNames.
	NameServers int
	// Private addresses are removed from answers, except below PrivateNames (DNS rebinding).
	Private      []netip.Prefix
	PrivateNames []wire.Name
	// Exempt are private addresses that are let through nevertheless: a test network.
	Exempt []netip.Prefix
	// Forbidden tells which addresses are never asked because an answer names them: loopback, multicast, our own (CVE-2026-50251). Configured
	// servers and hints are not concerned. nil: none is forbidden.
	Forbidden func(netip.Addr) bool
	// Port of servers that answers name; 0: 53. Only a simulated Internet has another.
	Port uint16
	// Minimal leaves out the authority and additional records that an answer can do without.
	Minimal bool
	// DNS64 makes AAAA records from A records (RFC 6147) with this prefix; the zero Prefix: not.
	DNS64 netip.Prefix
	// DNS64Ignore are names whose AAAA records are as if they were not there, with all below them.
	DNS64Ignore []wire.Name
	// BelowNX believes that below a name that does not exist nothing does (RFC 8020).
	BelowNX bool
	// Sentinel answers questions about the trust anchors of the root (RFC 8509).
	Sentinel bool
	// Aggressive use of NSEC and NSEC3 (RFC 8198).
	Aggressive bool
	// OfZone bounds the questions to servers under way for one zone; 0: not bounded. Tasks bounds all resolutions; 0: MaxTasks.
	OfZone int
	Tasks  int
	// Bogus: seconds that what does not validate is not asked for again; 0: 60.
	Bogus uint32
	// Failed: seconds that a failure is remembered (RFC 9520, Section 3.2: 1 to 300).
	Failed uint32
	// MaxTTL, MinTTL and NegativeTTL bound what servers say of how long to keep things, seconds; 0: 86,400, 0 and 3,600.
	MaxTTL, MinTTL, NegativeTTL uint32
	// Tries bounds how often a silent server is asked; 0: MaxTries.
	Tries int
}

// Host is a name server with its addresses.
type Host struct {
	Name      wire.Name
	Addresses []netip.AddrPort
	Stream    bool // over TCP only; for those of a configured zone
}

// Zone is answered by configured servers instead of those that the parent names.
type Zone struct {
	Name    wire.Name
	Forward bool // the servers are resolvers (RD is set); else they are authoritative (a stub zone)
	First   bool // when they do not answer, resolve as if the zone were not configured
	Prime   bool // ask a stub's servers for the zone's name servers first
	Hosts   []Host
	// Upstreams are servers that are spoken to in another way than DNS over UDP and TCP. Hosts, to whom others can listen, are asked when none of
	// them helps.
	Upstreams []*Upstream
}

// Protocol of an upstream.
type Protocol uint8

const (
	Plain Protocol = iota // UDP, and TCP where needed
	TLS                   // RFC 7858
	HTTPS                 // RFC 8484
	QUIC                  // RFC 9250
)

// Upstream is a server with the way to speak to it.
type Upstream struct {
	Address  netip.AddrPort
	Protocol Protocol
	Name     string // of its certificate; empty: any certificate will do (opportunistic, RFC 7858, Section 4.1)
	Path     string // with HTTPS
}

// Local is zones held here, which are asked instead of their servers: the local root (RFC 8806), our own zones.
type Local interface {
	// Closest returns the apex of the closest zone held at or above a name.
	Closest(name wire.Name) (apex wire.Name, ok bool)
	// Own tells whether a name lies in a zone of our own data, not in a copy of somebody's.
	Own(name wire.Name) bool
	// Ask answers as the zone's server would. nil: the zone cannot be used now.
	Ask(apex wire.Name, q message.Question) *message.Message
}

// hinted tells whether an address is that of a root server that was configured.
func (c *Config) hinted(a netip.Addr) bool {
	for i := range c.Hints {
		for _, h := range c.Hints[i].Addresses {
			if h.Addr() == a {
				return true
			}
		}
	}
	return false
}

// zoneFor returns the closest configured zone at or above a name but those passed over, or nil.
func (c *Config) zoneFor(name wire.Name, passed ...*Zone) *Zone {
	var best *Zone
	for i := range c.Zones {
		z := &c.Zones[i]
		if name.IsSubdomainOf(z.Name) && (best == nil || len(z.Name) > len(best.Name)) && !slices.Contains(passed, z) {
			best = z
		}
	}
	return best
}

// What is not set is the standard.
func (c *Config) maxTTL() uint32      { return cmp.Or(c.MaxTTL, 86400) }
func (c *Config) negativeTTL() uint32 { return cmp.Or(c.NegativeTTL, 3600) }
func (c *Config) nameServers() int    { return cmp.Or(c.NameServers, MaxNames) }
func (c *Config) tries() int          { return cmp.Or(c.Tries, MaxTries) }
func (c *Config) failed() uint32      { return cmp.Or(c.Failed, 5) }
func (c *Config) bogus() uint32       { return cmp.Or(c.Bogus, bogusTTL) }
func (c *Config) maxTasks() int       { return cmp.Or(c.Tasks, MaxTasks) }
func (c *Config) port() uint16        { return cmp.Or(c.Port, 53) }
