package replay

import (
	"net/netip"
	"strings"
)

// clause maps an option of a zone.
func (m *mapper) clause(o Option) bool {
	fresh := o.Block != m.block
	m.block = o.Block
	s := m.s
	switch o.Clause {
	case "stub-zone":
		return m.upstream(o, last(&s.Stubs, fresh, Upstream{}), "stub-")
	case "forward-zone":
		return m.upstream(o, last(&s.Forwards, fresh, Upstream{}), "forward-")
	case "auth-zone":
		return m.zone(o, last(&s.Zones, fresh, AuthZone{Downstream: true, Upstream: true}))
	case "rpz":
		s.ResponsePolicy = true
		return true
	}
	return false
}

// last is the element in hand of a list; fresh begins another one.
func last[T any](list *[]T, fresh bool, empty T) *T {
	if fresh {
		*list = append(*list, empty)
	}
	return &(*list)[len(*list)-1]
}

func (m *mapper) upstream(o Option, u *Upstream, prefix string) bool {
	// Where only messages are simulated, a connection with TLS is one without.
	switches := map[string]*bool{"prime": &u.Prime, "first": &u.First, "no-cache": new(bool), "tcp-upstream": &u.TCP, "tls-upstream": &u.TCP, "ssl-upstream": &u.TCP}
	name, v := strings.TrimPrefix(o.Name, prefix), o.value()
	if b, ok := switches[name]; ok {
		*b = m.yes(v)
		return true
	}
	switch name {
	case "name":
		u.Name = m.name(v)
	case "addr":
		u.Addrs = append(u.Addrs, m.addr(v))
	case "host":
		u.Hosts = append(u.Hosts, m.name(v))
	default:
		return false
	}
	return true
}

func (m *mapper) zone(o Option, z *AuthZone) bool {
	switches := map[string]*bool{"for-downstream": &z.Downstream, "for-upstream": &z.Upstream, "fallback-enabled": &z.Fallback,
		"zonemd-check": &z.CheckZONEMD, "zonemd-reject-absence": &z.RejectNoZONEMD}
	v := o.value()
	if b, ok := switches[o.Name]; ok {
		*b = m.yes(v)
		return true
	}
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
	default:
		return false
	}
	return true
}
