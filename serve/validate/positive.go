package validate

import (
	"anyu/dns/denial"
	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// wildcardOf is the source of synthesis of a name whose signature has so many labels.
func wildcardOf(name wire.Name, labels int) wire.Name {
	w, _ := denial.Wildcard(denial.Ancestor(name, labels))
	return w
}

// positive validates an answer that is one RRset: what was asked for, or a CNAME.
func (c *call) positive(r *Response, set *message.RRset) Result {
	p := c.set(set)
	proofs := c.expansion(r, &p)
	if p.security != dnssec.Secure {
		return c.whole(r, p.verdict)
	}
	// What is signed exists, whatever the message says; NXDOMAIN beside a CNAME is about its target.
	res := Result{Security: dnssec.Secure, Rcode: wire.NoError, Reason: NoReason, Answer: []Checked{p.checked()}}
	if set.Type == wire.TypeCNAME && len(set.Data) == 1 {
		proofs = c.target(r, p.zone, proofs, message.Target(set.Data[0]))
	}
	c.extras(&res, r, p.zone, proofs, c.s.Minimal)
	return res
}

// target learns from the proofs beside a CNAME where its target is delegated without DS: the same zone often says so in one answer, and
// the questions for DS are spared. It returns the proofs, which belong to the answer.
func (c *call) target(r *Response, z *zone, proofs []*message.RRset, target wire.Name) []*message.RRset {
	if wire.ValidName(target) != nil || len(target) <= len(z.name) || !target.IsSubdomainOf(z.name) {
		return proofs
	}
	if len(proofs) == 0 {
		proofs, _, _ = c.denials(z, r)
	}
	if len(proofs) == 0 {
		return nil
	}
	ttl := uint32(maxKeySeconds)
	for _, s := range proofs {
		ttl = min(ttl, s.TTL)
	}
	proof := denial.NewProof(z.name, proofs, c.iterations(z), &c.b.Hashes)
	for labels := z.name.Labels() + 1; labels <= target.Labels() && !c.spent; labels++ {
		at := denial.Ancestor(target, labels)
		if c.known(at) != nil {
			break
		}
		k := c.without(z, at, proof)
		if k.security == dnssec.Bogus {
			break // nothing is said of it
		}
		if c.keep(k, ttl); k.cut || k.end {
			break
		}
	}
	return proofs
}

// any validates the RRsets of an answer to ANY: each must hold.
func (c *call) any(r *Response, sets []*message.RRset) Result {
	res := Result{Security: dnssec.Secure, Rcode: wire.NoError, Reason: NoReason}
	var proofs []*message.RRset
	var z *zone
	for _, set := range sets[:min(len(sets), maxAnySets)] {
		p := c.set(set)
		proofs = append(proofs, c.expansion(r, &p)...)
		if p.security != dnssec.Secure {
			return c.whole(r, p.verdict)
		}
		res.Answer, z = append(res.Answer, p.checked()), p.zone
	}
	c.extras(&res, r, z, proofs, false)
	return res
}

// alias validates a DNAME and the CNAME made from it, which nobody signs (RFC 6672, Section 5.3.1).
func (c *call) alias(r *Response, dname *message.RRset) Result {
	p := c.set(dname)
	proofs := c.expansion(r, &p)
	if p.security != dnssec.Secure {
		return c.whole(r, p.verdict)
	}
	res := Result{Security: dnssec.Secure, Rcode: r.Rcode, Reason: NoReason, Answer: []Checked{p.checked()}}
	target, fits := substitute(r.Question.Name, dname)
	if fits {
		res.Rcode = wire.NoError
	}
	cname := message.Find(r.Answer, r.Question.Name, wire.TypeCNAME)
	switch {
	// RFC 6672, Section 2.2: YXDOMAIN says that the new name is too long.
	case fits == (r.Rcode == wire.YXDomain):
		return c.whole(r, bogus(ReasonBogus, "%v: the DNAME at %v does not make a name of the length that %v says", r.Question.Name, dname.Name, r.Rcode))
	case cname != nil && (!fits || len(cname.Data) != 1 || !message.Target(cname.Data[0]).Equal(target)):
		return c.whole(r, bogus(ReasonBogus, "%v: the CNAME is not the one that the DNAME at %v makes", r.Question.Name, dname.Name))
	case cname != nil:
		made := cname.Copy()
		made.TTL, made.Sigs = min(cname.TTL, p.set.TTL), nil
		res.Answer = append(res.Answer, Checked{Set: made, Security: dnssec.Secure})
	}
	c.extras(&res, r, p.zone, proofs, c.s.Minimal)
	return res
}

// substitute puts the target of a DNAME in place of its owner (RFC 6672, Section 2.2); false where the name gets too long.
func substitute(name wire.Name, dname *message.RRset) (wire.Name, bool) {
	if len(dname.Data) != 1 || wire.ValidName(dname.Data[0]) != nil {
		return nil, false
	}
	prefix := name[:len(name)-len(dname.Name)]
	if len(prefix)+len(dname.Data[0]) > wire.MaxName {
		return nil, false
	}
	return append(append(wire.Name{}, prefix...), dname.Data[0]...), true
}

// expansion demands, for what was made from a wildcard, the proof that no name matches closer (RFC 4035, Section 5.3.4), and
// returns its records.
func (c *call) expansion(r *Response, p *proved) []*message.RRset {
	if p.security != dnssec.Secure || p.labels < 0 {
		return nil
	}
	sets, _, why := c.denials(p.zone, r)
	v := c.closer(denial.NewProof(p.zone.name, sets, c.iterations(p.zone), &c.b.Hashes), p)
	if v.security == dnssec.Bogus && why.text != "" {
		v = why
	}
	p.verdict = v
	return sets
}

// closer judges that proof.
func (c *call) closer(proof *denial.Proof, p *proved) verdict {
	switch proof.NoCloser(p.set.Name, p.labels) {
	case denial.Proven:
		return secure()
	case denial.OptOut:
		return insecure(NoReason, "%v comes from a wildcard, and opt-out leaves room for an unsigned delegation there", p.set.Name)
	case denial.Iterations:
		return insecure(ReasonNSEC3Iterations, "NSEC3 records of %v have over %d iterations", p.zone.name, c.iterations(p.zone))
	case denial.Exhausted:
		return c.exhausted("NSEC3 hashes")
	}
	v := lacking(verdict{}, proof, "that nothing matches "+p.set.Name.String()+" closer than the wildcard it comes from", p.zone.name)
	v.reason = ReasonBogus // RFC 8914, Section 4.13 is about data that is missing; this is there
	return v
}

// extras adds to a secure answer what of authority and additional is secure: with proofs, what the answer needs. Unsigned and
// failing RRsets are left out (RFC 4035, Section 3.2.3; servers.md 5.2, case 35), and so is what other zones have signed.
func (c *call) extras(res *Result, r *Response, z *zone, proofs []*message.RRset, minimal bool) {
	for _, s := range proofs {
		res.Authority = append(res.Authority, Checked{Set: s, Security: dnssec.Secure})
	}
	if len(proofs) > 0 {
		res.Denial = Denial{Zone: z.name, Sets: proofs}
	}
	if minimal && len(proofs) == 0 {
		return
	}
	res.Authority = append(res.Authority, c.good(r.Authority, z, len(proofs) > 0)...)
	res.Additional = append(res.Additional, c.good(r.Additional, z, false)...)
}

// good are the RRsets that a zone has signed well, a few of them. denied leaves out NSEC and NSEC3, which were looked at.
func (c *call) good(sets []*message.RRset, z *zone, denied bool) (list []Checked) {
	looked := 0
	for _, s := range sets {
		denies := s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3
		if len(s.Sigs) == 0 || s.Type == wire.TypeRRSIG || denied && denies || looked == maxExtraSets || c.b.Failures <= 0 || c.b.Signatures <= 0 {
			continue
		}
		looked++
		p := c.by(z, s)
		if p.security == dnssec.Secure && p.labels < 0 {
			list = append(list, p.checked())
		}
	}
	return list
}
