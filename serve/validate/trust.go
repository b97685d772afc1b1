package validate

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// trust is what says which keys of a zone to believe: the parent's DS RRset, or trust anchors of either form.
type trust struct {
	ds, keys [][]byte
	ttl      uint32
	anchor   bool
}

// entry is one usable record of it.
type entry struct {
	ds        dnssec.DS
	key       []byte // in place of ds
	algorithm dnssec.Algorithm
	tag       uint16
}

// child fetches the keys of a zone and believes them if what is trusted names one that signs them all. It is nil where the fetch has
// changed the trust anchors.
func (c *call) child(name wire.Name, t trust) *zone {
	entries, why := c.usable(name, t)
	if len(entries) == 0 {
		c.step("%s", why.text)
		return c.keep(&zone{name: name, cut: true, verdict: why}, t.ttl)
	}
	r, v := c.fetch(name, wire.TypeDNSKEY)
	if r == nil {
		return c.keep(&zone{name: name, cut: true, verdict: v}, maxFetchSeconds)
	}
	for {
		if t.anchor && c.s.Primed != nil {
			if set := message.Find(r.Answer, name, wire.TypeDNSKEY); set != nil && c.s.Primed(c.seconds*1e9, name, set) {
				return nil
			}
		}
		z, ttl := c.keysIn(name, r, entries)
		// RFC 8914, Section 4.10: no keys at all are missing; keys that a trust anchor does not know are bogus.
		if t.anchor && z.reason == ReasonNoKey && message.Find(r.Answer, name, wire.TypeDNSKEY) != nil {
			z.reason = ReasonBogus
		}
		if z.security == dnssec.Secure {
			c.step("%v: %d keys are trusted", name, len(z.keys))
			return c.keep(z, min(ttl, t.ttl))
		}
		c.step("%v: %s", name, z.text)
		if other := c.again(name, wire.TypeDNSKEY, z.verdict); other != nil {
			r = other
			continue
		}
		return c.keep(z, c.s.bogusSeconds())
	}
}

// usable picks the records that can be followed. RFC 4035, Section 5.2: with none, the zone is as if unsigned. RFC 4509, Section 3:
// SHA-1 digests are ignored where there are better ones.
func (c *call) usable(name wire.Name, t trust) (list []entry, why verdict) {
	why = insecure(ReasonKeyAlgorithm, "no algorithm of the DS records of %v is supported and allowed", name)
	better := false
	for _, d := range t.ds {
		ds, err := dnssec.ParseDS(d)
		switch {
		case err != nil || !c.s.accepts(ds.Algorithm):
			continue
		case !ds.Type.Supported():
			why = insecure(ReasonDigest, "digest type %v of the DS records of %v is not supported", ds.Type, name)
			continue
		}
		better = better || ds.Type != dnssec.DigestSHA1
		list = append(list, entry{ds: ds, algorithm: ds.Algorithm, tag: ds.Tag})
	}
	if better {
		kept := list[:0]
		for _, e := range list {
			if e.ds.Type != dnssec.DigestSHA1 {
				kept = append(kept, e)
			}
		}
		list = kept
	}
	for _, k := range t.keys {
		if a := dnssec.Algorithm(k[3]); c.s.accepts(a) {
			list = append(list, entry{key: k, algorithm: a, tag: dnssec.KeyTag(k)})
		}
	}
	return list[:min(len(list), maxDS)], why
}

// matches tells whether the entry is of this DNSKEY RDATA.
func (e *entry) matches(name wire.Name, rdata []byte) bool {
	if e.key != nil {
		return bytes.Equal(e.key, rdata)
	}
	ok, err := e.ds.Matches(name, rdata)
	return ok && err == nil
}

