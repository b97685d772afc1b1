package validate

import (
	"anyu/dns/dnssec"
	"anyu/dns/wire"
)

// Expects tells whether the answers of a zone should be signed, as far as that is known without asking: the zone is a trust anchor, or
// its keys were found and hold. A resolver that knows asks another server where one leaves the signatures out.
func (v *Validator) Expects(zone wire.Name, now int64) bool {
	s, seconds := v.settings.Load(), now/1e9
	p := s.nearest(zone, seconds)
	if p.negative != nil || p.anchor == nil {
		return false
	}
	if p.anchor.name.Equal(zone) {
		return true
	}
	z := v.keys.get(zone, seconds, s)
	return z != nil && z.security == dnssec.Secure
}

// Secure tells whether a name lies below a trust anchor, so that a DS record of it counts.
func (v *Validator) Secure(name wire.Name, now int64) bool {
	p := v.settings.Load().nearest(name, now/1e9)
	return p.anchor != nil
}
