package config

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"anyu/dns/wire"
)

// Bounds of what the resolver is told.
const (
	minCache      = 4 << 20
	maxCount      = 1 << 24            // of anything at a time
	maxAnyTTL     = 7 * 24 * time.Hour // RFC 8767, Section 4
	maxFailureTTL = 5 * time.Minute    // RFC 9520, Section 3.2
	maxSkew       = 24 * time.Hour     // more is no wrong clock
	maxStale      = 3 * 24 * time.Hour // RFC 8767, Section 5
	maxStaleAfter = 10 * time.Second   // nobody waits longer
	minSaveEvery  = time.Minute        // the file may be gigabytes
	maxAlgorithm  = math.MaxUint8      // RFC 4034, Appendix A.1
	path          = "$.recursion"
)

// check finds what cannot be meant.
func (r *Recursion) check() error {
	seen := map[string]bool{}
	for _, list := range []struct {
		key     string
		zones   []Upstreams
		forward bool
	}{{"stub", r.Stub, false}, {"forward", r.Forward, true}} {
		for i := range list.zones {
			if err := list.zones[i].check(fmt.Sprintf("%s.%s[%d]", path, list.key, i), list.forward, seen); err != nil {
				return err
			}
		}
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"private_names", r.PrivateNames}, {"dns64_ignore", r.DNS64Ignore}, {"open", r.Open}} {
		for i, n := range list.names {
			if _, err := wire.ParseName(n); err != nil {
				return wrong(fmt.Sprintf("%s.%s[%d]", path, list.key, i), "%v", err)
			}
		}
	}
	if !*r.IPv4 && !*r.IPv6 {
		return wrong(path, "ipv4 and ipv6 are both false: nobody can be asked")
	}
	if err := checkSource(r.Source); err != nil {
		return err
	}
	if r.DNS64.IsValid() {
		switch r.DNS64.Bits() { // RFC 6052, Section 2.2
		case 32, 40, 48, 56, 64, 96:
		default:
			return wrong(path+".dns64", "%s: the length is one of 32, 40, 48, 56, 64 and 96", r.DNS64)
		}
		if r.DNS64.Addr().Is4() {
			return wrong(path+".dns64", "%s: write an IPv6 prefix, for example 64:ff9b::/96", r.DNS64)
		}
	}
	if r.Discovery.Name != "" {
		if _, err := wire.ParseName(r.Discovery.Name); err != nil {
			return wrong(path+".discovery.name", "%v", err)
		}
	}
	if err := r.Local.check(); err != nil {
		return err
	}
	if err := r.LocalRoot.check(); err != nil {
		return err
	}
	if err := r.Validation.check(); err != nil {
		return err
	}
	if err := r.Cache.check(); err != nil {
		return err
	}
	if err := r.Limits.check(); err != nil {
		return err
	}
	return r.Rate.check()
}

func (c *ClientRate) check() error {
	for _, n := range []struct {
		key           string
		is, low, high int
	}{{"per_second", c.PerSecond, 0, 1_000_000}, {"burst", c.Burst, min(c.PerSecond, 1), maxCount}, {"slip", *c.Slip, 0, maxCount}, {"prefix4", c.Prefix4, 8, 32}, {"prefix6", c.Prefix6, 32, 64}} {
		if n.is < n.low || n.is > n.high {
			return wrong(path+".rate."+n.key, "%d: from %d to %d", n.is, n.low, n.high)
		}
	}
	return nil
}

func checkSource(list []netip.Addr) error {
	four, six := 0, 0
	for _, a := range list {
		if a.Is4() {
			four++
		} else {
			six++
		}
	}
	if four > 1 || six > 1 {
		return wrong(path+".source", "one IPv4 and one IPv6 address at most")
	}
	return nil
}

