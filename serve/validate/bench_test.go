package validate_test

import (
	"testing"

	"anyu/dns/wire"
	"anyu/serve/validate"
)

// What one answer costs when the keys of its zone are known: a signature check of Ed25519 each for answer, NS and proofs.
func BenchmarkMessage(b *testing.B) {
	c := newChain(b)
	s := c.sub
	for _, bench := range []struct {
		name string
		r    *validate.Response
	}{
		{"positive", response(b, "www.sub.example.", wire.TypeA, 0, s.set("www.sub.example. 300 IN A 192.0.2.1"))},
		{"nxdomain-nsec", response(b, "c.sub.example.", wire.TypeMX, 3, nil, join(s.soa(), s.set("b.sub.example. 300 IN NSEC x.sub.example. A RRSIG NSEC"),
			s.set("sub.example. 300 IN NSEC b.sub.example. NS SOA RRSIG NSEC DNSKEY")))},
		{"nxdomain-nsec3-50", response(b, "c.sub.example.", wire.TypeMX, 3, nil, join(s.soa(), s.nsec3("sub.example.", 50, 0, step(hash3(b, "sub.example.", 50), 1), "NS SOA"),
			s.cover3("c.sub.example.", 50, 0), s.cover3("*.sub.example.", 50, 0)))},
		{"insecure", response(b, "www.plain.example.", wire.TypeA, 0, join(s.set("www.plain.example. 300 IN A 192.0.2.1")[:1]))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			v := validate.New(c.config(b))
			b.ReportAllocs()
			for b.Loop() {
				v.Message(nanos(testNow), bench.r, c, validate.DefaultLimits().Budget())
			}
		})
	}
}
