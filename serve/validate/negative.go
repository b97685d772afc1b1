package validate

import (
	"anyu/dns/denial"
	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// negative validates an answer that says there is no such name or no such data (RFC 4035, Section 5.4).
func (c *call) negative(r *Response) Result {
	name := ownerSide(r.Question.Name, r.Question.Type)
	if r.Rcode == wire.YXDomain {
		return c.unchecked(r, "YXDOMAIN without the DNAME that explains it")
	}
	var why verdict
	tried := false
	for _, signer := range deniers(r, name) {
		z := c.zone(signer)
		switch {
		case c.s.nearest(name, c.seconds).above(z):
			why = worse(why, bogus(ReasonNoSignature, "the denial is signed by %v, above the trust anchor, and nothing vouches for that", signer))
			continue
		case z.security != dnssec.Secure:
			if name.IsSubdomainOf(z.name) {
				return c.whole(r, z.verdict)
			}
			continue
		case !z.name.Equal(signer):
			why = worse(why, bogus(ReasonNoSignature, "the denial is signed by %v, which is no zone of its own but part of %v", signer, z.name))
			continue
		}
		res, v := c.denied(r, z)
		if res != nil {
			return *res
		}
		why, tried = worse(why, v), true
		if c.spent {
			break
		}
	}
	if tried {
		return c.whole(r, why) // a signed zone has spoken, and not said enough
	}
	return c.undenied(r, name, why)
}

// deniers are the zones that signed NSEC or NSEC3 records in the authority section and can speak of the name, the deepest first.
func deniers(r *Response, name wire.Name) []wire.Name {
	var sigs []dnssec.Signature
	looked := 0
	for _, s := range r.Authority {
		if s.Type != wire.TypeNSEC && s.Type != wire.TypeNSEC3 || looked == denial.MaxRecords {
			continue
		}
		looked++
		list, _ := readSignatures(s)
		for _, sig := range list {
			if name.IsSubdomainOf(sig.Signer) {
				sigs = append(sigs, sig)
			}
		}
	}
	list := signersOf(sigs)
	return list[:min(len(list), maxZones)]
}

// denied judges the proof of one zone; nil where it proves nothing, with the reason.
func (c *call) denied(r *Response, z *zone) (*Result, verdict) {
	sets, _, why := c.denials(z, r)
	proof := denial.NewProof(z.name, sets, c.iterations(z), &c.b.Hashes)
	v, rcode := c.judge(r, proof)
	switch v {
	case denial.OptOut:
		// RFC 5155, Section 9.2: the AD bit must not be set where opt-out leaves room for an unsigned delegation.
		res := c.whole(r, insecure(NoReason, "%v: opt-out of %v leaves room for an unsigned delegation", r.Question.Name, z.name))
		res.Rcode = rcode
		return &res, verdict{}
	case denial.Iterations:
		res := c.whole(r, insecure(ReasonNSEC3Iterations, "NSEC3 records of %v have over %d iterations", z.name, c.iterations(z)))
		return &res, verdict{}
	case denial.Exhausted:
		return nil, c.exhausted("NSEC3 hashes")
	case denial.Unproven:
		what := "that " + r.Question.Name.String() + " has no " + r.Question.Type.String()
		if r.Rcode == wire.NXDomain {
			what = "that " + r.Question.Name.String() + " and a wildcard for it do not exist"
		}
		return nil, lacking(why, proof, what, z.name)
	}
	res := Result{Security: dnssec.Secure, Rcode: rcode, Reason: NoReason}
	if soa := apexSOA(r.Authority); soa != nil {
		p := c.by(z, soa)
		if p.security != dnssec.Secure {
			return nil, p.verdict // its fields say how long the denial is kept
		}
		res.Authority = append(res.Authority, p.checked())
		res.Denial.SOA = p.set
	}
	for _, s := range sets {
		res.Authority = append(res.Authority, Checked{Set: s, Security: dnssec.Secure})
	}
	res.Denial.Zone, res.Denial.Sets = z.name, sets
	c.others(&res, r, z)
	return &res, verdict{}
}

// others adds the secure rest of a denial: NS and what is in the additional section.
func (c *call) others(res *Result, r *Response, z *zone) {
	var rest []*message.RRset
	for _, s := range r.Authority {
		if s.Type != wire.TypeNSEC && s.Type != wire.TypeNSEC3 && s.Type != wire.TypeSOA {
			rest = append(rest, s)
		}
	}
	res.Authority = append(res.Authority, c.good(rest, z, false)...)
	res.Additional = append(res.Additional, c.good(r.Additional, z, false)...)
}

// judge asks for the proof that the answer claims. Where NXDOMAIN is claimed and only the absence of data is proved, as servers do
// that do not know empty non-terminals (RFC 8020, Section 2), the answer is NOERROR.
func (c *call) judge(r *Response, proof *denial.Proof) (denial.Verdict, wire.Rcode) {
	if r.Rcode == wire.NXDomain {
		if v := proof.NoName(r.Question.Name); v != denial.Unproven {
			return v, wire.NXDomain
		}
	}
	v := proof.NoData(r.Question.Name, r.Question.Type)
	if r.Rcode == wire.NXDomain && v == denial.OptOut {
		v = denial.Unproven // that no wildcard answers was claimed, and is not proved
	}
	return v, wire.NoError
}

// undenied is for answers without a proof that holds: right for what is insecure, bogus for the rest.
func (c *call) undenied(r *Response, name wire.Name, why verdict) Result {
	z := c.zone(name)
	switch {
	case z.security != dnssec.Secure:
		return c.whole(r, z.verdict)
	case c.spent:
		return c.whole(r, c.exhausted(""))
	case why.text != "":
		return c.whole(r, why)
	}
	signed, denies := false, false
	for _, s := range r.Authority {
		signed = signed || len(s.Sigs) > 0
		denies = denies || s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3
	}
	if signed && !denies {
		return c.whole(r, bogus(ReasonNoDenial, "%v %v is denied without NSEC or NSEC3 records, and zone %v is signed", r.Question.Name, r.Question.Type, z.name))
	}
	return c.whole(r, bogus(ReasonNoSignature, "%v %v is denied without signatures, and zone %v is signed", r.Question.Name, r.Question.Type, z.name))
}

// apexSOA is the SOA RRset of an authority section.
func apexSOA(sets []*message.RRset) *message.RRset {
	for _, s := range sets {
		if s.Type == wire.TypeSOA {
			return s
		}
	}
	return nil
}
