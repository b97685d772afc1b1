package resolve

import (
	"net/netip"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/cache"
)

// zoneCut is a zone with what is known of its servers (a delegation, RFC 9499, Section 7).
type zoneCut struct {
	zone      wire.Name
	names     []nameServer
	upstreams []*Upstream
	recursive bool           // its servers are resolvers
	held      bool           // answered from a zone held here
	conf      *Zone          // where it is configured
	expires   int64          // seconds since 1970
	signed    bool           // its answers should be signed
	looked    int            // names whose addresses were looked up
	lost      int            // of which nothing came
	ns        *message.RRset // what the parent said, where it is known
	glue      []*message.RRset
}

// nameServer is one of a zone's servers.
type nameServer struct {
	name      wire.Name
	addresses []netip.AddrPort
	looked    bool // addresses were looked up
	stream    bool // over TCP only
}

const noEnd = int64(1) << 40

// closest finds the zone nearest to a name whose servers are known: RFC 1034, Section 5.3.3, step 2. passed are configured zones whose servers
// have failed.
func (t *task) closest(q message.Question, passed ...*Zone) (*zoneCut, *failed) {
	name := q.Name
	if q.Type == wire.TypeDS && len(name) > 1 {
		name = name.Parent() // RFC 4035, Section 4.2: the parent's servers have it
	}
	conf := t.config.zoneFor(name, passed...)
	if conf != nil && conf.Forward {
		return t.configured(conf), nil
	}
	held, holds := wire.Name(nil), false
	if t.config.Local != nil {
		held, holds = t.config.Local.Closest(name)
	}
	for up := name; ; up = up.Parent() {
		if holds && up.Equal(held) {
			return &zoneCut{zone: held, held: true, expires: noEnd}, nil
		}
		if conf != nil && up.Equal(conf.Name) {
			return t.configured(conf), nil
		}
		if d := t.remembered(up); d != nil {
			return d, nil
		}
		if len(up) <= 1 {
			return t.root()
		}
	}
}

// configured makes the delegation of a configured zone.
func (t *task) configured(z *Zone) *zoneCut {
	d := &zoneCut{zone: z.Name, recursive: z.Forward, conf: z, upstreams: z.Upstreams, expires: noEnd}
	for _, h := range z.Hosts {
		d.names = append(d.names, nameServer{name: h.Name, addresses: h.Addresses, stream: h.Stream})
	}
	if z.Prime && !z.Forward {
		if p := t.prime(z.Name, d); p != nil {
			return p
		}
	}
	d.signed = t.expectsSignatures(z.Name)
	return d
}

// root is where iteration starts when nothing closer is known.
func (t *task) root() (*zoneCut, *failed) {
	d := &zoneCut{zone: wire.Root(), expires: noEnd}
	for _, h := range t.config.Hints {
		d.names = append(d.names, nameServer{name: h.Name, addresses: h.Addresses})
	}
	if len(d.names) == 0 {
		return nil, &failed{reason: reasonOther, text: "no root servers are configured"}
	}
	if t.config.Prime && t.e.now >= t.e.primed {
		t.e.primed = t.e.now + 60*second // failed priming is not tried again at once: the hints do as well
		if p := t.prime(d.zone, d); p != nil {
			return p, nil
		}
	}
	d.signed = t.expectsSignatures(d.zone)
	return d, nil
}

// prime asks configured servers for the zone's own name servers (RFC 9609, Section 3), and remembers them.
func (t *task) prime(zone wire.Name, d *zoneCut) *zoneCut {
	q := message.Question{Name: zone, Type: wire.TypeNS, Class: wire.ClassIN}
	if d.conf != nil {
		if p := t.remembered(zone); p != nil {
			return p
		}
	}
	r, kind, err := t.askZone(d, q, nil)
	if err != nil || kind != isAnswer {
		return nil
	}
	ns := message.Find(r.answer, zone, wire.TypeNS)
	if ns == nil {
		return nil
	}
	// RFC 9609, Section 4.2: the answer need not be complete. One whose servers have no address that can be asked leaves what is configured.
	if p := t.remember(ns, append(r.additional, d.hints(ns, r.additional)...), noEnd, r.epoch); p.usable() {
		return p
	}
	return nil
}

