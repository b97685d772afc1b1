package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyu/dns/wire"
)

// harmless options change nothing that a client or a server can see.
var harmless = map[string]bool{"log-time-ascii": true, "log-servfail": true, "log-queries": true, "log-replies": true, "rpz-log": true,
	"val-log-level": true, "verbosity": true, "use-syslog": true, "logfile": true, "num-threads": true, "chroot": true, "username": true,
	"directory": true, "pidfile": true, "port": true, "interface": true, "control-enable": true, "so-reuseport": true, "do-udp": true,
	"do-tcp": true, "do-daemonize": true, "statistics-interval": true, "extended-statistics": true, "key-cache-size": true,
	"rrset-cache-size": true, "neg-cache-size": true, "infra-cache-numhosts": true, "root-hints": true, "auto-trust-anchor-file": true,
	"harden-short-bufsize": true, "harden-large-queries": true, "unwanted-reply-threshold": true, "edns-buffer-size": true,
	"max-udp-size": true, "msg-buffer-size": true, "outgoing-range": true, "outgoing-interface": true, "interface-automatic": true,
	"unblock-lan-zones": false, "stub-name": false}

// Settings maps the configuration of the file. An option that is unknown gives an error of type *Skip, a value that does not fit
// an *Error.
func (s *Scenario) Settings() (Settings, error) {
	m := &mapper{s: defaults(s.Dialect), sc: s}
	m.s.File = s.File
	for _, f := range s.Files {
		m.s.Files.Write(f.Name, []byte(f.Text))
	}
	m.s.AnchorFiles = s.Anchors
	m.s.ChecksFiles = slices.ContainsFunc(s.Steps, func(t Step) bool { return t.Kind == StepCheckTempfile })
	apply := m.unbound
	if s.Dialect == Deckard {
		apply = m.deckard
	}
	for _, o := range s.Options {
		if harmless[o.Name] {
			continue
		}
		m.bad = nil
		known := apply(o)
		if m.bad != nil {
			return Settings{}, &Error{s.File, o.Line, fmt.Sprintf("%s: %v", o.Name, m.bad)}
		}
		if !known {
			return Settings{}, &Skip{fmt.Sprintf("option %s: not known to the runner", o.Name)}
		}
	}
	m.finish()
	return *m.s, nil
}

// mapper turns options into settings.
type mapper struct {
	s     *Settings
	sc    *Scenario
	block int
	bad   error // of the option at hand
	hosts []wire.Name
	addrs []netip.AddrPort
}

func (m *mapper) unbound(o Option) bool {
	switch o.Clause {
	case "server":
		return m.server(o)
	case "stub-zone", "forward-zone":
		return m.upstream(o)
	case "auth-zone":
		if o.Block != m.block {
			m.block = o.Block
			m.s.Zones = append(m.s.Zones, AuthZone{Downstream: true, Upstream: true})
		}
		return m.zone(o, &m.s.Zones[len(m.s.Zones)-1])
	case "rpz":
		if o.Block != m.block {
			m.block = o.Block
			m.s.RPZ = append(m.s.RPZ, PolicyZone{})
		}
		return m.policy(o, &m.s.RPZ[len(m.s.RPZ)-1])
	case "remote-control":
		return true
	}
	return false
}

// switches are the options that are yes or no.
func (m *mapper) switches() map[string]*bool {
	s := m.s
	return map[string]*bool{"do-ip4": &s.IPv4, "do-ip6": &s.IPv6, "qname-minimisation": &s.QNAMEMinimisation,
		"qname-minimisation-strict": &s.StrictMinimisation, "minimal-responses": &s.Minimal, "iter-scrub-promiscuous": &s.ScrubPromiscuous,
		"fake-sha1": &s.FakeSHA1, "trust-anchor-signaling": &s.AnchorSignaling, "root-key-sentinel": &s.Sentinel,
		"harden-glue": &s.HardenGlue, "harden-dnssec-stripped": &s.HardenDNSSECStripped, "harden-below-nxdomain": &s.HardenBelowNXDOMAIN,
		"harden-referral-path": &s.HardenReferralPath, "harden-algo-downgrade": &s.HardenAlgorithmDowngr,
		"harden-unverified-glue": &s.HardenUnverifiedGlue, "harden-unknown-additional": &s.HardenUnknownAdditional,
		"aggressive-nsec": &s.AggressiveNSEC, "val-clean-additional": &s.CleanAdditional, "val-permissive-mode": &s.PermissiveValidator,
		"rrset-roundrobin": &s.RoundRobin, "prefetch": &s.Prefetch, "prefetch-key": &s.PrefetchKeys, "serve-expired": &s.ServeExpired,
		"serve-expired-ttl-reset": &s.ExpiredTTLReset, "serve-original-ttl": &s.ServeOriginalTTL, "ede": &s.EDE,
		"ede-serve-expired": &s.EDEExpired, "answer-cookie": &s.AnswerCookie, "hide-identity": &s.HideIdentity,
		"hide-version": &s.HideVersion, "deny-any": &s.DenyANY, "do-nat64": &s.NAT64, "use-caps-for-id": &s.CapsForID, "zonemd-permissive-mode": &s.ZONEMDPermissive}
}

