package anchor

import (
	"bytes"
	"cmp"
	"errors"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

var errNoKeys = errors.New("the DNSKEY records of the zone could not be fetched")

// advance follows the table of RFC 5011, Section 4.1, with a set that is trusted.
func (p *Point) advance(seconds int64, set *message.RRset, c Checker) (changed bool) {
	if p.initial() {
		return p.adopt(seconds, set, c)
	}
	for i := range p.Keys {
		k := &p.Keys[i]
		before := k.State
		if p.next(k, seconds, present(set, k.Data)); k.State != before {
			k.Changed, changed = seconds, true
		}
	}
	for _, d := range set.Data {
		if len(p.Keys) < MaxKeys && entry(d, c) && p.find(d) == nil {
			p.Keys = append(p.Keys, Key{Type: wire.TypeDNSKEY, Data: bytes.Clone(d), State: AddPend, Seen: 1, Changed: seconds})
			changed = true
		}
	}
	p.forgetMissing(seconds)
	return changed
}

// initial tells whether nothing but what an operator wrote down is there.
func (p *Point) initial() bool {
	for _, k := range p.Keys {
		if k.State != Start {
			return false
		}
	}
	return true
}

// adopt takes the entry points of the first set that is trusted in place of what an operator wrote down (RFC 5011, Section 2.4.1
// does not ask for a hold-down for the keys of a configured trust anchor).
func (p *Point) adopt(seconds int64, set *message.RRset, c Checker) bool {
	var keys []Key
	for _, d := range set.Data {
		if len(keys) < MaxKeys && entry(d, c) {
			keys = append(keys, Key{Type: wire.TypeDNSKEY, Data: bytes.Clone(d), State: Valid, Changed: seconds})
		}
	}
	if len(keys) == 0 {
		return false // a zone without entry points: what was written down stays
	}
	p.Keys = keys
	return true
}

// entry tells whether a key may become a trust anchor: an entry point (RFC 5011, Section 2.4.1), not revoked, of an algorithm that can
// be used. A key of an unknown algorithm would make the zone insecure when it is the last.
func entry(d []byte, c Checker) bool {
	const want = dnssec.FlagSEP | dnssec.FlagZone
	return len(d) > 4 && d[2] == 3 && flagsOf(d)&(want|dnssec.FlagRevoked) == want && c.Accepts(dnssec.Algorithm(d[3]))
}

func present(set *message.RRset, key []byte) bool {
	for _, d := range set.Data {
		if bytes.Equal(d, key) {
			return true
		}
	}
	return false
}

// next is the table of RFC 5011, Section 4.1.
func (p *Point) next(k *Key, seconds int64, present bool) {
	switch k.State {
	case AddPend:
		if !present {
			k.State = Removed // KeyRem: it starts anew when it comes again
			return
		}
		k.Seen++
		if seconds-k.Changed >= cmp.Or(p.AddHold, HoldDown) && k.Seen >= MinSeen { // AddTime
			k.State, k.Seen = Valid, 0
		}
	case Valid:
		if !present {
			k.State = Missing
		}
	case Missing:
		if present {
			k.State = Valid
		}
	case Revoked:
		if seconds-k.Changed >= cmp.Or(p.RemoveHold, HoldDown) { // RemTime
			k.State = Removed
		}
	case Start:
		k.State = Removed
	}
}

// forgetMissing gives up keys that have been gone for long, while another is there to trust.
func (p *Point) forgetMissing(seconds int64) {
	valid := false
	for _, k := range p.Keys {
		valid = valid || k.State == Valid
	}
	for i := range p.Keys {
		if k := &p.Keys[i]; valid && k.State == Missing && seconds-k.Changed >= cmp.Or(p.KeepMissing, KeepMissing) {
			k.State = Removed
		}
	}
}

// settle drops what is removed, and sees whether all is revoked.
func (p *Point) settle() {
	kept := p.Keys[:0]
	for _, k := range p.Keys {
		if k.State != Removed {
			kept = append(kept, k)
		}
	}
	p.Keys = kept
	revoked, trusted := false, false
	for _, k := range p.Keys {
		revoked = revoked || k.State == Revoked
		trusted = trusted || k.State == Valid || k.State == Missing || k.State == Start
	}
	p.over = revoked && !trusted
}

// schedule sets the time of the next probe (RFC 5011, Section 2.3).
func (p *Point) schedule(now int64, set *message.RRset, c Checker) {
	seconds := now / 1e9
	ttl, valid := int64(set.TTL), int64(15*day*2)
	for _, d := range set.Data {
		if until, ok := c.SelfSigned(now, set, d); ok {
			valid = min(valid, max(0, until-seconds))
		}
	}
	p.QueryInterval = max(hour, min(15*day, ttl/2, valid/2))
	p.RetryTime = max(hour, min(day, ttl/10, valid/10))
	p.NextProbe = seconds + p.QueryInterval
	if p.over {
		p.NextProbe = 0
	}
}
