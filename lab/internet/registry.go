package internet

import (
	"fmt"
	"strings"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
)

// build makes the root, the top-level domains and the zones under them in which names are registered: about 350 zones, without content.
func (w *World) build(names []string) {
	w.root = &zone{w: w, apex: wire.Root(), seed: w.mix(ofZone), build: rootContent(names)}
	w.root.policy = policy{algorithm: dnssec.RSASHA256, digest: dnssec.DigestSHA256, denial: dnssec.DenialNSEC, split: true}
	for i := range rootServers {
		w.root.hosts = append(w.root.hosts, host{mustName(fmt.Sprintf("%c.root-servers.", 'a'+i)), i})
	}
	w.specials()
	shapes := structures()
	for i, label := range names {
		z := w.open(i, label)
		w.top[label] = z
	}
	w.share(names, shapes)
}

// open makes a top-level domain.
func (w *World) open(number int, label string) *zone {
	z := &zone{w: w, apex: mustName(label + "."), parent: w.root, seed: w.mix(ofTop, uint64(number)), build: registryContent}
	group := number % registries
	h := z.seed
	signed := number < len(firstPolicies) || h%100 < 85
	if signed {
		z.policy = w.registryPolicy(number, h)
	}
	for i := range registryServers {
		name := fmt.Sprintf("%c.nic.%s.", 'a'+i, label)
		if number >= 12 && h>>32%100 < 30 {
			name = fmt.Sprintf("ns%d.%s", i+1, registryDomain(group)) // out of bailiwick; the root gives addresses for half of them
		}
		z.hosts = append(z.hosts, host{mustName(name), firstRegistry + group*registryServers + i})
	}
	return z
}

// firstPolicies are those of the largest top-level domains, so that every world has each algorithm and denial at this level.
var firstPolicies = [...]policy{
	{algorithm: dnssec.ECDSAP256SHA256, digest: dnssec.DigestSHA256, denial: dnssec.DenialOptOut, split: true}, // com
	{algorithm: dnssec.RSASHA256, digest: dnssec.DigestSHA256, denial: dnssec.DenialOptOut, split: true},       // cn
	{algorithm: dnssec.ECDSAP256SHA256, digest: dnssec.DigestSHA256, denial: dnssec.DenialNSEC3, split: true},  // net
	{algorithm: dnssec.ECDSAP256SHA256, digest: dnssec.DigestSHA384, denial: dnssec.DenialNSEC, split: true},   // org
	{algorithm: dnssec.Ed25519, digest: dnssec.DigestSHA256, denial: dnssec.DenialNSEC},                        // de
	{algorithm: dnssec.ECDSAP384SHA384, digest: dnssec.DigestSHA384, denial: dnssec.DenialNSEC3, split: true},  // uk
	{algorithm: dnssec.RSASHA512, digest: dnssec.DigestSHA256, denial: dnssec.DenialNSEC3, split: true},        // ru
	{algorithm: dnssec.Ed448, digest: dnssec.DigestSHA256, denial: dnssec.DenialNSEC, split: true},             // nl
	{algorithm: dnssec.SM2SM3, digest: dnssec.DigestSM3, denial: dnssec.DenialNSEC3, split: true},              // br
	{algorithm: dnssec.RSASHA1NSEC3SHA1, digest: dnssec.DigestSHA256, denial: dnssec.DenialNSEC3, split: true}, // fr
	{algorithm: dnssec.RSASHA1, digest: dnssec.DigestSHA1, denial: dnssec.DenialNSEC, split: true},             // eu
}

func (w *World) registryPolicy(number int, h uint64) policy {
	if number < len(firstPolicies) {
		return firstPolicies[number]
	}
	p := policy{algorithm: dnssec.ECDSAP256SHA256, digest: dnssec.DigestSHA256, denial: dnssec.DenialNSEC3, split: h>>8%4 > 0}
	switch x := h >> 16 % 100; {
	case x < 35:
		p.algorithm = dnssec.RSASHA256
	case x < 42:
		p.algorithm = dnssec.Ed25519
	}
	switch x := h >> 24 % 100; {
	case x < 35:
		p.denial = dnssec.DenialOptOut
	case x < 60:
		p.denial = dnssec.DenialNSEC
	}
	if p.denial != dnssec.DenialNSEC && h>>40%4 == 0 {
		p.iterations, p.salt = int(h>>42%10), []byte{byte(h >> 50), byte(h >> 58)}
	}
	return p
}

