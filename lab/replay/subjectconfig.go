package replay

import (
	"fmt"
	"net/netip"
	"time"

	"anyu/dns/wire"
	"anyu/serve/filter"
	"anyu/serve/resolve"
	"anyu/serve/validate"
)

// resolveConfig says a file's settings in the words of the resolver.
func resolveConfig(s *Settings) *resolve.Config {
	c := &resolve.Config{IPv4: s.IPv4, IPv6: s.IPv6, Minimise: s.QNAMEMinimisation, Minimal: s.Minimal, BelowNX: s.HardenBelowNXDOMAIN,
		Aggressive: s.AggressiveNSEC, KeepPromiscuous: !s.ScrubPromiscuous, Private: s.PrivateAddresses, PrivateNames: s.PrivateDomains,
		MaxTTL: s.MaxTTL, MinTTL: s.MinTTL, NegativeTTL: s.MaxNegativeTTL, Tries: s.Retries, NameServers: s.ScrubNS, Sentinel: s.Sentinel, VerifyGlue: s.HardenUnverifiedGlue}
	if !s.QueryLocalhost {
		c.Forbidden = func(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() }
	}
	if s.DNS64 {
		c.DNS64 = s.DNS64Prefix
	}
	for _, h := range s.Hints {
		c.Hints = append(c.Hints, resolve.Host{Name: h.Name, Addresses: []netip.AddrPort{h.Addr}})
	}
	if len(s.Hints) == 0 && rootless(s) {
		c.Hints = resolve.RootServers()
	}
	c.Prime = len(c.Hints) > 0
	for _, u := range s.Stubs {
		c.Zones = append(c.Zones, upstream(u, false))
	}
	for _, u := range s.Forwards {
		c.Zones = append(c.Zones, upstream(u, true))
	}
	return c
}

// rootless tells whether nothing stands in for the root servers.
func rootless(s *Settings) bool {
	for _, list := range [...][]Upstream{s.Stubs, s.Forwards} {
		for _, u := range list {
			if u.Name.IsRoot() {
				return false
			}
		}
	}
	return true
}

func upstream(u Upstream, forward bool) resolve.Zone {
	z := resolve.Zone{Name: u.Name, Forward: forward, First: u.First, Prime: u.Prime || u.Name.IsRoot()}
	if len(u.Addrs) > 0 {
		z.Hosts = append(z.Hosts, resolve.Host{Addresses: u.Addrs, Stream: u.TCP})
	}
	for _, n := range u.Hosts {
		z.Hosts = append(z.Hosts, resolve.Host{Name: n, Stream: u.TCP})
	}
	return z
}

// validateConfig says them in the words of the validator.
func validateConfig(s *Settings) (validate.Config, error) {
	c := validate.Config{AllowSHA1: true, FakeSHA1: s.FakeSHA1, Date: s.Date, AllAlgorithms: s.HardenAlgorithmDowngr,
		Iterations: []validate.IterationLimit{{KeyBits: 1024, Iterations: 150}, {KeyBits: 2048, Iterations: 150}, {KeyBits: 4096, Iterations: 150}}}
	if s.IgnoreDates {
		c.Date = validate.DateOff
	}
	for _, r := range s.Anchors {
		if r.Type != wire.TypeDS && r.Type != wire.TypeDNSKEY {
			return c, fmt.Errorf("trust anchor of %s is of type %s", r.Name, r.Type)
		}
		if s.Dialect == Deckard && r.Type == wire.TypeDS && len(r.RData) > 2 && r.RData[2] == 3 {
			return c, notModelled("dsa-anchor")
		}
		c.Anchors = append(c.Anchors, validate.Anchor{Zone: r.Name, Type: r.Type, Data: r.RData})
	}
	for _, n := range s.Insecure {
		c.Negative = append(c.Negative, validate.NegativeAnchor{Name: n, Owner: "scenario", Reason: "domain-insecure"})
	}
	return c, nil
}

func staleAfter(s *Settings) time.Duration {
	if s.ExpiredClientTimeout == 0 {
		return -1
	}
	return s.ExpiredClientTimeout
}

// permitted is who may use recursion.
type permitted struct {
	recurse filter.ACL
	snoop   bool
}

// access says the access control in our words: who may ask at all, and who may recurse.
func access(s *Settings) (everybody filter.ACL, p permitted, err error) {
	if len(s.Access) == 0 {
		loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		return filter.NewACL(loopback), permitted{recurse: filter.NewACL(loopback)}, nil
	}
	var ask, recurse []netip.Prefix
	loopback := true
	for _, a := range s.Access {
		switch a.Action {
		case "allow", "allow_setrd":
			ask, recurse = append(ask, a.Prefix), append(recurse, a.Prefix)
		case "allow_snoop":
			ask, recurse, p.snoop = append(ask, a.Prefix), append(recurse, a.Prefix), true
		case "refuse_non_local":
			ask = append(ask, a.Prefix)
		case "refuse":
			loopback = loopback && !a.Prefix.Contains(netip.MustParseAddr("127.0.0.1"))
		default:
			return everybody, p, notModelled("access")
		}
	}
	if loopback {
		l := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		ask, recurse = append(ask, l...), append(recurse, l...)
	}
	p.recurse = filter.NewACL(recurse)
	return filter.NewACL(ask), p, nil
}

// zones loads local data and the zones held.
func (x *Subject) zones(rc *resolve.Config) error {
	s := &x.settings
	if len(s.RPZ) > 0 {
		return notModelled("rpz")
	}
	if len(s.LocalZones)+len(s.LocalData) > 0 {
		return notModelled("local-zones")
	}
	for _, z := range s.Zones {
		if err := x.hold(z); err != nil {
			return err
		}
	}
	return nil
}
