package zone

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"

	"anyu/dns/wire"
)

// apex checks what stands at the top of the zone alone: SOA, NS, keys, parameters, digest.
func (c *checker) apex() {
	n := c.z.ApexNode()
	c.owner = bytes.Clone(c.z.apex)
	if _, ok := n.Set(wire.TypeNS); !ok {
		c.report(Error, "ns-missing", "no NS records at the top of the zone")
	}
	c.soa(n)
	if verdict, reason := c.z.CheckZONEMD(); verdict == ZONEMDFailed {
		c.report(Error, "zonemd", "%s", reason)
	}
	if c.opts.SkipDNSSEC {
		return
	}
	c.keys(n)
	c.childDS(n)
	c.chainParams(n)
}

// soa looks at the times of the SOA (RFC 1912, Section 2.2).
func (c *checker) soa(n Node) {
	soa, ok := n.Set(wire.TypeSOA)
	if !ok {
		c.report(Error, "soa-missing", "no SOA record at the top of the zone")
		return
	}
	r := soa.First()
	times := r[len(r)-16:]
	refresh, retry, expire := binary.BigEndian.Uint32(times), binary.BigEndian.Uint32(times[4:]), binary.BigEndian.Uint32(times[8:])
	switch {
	case refresh == 0 && retry == 0 && expire == 0: // a zone without secondaries
	case expire < refresh+retry:
		c.report(Warn, "soa-times", "EXPIRE %d is less than REFRESH and RETRY together", expire)
	case retry > refresh:
		c.report(Warn, "soa-times", "RETRY %d is more than REFRESH %d", retry, refresh)
	}
}

// maxEqualTags is how many keys may share a key tag: a validator tries each of them on each signature (CVE-2023-50387).
const maxEqualTags = 3

// keys checks the form of DNSKEY records.
func (c *checker) keys(n Node) {
	set, ok := n.Set(wire.TypeDNSKEY)
	if !ok {
		return
	}
	tags := map[uint32]int{}
	for it := set.Iter(); it.Next(); {
		k := it.RData()
		if k[2] != 3 { // RFC 4034, Section 2.1.2
			c.report(Error, "dnskey", "the protocol of a DNSKEY record is %d: only 3 is allowed", k[2])
		}
		if k[0]&1 == 0 { // RFC 4034, Section 2.1.1: bit 7
			c.report(Warn, "dnskey", "a DNSKEY record without the zone key flag")
		}
		tag := uint32(k[3])<<16 | uint32(keyTag(k))
		if tags[tag]++; tags[tag] == maxEqualTags+1 {
			c.report(Error, "dnskey-tags", "more than %d keys of one algorithm have the key tag %d", maxEqualTags, keyTag(k))
		}
	}
}

// keyTag: RFC 4034, Appendix B; algorithm 1 is historic and not treated apart.
func keyTag(key []byte) uint16 {
	var sum uint32
	for i, b := range key {
		if i%2 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
	}
	return uint16(sum + sum>>16)
}

var (
	deleteCDS     = []byte{0, 0, 0, 0, 0} // RFC 8078, Section 4: 0 0 0 00
	deleteCDNSKEY = []byte{0, 0, 3, 0, 0} // 0 3 0 AA==
	oldDeleteCDS  = []byte{0, 0, 0, 0}    // before erratum 5049
	oldDeleteKey  = []byte{0, 0, 3, 0}    // the same
)

// childDS checks CDS and CDNSKEY: they say the same, and name keys of the zone (RFC 7344, Section 4.1; RFC 8078, Section 4).
func (c *checker) childDS(n Node) {
	cds, hasCDS := n.Set(wire.TypeCDS)
	cdnskey, hasKey := n.Set(wire.TypeCDNSKEY)
	if !hasCDS && !hasKey {
		return
	}
	// RFC 7344, Section 4: a child SHOULD publish both. In a zone that somebody signs one missing is a mistake.
	severity := Warn
	if _, signed := n.Sigs(wire.TypeSOA); signed {
		severity = Error
	}
	if !hasCDS {
		c.report(severity, "cds-missing", "CDNSKEY records without CDS records")
	}
	if !hasKey {
		c.report(severity, "cdnskey-missing", "CDS records without CDNSKEY records")
	}
	delDS, delKey := isDelete(cds, deleteCDS, oldDeleteCDS), isDelete(cdnskey, deleteCDNSKEY, oldDeleteKey)
	switch {
	case delDS == deleteBad || delKey == deleteBad || hasCDS && hasKey && delDS != delKey:
		c.report(Error, "cds-delete", "CDS or CDNSKEY for removing the DS records is wrong, or not alone")
		return
	case delDS == deleteGood || delKey == deleteGood:
		return
	}
	keys, _ := n.Set(wire.TypeDNSKEY)
	for it := cdnskey.Iter(); it.Next(); {
		if !contains(keys, it.RData()) {
			c.report(Error, "cdnskey", "a CDNSKEY record that is no DNSKEY of the zone")
		}
	}
	for it := cds.Iter(); it.Next(); {
		if !c.matches(it.RData(), keys) {
			c.report(Error, "cds", "a CDS record that matches no DNSKEY of the zone")
		} else if hasKey && !c.matches(it.RData(), cdnskey) {
			c.report(Error, "cds", "a CDS record that matches no CDNSKEY record")
		}
	}
}

