package serve

import (
	"fmt"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// emptyZones are answered with NXDOMAIN unless configured: queries for them must not leave the site.
var emptyZones = [...]string{
	// RFC 6303, Sections 4.1 to 4.6
	"10.in-addr.arpa.", "168.192.in-addr.arpa.", "0.in-addr.arpa.", "254.169.in-addr.arpa.", "2.0.192.in-addr.arpa.",
	"100.51.198.in-addr.arpa.", "113.0.203.in-addr.arpa.", "255.255.255.255.in-addr.arpa.",
	"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
	"d.f.ip6.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.", "b.e.f.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa.",
	// RFC 6761, Sections 6.2 and 6.4; RFC 7686, Section 2; RFC 8375, Section 4; RFC 9462, Section 6.4; RFC 9665, Section 7
	"test.", "invalid.", "onion.", "home.arpa.", "resolver.arpa.", "service.arpa.",
}

// LocalZones builds the zones that are always there. server is their name server; nil: each is its own. RFC 6303, Section 3, recommends that and wants it
// to be settable.
func LocalZones(server wire.Name) []Zone {
	var list []Zone
	add := func(name string, extra ...record) {
		z, err := localZone(name, server, extra)
		if err != nil {
			// The names are constants above; a test builds every one of them.
			panic(fmt.Sprintf("building the local zone %s: %v", name, err))
		}
		list = append(list, Zone{Name: z.Apex(), Zone: z, Local: true})
	}
	for _, name := range emptyZones {
		add(name)
	}
	for i := 16; i <= 31; i++ {
		add(fmt.Sprintf("%d.172.in-addr.arpa.", i))
	}
	for i := 64; i <= 127; i++ {
		add(fmt.Sprintf("%d.100.in-addr.arpa.", i)) // RFC 7793
	}
	// RFC 6761, Section 6.3: names under localhost are the loopback addresses; RFC 6303, Section 4.3, for the way back.
	loop4, loop6 := []byte{127, 0, 0, 1}, []byte{15: 1}
	add("localhost.", record{"localhost.", wire.TypeA, loop4}, record{"localhost.", wire.TypeAAAA, loop6},
		record{"*.localhost.", wire.TypeA, loop4}, record{"*.localhost.", wire.TypeAAAA, loop6})
	localhost := []byte("\x09localhost\x00")
	add("127.in-addr.arpa.", record{"1.0.0.127.in-addr.arpa.", wire.TypePTR, localhost})
	one := "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."
	add(one, record{one, wire.TypePTR, localhost})
	return list
}

type record struct {
	name  string
	typ   wire.Type
	rdata []byte
}

// localZone holds SOA and NS as RFC 6303, Section 3, proposes, and what is given.
func localZone(name string, server wire.Name, extra []record) (*zone.Zone, error) {
	const ttl = 10800
	apex, err := wire.ParseName(name)
	if err != nil {
		return nil, err
	}
	if server == nil {
		server = apex
	}
	soa := append([]byte(nil), server...)
	soa = append(soa, "\x06nobody\x07invalid\x00"...)
	for _, v := range [5]uint32{1, 3600, 1200, 604800, ttl} {
		soa = append(soa, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	e := zone.NewEmpty(apex, wire.ClassIN)
	if err := e.Add(apex, wire.TypeSOA, ttl, soa); err != nil {
		return nil, err
	}
	if err := e.Add(apex, wire.TypeNS, ttl, server); err != nil {
		return nil, err
	}
	for _, r := range extra {
		owner, err := wire.ParseName(r.name)
		if err != nil {
			return nil, err
		}
		if err := e.Add(owner, r.typ, ttl, r.rdata); err != nil {
			return nil, err
		}
	}
	return e.Done()
}
