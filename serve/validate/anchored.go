package validate

import (
	"fmt"

	"anyu/dns/dnssec"
	"anyu/dns/message"
)

// What follows is for those who keep trust anchors (RFC 5011): the same arithmetic and settings, on one DNSKEY RRset.

// Accepts tells whether the settings validate with an algorithm.
func (v *Validator) Accepts(a dnssec.Algorithm) bool { return v.settings.Load().accepts(a) }

// Trusted tells whether a DNSKEY RRset is signed by a key that one of the anchors names; the error says why not.
func (v *Validator) Trusted(now int64, set *message.RRset, list []Anchor) error {
	c := newCall(v, now, nil, DefaultLimits().Budget())
	s := newSettings(Config{Anchors: list})
	p := s.nearest(set.Name, c.seconds).anchor
	if p == nil || !p.name.Equal(set.Name) {
		return fmt.Errorf("no trust anchor for %v", set.Name)
	}
	entries, why := c.usable(set.Name, trust{ds: p.ds, keys: p.keys})
	if len(entries) == 0 {
		return fmt.Errorf("%s", why.text)
	}
	z, _ := c.keysIn(set.Name, &Response{Answer: []*message.RRset{set}}, entries)
	if z.security != dnssec.Secure {
		return refusal{z.verdict}
	}
	return nil
}

// SelfSigned tells whether a DNSKEY RRset is signed by this key of it, revoked or not (RFC 5011, Section 2.1), and until when the
// signature is valid, in seconds since 1970.
func (v *Validator) SelfSigned(now int64, set *message.RRset, rdata []byte) (until int64, ok bool) {
	c := newCall(v, now, nil, DefaultLimits().Budget())
	keys, _ := c.readKeys([][]byte{rdata})
	keys[0].flags &^= dnssec.FlagRevoked
	sigs, _ := readSignatures(set)
	for i := range sigs {
		sig := &sigs[i]
		if !sig.Signer.Equal(set.Name) || sig.Tag != keys[0].tag || sig.Algorithm != keys[0].algorithm {
			continue
		}
		if c.dates(set, sig).text == "" && c.verify(set, sig, &keys[0]).security == dnssec.Secure {
			return sig.Expires(c.date).Unix(), true
		}
	}
	return 0, false
}

// refusal is a verdict as an error.
type refusal struct{ verdict }

func (r refusal) Error() string { return r.text }

// Reason is the INFO-CODE of RFC 8914.
func (r refusal) Reason() uint16 { return r.reason }
