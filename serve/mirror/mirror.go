// Package mirror keeps a verified copy of a zone for resolving, above all of the root (RFC 8806 and its successor draft): so that names are found
// while the root servers cannot be reached, and no question to them tells who asks for what.
//
// It promises: a version is used only if its ZONEMD (RFC 8976) and all its signatures (RFC 4035) hold, from the trust anchors down; never one with an
// older serial; it is not altered; after the SOA's expire time, or the end of the first signature, without a good version none is used, and the caller asks the root servers
// again (RFC 8806, Section 2). What was refused is kept as a reason for people to read.
//
// It refuses to fetch, to write and to answer: Due says which source to ask and when, Offer takes what came. It has no clock.
//
// Limits today: sources are asked in turn, whole zones only.
package mirror

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/validate"
)

// Truster tells whether a DNSKEY RRset is signed by what an anchor names. validate.Validator does.
type Truster interface {
	Trusted(now int64, set *message.RRset, list []validate.Anchor) error
}

// Bounds on the timers of a SOA, so that a mistake in a zone neither makes us ask all the time nor never.
const (
	minRefresh = 5 * time.Minute
	maxRefresh = 24 * time.Hour
	minRetry   = time.Minute
	maxExpire  = 14 * 24 * time.Hour
)

// State is what is known, for people.
type State struct {
	Name     string    `json:"name"`
	Serial   uint32    `json:"serial,omitempty"`
	Source   string    `json:"source,omitempty"` // where the version in use came from
	Verified time.Time `json:"verified,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Usable   bool      `json:"usable"`
	Next     time.Time `json:"next,omitzero"`
	Error    string    `json:"error,omitempty"` // of the last try; empty after a success
	Failed   int       `json:"failed"`          // tries since the last success
}

// Mirror is the machine of one zone. It is used by one goroutine at a time.
type Mirror struct {
	name    wire.Name
	sources []string
	trust   Truster
	workers int

	zone     *zone.Zone
	source   string
	verified int64 // ns since 1970
	expires  int64
	next     int64
	turn     int
	failed   int
	err      error
}

// New makes the mirror of a zone with sources in the order they are tried. workers verify signatures; 0: as many as there are CPUs.
func New(name wire.Name, sources []string, trust Truster, workers int) *Mirror {
	return &Mirror{name: name, sources: sources, trust: trust, workers: workers}
}

// Due tells which source to ask next, and when (ns since 1970; 0 is now).
func (m *Mirror) Due() (source int, at int64) { return m.turn, m.next }

// Zone is the version to use, or nil: there is none, or it has expired.
func (m *Mirror) Zone(now int64) *zone.Zone {
	if m.zone == nil || now >= m.expires {
		return nil
	}
	return m.zone
}

// Errors of Offer.
var (
	// ErrOlder: the version has an older serial than the last one used, expired or not (a roll-back, or a source that lags).
	ErrOlder = errors.New("older than the last version used")
	// ErrZONEMD: the digest of the zone is missing or wrong.
	ErrZONEMD = errors.New("ZONEMD does not verify")
)

// Offer takes a version that a source gave. nil: it is in use now, or is the one that is in use. anchors are those of the zone.
func (m *Mirror) Offer(now int64, z *zone.Zone, source string, anchors []validate.Anchor) error {
	if err := m.judge(now, z, anchors); err != nil {
		m.Failed(now, fmt.Errorf("%s: serial %d: %w", source, z.Serial(), err))
		return m.err
	}
	soa := timersOf(z)
	m.zone = z // of the same serial, too: its signatures may be newer
	m.source, m.verified, m.err, m.failed = source, now, nil, 0
	m.expires = min(now+int64(min(soa.expire, maxExpire)), signedUntil(z, now))
	m.next = now + int64(min(max(soa.refresh, minRefresh), maxRefresh))
	return nil
}

// signedUntil is when the first of a zone's signatures ends (ns since 1970; RFC 4034, Section 3.1.5: serial number arithmetic). From then on a part of the copy
// proves nothing, and names below that would be bogus which the root servers answer.
func signedUntil(z *zone.Zone, now int64) int64 {
	first := int32(math.MaxInt32) // seconds from now
	for n := range z.All() {
		for s := range n.Sets() {
			if s.Type() != wire.TypeRRSIG {
				continue
			}
			for it := s.Iter(); it.Next(); {
				first = min(first, int32(binary.BigEndian.Uint32(it.RData()[8:])-uint32(now/1e9)))
			}
		}
	}
	return now + int64(first)*1e9
}

// judge decides about a version.
func (m *Mirror) judge(now int64, z *zone.Zone, anchors []validate.Anchor) error {
	if !z.Apex().Equal(m.name) {
		return fmt.Errorf("is zone %s, not %s", z.Apex(), m.name)
	}
	if m.zone != nil && int32(z.Serial()-m.zone.Serial()) < 0 { // RFC 1982, Section 3.2
		return fmt.Errorf("%w, which has serial %d", ErrOlder, m.zone.Serial())
	}
	return Verify(now, z, m.trust, anchors, m.workers)
}

// Failed notes that a source gave nothing usable; the next one's turn comes.
func (m *Mirror) Failed(now int64, err error) {
	m.err = err
	m.failed++
	m.turn = (m.turn + 1) % max(1, len(m.sources))
	retry := minRetry
	if m.zone != nil {
		retry = min(max(timersOf(m.zone).retry, minRetry), maxRefresh)
	}
	if m.turn != 0 && m.Zone(now) == nil {
		retry = 0 // the others have not been asked yet
	}
	m.next = now + int64(retry)
}

// State tells people.
func (m *Mirror) State(now int64) State {
	s := State{Name: m.name.String(), Source: m.source, Usable: m.Zone(now) != nil, Failed: m.failed}
	if m.zone != nil {
		s.Serial, s.Verified, s.Expires = m.zone.Serial(), time.Unix(0, m.verified), time.Unix(0, m.expires)
	}
	if m.next != 0 {
		s.Next = time.Unix(0, m.next)
	}
	if m.err != nil {
		s.Error = m.err.Error()
	}
	return s
}

// Verify tells whether a zone is whole and authentic: its ZONEMD holds (RFC 8976, Section 4), a trust anchor vouches for its keys (RFC 4035,
// Section 5.2), and these for all that is in it.
func Verify(now int64, z *zone.Zone, trust Truster, anchors []validate.Anchor, workers int) error {
	if v, why := z.CheckZONEMD(); v != zone.ZONEMDVerified {
		return fmt.Errorf("%w: %s", ErrZONEMD, why)
	}
	keys := setOf(z, wire.TypeDNSKEY)
	if keys == nil {
		return errors.New("has no DNSKEY records")
	}
	if err := trust.Trusted(now, keys, anchors); err != nil {
		return fmt.Errorf("checking its keys: %w", err)
	}
	for _, p := range dnssec.CheckZone(z, time.Unix(0, now), dnssec.Options{Workers: workers}) {
		if p.Severity >= zone.Error {
			return fmt.Errorf("checking its signatures: %s", p)
		}
	}
	return nil
}

// setOf returns an RRset of the apex with its signatures, or nil.
func setOf(z *zone.Zone, t wire.Type) *message.RRset {
	node := z.ApexNode()
	set, ok := node.Set(t)
	if !ok {
		return nil
	}
	s := &message.RRset{Name: z.Apex(), Type: t, Class: wire.ClassIN, TTL: set.TTL()}
	for it := set.Iter(); it.Next(); {
		s.Data = append(s.Data, it.RData())
	}
	if sigs, ok := node.Sigs(t); ok {
		for it := sigs.Iter(); it.Next(); {
			s.Sigs = append(s.Sigs, it.RData())
		}
	}
	return s
}

// timers of a SOA (RFC 1035, Section 3.3.13).
type timers struct{ refresh, retry, expire time.Duration }

func timersOf(z *zone.Zone) timers {
	set, ok := z.ApexNode().Set(wire.TypeSOA)
	if !ok {
		return timers{}
	}
	d := set.First()
	at := func(i int) time.Duration {
		return time.Duration(binary.BigEndian.Uint32(d[len(d)-i:])) * time.Second
	}
	return timers{refresh: at(16), retry: at(12), expire: at(8)}
}
