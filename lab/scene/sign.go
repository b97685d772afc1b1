package scene

import (
	"bytes"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/lab/internet"
)

// record is one record of a zone, or its RDATA in a set.
type record struct {
	owner wire.Name
	typ   wire.Type
	ttl   uint32
	data  []byte
}

// signing is how a zone is signed: the words of a server step that begin with sign, and those that break it.
type signing struct {
	algorithm dnssec.Algorithm
	nsec3     bool
	optOut    bool
	digest    bool // a ZONEMD record
	cycles    int  // NSEC3 iterations
	keys      []uint64
	revoked   map[uint64]bool
	bad       map[string]bool
	many      map[string]int // how many of something: impostors, signatures, ds, extra (keys that sign nothing)
	first     int64
	last      int64
	keyring   *internet.Keys
}

// signKey is a key of a zone.
type signKey struct {
	rdata []byte
	tag   uint16
	sign  func([]byte) []byte
}

func (s *signing) key(apex wire.Name, seed uint64) signKey {
	flags := uint16(dnssec.FlagZone | dnssec.FlagSEP)
	if s.revoked[seed] {
		flags |= dnssec.FlagRevoked
	}
	for i, c := range apex.AppendLower(nil) {
		seed = seed*31 + uint64(c)*uint64(i+7)
	}
	rdata, sign := s.keyring.Make(s.algorithm, flags, seed)
	return signKey{rdata, dnssec.KeyTag(rdata), sign}
}

// allKeys are the keys of the zone, the one that signs first.
func (s *signing) allKeys(apex wire.Name) (list []signKey) {
	for _, k := range s.keys {
		list = append(list, s.key(apex, k))
	}
	return list
}

// impostors have the tag of the first key, which is one of RSASHA256, and sign nothing that holds.
func (s *signing) impostors(apex wire.Name) (list []signKey) {
	tag := s.key(apex, s.keys[0]).tag
	for i := range s.many["impostors"] {
		rdata, sign := s.keyring.Impostor(tag, uint64(i+1))
		list = append(list, signKey{rdata, tag, sign})
	}
	return list
}

// extras are keys that sign nothing, and stand before the one that does in the order in which servers give the RRset.
func (s *signing) extras(apex wire.Name) (list []signKey) {
	first := s.key(apex, s.keys[0]).rdata
	for seed := uint64(1000); len(list) < s.many["extra"]; seed++ {
		if k := s.key(apex, seed); bytes.Compare(k.rdata, first) < 0 {
			list = append(list, k)
		}
	}
	return list
}

// ds are the DS records that the parent has of the zone.
func (s *signing) ds(apex wire.Name) (list [][]byte) {
	if s.bad["nods"] {
		return nil
	}
	digest := dnssec.DigestSHA256
	if s.algorithm == dnssec.SM2SM3 {
		digest = dnssec.DigestSM3
	}
	k := s.key(apex, s.keys[0])
	make := func(rdata []byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, k.tag)
		b, err := dnssec.AppendDigest(append(b, byte(s.algorithm), byte(digest)), digest, apex, rdata)
		if err != nil {
			panic(err)
		}
		return b
	}
	for i := range s.many["ds"] {
		list = append(list, make(append(bytes.Clone(k.rdata), byte(i), byte(i>>8))))
	}
	d := make(k.rdata)
	if s.bad["wrongds"] {
		d[len(d)-1] ^= 1
	}
	if s.bad["digest"] {
		d[3] = 200 // one that nobody knows
	}
	return append(list, d)
}

// sets sorts records by owner in canonical order and by type.
func sets(apex wire.Name, list []record) [][]record {
	key := func(r record) string { return string(wire.AppendKey(nil, r.owner, apex)) }
	slices.SortStableFunc(list, func(a, b record) int {
		if c := strings.Compare(key(a), key(b)); c != 0 {
			return c
		}
		return int(a.typ) - int(b.typ)
	})
	var out [][]record
	for i, r := range list {
		if i > 0 && list[i-1].typ == r.typ && list[i-1].owner.Equal(r.owner) {
			out[len(out)-1] = append(out[len(out)-1], r)
			continue
		}
		out = append(out, []record{r})
	}
	return out
}

