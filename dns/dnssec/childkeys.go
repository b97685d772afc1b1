package dnssec

import (
	"anyu/dns/wire"
	"anyu/dns/zone"
)

// childKeys checks of CDS and CDNSKEY what zone.Check cannot: digests that need more than SHA, and who signed. zone.Check
// compares them with the keys and with each other.
func (c *check) childKeys(w *worker, apex zone.Node) {
	keys, _ := apex.Set(wire.TypeDNSKEY)
	cds, _ := apex.Set(wire.TypeCDS)
	for it := cds.Iter(); it.Next(); {
		d, err := ParseDS(it.RData())
		if err != nil || d.Algorithm == 0 { // RFC 8078, Section 4: the request to remove the DS records
			continue
		}
		if !d.Type.Supported() {
			w.report(zone.Warn, "cds-digest", "the digest of a CDS record is of type %v, which cannot be computed", d.Type)
		} else if d.Type == DigestSM3 && !matchesAny(d, c.apex, keys) {
			w.report(zone.Error, "cds", "a CDS record for key %d matches no DNSKEY record", d.Tag)
		}
	}
	for _, t := range []wire.Type{wire.TypeCDS, wire.TypeCDNSKEY} {
		if _, ok := apex.Set(t); ok && !c.signedByEntry(apex, t) {
			w.report(zone.Warn, "cds-signer", "no key that signs the DNSKEY records signs the %v records: the parent will not take them", t)
		}
	}
}

func matchesAny(d DS, owner wire.Name, keys zone.RRset) bool {
	for it := keys.Iter(); it.Next(); {
		if ok, _ := d.Matches(owner, it.RData()); ok {
			return true
		}
	}
	return false
}

// signedByEntry tells whether a key that signs the DNSKEY RRset, and so may have a DS record, signs the records of type t
// too (RFC 7344, Section 4.1).
func (c *check) signedByEntry(apex zone.Node, t wire.Type) bool {
	entries := map[[2]uint16]bool{}
	keys, _ := apex.Sigs(wire.TypeDNSKEY)
	for it := keys.Iter(); it.Next(); {
		if s, err := ParseSignature(it.RData()); err == nil {
			entries[[2]uint16{uint16(s.Algorithm), s.Tag}] = true
		}
	}
	sigs, _ := apex.Sigs(t)
	for it := sigs.Iter(); it.Next(); {
		if s, err := ParseSignature(it.RData()); err == nil && entries[[2]uint16{uint16(s.Algorithm), s.Tag}] {
			return true
		}
	}
	return false
}
