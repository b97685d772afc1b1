package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"anyu/dns/wire"
)

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
	if o.harmless() {
		return true
	}
	if o.Clause == "server" {
		return m.server(o)
	}
	return m.clause(o)
}

// switches are the options that are yes or no.
func (m *mapper) switches() map[string]*bool {
	s := m.s
	return map[string]*bool{"do-ip4": &s.IPv4, "do-ip6": &s.IPv6, "qname-minimisation": &s.QNAMEMinimisation, "minimal-responses": &s.Minimal,
		"iter-scrub-promiscuous": &s.ScrubPromiscuous, "fake-sha1": &s.FakeSHA1, "trust-anchor-signaling": &s.AnchorSignaling,
		"root-key-sentinel": &s.Sentinel, "harden-below-nxdomain": &s.HardenBelowNXDOMAIN, "harden-algo-downgrade": &s.HardenAlgorithmDowngr,
		"harden-unverified-glue": &s.HardenUnverifiedGlue, "aggressive-nsec": &s.AggressiveNSEC, "prefetch": &s.Prefetch, "answer-cookie": &s.AnswerCookie,
		"serve-expired": &s.ServeExpired, "ede": &s.EDE, "hide-identity": &s.HideIdentity, "hide-version": &s.HideVersion,
		"qname-minimisation-strict": &s.MinimiseStrict,
		"ede-serve-expired":         &s.ExpiredEDE, "edns-tcp-keepalive": &s.Keepalive, "zonemd-permissive-mode": &s.ZONEMDPermissive, "unblock-lan-zones": &s.LANOpen, "insecure-lan-zones": &s.LANInsecure}
}

// numbers are the options that are seconds or counts.
func (m *mapper) numbers() map[string]*uint32 {
	s := m.s
	return map[string]*uint32{"cache-max-ttl": &s.MaxTTL, "cache-min-ttl": &s.MinTTL, "cache-max-negative-ttl": &s.MaxNegativeTTL,
		"val-bogus-ttl": &s.BogusTTL, "val-sig-skew-min": &s.SkewMin, "val-sig-skew-max": &s.SkewMax,
		"add-holddown": &s.AddHold, "del-holddown": &s.RemoveHold, "keep-missing": &s.KeepMissing,
		"serve-expired-ttl": &s.ExpiredTTL, "serve-expired-reply-ttl": &s.ExpiredReplyTTL}
}

// counts are the options that are small numbers.
func (m *mapper) counts() map[string]*int {
	return map[string]*int{"outbound-msg-retry": &m.s.Retries, "iter-scrub-ns": &m.s.ScrubNS}
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
	return m.resolving(o, v) || m.answering(o, v) || m.tags(o, v)
}

// resolving maps what concerns asking and believing.
func (m *mapper) resolving(o Option, v string) bool {
	s := m.s
	switch o.Name {
	case "trust-anchor":
		s.Anchors = append(s.Anchors, m.record(v))
	case "trust-anchor-file", "trusted-keys-file":
		s.Anchors = append(s.Anchors, m.anchorsOf(v)...)
	case "root-hints":
		m.hints(v)
	case "domain-insecure":
		s.Insecure = append(s.Insecure, m.name(v))
	case "val-override-date":
		m.date(v)
	case "val-nsec3-keysize-iterations":
		m.iterations(v)
	case "module-config":
		s.Modules = strings.Fields(v)
	case "do-not-query-localhost":
		s.QueryLocalhost = !m.yes(v)
	case "do-not-query-address":
		s.NotAsked = append(s.NotAsked, m.prefix(v))
	case "private-address":
		s.PrivateAddresses = append(s.PrivateAddresses, m.prefix(v))
	case "private-domain":
		s.PrivateDomains = append(s.PrivateDomains, m.name(v))
	case "dns64-prefix":
		s.DNS64Prefix = m.prefix(v)
	case "dns64-ignore-aaaa":
		s.DNS64Ignore = append(s.DNS64Ignore, m.name(v))
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
		s.LocalZones = append(s.LocalZones, LocalZone{Name: m.name(v), Type: o.Args[1]})
	case "local-zone-override":
		s.LocalZones = append(s.LocalZones, LocalZone{Name: m.name(v), Type: o.Args[2], Client: m.prefix(o.Args[1])})
	case "local-data":
		s.LocalData = append(s.LocalData, m.localData(v))
	case "local-data-ptr":
		s.LocalData = append(s.LocalData, m.localPointer(v))
	case "serve-expired-client-timeout":
		s.ExpiredClientTimeout = time.Duration(m.number(v, 31)) * time.Millisecond
	case "discard-timeout":
		if s.DiscardTimeout = time.Duration(m.number(v, 31)) * time.Millisecond; s.DiscardTimeout == 0 {
			s.DiscardTimeout = time.Hour // 0 is never, and no client waits that long
		}
	case "edns-tcp-keepalive-timeout":
		s.KeepaliveTime = time.Duration(m.number(v, 31)) * time.Millisecond
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
	case "features": // others: in the table of causes
		name, value, _ := strings.Cut(v, "=")
		if strings.TrimSpace(name) != "min_ttl" {
			return false
		}
		s.MinTTL = uint32(m.number(strings.TrimSpace(value), 32))
	case "harden-glue": // no: in the table of causes
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
	s.Validate, s.DNS64 = has("validator"), has("dns64")
}