func (u *Upstreams) check(at string, forward bool, seen map[string]bool) error {
	n, err := wire.ParseName(u.Name)
	if err != nil {
		return wrong(at+".name", "%v", err)
	}
	if name := canonical(n); seen[name] {
		return wrong(at+".name", "zone %s is here twice, or under both stub and forward", u.Name)
	} else {
		seen[name] = true
	}
	if len(u.Servers) == 0 {
		return wrong(at, "zone %s needs servers", u.Name)
	}
	if u.Prime && forward {
		return wrong(at+".prime", "is for stub zones: resolvers are not asked for name servers")
	}
	for i := range u.Servers {
		s := &u.Servers[i]
		here := fmt.Sprintf("%s.servers[%d]", at, i)
		if _, err := s.AddrPort(); err != nil {
			return wrong(here+".address", "%v", err)
		}
		switch s.Protocol {
		case "udp", "tcp", "tls", "quic":
		case "https":
			if s.Name == "" {
				return wrong(here, "https needs name: what the server's certificate says")
			}
			if !strings.HasPrefix(s.Path, "/") {
				return wrong(here+".path", "%q: begins with /", s.Path)
			}
		default:
			return wrong(here+".protocol", "%q: there are udp, tcp, tls, https and quic", s.Protocol)
		}
	}
	return nil
}

// AddrPort is where the server listens.
func (u *Upstream) AddrPort() (netip.AddrPort, error) {
	port := map[string]uint16{"tls": 853, "quic": 853, "https": 443}[u.Protocol]
	if port == 0 {
		port = 53
	}
	return addressAt(u.Address, port)
}

func (v *Validation) check() error {
	for i, n := range v.Negative {
		at := fmt.Sprintf("%s.validation.negative[%d]", path, i)
		if _, err := wire.ParseName(n.Name); err != nil {
			return wrong(at+".name", "%v", err)
		}
		switch {
		case n.Owner == "" || n.Reason == "":
			return wrong(at, "%s needs owner and reason: who answers for it, and why it is there", n.Name)
		case n.End.IsZero():
			return wrong(at, "%s needs an end, for example 2026-12-01T12:00:00Z", n.Name)
		}
	}
	for _, n := range v.Insecure {
		if _, err := wire.ParseName(n); err != nil {
			return fmt.Errorf("--insecure %s: %w", n, err)
		}
	}
	for i, a := range v.Refused {
		if a < 0 || a > maxAlgorithm {
			return wrong(fmt.Sprintf("%s.validation.refused[%d]", path, i), "%d: algorithms have numbers from 0 to %d", a, maxAlgorithm)
		}
	}
	if time.Duration(v.Skew) > maxSkew {
		return wrong(path+".validation.skew", "at most %v", maxSkew)
	}
	return nil
}

func (c *Cache) check() error {
	at := path + ".cache"
	if c.Size != 0 && c.Size < minCache {
		return wrong(at+".size", "at least 4MiB")
	}
	for _, d := range []struct {
		key       string
		is        Duration
		low, high time.Duration
	}{
		{"max_ttl", c.MaxTTL, time.Second, maxAnyTTL}, {"min_ttl", c.MinTTL, 0, time.Hour}, {"negative_ttl", c.NegativeTTL, time.Second, 24 * time.Hour},
		{"failure_ttl", c.FailureTTL, time.Second, maxFailureTTL}, {"stale", *c.Stale, 0, maxStale}, {"stale_after", *c.StaleAfter, 0, maxStaleAfter},
		{"stale_ttl", c.StaleTTL, time.Second, time.Hour}, {"save_every", c.SaveEvery, minSaveEvery, 365 * 24 * time.Hour},
	} {
		if time.Duration(d.is) < d.low || time.Duration(d.is) > d.high {
			return wrong(at+"."+d.key, "%v: from %v to %v", time.Duration(d.is), d.low, d.high)
		}
	}
	return nil
}

func (l *Limits) check() error {
	for _, n := range []struct {
		key string
		is  int
	}{{"tasks", l.Tasks}, {"waiters", l.Waiters}, {"client_waiters", l.ClientWaiters}, {"zone_queries", l.ZoneQueries}, {"server_queries", l.ServerQueries}} {
		if n.is < 1 || n.is > maxCount {
			return wrong(path+".limits."+n.key, "%d: from 1 to %d", n.is, maxCount)
		}
	}
	return nil
}
