// Package filter says what is refused before any work is done: who may ask (ACL), who has proved an address (DNS cookies),
// and how many answers a client may be sent (response rate limiting).
//
// The package promises: constant work and memory a query, no lock, no allocation; `now` is an argument. It refuses to
// forget silently: each verdict has a name that ends up in the observation. It does not answer; serve does.
//
// Limits today: RPZ and rules made at run time come with later issues.
package filter

import "net/netip"

// ACL is a list of prefixes. The zero ACL contains nobody.
type ACL struct {
	prefixes []netip.Prefix
	all4     bool
	all6     bool
}

// NewACL copies a list of prefixes. Masked bits are ignored.
func NewACL(prefixes []netip.Prefix) ACL {
	var a ACL
	for _, p := range prefixes {
		p = p.Masked()
		switch {
		case p.Bits() == 0 && p.Addr().Is4():
			a.all4 = true
		case p.Bits() == 0:
			a.all6 = true
		default:
			a.prefixes = append(a.prefixes, p)
		}
	}
	return a
}

// Everybody is the ACL that contains every address.
func Everybody() ACL { return ACL{all4: true, all6: true} }

// Contains tells whether an address is in the list. An IPv4-mapped address counts as IPv4.
func (a *ACL) Contains(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Is4() && a.all4 || addr.Is6() && a.all6 {
		return true
	}
	for _, p := range a.prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
