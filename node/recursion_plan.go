package node

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"time"

	"anyu/config"
	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/serve/cache"
	"anyu/serve/local"
	"anyu/serve/outbound"
	"anyu/serve/pending"
	"anyu/serve/resolve"
	"anyu/serve/validate"
)

// recursionPlan is what the configuration says of the resolver, in the words of its rooms. Making it reads all files, so that a reload
// that cannot work changes nothing.
type recursionPlan struct {
	conf     config.Recursion
	resolve  resolve.Config // without Local
	pending  pending.Config
	cache    cache.Config // without Seed
	validate validate.Config
	local    local.Config
	anchors  map[string][]validate.Anchor // as configured, by zone in lower case
	root     []*rootSource                // of the local root
	source   outbound.Source
	minds    string // a digest of all that what is cached depends on
}

func planRecursion(c *config.Config, now time.Time) (*recursionPlan, error) {
	r := &c.Recursion
	p := &recursionPlan{conf: *r}
	if r.Off {
		return p, nil
	}
	hints, err := readHints(r.Hints)
	if err != nil {
		return nil, err
	}
	if p.local, err = planLocal(&r.Local); err != nil {
		return nil, err
	}
	if p.root, err = openRootSources(&r.LocalRoot); err != nil {
		return nil, err
	}
	p.resolve = resolve.Config{
		Hints: hints, Prime: *r.Prime, Minimise: *r.Minimise, SameCase: !*r.CaseRandomisation, IPv4: *r.IPv4, IPv6: *r.IPv6, Sentinel: true,
		Private: r.Private, Exempt: r.Permitted, Minimal: *r.Minimal, DNS64: r.DNS64, BelowNX: true, Aggressive: *r.Aggressive,
		OfZone: r.Limits.ZoneQueries, Tasks: r.Limits.Tasks, Failed: seconds(r.Cache.FailureTTL),
		MaxTTL: seconds(r.Cache.MaxTTL), MinTTL: seconds(r.Cache.MinTTL), NegativeTTL: seconds(r.Cache.NegativeTTL),
	}
	if err := p.zones(); err != nil {
		return nil, err
	}
	p.resolve.Forbidden = forbidden(r, ownAddresses(c.Listen.DNS), p.configured())
	p.pending = pending.Config{Stale: *r.Cache.Stale > 0, StaleAfter: time.Duration(*r.Cache.StaleAfter), StaleTTL: seconds(r.Cache.StaleTTL),
		Waiters: r.Limits.Waiters, OfClient: r.Limits.ClientWaiters}
	p.cache = cache.Config{Bytes: cacheSize(int64(r.Cache.Size)), MaxTTL: seconds(r.Cache.MaxTTL), MinTTL: seconds(r.Cache.MinTTL),
		MaxNegativeTTL: seconds(r.Cache.NegativeTTL), Stale: max(1, seconds(*r.Cache.Stale))} // 0 would be the default
	for _, a := range r.Source {
		if a.Is4() {
			p.source.V4 = a
		} else {
			p.source.V6 = a
		}
	}
	if err := p.validation(now); err != nil {
		return nil, err
	}
	p.digest()
	return p, nil
}

func seconds(d config.Duration) uint32 { return uint32(time.Duration(d) / time.Second) }

// zones turns stub and forward zones into the resolver's.
func (p *recursionPlan) zones() error {
	for _, list := range []struct {
		from []string
		to   *[]wire.Name
	}{{p.conf.PrivateNames, &p.resolve.PrivateNames}, {p.conf.DNS64Ignore, &p.resolve.DNS64Ignore}} {
		for _, n := range list.from {
			name, err := wire.ParseName(n)
			if err != nil {
				return err
			}
			*list.to = append(*list.to, name)
		}
	}
	for i, u := range append(append([]config.Upstreams(nil), p.conf.Stub...), p.conf.Forward...) {
		z, err := planUpstreams(u, i >= len(p.conf.Stub))
		if err != nil {
			return err
		}
		p.resolve.Zones = append(p.resolve.Zones, z)
		if len(z.Name) > 1 {
			p.resolve.PrivateNames = append(p.resolve.PrivateNames, z.Name)
		}
	}
	return nil
}

