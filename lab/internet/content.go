package internet

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
)

// Seconds that things may be kept.
const (
	soaTTL      = 3600
	negativeTTL = 300
	nsTTL       = 86400
	keyTTL      = 3600
	dsTTL       = 3600
)

// second is the zone of registered name j of a stretch.
func (w *World) second(parent *zone, s *stretch, j int) *zone {
	apex := s.name(j)
	return w.zones.get(apex, func() *zone {
		z := &zone{w: w, apex: apex, parent: parent, seed: w.mix(ofZone, uint64(s.first+j)), build: secondContent}
		z.kind = w.kindOf(s, j)
		w.sign(z)
		w.house(z, s, j)
		return z
	})
}

// kindOf draws what is wrong with a registered zone: for one in ten something is. Two neighbours share a kind, since some need two.
func (w *World) kindOf(s *stretch, j int) *Kind {
	pair := j / 2
	h := w.mix(ofKind, uint64(s.number), uint64(pair))
	if w.conf.Healthy || h%1000 >= brokenPerMille || 2*pair+1 >= s.count {
		return nil
	}
	return &table[h>>16%uint64(len(table))]
}

const brokenPerMille = 100

// sign draws how a zone is signed.
func (w *World) sign(z *zone) {
	h := mix(z.seed, 1)
	want := h%100 < 31
	if k := z.kind; k != nil {
		want = (want || k.signed) && !k.unsigned
	}
	if !want {
		return
	}
	p := &z.policy
	*p = policy{algorithm: dnssec.ECDSAP256SHA256, digest: dnssec.DigestSHA256, denial: dnssec.DenialNSEC, split: h>>8%2 == 0}
	shares := [...]struct {
		algorithm dnssec.Algorithm
		share     uint64
	}{{dnssec.ECDSAP256SHA256, 42}, {dnssec.RSASHA256, 24}, {dnssec.Ed25519, 10}, {dnssec.RSASHA512, 5}, {dnssec.ECDSAP384SHA384, 5}, {dnssec.Ed448, 4},
		{dnssec.SM2SM3, 5}, {dnssec.RSASHA1, 2}, {dnssec.RSASHA1NSEC3SHA1, 3}}
	x := h >> 16 % 100
	for _, s := range shares {
		if x < s.share {
			p.algorithm = s.algorithm
			break
		}
		x -= s.share
	}
	switch x := h >> 24 % 100; {
	case x < 45:
		p.denial = dnssec.DenialNSEC3
		if x < 10 {
			p.iterations, p.salt = int(x), []byte{byte(h >> 32), byte(h >> 40), byte(h >> 48)}
		}
	case x < 52:
		p.denial = dnssec.DenialOptOut
	}
	if h>>32%10 == 0 {
		p.digest = dnssec.DigestSHA384
	}
	if p.algorithm == dnssec.SM2SM3 {
		p.digest = dnssec.DigestSM3 // RFC 9563, Section 5: with SM2 the digest is SM3
	}
	p.island = h>>36%25 == 0
	if k := z.kind; k != nil && k.signed {
		p.island = false
		p.algorithm, p.digest = dnssec.ECDSAP256SHA256, dnssec.DigestSHA256
		if h>>40%3 == 0 || k.fault == faultTrap {
			p.algorithm = dnssec.RSASHA256
		}
		if k.fault == faultIterations {
			p.denial, p.iterations, p.salt = dnssec.DenialNSEC3, manyIterations, []byte{0xAA}
		}
	}
	if p.algorithm == dnssec.RSASHA1 { // RFC 5155, Section 2: algorithm 5 does not go with NSEC3
		p.denial, p.iterations, p.salt = dnssec.DenialNSEC, 0, nil
	}
}

