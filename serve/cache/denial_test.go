package cache_test

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
)

func bitmap(types ...wire.Type) []byte {
	b := make([]byte, 2+32)
	b[1] = 32
	for _, t := range types {
		b[2+t/8] |= 0x80 >> (t & 7)
	}
	return b
}

func nsec(t testing.TB, owner, next string, ttl uint32, types ...wire.Type) *message.RRset {
	s := &message.RRset{Name: name(t, owner), Type: wire.TypeNSEC, Class: wire.ClassIN, TTL: ttl}
	s.Data = [][]byte{append(append([]byte{}, name(t, next)...), bitmap(append(types, wire.TypeNSEC, wire.TypeRRSIG)...)...)}
	s.Sigs = [][]byte{[]byte("signature")}
	return s
}

func soa(t testing.TB, zone string, ttl, minimum uint32) *message.RRset {
	d := append([]byte{}, name(t, "ns.example.")...)
	d = append(d, name(t, "host.example.")...)
	d = append(d, make([]byte, 16)...)
	d = binary.BigEndian.AppendUint32(d, minimum)
	return &message.RRset{Name: name(t, zone), Type: wire.TypeSOA, Class: wire.ClassIN, TTL: ttl, Data: [][]byte{d}, Sigs: [][]byte{[]byte("s")}}
}

// A zone: example. with a, b (a delegation), d.e (so e is an empty non-terminal), *.w with A.
func signed(t testing.TB) *cache.Cache {
	c := cache.New(cache.Config{})
	for _, set := range []*message.RRset{
		nsec(t, "example.", "a.example.", 3600, wire.TypeSOA, wire.TypeNS),
		nsec(t, "a.example.", "b.example.", 100, wire.TypeA),
		nsec(t, "b.example.", "d.e.example.", 3600, wire.TypeNS),
		nsec(t, "d.e.example.", "w.example.", 3600, wire.TypeA),
		nsec(t, "w.example.", "*.w.example.", 3600, wire.TypeA),
		nsec(t, "*.w.example.", "example.", 3600, wire.TypeA),
	} {
		c.PutDenial(name(t, "Example."), set, soa(t, "example.", 3600, 900), 0)
	}
	return c
}

// RFC 8198, Sections 5.1 to 5.4; servers.md 5.2, case 74.
func TestDeny_answersFromNSEC(t *testing.T) {
	c := signed(t)
	const none = wire.Rcode(999)
	for _, test := range []struct {
		name  string
		qtype wire.Type
		want  wire.Rcode
		sets  int
		ttl   uint32
	}{
		{"aa.example.", wire.TypeA, wire.NXDomain, 3, 100}, // the record of a. has a short TTL
		{"x.y.aa.example.", wire.TypeA, wire.NXDomain, 3, 100},
		{"c.example.", wire.TypeA, wire.NXDomain, 3, 900}, // RFC 9077: not above the SOA's minimum
		{"A.example.", wire.TypeMX, wire.NoError, 2, 100},
		{"a.example.", wire.TypeA, none, 0, 0},
		{"e.example.", wire.TypeA, wire.NoError, 2, 900}, // empty non-terminal
		{"b.example.", wire.TypeDS, wire.NoError, 2, 900},
		{"b.example.", wire.TypeA, none, 0, 0},   // a delegation
		{"x.b.example.", wire.TypeA, none, 0, 0}, // below it
		{"x.w.example.", wire.TypeA, none, 0, 0}, // the wildcard answers
		{"x.w.example.", wire.TypeMX, wire.NoError, 2, 900},
		{"zz.example.", wire.TypeA, wire.NXDomain, 3, 900},
		{"example.", wire.TypeDS, none, 0, 0}, // the parent's to say
		{"example.", wire.TypeMX, wire.NoError, 2, 900},
		{"example.org.", wire.TypeA, none, 0, 0},
	} {
		a, ok := c.Deny(question(t, test.name, test.qtype), 0)
		if test.want == none {
			if ok {
				t.Errorf("%s %s: denied with %v %v", test.name, test.qtype, a.Rcode, a.Authority)
			}
			continue
		}
		if !ok {
			t.Errorf("%s %s: not denied", test.name, test.qtype)
			continue
		}
		if a.Rcode != test.want || len(a.Authority) != test.sets || a.Authority[0].TTL != test.ttl || a.Security != dnssec.Secure {
			t.Errorf("%s %s: %v %v", test.name, test.qtype, a.Rcode, a.Authority)
		}
		if a.Authority[0].Type != wire.TypeSOA || len(a.Authority[1].Sigs) != 1 || a.Expires != int64(test.ttl) {
			t.Errorf("%s %s: %+v", test.name, test.qtype, a)
		}
	}
	if _, ok := c.Deny(question(t, "aa.example.", wire.TypeA), 100*second); ok {
		t.Error("denied by a record that is over")
	}
	if _, ok := c.Deny(question(t, "c.example.", wire.TypeA), 899*second); !ok {
		t.Error("not denied by records that are fresh")
	}
}

// CVE-2026-13321: records whose names leave their zone, and those of other zones, are not kept.
func TestPutDenial_refusesWhatProvesNothing(t *testing.T) {
	c := cache.New(cache.Config{})
	zone := name(t, "example.")
	good := soa(t, "example.", 3600, 900)
	c.PutDenial(zone, nsec(t, "a.example.", "z.other.", 3600), good, 0)
	c.PutDenial(zone, nsec(t, "a.other.", "z.example.", 3600), good, 0)
	c.PutDenial(zone, nsec(t, "a.example.", `\000.a.example.`, 3600), good, 0)
	c.PutDenial(zone, nsec(t, "a.example.", "c.example.", 3600), soa(t, "other.", 3600, 900), 0)
	if n := c.Stats().Denials; n != 0 {
		t.Errorf("%d were kept", n)
	}
}