// keysIn reads the DNSKEY RRset of an answer and looks for an entry that vouches for it: one is enough, but with AllAlgorithms
// each algorithm needs one (RFC 6840, Section 5.11).
func (c *call) keysIn(name wire.Name, r *Response, entries []entry) (*zone, uint32) {
	z := &zone{name: name, cut: true}
	set := message.Find(r.Answer, name, wire.TypeDNSKEY)
	if set == nil {
		z.verdict = bogus(ReasonNoKey, "%v has no DNSKEY records, and its parent or a trust anchor says it is signed", name)
		return z, 0
	}
	data := set.Data[:min(len(set.Data), maxKeys)]
	z.keys, z.bits = c.readKeys(data)
	sigs, malformed := readSignatures(set)
	why, good, best := malformed, map[dnssec.Algorithm]bool{}, set
	for i := range entries {
		e := &entries[i]
		if good[e.algorithm] || c.spent {
			continue
		}
		v, lowered := c.vouch(z, set, data, sigs, e)
		if v.security != dnssec.Secure {
			why = worse(why, v)
			continue
		}
		good[e.algorithm], best = true, lowered
		if !c.s.AllAlgorithms {
			break
		}
	}
	z.verdict = secure()
	for i := range entries {
		if a := entries[i].algorithm; len(good) == 0 {
			z.verdict = why
		} else if c.s.AllAlgorithms && !good[a] {
			z.verdict = bogus(ReasonBogus, "the keys of %v are not signed with algorithm %v, which its DS records name", name, a)
		}
	}
	return z, best.TTL
}

// vouch tells whether an entry names a key of the set that has signed the set.
func (c *call) vouch(z *zone, set *message.RRset, data [][]byte, sigs []dnssec.Signature, e *entry) (verdict, *message.RRset) {
	var why verdict
	tried := 0
	for i := range data {
		k := &z.keys[i]
		if k.tag != e.tag || k.algorithm != e.algorithm || tried == maxSameTag {
			continue
		}
		tried++
		if c.b.Digests--; c.b.Digests < 0 {
			return c.exhausted("key digests"), set
		}
		if !e.matches(z.name, data[i]) {
			why = worse(why, bogus(ReasonNoKey, "key %d of %v does not have the digest that its DS record says", e.tag, z.name))
			continue
		}
		v, lowered := c.selfSigned(z, set, sigs, k)
		if v.security == dnssec.Secure || c.spent {
			return v, lowered
		}
		why = v
	}
	if tried == 0 {
		why = bogus(ReasonNoKey, "%v has no key %d of algorithm %v, which its %s names", z.name, e.tag, e.algorithm, e.kind())
	}
	return why, set
}

func (e *entry) kind() string {
	if e.key != nil {
		return "trust anchor"
	}
	return fmt.Sprintf("DS record (%v)", e.ds.Type)
}

// selfSigned tells whether a key has signed the DNSKEY RRset that it is in.
func (c *call) selfSigned(z *zone, set *message.RRset, sigs []dnssec.Signature, k *key) (verdict, *message.RRset) {
	var why verdict
	found := false
	for i := range sigs {
		sig := &sigs[i]
		if sig.Tag != k.tag || sig.Algorithm != k.algorithm || !sig.Signer.Equal(z.name) {
			continue
		}
		v := c.dates(set, sig)
		if v.text == "" {
			v = c.verify(set, sig, k)
		}
		if v.security == dnssec.Secure {
			return v, c.lowered(set, sig)
		}
		if c.spent {
			return v, set
		}
		if !found {
			why, found = v, true
		} else {
			why = worse(why, v)
		}
	}
	switch {
	case found:
	case k.flags&dnssec.FlagZone == 0:
		why = bogus(ReasonNoZoneKey, "key %d of %v has no zone key bit", k.tag, z.name)
	default:
		why = bogus(ReasonNoSignature, "the DNSKEY records of %v are not signed with key %d, which is the trusted one", z.name, k.tag)
	}
	return why, set
}

// readKeys reads the keys. Those that cannot be used stay in the list with the reason.
func (c *call) readKeys(data [][]byte) (keys []key, bits int) {
	keys = make([]key, len(data))
	for i, d := range data {
		if len(d) < 4 {
			keys[i].err = dnssec.ErrKey
			continue
		}
		k := key{flags: uint16(d[0])<<8 | uint16(d[1]), algorithm: dnssec.Algorithm(d[3]), tag: dnssec.KeyTag(d), sum: sha256.Sum256(d)}
		if c.s.accepts(k.algorithm) && !c.s.faked(k.algorithm) {
			if k.public, k.err = dnssec.ParseKey(d); k.err == nil {
				bits = max(bits, k.public.Bits())
			}
		} else if !c.s.faked(k.algorithm) {
			k.err = dnssec.ErrAlgorithm
		} else if d[2] != 3 { // RFC 4034, Section 2.1.2
			k.err = dnssec.ErrKey
		}
		keys[i] = k
	}
	return keys, bits
}
