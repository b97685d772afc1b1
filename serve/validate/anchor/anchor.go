// Package anchor keeps the trust anchors of a zone current as RFC 5011 says: keys that the trusted ones sign in become trusted after
// a hold-down, revoked ones are given up.
//
// It promises: a pure state machine. Observe takes the time and the DNSKEY RRset that was fetched, or none where that failed, and
// changes states; NextProbe says when to fetch again. Parse and Text read and write the key file, in the form that Unbound and
// autotrust use, so that an operator can bring one along.
//
// It refuses to fetch, to write files and to do arithmetic: signatures are the Checker's business.
//
// Limits today: a file holds one zone; at most MaxKeys keys of it.
package anchor

import (
	"bytes"
	"cmp"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/validate"
)

// State of a key (RFC 5011, Section 4.2). The numbers are those of the file.
type State uint8

const (
	Start   State = iota // an anchor that an operator wrote down: trusted until the first success
	AddPend              // seen, and waiting for the hold-down to end
	Valid                // trusted
	Missing              // trusted, and not in the zone
	Revoked              // given up by its owner
	Removed              // to be forgotten
)

var stateNames = [...]string{"START", "ADDPEND", "VALID", "MISSING", "REVOKED", "REMOVED"}

func (s State) String() string { return stateNames[s] }

// Times in seconds.
const (
	// HoldDown: RFC 5011, Section 2.4.1: a new key is trusted after 30 days; 2.4.2: a revoked one forgotten after 30 days.
	HoldDown = 30 * 86400
	// KeepMissing is how long a key that is gone without having been revoked is kept; RFC 5011 would keep it for ever.
	KeepMissing = 366 * 86400
	hour        = 3600
	day         = 86400
)

// MinSeen is how often a new key must have been seen besides the hold-down: one old answer replayed is not enough.
const MinSeen = 2

// MaxKeys of a zone are kept: a zone cannot fill the disk.
const MaxKeys = 32

// Key is one key of the zone.
type Key struct {
	Type    wire.Type // TypeDNSKEY; TypeDS only in state Start
	Data    []byte    // RDATA
	State   State
	Seen    int   // times seen in AddPend
	Changed int64 // when it came into its state, seconds since 1970
}

// Point is a zone with its trust anchors. Times are seconds since 1970; 0 is never.
type Point struct {
	Zone                                wire.Name
	TTL                                 uint32 // of the keys as last seen
	Keys                                []Key
	LastQueried, LastSuccess, NextProbe int64
	Failed                              int // probes since the last success
	QueryInterval, RetryTime            int64
	// AddHold, RemoveHold and KeepMissing are seconds to use instead of HoldDown (both) and KeepMissing; 0: those. For scenarios: RFC 5011, Section
	// 2.4 has 30 days.
	AddHold, RemoveHold, KeepMissing int64
	over                             bool // all keys are revoked: the zone is not followed any more (RFC 5011, Section 5)
}

// Checker does the arithmetic; validate.Validator does it.
type Checker interface {
	Accepts(a dnssec.Algorithm) bool
	Trusted(now int64, set *message.RRset, list []validate.Anchor) error
	SelfSigned(now int64, set *message.RRset, rdata []byte) (until int64, ok bool)
}

// Anchors are what a validator is to trust now: keys that are valid or missing, or what an operator wrote down.
func (p *Point) Anchors() (list []validate.Anchor) {
	for _, k := range p.Keys {
		if k.State == Valid || k.State == Missing || k.State == Start {
			list = append(list, validate.Anchor{Zone: p.Zone, Type: k.Type, Data: k.Data})
		}
	}
	return list
}

// ripe are keys that have waited out their hold-down and were seen often enough: RFC 5011, Section 2.4.1 trusts them with the next set,
// which they may sign alone where the zone has moved on in the meantime.
func (p *Point) ripe(seconds int64) (list []validate.Anchor) {
	for _, k := range p.Keys {
		if k.State == AddPend && seconds-k.Changed >= cmp.Or(p.AddHold, HoldDown) && k.Seen >= MinSeen {
			list = append(list, validate.Anchor{Zone: p.Zone, Type: k.Type, Data: k.Data})
		}
	}
	return list
}

// Over tells whether the owner has revoked all keys. RFC 5011, Section 5: the zone is then as if it had never been configured.
func (p *Point) Over() bool { return p.over }

// Observe takes in a probe: the DNSKEY RRset of the zone as fetched, nil where it could not be, at a time in nanoseconds since 1970.
// changed tells that the states, and so Anchors, changed; the file is to be written after each probe. The error says why the probe
// taught nothing.
func (p *Point) Observe(now int64, set *message.RRset, c Checker) (changed bool, err error) {
	seconds := now / 1e9
	p.LastQueried = seconds
	if p.over {
		p.NextProbe = 0
		return false, nil
	}
	if set == nil || !set.Is(p.Zone, wire.TypeDNSKEY) {
		p.fail(seconds)
		return false, errNoKeys
	}
	changed = p.revoke(now, set, c)
	// Where all that was trusted has just been revoked, the revocation itself is all that vouches, and that is enough.
	if list := p.Anchors(); len(list) > 0 || !changed {
		if err := c.Trusted(now, set, append(list, p.ripe(seconds)...)); err != nil {
			p.fail(seconds)
			return changed, err
		}
	}
	p.LastSuccess, p.Failed, p.TTL = seconds, 0, set.TTL
	changed = p.advance(seconds, set, c) || changed
	p.settle()
	p.schedule(now, set, c)
	return changed, nil
}

// fail notes a probe that taught nothing.
func (p *Point) fail(seconds int64) {
	p.Failed++
	if p.RetryTime == 0 {
		p.RetryTime = hour
	}
	p.NextProbe = seconds + p.RetryTime
}

// revoke believes a revocation that the revoked key itself has signed (RFC 5011, Section 2.1).
func (p *Point) revoke(now int64, set *message.RRset, c Checker) (changed bool) {
	for _, d := range set.Data {
		if len(d) < 4 || flagsOf(d)&dnssec.FlagRevoked == 0 {
			continue
		}
		k := p.find(d)
		if k == nil || k.State == Revoked || k.State == Removed {
			continue
		}
		if _, ok := c.SelfSigned(now, set, d); !ok {
			continue
		}
		if changed = true; k.State == AddPend {
			k.State = Removed
			continue
		}
		k.Type, k.Data, k.State, k.Seen, k.Changed = wire.TypeDNSKEY, bytes.Clone(d), Revoked, 0, now/1e9
	}
	return changed
}

// find finds a key by its material, whatever its REVOKE bit says.
func (p *Point) find(d []byte) *Key {
	for i := range p.Keys {
		if k := &p.Keys[i]; k.Type == wire.TypeDNSKEY && sameKey(k.Data, d) {
			return k
		}
	}
	return nil
}

func flagsOf(d []byte) uint16 { return uint16(d[0])<<8 | uint16(d[1]) }

func sameKey(a, b []byte) bool {
	return len(a) == len(b) && len(a) >= 4 && flagsOf(a)&^dnssec.FlagRevoked == flagsOf(b)&^dnssec.FlagRevoked && bytes.Equal(a[2:], b[2:])
}