// hints are the addresses that were configured for name servers which the answer gives none for.
func (d *zoneCut) hints(ns *message.RRset, glue []*message.RRset) (list []*message.RRset) {
	for _, data := range ns.Data {
		name := message.Target(data)
		if message.Find(glue, name, wire.TypeA) != nil || message.Find(glue, name, wire.TypeAAAA) != nil {
			continue
		}
		for _, h := range d.names {
			if !h.name.Equal(name) {
				continue
			}
			for _, a := range h.addresses {
				t := wire.TypeA
				if a.Addr().Is6() {
					t = wire.TypeAAAA
				}
				list = append(list, &message.RRset{Name: name, Type: t, Class: wire.ClassIN, TTL: ns.TTL, Data: [][]byte{a.Addr().AsSlice()}})
			}
		}
	}
	return list
}

// remembered makes the delegation of a zone from the cache. nil: nothing usable is there.
func (t *task) remembered(zone wire.Name) *zoneCut {
	a, ok := t.e.Cache.Answer(message.Question{Name: zone, Type: wire.TypeNS, Class: wire.ClassIN}, delegation, t.e.now)
	if !ok || len(a.Authority) == 0 {
		return nil
	}
	if t.opts.Refresh && (t.fades(int64(a.Authority[0].TTL), a.Stored) || t.childFades(zone)) {
		return nil // an answer is renewed from where it comes from tomorrow: a delegation about to expire may have changed
	}
	d := t.cut(a.Authority[0], a.Additional, a.Expires)
	if !d.usable() {
		return nil // climb to the parent, which may say more today (servers.md 5.2, case 8)
	}
	return d
}

// fades tells whether the last tenth of a life has begun.
func (t *task) fades(left, stored int64) bool {
	return left <= (left+t.e.now/second-stored)/renewShare
}

// childFades tells the same of what a zone says of its own servers.
func (t *task) childFades(zone wire.Name) bool {
	e, ok := t.e.Cache.RRset(zone, wire.TypeNS, t.e.now)
	return ok && t.fades(int64(e.Set.TTL), e.Stored)
}

// remember keeps what a parent says of a zone's servers. Only the parent's word is kept, and it never lives longer than the parent's
// own delegation: a revoked name cannot keep itself alive (ghost domains; Phoenix T1 and T2, CVE-2022-30698).
func (t *task) remember(ns *message.RRset, glue []*message.RRset, until int64, epoch uint64) *zoneCut {
	store := t.e.Cache.Since(epoch)
	now := t.e.now / second
	expires := min(now+int64(ns.TTL), until)
	var kept []*message.RRset
	for _, s := range glue {
		if s.Type != wire.TypeA && s.Type != wire.TypeAAAA {
			continue
		}
		for _, d := range ns.Data {
			if s.Name.Equal(message.Target(d)) {
				kept = append(kept, s)
				store.PutRRset(s, cache.TrustAdditional, dnssec.Unchecked, t.e.now)
			}
		}
	}
	a := &cache.Answer{Question: message.Question{Name: ns.Name, Type: wire.TypeNS, Class: wire.ClassIN}, Reason: event.NoReason,
		Authority: []*message.RRset{ns}, Additional: kept, Stored: now, Expires: expires}
	if expires > now {
		store.PutAnswer(a, delegation, uint32(expires-now), t.e.now)
	}
	return t.cut(ns, kept, expires)
}

// cut makes a delegation of name server records and glue.
func (t *task) cut(ns *message.RRset, glue []*message.RRset, expires int64) *zoneCut {
	d := &zoneCut{zone: ns.Name, ns: ns, glue: glue, expires: expires, signed: t.expectsSignatures(ns.Name)}
	for _, data := range ns.Data {
		s := nameServer{name: message.Target(data)}
		if t.config.VerifyGlue && !s.name.IsSubdomainOf(ns.Name) {
			d.names = append(d.names, s)
			continue
		}
		for _, g := range glue {
			if g.Name.Equal(s.name) {
				s.addresses = t.addresses(s.addresses, g)
			}
		}
		if len(s.addresses) == 0 {
			s.addresses = t.knownAddresses(s.name)
		}
		d.names = append(d.names, s)
	}
	return d
}

