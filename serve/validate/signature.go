package validate

import (
	"errors"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// proved is an RRset with what its signatures say.
type proved struct {
	verdict
	set    *message.RRset // with the TTL that the signature allows
	zone   *zone          // that signed it, or that it belongs to
	labels int            // of the signature where the set is the expansion of a wildcard, else -1
}

func (p *proved) checked() Checked {
	ch := Checked{Set: p.set, Security: p.security}
	if p.security == dnssec.Secure && p.labels >= 0 {
		ch.Wildcard = wildcardOf(p.set.Name, p.labels)
	}
	return ch
}

// set validates one RRset: it finds who signed it, the keys of that zone, and a signature that holds.
func (c *call) set(s *message.RRset) proved {
	p := proved{set: s, labels: -1}
	n := c.s.nearest(ownerSide(s.Name, s.Type), c.seconds)
	if n.negative != nil {
		p.verdict = verdict{security: dnssec.Insecure, reason: NoReason, text: n.text()}
		return p
	}
	sigs, malformed := readSignatures(s)
	signers := signersOf(sigs)
	if len(signers) == 0 {
		p.zone = c.zone(ownerSide(s.Name, s.Type))
		p.verdict = p.zone.verdict
		if p.security == dnssec.Secure {
			p.verdict = bogus(ReasonNoSignature, "no signature over %v %v, and zone %v is signed", s.Name, s.Type, p.zone.name)
			if malformed.text != "" {
				p.verdict = malformed
			}
		}
		return p
	}
	for _, signer := range signers {
		z := c.zone(signer)
		q := c.signed(s, sigs, signer, z)
		if n.above(z) {
			q.verdict = bogus(ReasonNoSignature, "%v %v is signed by %v, above the trust anchor, and nothing vouches for that", s.Name, s.Type, signer)
		}
		if p.zone == nil || q.security > p.security {
			p = q
		} else {
			p.verdict = worse(p.verdict, q.verdict)
		}
		if p.security == dnssec.Secure {
			break
		}
	}
	return p
}

// signed validates an RRset with the keys of one signer.
func (c *call) signed(s *message.RRset, sigs []dnssec.Signature, signer wire.Name, z *zone) proved {
	p := proved{set: s, zone: z, labels: -1, verdict: z.verdict}
	if z.security != dnssec.Secure {
		return p
	}
	if !z.name.Equal(signer) {
		p.verdict = bogus(ReasonNoSignature, "%v %v is signed by %v, which is no zone of its own but part of %v", s.Name, s.Type, signer, z.name)
		return p
	}
	var why verdict
	for i := range sigs {
		sig := &sigs[i]
		if !sig.Signer.Equal(signer) {
			continue
		}
		v := c.one(s, sig, z)
		if v.security != dnssec.Secure {
			c.step("%s", v.text)
			why = worse(why, v)
			if c.spent {
				break
			}
			continue
		}
		p.verdict = v
		p.set = c.lowered(s, sig)
		if int(sig.Labels) < dnssec.LabelsOf(s.Name) {
			p.labels = int(sig.Labels)
		}
		c.step("%v %v: signature of %v/%d (%v) holds", s.Name, s.Type, signer, sig.Tag, sig.Algorithm)
		return p
	}
	p.verdict = why
	return p
}

// one checks one signature with the keys that it may be of.
func (c *call) one(s *message.RRset, sig *dnssec.Signature, z *zone) verdict {
	if !c.s.accepts(sig.Algorithm) {
		return bogus(ReasonKeyAlgorithm, "%v %v: the signature of %v/%d is of algorithm %v, not supported or not allowed", s.Name, s.Type, sig.Signer,
			sig.Tag, sig.Algorithm)
	}
	if v := c.dates(s, sig); v.text != "" {
		return v
	}
	var why verdict
	tried := 0
	for i := range z.keys {
		k := &z.keys[i]
		if k.tag != sig.Tag || k.algorithm != sig.Algorithm || tried == maxSameTag {
			continue
		}
		tried++
		v := c.verify(s, sig, k)
		if v.security == dnssec.Secure || c.spent {
			return v
		}
		why = worse(why, v)
	}
	if tried == 0 {
		return bogus(ReasonNoKey, "%v %v is signed with key %d of algorithm %v, and zone %v has no such key", s.Name, s.Type, sig.Tag, sig.Algorithm, z.name)
	}
	return why
}

// dates checks the validity of a signature (RFC 4035, Section 5.3.1). A verdict without text: it is valid.
func (c *call) dates(s *message.RRset, sig *dnssec.Signature) verdict {
	if c.s.Date == DateOff {
		return verdict{}
	}
	lenient := *sig
	skew := c.s.skew(sig)
	lenient.Inception -= skew
	lenient.Expiration += skew
	switch err := lenient.ValidAt(c.date); {
	case errors.Is(err, dnssec.ErrExpired):
		return bogus(ReasonExpired, "%v %v: the signature of %v/%d expired on %s", s.Name, s.Type, sig.Signer, sig.Tag, dateText(sig.Expires(c.date)))
	case err != nil:
		return bogus(ReasonNotYet, "%v %v: the signature of %v/%d is valid only from %s", s.Name, s.Type, sig.Signer, sig.Tag,
			dateText(sig.Begins(c.date)))
	}
	return verdict{}
}

// verify computes one signature with one key. It is the one place that does.
func (c *call) verify(s *message.RRset, sig *dnssec.Signature, k *key) verdict {
	switch {
	case k.flags&dnssec.FlagZone == 0:
		return bogus(ReasonNoZoneKey, "%v %v: key %d of %v has no zone key bit", s.Name, s.Type, k.tag, sig.Signer)
	case k.flags&dnssec.FlagRevoked != 0: // RFC 5011, Section 2.1
		return bogus(ReasonNoKey, "%v %v: key %d of %v is revoked", s.Name, s.Type, k.tag, sig.Signer)
	case len(sig.Octets) == 0: // who signed can be read all the same, so that nobody need be asked whose the name is
		return bogus(ReasonBogus, "%v %v: the signature of %v/%d is empty", s.Name, s.Type, sig.Signer, sig.Tag)
	case c.s.faked(k.algorithm):
		return secure()
	case k.err != nil:
		return bogus(ReasonBogus, "%v %v: key %d of %v: %v", s.Name, s.Type, k.tag, sig.Signer, k.err)
	}
	sum := c.sum(s, sig, k)
	switch {
	case c.v.verified.has(sum):
		return secure()
	case c.b.Signatures <= 0:
		return c.exhausted("signature checks")
	case c.b.Failures <= 0:
		return c.exhausted("failing signature checks")
	}
	c.b.Signatures--
	set := dnssec.Set{Owner: s.Name, Class: s.Class, Type: s.Type, RData: s.Data}
	if err := c.verifier.Verify(set, sig, k.public); err != nil {
		c.b.Failures--
		return bogus(ReasonBogus, "%v %v: the signature of %v/%d (%v) does not verify", s.Name, s.Type, sig.Signer, sig.Tag, sig.Algorithm)
	}
	c.v.verified.put(sum)
	return secure()
}

// lowered gives the RRset the TTL that its signature allows (RFC 4035, Section 5.3.3): no more than the original TTL and than what
// is left of the validity.
func (c *call) lowered(s *message.RRset, sig *dnssec.Signature) *message.RRset {
	ttl := min(s.TTL, sig.OriginalTTL)
	if c.s.Date != DateOff {
		left := sig.Expires(c.date).Unix() + int64(c.s.skew(sig)) - c.date.Unix()
		ttl = uint32(min(int64(ttl), max(left, 0)))
	}
	if ttl == s.TTL {
		return s
	}
	s = s.Copy()
	s.TTL = ttl
	return s
}

// readSignatures reads the signatures that may be over an RRset by their fields. RFC 4035, Section 5.3.1: the signer is at or above
// the owner, and the owner has at least the labels that were signed; servers.md 3.2 (CVE-2026-44690, CVE-2026-11721): the signer has
// no more labels than that, or a wildcard above the zone would count. A DS RRset is signed by the parent.
func readSignatures(s *message.RRset) (list []dnssec.Signature, malformed verdict) {
	for _, d := range s.Sigs[:min(len(s.Sigs), maxSignatures)] {
		sig, err := dnssec.ParseSignature(d)
		switch {
		case err != nil:
			malformed = bogus(ReasonBogus, "%v %v: %v", s.Name, s.Type, err)
			continue
		case sig.Covered != s.Type:
			continue
		case !s.Name.IsSubdomainOf(sig.Signer) || int(sig.Labels) > dnssec.LabelsOf(s.Name) || sig.Signer.Labels() > int(sig.Labels):
			malformed = bogus(ReasonBogus, "%v %v: the signature names signer %v and %d labels, which do not fit the owner", s.Name, s.Type,
				sig.Signer, sig.Labels)
			continue
		case s.Type == wire.TypeDS && sig.Signer.Equal(s.Name) && !s.Name.IsRoot():
			malformed = bogus(ReasonBogus, "%v DS is signed by %v itself, not by its parent", s.Name, sig.Signer)
			continue
		}
		list = append(list, sig)
	}
	return list, malformed
}

// signersOf are the different signers, the deepest first.
func signersOf(sigs []dnssec.Signature) (list []wire.Name) {
next:
	for i := range sigs {
		for _, have := range list {
			if have.Equal(sigs[i].Signer) {
				continue next
			}
		}
		at := len(list)
		for at > 0 && len(list[at-1]) < len(sigs[i].Signer) {
			at--
		}
		list = append(list[:at], append([]wire.Name{sigs[i].Signer}, list[at:]...)...)
	}
	return list[:min(len(list), maxSigners)]
}