func planUpstreams(u config.Upstreams, forward bool) (resolve.Zone, error) {
	name, err := wire.ParseName(u.Name)
	if err != nil {
		return resolve.Zone{}, err
	}
	z := resolve.Zone{Name: name, Forward: forward, First: u.First, Prime: u.Prime}
	kinds := map[string]resolve.Protocol{"tls": resolve.TLS, "https": resolve.HTTPS, "quic": resolve.QUIC}
	for _, s := range u.Servers {
		a, err := s.AddrPort()
		if err != nil {
			return z, err
		}
		if kind, ok := kinds[s.Protocol]; ok {
			z.Upstreams = append(z.Upstreams, &resolve.Upstream{Address: a, Protocol: kind, Name: s.Name, Path: s.Path})
			continue
		}
		z.Hosts = append(z.Hosts, resolve.Host{Addresses: []netip.AddrPort{a}, Stream: s.Protocol == "tcp"})
	}
	return z, nil
}

// forbidden tells which addresses are not asked, whoever names them as servers (CVE-2026-50251: a resolver led to ask itself).
// Who was configured is asked nevertheless.
func forbidden(r *config.Recursion, own, configured []netip.Addr) func(netip.Addr) bool {
	known := make(map[netip.Addr]bool)
	for _, a := range own {
		known[a.Unmap()] = true
	}
	wanted := make(map[netip.Addr]bool)
	for _, a := range configured {
		wanted[a.Unmap()] = true
	}
	within := func(list []netip.Prefix, a netip.Addr) bool {
		for _, p := range list {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	return func(a netip.Addr) bool {
		a = a.Unmap()
		if wanted[a] {
			return false
		}
		return known[a] || within(r.Forbidden, a) && !within(r.Permitted, a)
	}
}

// configured are the addresses of stub and forward zones and of the hints.
func (p *recursionPlan) configured() (list []netip.Addr) {
	hosts := p.resolve.Hints
	for _, z := range p.resolve.Zones {
		hosts = append(hosts[:len(hosts):len(hosts)], z.Hosts...)
	}
	for _, h := range hosts {
		for _, a := range h.Addresses {
			list = append(list, a.Addr())
		}
	}
	return list
}

// ownAddresses are those where we answer on the port that other servers are asked at.
func ownAddresses(listen []netip.AddrPort) (list []netip.Addr) {
	for _, a := range listen {
		if a.Port() != portDNS {
			continue
		}
		if !a.Addr().IsUnspecified() {
			list = append(list, a.Addr())
			continue
		}
		found, err := net.InterfaceAddrs()
		if err != nil {
			continue
		}
		for _, f := range found {
			if p, err := netip.ParsePrefix(f.String()); err == nil {
				list = append(list, p.Addr())
			}
		}
	}
	return list
}

// validation plans what signatures are checked against, without what RFC 5011 has learned.
func (p *recursionPlan) validation(now time.Time) error {
	v := &p.conf.Validation
	var err error
	if p.anchors, err = readAnchors(v.Anchors); err != nil {
		return err
	}
	p.validate = validate.Config{AllowSHA1: v.SHA1, Minimal: *p.conf.Minimal, Skew: seconds(v.Skew)}
	for _, a := range v.Refused {
		p.validate.Refused = append(p.validate.Refused, dnssec.Algorithm(a))
	}
	for _, n := range v.Negative {
		name, err := wire.ParseName(n.Name)
		if err != nil {
			return err
		}
		if !n.End.After(now) {
			continue // it is over
		}
		a := validate.NegativeAnchor{Name: name, Owner: n.Owner, Reason: n.Reason, Begin: now.Unix(), End: n.End.Unix()}
		if err := a.Check(); err != nil {
			return fmt.Errorf("recursion.validation.negative: %w", err)
		}
		a.Begin = 0 // a clock that is set back must not end it
		p.validate.Negative = append(p.validate.Negative, a)
	}
	for _, n := range v.Insecure {
		name, err := wire.ParseName(n)
		if err != nil {
			return err
		}
		p.validate.Negative = append(p.validate.Negative, validate.NegativeAnchor{Name: name, Owner: "command line", Reason: "--insecure"})
	}
	return nil
}

// digest sums up what cached answers depend on: with another digest a saved cache is not taken.
func (p *recursionPlan) digest() {
	c := &p.conf
	b, err := json.Marshal([]any{c.Stub, c.Forward, c.Hints, c.DNS64, c.DNS64Ignore, c.Private, p.resolve.PrivateNames, c.Validation.Off, c.Validation.SHA1, c.Validation.Refused, p.anchors})
	if err != nil {
		return // then nothing saved fits, and nothing is lost but time
	}
	sum := sha256.Sum256(b)
	p.minds = hex.EncodeToString(sum[:])
}
