package scene

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"anyu/dns/dnssec"
	"anyu/serve"
	"anyu/serve/cache"
	"anyu/serve/exchange"
	"anyu/serve/filter"
	"anyu/serve/pending"
	"anyu/serve/resolve"
)

// usual are the settings of `anyu serve` without a configuration, but for priming, and addresses that fit the small world.
func usual() plan {
	prefixes := func(list ...string) (out []netip.Prefix) {
		for _, p := range list {
			out = append(out, netip.MustParsePrefix(p))
		}
		return out
	}
	p := plan{cache: cache.Config{Bytes: 8 << 20, Seed: 1, Stale: 1}, prefetch: true}
	p.resolve = resolve.Config{IPv4: true, Minimise: true, Minimal: true, BelowNX: true, Aggressive: true, Sentinel: true,
		Private:   prefixes("192.168.0.0/16", "127.0.0.0/8"),
		Forbidden: func(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() }}
	p.validate.Minimal = true
	p.pending = pending.Config{StaleAfter: 1800 * time.Millisecond, Prefetch: true}
	p.serve = serve.Config{Payload: exchange.Payload, Clients: filter.Everybody(), Version: "anyu"}
	return p
}

// configure takes one word: NAME, no-NAME or NAME=VALUE.
func (w *world) configure(word string) {
	name, value, _ := strings.Cut(word, "=")
	name, off := strings.CutPrefix(name, "no-")
	p := &w.plan
	if sw := p.switchOf(name); sw != nil {
		*sw = !off
		return
	}
	if n := p.numberOf(name); n != nil {
		v, err := strconv.Atoi(value)
		if err != nil {
			w.fail("%s: %v", word, err)
		}
		n(v)
		return
	}
	switch name {
	case "stale":
		p.pending.Stale, p.cache.Stale = !off, 86400
	case "prefetch":
		p.prefetch, p.pending.Prefetch = !off, !off
	case "dns64":
		p.resolve.DNS64 = netip.MustParsePrefix("64:ff9b::/96")
	case "cookies":
		p.serve.Cookies = &filter.Cookies{Current: filter.Secret{7}}
	case "refuse-algorithm":
		n, _ := strconv.Atoi(value)
		p.validate.Refused = append(p.validate.Refused, dnssec.Algorithm(n))
	case "private-name":
		p.resolve.PrivateNames = append(p.resolve.PrivateNames, w.parse(value))
	case "no-anchor", "anchor":
		w.noAnchor = off
	case "follow":
		w.follow = true
	case "date":
		w.setDate(value)
	default:
		w.fail("config has no word %s", word)
	}
}

func (p *plan) switchOf(name string) *bool {
	return map[string]*bool{
		"minimise": &p.resolve.Minimise, "prime": &p.resolve.Prime, "nx": &p.resolve.BelowNX, "aggressive": &p.resolve.Aggressive,
		"minimal": &p.resolve.Minimal, "sentinel": &p.resolve.Sentinel, "ipv4": &p.resolve.IPv4, "ipv6": &p.resolve.IPv6,
		"verify-glue": &p.resolve.VerifyGlue, "snoop": &p.snoop, "sha1": &p.validate.AllowSHA1, "signal": &p.signal,
		"alone": &p.alone, "reasonless": &p.serve.NoReasons,
	}[name]
}

func (p *plan) numberOf(name string) func(int) {
	return map[string]func(int){
		"of-zone":       func(n int) { p.resolve.OfZone = n },
		"of-server":     func(n int) { p.ofServer = n },
		"tasks":         func(n int) { p.resolve.Tasks = n },
		"of-client":     func(n int) { p.pending.OfClient = n },
		"waiters":       func(n int) { p.pending.Waiters = n },
		"failed":        func(n int) { p.resolve.Failed = uint32(n) },
		"max-ttl":       func(n int) { p.resolve.MaxTTL, p.cache.MaxTTL = uint32(n), uint32(n) },
		"min-ttl":       func(n int) { p.resolve.MinTTL, p.cache.MinTTL = uint32(n), uint32(n) },
		"negative-ttl":  func(n int) { p.resolve.NegativeTTL, p.cache.MaxNegativeTTL = uint32(n), uint32(n) },
		"cache-octets":  func(n int) { p.cache.Bytes = int64(n) },
		"rate":          func(n int) { p.serve.Rate = filter.NewRate(uint32(n), 2, rateSeed()) },
		"stale-ttl":     func(n int) { p.pending.StaleTTL = uint32(n) },
		"stale-keep":    func(n int) { p.cache.Stale = uint32(n) },
		"stale-at-once": func(n int) { p.pending.StaleAfter = -1 },
	}[name]
}