// house draws who serves a zone.
func (w *World) house(z *zone, s *stretch, j int) {
	h := mix(z.seed, 2)
	o := int(h % operators)
	at := func(i int) int { return firstOperator + o*operatorServers + i%operatorServers }
	own := func(i int) wire.Name { return mustName(fmt.Sprintf("ns%d.%s", i, z.apex)) }
	theirs := func(i int) wire.Name {
		return mustName(fmt.Sprintf("ns%d.%s", i%operatorServers+1, w.operatorDomain(o)))
	}
	first := int(h >> 16 % operatorServers)
	vanity := []host{{own(1), at(first)}, {own(2), at(first + 1)}}
	rented := []host{{theirs(first), at(first)}, {theirs(first + 1), at(first + 1)}}
	if k := z.kind; k != nil && w.houseBroken(z, s, j, vanity) {
		return
	}
	keeper := j &^ 15 // one zone in 16 has names for the servers of some of its neighbours
	switch x := h >> 24 % 100; {
	case j == keeper:
		z.hosts = vanity
	case x < 60:
		z.hosts = rented
	case x < 88:
		z.hosts = vanity
	case x < 94:
		z.hosts = []host{vanity[0], rented[1]}
	case w.kindOf(s, keeper) != nil:
		z.hosts = rented
	default: // at a neighbour's servers, whose addresses must be looked up
		other := w.second(z.parent, s, keeper)
		z.hosts = other.hosts
	}
}

// secondContent is the content of a registered zone.
func secondContent(z *zone, b *body) {
	r := rand.New(rand.NewPCG(z.seed, 3))
	m := maker{z: z, b: b, r: r, ttl: [...]uint32{60, 300, 600, 3600}[r.IntN(4)]}
	m.apex()
	if k := z.kind; k != nil && k.content != nil {
		k.content(&m)
	} else {
		m.www()
	}
	labels := r.Perm(len(services))[:4+r.IntN(7)]
	for i, n := range labels {
		switch {
		case i == 0:
			m.alias(services[n], m.below("www"))
		default:
			m.host(services[n], 1+r.IntN(2))
		}
	}
	m.host("mail", 1)
	m.add("_sip._tcp", wire.TypeSRV, append([]byte{0, 10, 0, 5, 0x13, 0xC4}, m.below(services[labels[1]])...))
	m.add("svc", wire.TypeSVCB, append([]byte{0, 1}, m.below(services[labels[1]])...))
	if r.IntN(4) == 0 {
		m.add("*.user", wire.TypeA, hostAddress(r.Uint64()))
		m.add("*.user", wire.TypeTXT, text("anybody"))
	}
	if r.IntN(20) == 0 {
		m.add("old", wire.TypeDNAME, m.below("new"))
		m.add("a.new", wire.TypeA, hostAddress(r.Uint64()))
	}
	if z.kind == nil && r.IntN(20) == 0 {
		b.node(m.below("dept")).cut = &cut{open: func() *zone { return z.w.department(z) }}
	}
}

var services = [...]string{"api", "m", "shop", "static", "img", "app", "blog", "news", "vpn", "login", "search", "oa", "pay", "h5", "docs", "dev", "git",
	"wap", "bbs", "video"}

// maker makes records of a zone.
type maker struct {
	z   *zone
	b   *body
	r   *rand.Rand
	ttl uint32
}

func (m *maker) below(label string) wire.Name { return under(label, m.z.apex) }

func (m *maker) add(label string, t wire.Type, data ...[]byte) {
	m.b.add(m.below(label), t, m.ttl, data...)
}

func (m *maker) alias(label string, target wire.Name) { m.add(label, wire.TypeCNAME, target) }

// host has addresses.
func (m *maker) host(label string, count int) {
	m.add(label, wire.TypeA, m.addresses(count)...)
	if m.r.IntN(2) == 0 {
		m.add(label, wire.TypeAAAA, hostAddress6(m.r.Uint64()))
	}
}

// addresses are different ones.
func (m *maker) addresses(count int) (list [][]byte) {
	seed := m.r.Uint64()
	for i := range count {
		list = append(list, hostAddress(seed+uint64(i)))
	}
	return list
}

func (m *maker) apex() {
	add := func(t wire.Type, data ...[]byte) { m.b.add(m.z.apex, t, m.ttl, data...) }
	add(wire.TypeA, m.addresses(1+m.r.IntN(3))...)
	if m.r.IntN(2) == 0 {
		add(wire.TypeAAAA, hostAddress6(m.r.Uint64()))
	}
	add(wire.TypeMX, append([]byte{0, 10}, m.below("mail")...))
	add(wire.TypeTXT, text("v=spf1 mx -all"), text(fmt.Sprintf("site-verification=%016x", m.r.Uint64())))
	if m.r.IntN(3) == 0 {
		add(wire.TypeHTTPS, []byte{0, 1, 0, 0, 1, 0, 6, 2, 'h', '2', 2, 'h', '3'}) // RFC 9460, Section 9: priority 1, the owner itself, alpn
	}
	if m.r.IntN(3) == 0 {
		add(wire.TypeCAA, append([]byte{0, 5}, "issueca.example"...))
	}
}