const (
	deleteNone = iota
	deleteGood
	deleteBad
)

// isDelete tells whether a set asks for the removal of the DS records: algorithm 0, in one of two forms.
func isDelete(s RRset, forms ...[]byte) int {
	deletes := 0
	for it := s.Iter(); it.Next(); {
		r := it.RData()
		algorithm := r[2]
		if s.Type() == wire.TypeCDNSKEY {
			algorithm = r[3]
		}
		if algorithm != 0 {
			continue
		}
		if !bytes.Equal(r, forms[0]) && !bytes.Equal(r, forms[1]) {
			return deleteBad
		}
		deletes++
	}
	switch {
	case deletes == 0:
		return deleteNone
	case deletes == s.Len():
		return deleteGood
	}
	return deleteBad
}

func contains(s RRset, rdata []byte) bool {
	for it := s.Iter(); it.Next(); {
		if bytes.Equal(it.RData(), rdata) {
			return true
		}
	}
	return false
}

// matches tells whether a CDS is made from one of keys (RFC 4034, Section 5.1.4). A digest type we cannot compute counts as
// matching when tag and algorithm do.
func (c *checker) matches(ds []byte, keys RRset) bool {
	for it := keys.Iter(); it.Next(); {
		k := it.RData()
		if binary.BigEndian.Uint16(ds) != keyTag(k) || ds[2] != k[3] {
			continue
		}
		in := append(c.z.apex.AppendLower(nil), k...)
		var sum []byte
		switch ds[3] {
		case 1:
			s := sha1.Sum(in)
			sum = s[:]
		case 2:
			s := sha256.Sum256(in)
			sum = s[:]
		case 4:
			s := sha512.Sum384(in)
			sum = s[:]
		default:
			return true
		}
		if bytes.Equal(sum, ds[4:]) {
			return true
		}
	}
	return false
}

// maxIterations above which validators treat a zone as insecure or worse (RFC 9276, Section 3.2).
const maxIterations = 100

// chainParams checks NSEC3PARAM against the NSEC3 records.
func (c *checker) chainParams(n Node) {
	_, _, _, ok := c.z.NSEC3Param()
	hashes := c.z.hashes.totals().names
	if !ok {
		if hashes > 0 {
			c.report(Warn, "nsec3param-missing", "NSEC3 records without an NSEC3PARAM record that may be used (RFC 5155, Section 4)")
		}
		return
	}
	p := c.z.param
	switch {
	case p.iterations > maxIterations:
		c.report(Error, "nsec3-iterations", "%d NSEC3 iterations: more than %d make the zone insecure (RFC 9276, Section 3.2)", p.iterations, maxIterations)
	case p.iterations > 0 || len(p.salt) > 0:
		c.report(Warn, "nsec3-iterations", "%d NSEC3 iterations and a salt of %d octets: both should be 0 (RFC 9276, Section 3.1)", p.iterations, len(p.salt))
	}
	if p.alg != 1 {
		c.report(Error, "nsec3-algorithm", "NSEC3 hash algorithm %d is unknown", p.alg)
		return
	}
	if m, found := c.z.FindNSEC3(hashName(c.z.apex, p)); !found || !p.matches(m) {
		c.report(Error, "nsec3-chain", "no NSEC3 record of the apex with the parameters of NSEC3PARAM")
	}
	if _, nsec := n.Set(wire.TypeNSEC); nsec {
		c.report(Warn, "nsec-and-nsec3", "both NSEC and NSEC3PARAM records")
	}
}

// nsec3 checks a node of the NSEC3 tree.
func (c *checker) nsec3(n Node) {
	if c.opts.SkipDNSSEC {
		return
	}
	if _, ok := n.Set(wire.TypeNSEC3); !ok {
		c.report(Error, "nsec3-signature", "signatures over an NSEC3 record that is not there")
	}
}
