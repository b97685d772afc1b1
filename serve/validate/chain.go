package validate

import (
	"anyu/dns/denial"
	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// zone finds the zone that a name belongs to, from the nearest trust anchor down (RFC 4035, Section 5.2), as far as there is a
// chain of trust: an insecure or bogus zone above the name ends the walk and is the answer.
func (c *call) zone(name wire.Name) *zone {
	place := c.s.nearest(name, c.seconds)
	switch {
	case place.negative != nil:
		return &zone{name: place.negative.Name, cut: true, verdict: verdict{security: dnssec.Insecure, reason: NoReason, text: place.text()}}
	case place.anchor == nil:
		return &zone{name: wire.Root(), cut: true, verdict: verdict{security: dnssec.Indeterminate, reason: NoReason, text: "no trust anchor at or above " + name.String()}}
	}
	top := place.anchor
	z := c.knownAbove(name, top.name)
	if z == nil {
		z = c.child(top.name, trust{ds: top.ds, keys: top.keys, ttl: maxKeySeconds, anchor: true})
	}
	if z == nil { // the keys have changed what is trusted; that happens once
		c.epoch = c.v.keys.epoch.Load()
		c.under, c.seen = c.v.settings.Load(), nil
		again := *c.under
		again.Primed = nil
		c.s = &again
		return c.zone(name)
	}
	for labels := z.name.Labels() + 1; z.security == dnssec.Secure && labels <= name.Labels(); labels++ {
		at := denial.Ancestor(name, labels)
		next := c.known(at)
		if next == nil {
			next = c.delegation(z, at)
		}
		if next.cut {
			z = next
		}
		if next.end {
			break
		}
	}
	return z
}

// known is what was learned of a name, in this call or before.
func (c *call) known(name wire.Name) *zone {
	for _, z := range c.seen {
		if z.name.Equal(name) {
			return z
		}
	}
	return c.v.keys.get(name, c.seconds, c.under)
}

// knownAbove is the deepest known zone at or above a name, not above the top.
func (c *call) knownAbove(name, top wire.Name) *zone {
	for n := name; ; n = n.Parent() {
		if z := c.known(n); z != nil && z.cut {
			return z
		}
		if len(n) <= len(top) {
			return nil
		}
	}
}

// keep remembers what was learned for so many seconds. What comes of an empty budget is this query's own.
func (c *call) keep(z *zone, ttl uint32) *zone {
	limit := int64(maxKeySeconds)
	if z.security == dnssec.Bogus {
		limit = int64(c.s.bogusSeconds())
	}
	z.expires, z.under, z.chain = c.seconds+min(int64(ttl), limit), c.under, true
	c.seen = append(c.seen, z)
	if !c.spent && z.expires > c.seconds {
		c.v.keys.put(z, c.epoch)
	}
	return z
}

// fetch asks for an RRset of the chain.
func (c *call) fetch(name wire.Name, t wire.Type) (*Response, verdict) {
	return c.ask(name, t, c.src.Fetch)
}

func (c *call) ask(name wire.Name, t wire.Type, how func(message.Question) (*Response, error)) (*Response, verdict) {
	if c.b.Fetches <= 0 {
		return nil, c.exhausted("fetches of DS and DNSKEY")
	}
	c.b.Fetches--
	q := message.Question{Name: name, Type: t, Class: wire.ClassIN}
	c.step("asking for %v", q)
	otherwise := uint16(ReasonNetwork)
	if t == wire.TypeDNSKEY {
		otherwise = ReasonNoKey
	}
	r, err := how(q)
	switch {
	case err != nil && t == wire.TypeDNSKEY:
		return nil, bogus(otherwise, "cannot get %v: %v", q, err)
	case err != nil:
		return nil, bogus(reasonOf(err, otherwise), "cannot get %v: %v", q, err)
	case r.Rcode != wire.NoError && r.Rcode != wire.NXDomain && r.Rcode != wire.YXDomain:
		return nil, bogus(otherwise, "cannot get %v: %v", q, r.Rcode)
	}
	return r, verdict{}
}

// again asks once more, elsewhere, where the source can; nil where not.
func (c *call) again(name wire.Name, t wire.Type, why verdict) *Response {
	source, ok := c.src.(Retrier)
	if !ok || c.retries == 0 || c.spent {
		return nil
	}
	c.retries--
	r, _ := c.ask(name, t, func(q message.Question) (*Response, error) { return source.Retry(q, why.text) })
	return r
}

// delegation learns whether something is delegated at a name below a secure zone, and with which keys.
func (c *call) delegation(above *zone, name wire.Name) *zone {
	r, v := c.fetch(name, wire.TypeDS)
	if r == nil {
		return c.keep(&zone{name: name, cut: true, verdict: v}, maxFetchSeconds)
	}
	for {
		z, ttl, ds := c.cutAt(above, name, r)
		if ds != nil {
			return c.child(name, trust{ds: ds.Data, ttl: ds.TTL})
		}
		c.step("%v: %s", name, z.text)
		if z.security == dnssec.Bogus {
			if other := c.again(name, wire.TypeDS, z.verdict); other != nil {
				r = other
				continue
			}
		}
		return c.keep(z, ttl)
	}
}

// cutAt reads the answer to the question for DS: a secure DS RRset, or what stands in its place.
func (c *call) cutAt(above *zone, name wire.Name, r *Response) (z *zone, ttl uint32, ds *message.RRset) {
	if set := message.Find(r.Answer, name, wire.TypeDS); set != nil {
		p := c.by(above, set)
		switch {
		case p.security == dnssec.Secure && p.labels < 0:
			return nil, 0, p.set
		case p.security == dnssec.Secure:
			p.verdict = bogus(ReasonBogus, "%v DS comes from a wildcard, which delegates nothing", name) // RFC 4592, Section 4.6
		}
		return &zone{name: name, cut: true, verdict: p.verdict}, c.s.bogusSeconds(), nil
	}
	alias := dnameAbove(r.Answer, name)
	if alias == nil {
		alias = message.Find(r.Answer, name, wire.TypeCNAME)
	}
	if alias != nil {
		return c.aliasAt(above, name, r, alias)
	}
	z, ttl = c.noDS(above, name, r)
	return z, ttl, nil
}

// aliasAt: a name with a CNAME, or below a DNAME, is no delegation (RFC 6672, Section 2.4; servers.md 5.2, case 53).
func (c *call) aliasAt(above *zone, name wire.Name, r *Response, alias *message.RRset) (*zone, uint32, *message.RRset) {
	p := c.by(above, alias)
	if p.security == dnssec.Secure && p.labels >= 0 {
		sets, _, _ := c.denials(above, r)
		p.verdict = c.closer(denial.NewProof(above.name, sets, c.iterations(above), &c.b.Hashes), &p)
	}
	switch p.security {
	case dnssec.Secure:
		return &zone{name: name, verdict: verdict{security: dnssec.Secure, reason: NoReason, text: "an alias, no delegation"}}, p.set.TTL, nil
	case dnssec.Insecure:
		return &zone{name: name, cut: true, verdict: p.verdict}, p.set.TTL, nil
	}
	return &zone{name: name, cut: true, verdict: p.verdict}, c.s.bogusSeconds(), nil
}

// noDS reads the proof that there is no DS RRset.
func (c *call) noDS(above *zone, name wire.Name, r *Response) (*zone, uint32) {
	sets, ttl, why := c.denials(above, r)
	proof := denial.NewProof(above.name, sets, c.iterations(above), &c.b.Hashes)
	z := c.without(above, name, proof)
	if z.security == dnssec.Bogus && !c.spent {
		z.verdict, ttl = lacking(why, proof, "that "+name.String()+" has no DS", above.name), c.s.bogusSeconds()
	}
	return z, ttl
}

// without says what stands at a name that has no DS RRset; bogus where that is not proved.
func (c *call) without(above *zone, name wire.Name, proof *denial.Proof) *zone {
	v, at := proof.NoDS(name)
	z := &zone{name: name, cut: true}
	switch {
	case v == denial.Proven && at == denial.Delegated:
		z.verdict = insecure(NoReason, "%v is delegated without DS, as %v proves", name, above.name)
	case v == denial.Proven:
		z.cut, z.end, z.verdict = false, at == denial.Nothing, verdict{security: dnssec.Secure, reason: NoReason, text: "no delegation"}
	case v == denial.OptOut:
		z.verdict = insecure(NoReason, "%v may be delegated unsigned: %v proves so with opt-out", name, above.name)
	case v == denial.Iterations:
		z.verdict = insecure(ReasonNSEC3Iterations, "NSEC3 records of %v have over %d iterations", above.name, c.iterations(above))
	case v == denial.Exhausted:
		z.verdict = c.exhausted("NSEC3 hashes")
	default:
		z.verdict = bogus(ReasonBogus, "not proved")
	}
	return z
}

// lacking says why a proof is none: what was wrong with the records, that there are none, or that they prove something else.
func lacking(why verdict, proof *denial.Proof, what string, zone wire.Name) verdict {
	switch {
	case why.text != "":
		return why
	case proof.Empty():
		return bogus(ReasonNoDenial, "no NSEC or NSEC3 record of %v proves %s", zone, what)
	}
	return bogus(ReasonBogus, "the NSEC or NSEC3 records of %v do not prove %s", zone, what)
}

// by validates an RRset that a zone must have signed.
func (c *call) by(z *zone, s *message.RRset) proved {
	sigs, malformed := readSignatures(s)
	p := c.signed(s, sigs, z.name, z)
	if p.security != dnssec.Secure && p.text == "" {
		p.verdict = bogus(ReasonNoSignature, "no signature of %v over %v %v", z.name, s.Name, s.Type)
		if malformed.text != "" {
			p.verdict = malformed
		}
	}
	return p
}

// denials validates the NSEC and NSEC3 RRsets of one zone in the authority section. Those that are the expansion of a wildcard are
// no proof. ttl is the least; why is the worst that was wrong with any.
func (c *call) denials(z *zone, r *Response) (sets []*message.RRset, ttl uint32, why verdict) {
	ttl = maxKeySeconds
	looked := 0
	for _, s := range r.Authority {
		if s.Type != wire.TypeNSEC && s.Type != wire.TypeNSEC3 || looked == denial.MaxRecords || c.spent {
			continue
		}
		looked++
		p := c.by(z, s)
		switch {
		case p.security != dnssec.Secure:
			why = worse(why, p.verdict)
		case p.labels >= 0:
			why = worse(why, bogus(ReasonBogus, "%v %v is made from a wildcard and proves nothing", s.Name, s.Type))
		default:
			sets, ttl = append(sets, p.set), min(ttl, p.set.TTL)
		}
	}
	return sets, ttl, why
}