// www is a host, an alias of the apex, or hosted by a content delivery network.
func (m *maker) www() {
	switch x := m.r.IntN(100); {
	case x < 35:
		n := m.r.IntN(networks)
		label := wireLabels(m.z.apex)
		m.alias("www", mustName(fmt.Sprintf("%s.e%d.%s", label, m.r.IntN(edges), m.z.w.networkDomain(n))))
	case x < 45:
		m.alias("www", m.z.apex)
	default:
		m.host("www", 1+m.r.IntN(4))
	}
}

// wireLabels makes one label of a name.
func wireLabels(name wire.Name) string {
	b := name.AppendText(nil)
	for i := range b {
		if b[i] == '.' {
			b[i] = '-'
		}
	}
	return string(b[:len(b)-1])
}

// department is a zone below a registered one, on the same servers: parent and child of a cut are behind one address.
func (w *World) department(parent *zone) *zone {
	apex := under("dept", parent.apex)
	return w.zones.get(apex, func() *zone {
		z := &zone{w: w, apex: apex, parent: parent, seed: mix(parent.seed, 4), hosts: parent.hosts, build: departmentContent}
		w.sign(z)
		return z
	})
}

func departmentContent(z *zone, b *body) {
	m := maker{z: z, b: b, r: rand.New(rand.NewPCG(z.seed, 3)), ttl: 600}
	m.apex()
	m.host("www", 2)
	m.host("mail", 1)
	m.alias("intranet", m.below("www"))
}

func (w *World) registryZone(parent *zone, apex wire.Name, g int) *zone {
	return w.zones.get(apex, func() *zone {
		z := &zone{w: w, apex: apex, parent: parent, seed: w.mix(ofOperator, 1000+uint64(g)), build: departmentContent}
		for i := range registryServers {
			z.hosts = append(z.hosts, host{mustName(fmt.Sprintf("ns%d.%s", i+1, apex)), firstRegistry + g*registryServers + i})
		}
		w.sign(z)
		return z
	})
}

func (w *World) operatorZone(parent *zone, apex wire.Name, o int) *zone {
	return w.zones.get(apex, func() *zone {
		z := &zone{w: w, apex: apex, parent: parent, seed: w.mix(ofOperator, 2000+uint64(o)), build: departmentContent}
		for i := range operatorServers {
			z.hosts = append(z.hosts, host{mustName(fmt.Sprintf("ns%d.%s", i+1, apex)), firstOperator + o*operatorServers + i})
		}
		w.sign(z)
		return z
	})
}

// edges of a content delivery network.
const edges = 16

// networkZone: every name below an edge is an alias of that edge's hosts.
func (w *World) networkZone(parent *zone, apex wire.Name, n int) *zone {
	return w.zones.get(apex, func() *zone {
		z := &zone{w: w, apex: apex, parent: parent, seed: w.mix(ofNetwork, 1000+uint64(n)), build: networkContent}
		for i := range operatorServers {
			z.hosts = append(z.hosts, host{mustName(fmt.Sprintf("ns%d.%s", i+1, apex)), firstOperator + n*operatorServers + i})
		}
		w.sign(z)
		return z
	})
}

func networkContent(z *zone, b *body) {
	m := maker{z: z, b: b, r: rand.New(rand.NewPCG(z.seed, 3)), ttl: 300}
	m.apex()
	for e := range edges {
		m.alias(fmt.Sprintf("*.e%d", e), m.below(fmt.Sprintf("pop%d", e)))
		m.host(fmt.Sprintf("pop%d", e), 2+m.r.IntN(3))
	}
}

// hostAddress is one of the addresses for documentation (RFC 5737).
func hostAddress(n uint64) []byte {
	nets := [...][3]byte{{192, 0, 2}, {198, 51, 100}, {203, 0, 113}}
	b := nets[n/254%3]
	return []byte{b[0], b[1], b[2], byte(1 + n%254)}
}

// hostAddress6 is one of those of RFC 3849.
func hostAddress6(n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1}, n)
}

// text is TXT RDATA of one string.
func text(s string) []byte { return append([]byte{byte(len(s))}, s...) }

func soa(z *zone) []byte {
	b := append([]byte(nil), z.hosts[0].name...)
	b = append(b, under("hostmaster", z.apex)...)
	for _, n := range [...]uint32{2026112301, 7200, 3600, 1209600, negativeTTL} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}