// knownAddresses are those in the cache, be they glue of another delegation: whoever gave that may speak for the name.
func (t *task) knownAddresses(name wire.Name) (list []netip.AddrPort) {
	for _, qt := range [...]wire.Type{wire.TypeA, wire.TypeAAAA} {
		if a, ok := t.e.Cache.RRset(name, qt, t.e.now); ok {
			list = t.addresses(list, a.Set)
		}
	}
	return list
}

// addresses adds those of an RRset that may be asked.
func (t *task) addresses(list []netip.AddrPort, s *message.RRset) []netip.AddrPort {
	for _, d := range s.Data {
		a, ok := netip.AddrFromSlice(d)
		if ok && len(list) < MaxAddresses && (t.config.Forbidden == nil || !t.config.Forbidden(a.Unmap()) || t.config.hinted(a)) {
			list = append(list, netip.AddrPortFrom(a, t.config.port()))
		}
	}
	return list
}

// usable tells whether a server of the zone can be reached without asking the zone itself.
func (d *zoneCut) usable() bool {
	for i := range d.names {
		if len(d.names[i].addresses) > 0 || !d.names[i].name.IsSubdomainOf(d.zone) {
			return true
		}
	}
	return len(d.upstreams) > 0
}

// follow goes down to the zone that a reply refers to: RFC 1034, Section 5.3.3, step 4b.
// passed are configured zones that are passed over, because their servers have failed.
func (t *task) follow(d *zoneCut, r *reply, passed []*Zone) *zoneCut {
	ns := referral(r)
	t.note(Step{Kind: StepReferral, Zone: ns.Name, Text: namesOf(ns)})
	t.keepDS(d, r, ns)
	if conf := t.config.zoneFor(ns.Name, passed...); conf != nil && conf.Name.Equal(ns.Name) && conf != d.conf {
		return t.configured(conf)
	}
	if t.config.Local != nil {
		if apex, ok := t.config.Local.Closest(ns.Name); ok && apex.Equal(ns.Name) {
			return &zoneCut{zone: apex, held: true, expires: noEnd}
		}
	}
	t.confirm(ns, r.additional)
	return t.remember(ns, r.additional, d.expires, r.epoch)
}

// confirm lets live anew what the parent has just said again: what the zone says of its servers, and the glue.
func (t *task) confirm(ns *message.RRset, glue []*message.RRset) {
	t.e.Cache.ForgetRRset(ns.Name, wire.TypeNS)
	for _, g := range glue {
		if e, ok := t.e.Cache.RRset(g.Name, g.Type, t.e.now); ok && e.Trust <= cache.TrustAdditional {
			t.e.Cache.ForgetRRset(g.Name, g.Type)
		}
	}
}

// keepDS keeps what the parent says of the zone's keys in the same message: the DS records, or the proof that there are none
// (RFC 4035, Section 3.1.4), so that they need not be asked for.
func (t *task) keepDS(d *zoneCut, r *reply, ns *message.RRset) {
	if t.e.Validator == nil || d.recursive {
		return
	}
	a := &cache.Answer{Question: message.Question{Name: ns.Name, Type: wire.TypeDS, Class: wire.ClassIN}, AA: true, Reason: event.NoReason}
	if ds := message.Find(r.authority, ns.Name, wire.TypeDS); ds != nil {
		if len(ds.Sigs) == 0 {
			return
		}
		a.Answer = []*message.RRset{ds}
	} else if a.Authority = proofs(r.authority); !signed(a.Authority) {
		return
	}
	t.keep(a, raw, r.epoch)
	t.comesFrom(keyOf(a.Question, raw), r.from)
}

// expectsSignatures tells whether the answers of a zone should be signed.
func (t *task) expectsSignatures(zone wire.Name) bool {
	v := t.e.Validator
	if v == nil || t.opts.CD {
		return false
	}
	if v.Expects(zone, t.e.now) {
		return true
	}
	a, ok := t.e.Cache.Answer(message.Question{Name: zone, Type: wire.TypeDS, Class: wire.ClassIN}, raw, t.e.now)
	return ok && len(a.Answer) == 1 && a.Answer[0].Type == wire.TypeDS && v.Secure(zone, t.e.now)
}

func namesOf(ns *message.RRset) string {
	text := ""
	for i, d := range ns.Data {
		if i > 0 {
			text += ", "
		}
		if i == 4 {
			return text + "..."
		}
		text += message.Target(d).String()
	}
	return text
}