// sign adds keys, denials and signatures to the records of a zone.
func (s *signing) sign(apex wire.Name, list []record) []record {
	if s.bad["unsigned"] {
		return list
	}
	if !s.bad["nokey"] {
		for _, k := range slices.Concat(s.extras(apex), s.allKeys(apex), s.impostors(apex)) {
			list = append(list, record{apex, wire.TypeDNSKEY, 3600, k.rdata})
		}
	}
	if s.digest {
		list = append(list, s.zonemd(apex, 0, make([]byte, sha512.Size384))) // so that the denials have the type
	}
	cuts := map[string]bool{}
	for _, r := range list {
		if r.typ == wire.TypeNS && !r.owner.Equal(apex) {
			cuts[string(r.owner.AppendLower(nil))] = true
		}
	}
	list = append(list, s.denials(apex, list, cuts)...)
	for _, set := range sets(apex, slices.Clone(list)) {
		if signs(apex, set[0], cuts) {
			list = append(list, s.signatures(apex, set)...)
		}
	}
	return list
}

// below tells whether a name lies under a cut, or at one.
func below(apex, owner wire.Name, cuts map[string]bool) (at, under bool) {
	at = cuts[string(owner.AppendLower(nil))]
	for n := owner; !n.Equal(apex) && !n.IsRoot(); n = n.Parent() {
		if !n.Equal(owner) && cuts[string(n.AppendLower(nil))] {
			return at, true
		}
	}
	return at, false
}

// signs tells whether a set of a zone is signed (RFC 4035, Section 2.2).
func signs(apex wire.Name, r record, cuts map[string]bool) bool {
	at, under := below(apex, r.owner, cuts)
	return !under && (!at || r.typ == wire.TypeDS || r.typ == wire.TypeNSEC)
}

func (s *signing) signatures(apex wire.Name, set []record) (list []record) {
	if s.bad["nosig"] && set[0].typ != wire.TypeDNSKEY || s.bad["nosig="+strings.ToLower(set[0].typ.String())] {
		return nil
	}
	keys := s.allKeys(apex)
	if set[0].typ != wire.TypeDNSKEY {
		keys = keys[:1]
	}
	if set[0].typ != wire.TypeDNSKEY || s.many["impostors"] == 0 {
		keys = append(s.impostors(apex), keys...)
	}
	for _, k := range keys {
		for i := range max(1, s.many["signatures"]) {
			list = append(list, record{set[0].owner, wire.TypeRRSIG, set[0].ttl, s.signature(apex, set, k, i+1 < s.many["signatures"], i)})
		}
	}
	return list
}

// signature makes RRSIG RDATA (RFC 4034, Section 3.1).
func (s *signing) signature(apex wire.Name, set []record, k signKey, wrong bool, salt int) []byte {
	r := set[0]
	labels := dnssec.LabelsOf(r.owner)
	if s.bad["labels"] && r.typ != wire.TypeDNSKEY {
		labels = max(0, apex.Labels()-1)
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(r.typ))
	b = append(b, byte(s.algorithm), byte(labels))
	for _, n := range [...]uint32{r.ttl, uint32(s.last), uint32(s.first)} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	b = append(binary.BigEndian.AppendUint16(b, k.tag), apex.AppendLower(nil)...)
	signed := bytes.Clone(b)
	head := binary.BigEndian.AppendUint16(r.owner.AppendLower(nil), uint16(r.typ))
	head = binary.BigEndian.AppendUint32(append(head, 0, 1), r.ttl)
	var forms [][]byte
	for _, r := range set {
		forms = append(forms, wire.AppendCanonical(nil, r.typ, r.data))
	}
	slices.SortFunc(forms, bytes.Compare)
	for _, f := range forms {
		signed = append(append(signed, head...), byte(len(f)>>8), byte(len(f)))
		signed = append(signed, f...)
	}
	sig := k.sign(signed)
	if wrong || s.bad["badsig"] && r.typ != wire.TypeDNSKEY || s.bad["badsig="+strings.ToLower(r.typ.String())] {
		sig = bytes.Clone(sig)
		sig[len(sig)/2] ^= byte(1 + salt)
		sig[len(sig)/3] ^= byte(salt >> 7)
	}
	return append(b, sig...)
}