// chain makes the NSEC3 records of names, with optional opt-out.
func chain(t testing.TB, zone string, flags byte, names map[string][]wire.Type) []*message.RRset {
	type link struct {
		hash  [20]byte
		types []wire.Type
	}
	var links []link
	for n, types := range names {
		links = append(links, link{dnssec.NSEC3Hash(name(t, n), []byte{0xAB}, 1), types})
	}
	sort.Slice(links, func(i, j int) bool { return string(links[i].hash[:]) < string(links[j].hash[:]) })
	var sets []*message.RRset
	for i, l := range links {
		next := links[(i+1)%len(links)].hash
		label := strings.ToLower(base32.HexEncoding.EncodeToString(l.hash[:]))
		d := append([]byte{1, flags, 0, 1, 1, 0xAB, 20}, next[:]...)
		sets = append(sets, &message.RRset{
			Name: name(t, label+"."+zone), Type: wire.TypeNSEC3, Class: wire.ClassIN, TTL: 600,
			Data: [][]byte{append(d, bitmap(l.types...)...)}, Sigs: [][]byte{[]byte("s")},
		})
	}
	return sets
}

// RFC 8198, Section 5.2, and RFC 5155, Section 8.4 to 8.7.
func TestDeny_answersFromNSEC3(t *testing.T) {
	names := map[string][]wire.Type{
		"example.": {wire.TypeSOA, wire.TypeNS}, "a.example.": {wire.TypeA}, "b.example.": {wire.TypeNS}, "w.example.": {wire.TypeA},
		"*.w.example.": {wire.TypeA},
	}
	for _, flags := range []byte{0, 1} {
		c := cache.New(cache.Config{})
		for _, set := range chain(t, "example.", flags, names) {
			c.PutDenial(name(t, "example."), set, soa(t, "example.", 3600, 900), 0)
		}
		check := func(n string, qtype wire.Type, want bool, rcode wire.Rcode) {
			t.Helper()
			a, ok := c.Deny(question(t, n, qtype), 0)
			if ok != want || ok && (a.Rcode != rcode || a.Authority[0].TTL != 600) {
				t.Errorf("flags %d, %s %s: %v, %+v", flags, n, qtype, ok, a)
			}
		}
		check("c.example.", wire.TypeA, flags == 0, wire.NXDomain) // with opt-out there may be an unsigned delegation
		check("x.c.example.", wire.TypeA, flags == 0, wire.NXDomain)
		check("a.example.", wire.TypeMX, true, wire.NoError)
		check("a.example.", wire.TypeA, false, 0)
		check("x.b.example.", wire.TypeA, false, 0)
		check("b.example.", wire.TypeDS, true, wire.NoError)
		check("x.w.example.", wire.TypeA, false, 0)
		check("x.w.example.", wire.TypeMX, flags == 0, wire.NoError)
		check("a."+strings.Repeat("x.", 40)+"example.", wire.TypeA, false, 0) // more hashes than are spent
	}
}

func TestFlush_forgetsDenials(t *testing.T) {
	c := signed(t)
	c.Flush(name(t, "zz.EXAMPLE."), false)
	if _, ok := c.Deny(question(t, "zz.example.", wire.TypeA), 0); ok {
		t.Error("denied after a flush")
	}
	c = signed(t)
	c.Flush(name(t, "."), true)
	if n := c.Stats().Denials; n != 0 {
		t.Errorf("%d are left", n)
	}
}

func TestPutDenial_isBoundedAndSparesOtherZones(t *testing.T) {
	c := cache.New(cache.Config{Bytes: 16 << 20})
	c.PutDenial(name(t, "example."), nsec(t, "a.example.", "c.example.", 3600, wire.TypeA), soa(t, "example.", 3600, 900), 0)
	empty := cache.New(cache.Config{Bytes: 16 << 20}).Stats().Bytes
	for i := range 30_000 {
		set := nsec(t, fmt.Sprintf("h%06d.evil.", i), fmt.Sprintf("h%06d.evil.", i+1), 3600, wire.TypeA)
		c.PutDenial(name(t, "evil."), set, soa(t, "evil.", 3600, 900), int64(i)*second/1000)
	}
	if held := c.Stats().Bytes - empty; held > 1<<20 {
		t.Errorf("%d octets of denials", held)
	}
	if _, ok := c.Deny(question(t, "a.example.", wire.TypeMX), 0); !ok {
		t.Error("a flood of one zone's proofs pushed out another zone's")
	}
	if _, ok := c.Deny(question(t, "h029999a.evil.", wire.TypeA), 30*second); ok {
		t.Error("denied without the record of the wildcard")
	}
	if _, ok := c.Deny(question(t, "h029999.evil.", wire.TypeMX), 30*second); !ok {
		t.Error("the newest is not found")
	}
}

func BenchmarkDeny(b *testing.B) {
	c := cache.New(cache.Config{})
	for i := range 10_000 {
		set := nsec(b, fmt.Sprintf("h%06d.zone.", i), fmt.Sprintf("h%06d.zone.", i+1), 3600, wire.TypeA)
		c.PutDenial(name(b, "zone."), set, soa(b, "zone.", 3600, 900), 0)
	}
	c.PutDenial(name(b, "zone."), nsec(b, "zone.", "h000000.zone.", 3600, wire.TypeSOA), soa(b, "zone.", 3600, 900), 0)
	q := question(b, "h004711x.zone.", wire.TypeA)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Deny(q, 0); !ok {
			b.Fatal("not denied")
		}
	}
}
