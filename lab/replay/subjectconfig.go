package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"anyu/dns/wire"
	"anyu/serve"
	"anyu/serve/filter"
	"anyu/serve/resolve"
	"anyu/serve/validate"
)

// resolveConfig says a file's settings in the words of the resolver.
func resolveConfig(s *Settings) *resolve.Config {
	c := &resolve.Config{IPv4: s.IPv4, IPv6: s.IPv6, Minimise: s.QNAMEMinimisation, Strict: s.MinimiseStrict, Bogus: s.BogusTTL, Minimal: s.Minimal, BelowNX: s.HardenBelowNXDOMAIN,
		Aggressive: s.AggressiveNSEC, KeepPromiscuous: !s.ScrubPromiscuous, Private: s.PrivateAddresses, PrivateNames: s.PrivateDomains,
		MaxTTL: s.MaxTTL, MinTTL: s.MinTTL, NegativeTTL: s.MaxNegativeTTL, Tries: s.Retries, NameServers: s.ScrubNS, Sentinel: s.Sentinel, VerifyGlue: s.HardenUnverifiedGlue}
	c.Forbidden = func(a netip.Addr) bool {
		return !s.QueryLocalhost && (a.IsLoopback() || a.IsUnspecified() || a.IsMulticast()) ||
			slices.ContainsFunc(s.NotAsked, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if s.DNS64 {
		c.DNS64, c.DNS64Ignore = s.DNS64Prefix, s.DNS64Ignore
	}
	for _, h := range s.Hints {
		c.Hints = append(c.Hints, resolve.Host{Name: h.Name, Addresses: []netip.AddrPort{h.Addr}})
	}
	if len(s.Hints) == 0 && rootless(s) {
		c.Hints = resolve.RootServers()
	}
	c.Prime = len(c.Hints) > 0
	for _, u := range s.Forwards { // first: they go before a stub of the same name
		c.Zones = append(c.Zones, upstream(u, true))
	}
	for _, u := range s.Stubs {
		c.Zones = append(c.Zones, upstream(u, false))
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
		Iterations: s.Iterations, Skew: s.SkewMin, SkewMax: max(s.SkewMin, s.SkewMax), BogusTTL: s.BogusTTL}
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
	insecure := s.Insecure
	if s.LANInsecure {
		insecure = slices.Concat(insecure, lanZones())
	}
	for _, n := range insecure {
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
	ignored *filter.ACL
	snoop   bool
}

// access says the access control in our words: who may ask at all, and who may recurse.
func access(s *Settings) (everybody filter.ACL, p permitted, err error) {
	if len(s.Access) == 0 {
		loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		return filter.NewACL(loopback), permitted{recurse: filter.NewACL(loopback)}, nil
	}
	var ask, recurse, ignored []netip.Prefix
	loopback := true
	for _, a := range s.Access {
		switch a.Action {
		case "allow", "allow_setrd":
			ask, recurse = append(ask, a.Prefix), append(recurse, a.Prefix)
		case "allow_snoop":
			ask, recurse, p.snoop = append(ask, a.Prefix), append(recurse, a.Prefix), true
		case "refuse_non_local":
			if len(s.LocalData)+len(s.LocalZones) > 0 {
				return everybody, p, notModelled("access")
			}
			ask = append(ask, a.Prefix)
		case "deny":
			ignored = append(ignored, a.Prefix)
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
	if len(ignored) > 0 {
		list := filter.NewACL(less(ignored, s.Access, func(action string) bool { return action != "deny" }))
		p.ignored = &list
	}
	refused := func(action string) bool { return action == "refuse" }
	p.recurse = filter.NewACL(less(recurse, s.Access, func(action string) bool { return refused(action) || action == "refuse_non_local" }))
	return filter.NewACL(less(ask, s.Access, refused)), p, nil
}

// less is a list without the narrower prefixes of which other is true: the narrowest prefix decides.
func less(list []netip.Prefix, rules []Access, other func(action string) bool) []netip.Prefix {
	for _, r := range rules {
		if !other(r.Action) {
			continue
		}
		var rest []netip.Prefix
		for _, p := range list {
			rest = append(rest, without(p, r.Prefix)...)
		}
		list = rest
	}
	return list
}

// without cuts a narrower prefix out of another.
func without(p, hole netip.Prefix) (list []netip.Prefix) {
	if !p.Overlaps(hole) || p.Bits() >= hole.Bits() {
		return []netip.Prefix{p}
	}
	for at := p; at.Bits() < hole.Bits(); {
		b := at.Addr().AsSlice()
		b[at.Bits()/8] |= 0x80 >> (at.Bits() % 8)
		high, _ := netip.AddrFromSlice(b)
		low, up := netip.PrefixFrom(at.Addr(), at.Bits()+1), netip.PrefixFrom(high, at.Bits()+1)
		if low.Contains(hole.Addr()) {
			list, at = append(list, up), low
		} else {
			list, at = append(list, low), up
		}
	}
	return list
}

// zones loads the zones held.
func (x *Subject) zones(rc *resolve.Config) error {
	s := &x.settings
	if s.ResponsePolicy {
		return notModelled("rpz")
	}
	if s.Dialect == Unbound {
		x.server.Change(serve.Change{Put: serve.LocalZones(wire.Name("\x09localhost\x00"))}) // as its manual has them
	}
	for _, z := range s.Zones {
		if err := x.hold(z); err != nil {
			return err
		}
	}
	return nil
}

// open are the names that zones which are always there give way to: zones with configured servers or a trust anchor, and what is said to be open.
func open(s *Settings) (names []wire.Name) {
	for _, u := range slices.Concat(s.Stubs, s.Forwards) {
		names = append(names, u.Name)
	}
	for _, a := range s.Anchors {
		names = append(names, a.Name)
	}
	for _, z := range s.LocalZones {
		names = append(names, z.Name)
	}
	if s.LANOpen {
		names = append(names, lanZones()...)
	}
	return slices.DeleteFunc(names, wire.Name.IsRoot)
}

// lanZones are the reverse zones of private networks (RFC 1918, RFC 3927, RFC 4193, RFC 4291), which unblock-lan-zones means.
func lanZones() (names []wire.Name) {
	list := []string{"10.in-addr.arpa.", "168.192.in-addr.arpa.", "254.169.in-addr.arpa.", "d.f.ip6.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.",
		"a.e.f.ip6.arpa.", "b.e.f.ip6.arpa."}
	for i := 16; i <= 31; i++ {
		list = append(list, fmt.Sprintf("%d.172.in-addr.arpa.", i))
	}
	for _, text := range list {
		if n, err := wire.ParseName(text); err == nil {
			names = append(names, n)
		}
	}
	return names
}