// numbers are the options that are seconds or counts.
func (m *mapper) numbers() map[string]*uint32 {
	s := m.s
	return map[string]*uint32{"cache-max-ttl": &s.MaxTTL, "cache-min-ttl": &s.MinTTL, "cache-max-negative-ttl": &s.MaxNegativeTTL,
		"cache-min-negative-ttl": &s.MinNegativeTTL, "serve-expired-ttl": &s.ExpiredTTL, "serve-expired-reply-ttl": &s.ExpiredReplyTTL}
}

// counts are the options that are small numbers.
func (m *mapper) counts() map[string]*int {
	s := m.s
	return map[string]*int{"outbound-msg-retry": &s.Retries, "num-queries-per-thread": &s.QueriesPerThread, "iter-scrub-ns": &s.ScrubNS,
		"val-max-restart": &s.ValidationRestarts}
}

func (m *mapper) server(o Option) bool {
	v := o.value()
	if b, ok := m.switches()[o.Name]; ok {
		*b = m.yes(v)
		return true
	}
	if n, ok := m.numbers()[o.Name]; ok {
		*n = uint32(m.number(v, 32))
		return true
	}
	if n, ok := m.counts()[o.Name]; ok {
		*n = int(m.number(v, 31))
		return true
	}
	return m.resolving(o, v) || m.answering(o, v)
}

// resolving maps what concerns asking and believing.
func (m *mapper) resolving(o Option, v string) bool {
	s := m.s
	switch o.Name {
	case "target-fetch-policy":
		s.TargetFetch = nil
		for _, w := range strings.Fields(v) {
			n, err := strconv.Atoi(w)
			m.check(err)
			s.TargetFetch = append(s.TargetFetch, n)
		}
	case "trust-anchor":
		s.Anchors = append(s.Anchors, m.record(v))
	case "domain-insecure":
		s.Insecure = append(s.Insecure, m.name(v))
	case "val-override-date":
		m.date(v)
	case "module-config":
		s.Modules = strings.Fields(v)
	case "do-not-query-localhost":
		s.QueryLocalhost = !m.yes(v)
	case "disable-edns-do":
		s.SendDO = !m.yes(v)
	case "private-address":
		s.PrivateAddresses = append(s.PrivateAddresses, m.prefix(v))
	case "private-domain":
		s.PrivateDomains = append(s.PrivateDomains, m.name(v))
	case "dns64-prefix":
		s.DNS64Prefix = m.prefix(v)
	case "edns-client-string":
		s.SendClientString = append(s.SendClientString, PrefixText{m.prefix(v), o.Args[1]})
	case "msg-cache-size":
		s.MessageCacheSize = m.size(v)
	default:
		return false
	}
	return true
}

// answering maps what concerns clients.
func (m *mapper) answering(o Option, v string) bool {
	s := m.s
	switch o.Name {
	case "access-control":
		s.Access = append(s.Access, Access{m.prefix(v), o.Args[1]})
	case "local-zone":
		s.LocalZones = append(s.LocalZones, LocalZone{m.name(v), o.Args[1], o.Line})
	case "local-data":
		s.LocalData = append(s.LocalData, LocalRecord{m.record(v), o.Line})
	case "serve-expired-client-timeout":
		s.ExpiredClientTimeout = time.Duration(m.number(v, 31)) * time.Millisecond
	case "discard-timeout":
		s.DiscardTimeout = time.Duration(m.number(v, 31)) * time.Millisecond
	case "nsid":
		s.NSID = m.nsid(v)
	case "cookie-secret":
		s.CookieSecret = m.hex(v)
	case "identity":
		s.Identity = v
	case "version":
		s.Version = v
	default:
		return false
	}
	return true
}