// denials are the NSEC or NSEC3 records of a zone.
func (s *signing) denials(apex wire.Name, list []record, cuts map[string]bool) (out []record) {
	types := map[string]map[wire.Type]bool{}
	ttl := uint32(60)
	for _, r := range list {
		if _, under := below(apex, r.owner, cuts); under {
			continue
		}
		if at, _ := below(apex, r.owner, cuts); at && r.typ != wire.TypeNS && r.typ != wire.TypeDS {
			continue
		}
		n := string(r.owner.AppendLower(nil))
		if types[n] == nil {
			types[n] = map[wire.Type]bool{}
		}
		types[n][r.typ] = true
	}
	if s.nsec3 {
		return s.nsec3s(apex, types, cuts, ttl)
	}
	var names []string
	for n := range types {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return bytes.Compare(wire.AppendKey(nil, wire.Name(a), apex), wire.AppendKey(nil, wire.Name(b), apex))
	})
	for i, n := range names {
		next := wire.Name(names[(i+1)%len(names)])
		types[n][wire.TypeNSEC], types[n][wire.TypeRRSIG] = true, true
		out = append(out, record{wire.Name(n), wire.TypeNSEC, ttl, append(bytes.Clone(next), bitmap(types[n])...)})
	}
	return out
}

var base32hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// nsec3s: RFC 5155, Section 7.1.
func (s *signing) nsec3s(apex wire.Name, types map[string]map[wire.Type]bool, cuts map[string]bool, ttl uint32) (out []record) {
	salt := []byte{0xaa, 0xbb}
	var names []string
	for n := range types {
		names = append(names, n)
	}
	for _, n := range names { // empty non-terminals
		for p := wire.Name(n); !p.Equal(apex) && !p.IsRoot(); p = p.Parent() {
			if types[string(p)] == nil {
				types[string(p)] = map[wire.Type]bool{}
			}
		}
	}
	type entry struct {
		hash []byte
		name string
	}
	var hashes []entry
	for n, t := range types {
		if s.optOut && cuts[n] && !t[wire.TypeDS] {
			continue
		}
		h := dnssec.NSEC3Hash(wire.Name(n), salt, s.cycles)
		hashes = append(hashes, entry{h[:], n})
	}
	slices.SortFunc(hashes, func(a, b entry) int { return bytes.Compare(a.hash, b.hash) })
	flags := byte(0)
	if s.optOut {
		flags = 1
	}
	head := append([]byte{1, flags, byte(s.cycles >> 8), byte(s.cycles), byte(len(salt))}, salt...)
	for i, e := range hashes {
		next := hashes[(i+1)%len(hashes)].hash
		t := types[e.name]
		if len(t) > 0 && !(cuts[e.name] && !t[wire.TypeDS]) {
			t[wire.TypeRRSIG] = true
		}
		if wire.Name(e.name).Equal(apex) {
			t[wire.TypeNSEC3PARAM] = true
		}
		owner, err := wire.ParseName(fmt.Sprintf("%s.%s", strings.ToLower(base32hex.EncodeToString(e.hash)), strings.TrimPrefix(apex.String(), ".")))
		if err != nil {
			panic(err)
		}
		data := append(append(bytes.Clone(head), byte(len(next))), next...)
		out = append(out, record{owner, wire.TypeNSEC3, ttl, append(data, bitmap(t)...)})
	}
	param := append([]byte{1, 0}, head[2:]...)
	return append(out, record{apex, wire.TypeNSEC3PARAM, 0, param})
}

// bitmap: RFC 4034, Section 4.1.2.
func bitmap(types map[wire.Type]bool) (b []byte) {
	for window := range 256 {
		var bits [32]byte
		size := 0
		for t := range types {
			if int(t)>>8 == window {
				bits[t&255/8] |= 0x80 >> (t & 7)
				size = max(size, int(t&255/8)+1)
			}
		}
		if size > 0 {
			b = append(append(b, byte(window), byte(size)), bits[:size]...)
		}
	}
	return b
}

// recordsOf takes a zone apart.
func recordsOf(z *zone.Zone) (list []record) {
	for n := range z.All() {
		owner := wire.Name(n.AppendOwner(nil, z.Apex()))
		for s := range n.Sets() {
			if s.Covered() != 0 {
				continue
			}
			for it := s.Iter(); it.Next(); {
				list = append(list, record{owner, s.Type(), s.TTL(), bytes.Clone(it.RData())})
			}
		}
	}
	return list
}

// zoneOf puts one together.
func zoneOf(apex wire.Name, list []record) (*zone.Zone, error) {
	e := zone.NewEmpty(apex, wire.ClassIN)
	for _, r := range list {
		if err := e.Add(r.owner, r.typ, r.ttl, r.data); err != nil {
			return nil, err
		}
	}
	return e.Done()
}
