package internet

import (
	"bytes"
	"encoding/binary"
	"slices"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
)

// Validity of signatures, seconds since 1970.
const (
	validFrom    = 1735689600 // 2025-01-01
	validUntil   = 2051222400 // 2035-01-01
	expiredFrom  = 1577836800 // 2020-01-01
	expiredUntil = 1609459200 // 2021-01-01
	earlyFrom    = 2208988800 // 2040-01-01
	earlyUntil   = 2240611200 // 2041-01-01
)

// signatures of an RRset as it stands in the zone: the owner may be a wildcard. Made ones are kept, bounded.
func (z *zone) signatures(set *rrset) [][]byte {
	if !z.policy.signed() || z.fault() == faultUnsigned {
		return nil
	}
	var room [2*wire.MaxName + 2]byte
	id := append(room[:0], set.name...)
	id = append(binary.BigEndian.AppendUint16(id, uint16(set.typ)), z.apex...)
	return z.w.sigs.get(id, func() [][]byte { return z.makeSignatures(set) })
}

func (z *zone) makeSignatures(set *rrset) (list [][]byte) {
	keys := z.keys()
	signer := keys.zone
	if set.typ == wire.TypeDNSKEY {
		signer = keys.entry
	}
	if keys.impostor != nil {
		for range impostors {
			list = append(list, z.signature(set, keys.impostor, len(list)))
		}
		if set.typ != wire.TypeDNSKEY {
			return list
		}
	}
	return append(list, z.signature(set, signer, 0))
}

// signature makes RRSIG RDATA (RFC 4034, Section 3.1); salt makes different ones of an impostor.
func (z *zone) signature(set *rrset, k *key, salt int) []byte {
	from, until := uint32(validFrom), uint32(validUntil)
	switch z.fault() {
	case faultExpired:
		from, until = expiredFrom, expiredUntil
	case faultEarly:
		from, until = earlyFrom, earlyUntil
	}
	rdata := binary.BigEndian.AppendUint16(nil, uint16(set.typ))
	rdata = append(rdata, k.rdata[3], byte(dnssec.LabelsOf(set.name)))
	for _, n := range [...]uint32{set.ttl, until, from} {
		rdata = binary.BigEndian.AppendUint32(rdata, n)
	}
	rdata = binary.BigEndian.AppendUint16(rdata, k.tag)
	rdata = append(rdata, z.apex...)
	signed := appendCanonical(append([]byte(nil), rdata...), set)
	if salt > 0 {
		signed = append(signed, byte(salt))
	}
	octets := k.sign(signed)
	if z.fault() == faultSignature && set.typ != wire.TypeDNSKEY {
		octets[len(octets)/2] ^= 1
	}
	return append(rdata, octets...)
}

// appendCanonical appends an RRset as it is signed (RFC 4034, Sections 3.1.8.1 and 6.3).
func appendCanonical(dst []byte, set *rrset) []byte {
	head := set.name.AppendLower(nil)
	head = binary.BigEndian.AppendUint16(head, uint16(set.typ))
	head = binary.BigEndian.AppendUint16(head, uint16(wire.ClassIN))
	head = binary.BigEndian.AppendUint32(head, set.ttl)
	forms := make([][]byte, len(set.data))
	for i, d := range set.data {
		forms[i] = wire.AppendCanonical(nil, set.typ, d)
	}
	slices.SortFunc(forms, bytes.Compare)
	for _, f := range forms {
		dst = append(dst, head...)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(f)))
		dst = append(dst, f...)
	}
	return dst
}

// ds is the DS RRset that the parent has of the zone; nil: none.
func (z *zone) ds() *rrset {
	if !z.delegatesTrust() {
		return nil
	}
	return &rrset{name: z.apex, typ: wire.TypeDS, ttl: dsTTL, data: [][]byte{z.trust()}}
}

// trust is DS RDATA of the key that signs the keys.
func (z *zone) trust() []byte {
	k := z.keys().entry
	kind := z.policy.digest
	sum, err := dnssec.AppendDigest(nil, kind, z.apex, k.rdata)
	if err != nil {
		panic(err) // the policies have known digests only
	}
	switch z.fault() {
	case faultDS:
		sum[0] ^= 1
	case faultDigest:
		kind = unknownDigest
	}
	rdata := binary.BigEndian.AppendUint16(nil, k.tag)
	return append(append(rdata, k.rdata[3], byte(kind)), sum...)
}

// delegatesTrust tells whether the parent has a DS record of the zone.
func (z *zone) delegatesTrust() bool {
	return z.parent != nil && z.policy.signed() && z.parent.policy.signed() && !z.policy.island
}