func (m *mapper) upstream(o Option) bool {
	list := &m.s.Stubs
	prefix := "stub-"
	if o.Clause == "forward-zone" {
		list, prefix = &m.s.Forwards, "forward-"
	}
	if o.Block != m.block {
		m.block = o.Block
		*list = append(*list, Upstream{})
	}
	u := &(*list)[len(*list)-1]
	v := o.value()
	switch strings.TrimPrefix(o.Name, prefix) {
	case "name":
		u.Name = m.name(v)
	case "addr":
		u.Addrs = append(u.Addrs, m.addr(v))
	case "host":
		u.Hosts = append(u.Hosts, m.name(v))
	case "prime":
		u.Prime = m.yes(v)
	case "first":
		u.First = m.yes(v)
	case "no-cache":
		u.NoCache = m.yes(v)
	case "tcp-upstream":
		u.TCP = m.yes(v)
	default:
		return false
	}
	return true
}

func (m *mapper) zone(o Option, z *AuthZone) bool {
	v := o.value()
	switch o.Name {
	case "name":
		z.Name = m.name(v)
	case "zonefile":
		z.File = v
	case "master", "primary":
		if a, err := netip.ParseAddr(strings.SplitN(v, "@", 2)[0]); err == nil && a.IsValid() {
			z.Primaries = append(z.Primaries, m.addr(v))
		} else {
			z.PrimaryHosts = append(z.PrimaryHosts, m.name(v))
		}
	case "allow-notify":
		z.AllowNotify = append(z.AllowNotify, v)
	case "for-downstream":
		z.Downstream = m.yes(v)
	case "for-upstream":
		z.Upstream = m.yes(v)
	case "fallback-enabled":
		z.Fallback = m.yes(v)
	case "zonemd-check":
		z.CheckZONEMD = m.yes(v)
	case "zonemd-reject-absence":
		z.RejectNoZONEMD = m.yes(v)
	default:
		return false
	}
	return true
}

func (m *mapper) policy(o Option, z *PolicyZone) bool {
	v := o.value()
	switch o.Name {
	case "rpz-action-override":
		z.Action = v
	case "rpz-cname-override":
		z.CNAME = m.name(v)
	case "rpz-signal-nxdomain-ra":
		z.SignalNX = m.yes(v)
	case "rpz-log-name":
		z.LogName = v
	default:
		return m.zone(o, &z.AuthZone)
	}
	return true
}

// deckard maps one key of Deckard's configuration.
func (m *mapper) deckard(o Option) bool {
	s, v := m.s, o.value()
	switch o.Name {
	case "stub-addr":
		m.addrs = append(m.addrs, m.addr(v))
	case "stub-name":
		m.hosts = append(m.hosts, m.name(v))
	case "trust-anchor":
		s.Anchors = append(s.Anchors, m.record(v))
	case "val-override-date", "val-override-timestamp":
		m.date(v)
		s.Start, s.Date = s.Date*int64(time.Second), 0
	case "query-minimization":
		s.QNAMEMinimisation = m.yes(v)
	case "domain-insecure":
		s.Insecure = append(s.Insecure, m.name(v))
	case "do-ip4":
		s.IPv4 = m.yes(v)
	case "do-ip6":
		s.IPv6 = m.yes(v)
	case "force-ipv6":
		s.IPv4 = s.IPv4 && !m.yes(v)
	case "harden-glue":
		s.HardenGlue = m.yes(v)
	case "do-not-query-localhost":
		s.QueryLocalhost = !m.yes(v)
	case "forward-addr":
		s.Forwards = append(s.Forwards, Upstream{Name: wire.Root(), Addrs: []netip.AddrPort{m.addr(v)}})
	default:
		return false
	}
	return true
}

// finish is what several options decide together.
func (m *mapper) finish() {
	s := m.s
	for i, a := range m.addrs {
		h := Hint{Addr: a}
		if i < len(m.hosts) {
			h.Name = m.hosts[i]
		} else {
			h.Name, _ = wire.ParseName("k.root-servers.net.")
		}
		s.Hints = append(s.Hints, h)
	}
	has := func(module string) bool {
		for _, w := range s.Modules {
			if w == module {
				return true
			}
		}
		return false
	}
	s.Validate, s.DNS64, s.ResponsePolicy = has("validator"), has("dns64"), has("respip")
}
