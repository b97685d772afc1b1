package internet

import (
	"bytes"
	"sort"
	"sync"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
)

// zone is one zone of the world. What it is made of follows from its apex; its contents and keys are made when somebody asks.
type zone struct {
	w      *World
	apex   wire.Name // lower case
	parent *zone     // nil: the root
	seed   uint64
	hosts  []host
	policy policy
	kind   *Kind // nil: all is well

	build     func(z *zone, b *body)
	stretches []*stretch
	bodyOnce  sync.Once
	body      body
	keyOnce   sync.Once
	keyring   keyring
}

// policy is how a zone is signed.
type policy struct {
	algorithm  dnssec.Algorithm // 0: not at all
	digest     dnssec.DigestType
	denial     dnssec.Denial
	iterations int
	salt       []byte
	split      bool // a key-signing and a zone-signing key; else one for both
	island     bool // signed, and the parent does not say so
}

func (p *policy) signed() bool { return p.algorithm != 0 }

// rrset is the records of one owner and type.
type rrset struct {
	name wire.Name
	typ  wire.Type
	ttl  uint32
	data [][]byte
}

// node is all that stands at a name. Without sets and cut it is an empty non-terminal.
type node struct {
	key  []byte
	name wire.Name
	sets []rrset
	cut  *cut
}

// cut is a delegation.
type cut struct {
	open func() *zone
}

func (n *node) empty() bool { return len(n.sets) == 0 && n.cut == nil }

func (n *node) set(t wire.Type) *rrset {
	for i := range n.sets {
		if n.sets[i].typ == t {
			return &n.sets[i]
		}
	}
	return nil
}

// body is the content of a zone that is stored while the zone is: nodes in canonical order, and their hashes in order for NSEC3.
type body struct {
	zone   *zone
	nodes  []node
	hashes []hashed
}

func (z *zone) content() *body {
	z.bodyOnce.Do(func() {
		b := &body{zone: z}
		z.build(z, b)
		b.finish()
		z.body = *b
	})
	return &z.body
}

// key of a name at or below the apex.
func (z *zone) key(name wire.Name) []byte { return wire.AppendKey(nil, name, z.apex) }

// at finds what stands at a name; nil: nothing, and nothing below.
func (z *zone) at(name wire.Name) *node { return z.atKey(z.key(name)) }

func (z *zone) atKey(key []byte) *node {
	nodes := z.content().nodes
	i := sort.Search(len(nodes), func(i int) bool { return bytes.Compare(nodes[i].key, key) >= 0 })
	if i < len(nodes) && bytes.Equal(nodes[i].key, key) {
		return &nodes[i]
	}
	for _, s := range z.stretches {
		rest, ok := bytes.CutPrefix(key, s.prefix)
		if !ok || len(rest) != wordLength+1 || rest[wordLength] != 0 {
			continue
		}
		if j, ok := s.find(rest[:wordLength]); ok {
			return z.registered(s, j)
		}
	}
	return nil
}

// registered is the delegation of a registered name.
func (z *zone) registered(s *stretch, j int) *node {
	return &node{key: s.key(j), name: s.name(j), cut: &cut{open: func() *zone { return z.w.second(z, s, j) }}}
}

// ancestor returns the name made of the last labels of name.
func ancestor(name wire.Name, labels int) wire.Name {
	for n := name.Labels(); n > labels; n-- {
		name = name.Parent()
	}
	return name
}

// descend walks from the apex towards name. It returns the delegation on the way, if there is one; else the node of name, if there is
// one, and the closest encloser (RFC 5155, Section 1.3).
func (z *zone) descend(name wire.Name) (delegation, found *node, encloser wire.Name) {
	encloser = z.apex
	for n := z.apex.Labels() + 1; n <= name.Labels(); n++ {
		up := ancestor(name, n)
		at := z.at(up)
		if at == nil {
			return nil, nil, encloser
		}
		if at.cut != nil {
			return at, nil, encloser
		}
		encloser, found = up, at
	}
	if len(name) == len(z.apex) {
		found = z.at(name)
	}
	return nil, found, encloser
}