// share gives each place where names are registered its share of them: the first places half, the others by rank.
func (w *World) share(names []string, shapes map[string]structure) {
	type place struct {
		z      *zone
		label  string // of an empty name in z under which names are registered; "": under the apex
		weight float64
	}
	var places []place
	large := []float64{3000, 1200, 600, 500}
	for i, label := range names {
		weight := 400 / float64(i+1)
		if i < len(large) {
			weight = large[i]
		}
		s, ok := shapes[label]
		if !ok || s.direct {
			places = append(places, place{w.top[label], "", weight})
		}
		for k, second := range strings.Fields(s.labels) {
			p := place{w.top[label], second, weight / float64(2*k+2)}
			if s.zones {
				p.z, p.label = w.category(w.top[label], second), ""
			}
			places = append(places, p)
		}
	}
	var total float64
	for _, p := range places {
		total += p.weight
	}
	first := 0
	for i, p := range places {
		count := max(1, int(float64(w.conf.Size)*p.weight/total))
		if i == len(places)-1 {
			count = max(1, w.conf.Size-first)
		}
		s := &stretch{seed: w.mix(ofStretch, uint64(i)), first: first, count: count, under: p.z.apex, number: i}
		if p.label != "" {
			s.under = under(p.label, p.z.apex)
			s.prefix = p.z.key(s.under)
		}
		p.z.stretches = append(p.z.stretches, s)
		w.stretches, w.homes = append(w.stretches, s), append(w.homes, p.z)
		first += count
	}
	w.conf.Size = first
}

// category makes a registry's zone under its top-level domain, on the same servers.
func (w *World) category(top *zone, label string) *zone {
	z := &zone{w: w, apex: under(label, top.apex), parent: top, build: registryContent, hosts: top.hosts, policy: top.policy}
	z.seed = mix(top.seed, digest(z.apex))
	name := top.apex.String()
	w.special[name] = append(w.special[name], special{label, func(*zone) *zone { return z }})
	return z
}

// rootContent: the delegations of the root. Its own servers are in it.
func rootContent(names []string) func(*zone, *body) {
	return func(z *zone, b *body) {
		for _, label := range names {
			top := z.w.top[label]
			b.node(top.apex).cut = &cut{open: func() *zone { return top }}
		}
	}
}

// registryContent is what a registry's zone has beside the registered names.
func registryContent(z *zone, b *body) {
	for _, s := range z.w.special[z.apex.String()] {
		open := s.open
		b.node(under(s.label, z.apex)).cut = &cut{open: func() *zone { return open(z) }}
	}
	for _, s := range z.stretches {
		if len(s.prefix) > 0 {
			b.node(s.under)
		}
	}
	b.add(z.apex, wire.TypeTXT, 3600, text("registry of "+z.apex.String()))
	b.add(under("www.nic", z.apex), wire.TypeA, 3600, hostAddress(z.seed))
}

// specials are the zones of those who run servers: registries, operators and content delivery networks.
func (w *World) specials() {
	add := func(domain string, open func(apex wire.Name) func(*zone) *zone) {
		label, top, _ := strings.Cut(domain, ".")
		w.special[top] = append(w.special[top], special{label, open(mustName(domain))})
	}
	for g := range registries {
		add(registryDomain(g), func(apex wire.Name) func(*zone) *zone {
			return func(parent *zone) *zone { return w.registryZone(parent, apex, g) }
		})
	}
	for o := range operators {
		add(w.operatorDomain(o), func(apex wire.Name) func(*zone) *zone {
			return func(parent *zone) *zone { return w.operatorZone(parent, apex, o) }
		})
	}
	for n := range networks {
		add(w.networkDomain(n), func(apex wire.Name) func(*zone) *zone {
			return func(parent *zone) *zone { return w.networkZone(parent, apex, n) }
		})
	}
}

func registryDomain(g int) string { return fmt.Sprintf("registry%d.net.", g+1) }

// The domains of operators are in the largest registries, which name their servers below themselves.
func (w *World) operatorDomain(o int) string {
	return fmt.Sprintf("dns-%s.%s.", word(int(w.mix(ofOperator, uint64(o))%uint64(words))), [...]string{"com", "net", "cn", "org"}[o%4])
}

func (w *World) networkDomain(n int) string {
	return fmt.Sprintf("cdn-%s.%s.", word(int(w.mix(ofNetwork, uint64(n))%uint64(words))), [...]string{"net", "com"}[n%2])
}

// mustName reads a name that this package has made.
func mustName(text string) wire.Name {
	n, err := wire.ParseName(text)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return n
}

// under is the name of some labels below another name.
func under(labels string, name wire.Name) wire.Name {
	above := mustName(labels + ".")
	return append(above[:len(above)-1:len(above)-1], name...)
}