// serves tells whether a server is one of the zone's.
func (z *zone) serves(server int) bool {
	for _, h := range z.hosts {
		if h.server == server {
			return true
		}
	}
	return false
}

// path is the zones from the root to the deepest one that holds name. For DS the zone above a cut holds the name (RFC 4035,
// Section 3.1.4.1).
func (w *World) path(name wire.Name, t wire.Type) []*zone {
	list := make([]*zone, 1, 5)
	list[0] = w.root
	for z := w.root; ; {
		cut, _, _ := z.descend(name)
		if cut == nil || t == wire.TypeDS && len(cut.name) == len(name) {
			return list
		}
		z = cut.cut.open()
		list = append(list, z)
	}
}

// add appends records of an owner; sets of one owner and type must come together.
func (b *body) add(name wire.Name, t wire.Type, ttl uint32, data ...[]byte) {
	n := b.node(name)
	n.sets = append(n.sets, rrset{name: n.name, typ: t, ttl: ttl, data: data})
}

// node returns the node of a name, making it and the empty ones above it.
func (b *body) node(name wire.Name) *node {
	key := b.zone.key(name)
	i := sort.Search(len(b.nodes), func(i int) bool { return bytes.Compare(b.nodes[i].key, key) >= 0 })
	if i < len(b.nodes) && bytes.Equal(b.nodes[i].key, key) {
		return &b.nodes[i]
	}
	if len(name) > len(b.zone.apex) && name.Labels() > b.zone.apex.Labels()+1 {
		b.node(name.Parent())
		i = sort.Search(len(b.nodes), func(i int) bool { return bytes.Compare(b.nodes[i].key, key) >= 0 })
	}
	b.nodes = append(b.nodes, node{})
	copy(b.nodes[i+1:], b.nodes[i:])
	b.nodes[i] = node{key: key, name: append(wire.Name(nil), name...)}
	return &b.nodes[i]
}

// finish adds what follows from the rest: SOA, NS, keys, the addresses of name servers in the zone.
func (b *body) finish() {
	z := b.zone
	b.add(z.apex, wire.TypeSOA, soaTTL, soa(z))
	var ns [][]byte
	for i, h := range z.hosts {
		if i == 0 || !z.hosts[i-1].name.Equal(h.name) {
			ns = append(ns, h.name)
		}
	}
	b.add(z.apex, wire.TypeNS, nsTTL, ns...)
	z.hostAddresses(func(name wire.Name, t wire.Type, data [][]byte) {
		if name.IsSubdomainOf(z.apex) && !b.below(name) {
			b.add(name, t, nsTTL, data...)
		}
	})
	if z.policy.signed() {
		if keys := z.keys().records; len(keys) > 0 {
			b.add(z.apex, wire.TypeDNSKEY, keyTTL, keys...)
		}
		if z.policy.denial != dnssec.DenialNSEC {
			b.add(z.apex, wire.TypeNSEC3PARAM, 0, append([]byte{1, 0, byte(z.policy.iterations >> 8), byte(z.policy.iterations), byte(len(z.policy.salt))}, z.policy.salt...))
		}
	}
	b.hash()
}

// below tells whether a name is at or below a delegation that is stored.
func (b *body) below(name wire.Name) bool {
	for i := range b.nodes {
		if b.nodes[i].cut != nil && name.IsSubdomainOf(b.nodes[i].name) {
			return true
		}
	}
	return false
}

// hostAddresses yields the address sets of the zone's name servers.
func (z *zone) hostAddresses(yield func(name wire.Name, t wire.Type, data [][]byte)) {
	for i := 0; i < len(z.hosts); {
		var four, six [][]byte
		first := i
		for ; i < len(z.hosts) && z.hosts[i].name.Equal(z.hosts[first].name); i++ {
			four = append(four, z.w.address(z.hosts[i].server).AsSlice())
			if z.w.conf.Prefix6.IsValid() {
				six = append(six, z.w.address6(z.hosts[i].server).AsSlice())
			}
		}
		yield(z.hosts[first].name, wire.TypeA, four)
		if len(six) > 0 {
			yield(z.hosts[first].name, wire.TypeAAAA, six)
		}
	}
}
