package validate_test

import (
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/validate"

	"github.com/miekg/dns"
)

// fuzzWorld answers from a table, and what the table does not have with what the fuzzer made.
type fuzzWorld struct {
	*chain
	made *validate.Response
}

func (w fuzzWorld) Fetch(q message.Question) (*validate.Response, error) {
	if r, err := w.chain.Fetch(q); err == nil {
		return r, nil
	}
	r := *w.made
	r.Question = q
	return &r, nil
}

// FuzzMessage: any message is judged without a panic, within the budget, and is secure only as far as its RRsets were signed: what the
// fuzzer changes in a signed answer it cannot sign.
func FuzzMessage(f *testing.F) {
	c := newChain(f)
	s := c.sub
	signed := map[string]bool{}
	add := func(name string, typ uint16, rcode int, sections ...[]dns.RR) {
		m := new(dns.Msg)
		m.SetQuestion(name, typ)
		m.Response, m.Rcode = true, rcode
		for i, p := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
			if i < len(sections) {
				*p = sections[i]
			}
		}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		parsed, err := message.Parse(b)
		if err != nil {
			f.Fatal(err)
		}
		for _, set := range parsed.Answer {
			signed[dataOf(set)] = true
		}
		f.Add(b)
	}
	add("www.sub.example.", dns.TypeA, 0, s.set("www.sub.example. 300 IN A 192.0.2.1"), s.set("sub.example. 300 IN NS ns.sub.example."))
	add("www.sub.example.", dns.TypeA, 0, s.set("www.sub.example. 300 IN CNAME a.b.sub.example."), s.set("a.sub.example. 300 IN NSEC c.sub.example. A"))
	add("q.w.sub.example.", dns.TypeA, 0, s.expanded(2, "q.w.sub.example. 300 IN A 192.0.2.1"), s.set("b.sub.example. 300 IN NSEC x.sub.example. A"))
	add("a.d.sub.example.", dns.TypeA, 0, join(s.set("d.sub.example. 300 IN DNAME other.example."), []dns.RR{parseRR(f, "a.d.sub.example. 300 IN CNAME a.other.example.")}))
	add("c.sub.example.", dns.TypeMX, 3, nil, join(s.soa(), s.nsec3("sub.example.", 5, 0, step(hash3(f, "sub.example.", 5), 1), "NS SOA"), s.cover3("c.sub.example.", 5, 0),
		s.cover3("*.sub.example.", 5, 0)))
	add("b.sub.example.", dns.TypeMX, 0, nil, join(s.soa(), s.set("b.sub.example. 300 IN NSEC x.sub.example. A RRSIG NSEC")))
	add("sub.example.", dns.TypeANY, 0, join(s.set("sub.example. 300 IN A 192.0.2.1"), s.set("sub.example. 300 IN MX 1 a.sub.example.")))
	v := validate.New(c.config(f))
	limits := validate.DefaultLimits()
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, err := message.Parse(msg)
		if err != nil || m.Questions == 0 {
			return
		}
		r := &validate.Response{Question: m.Question, Rcode: m.Rcode, Answer: m.Answer, Authority: m.Authority, Additional: m.Additional}
		b := limits.Budget()
		res := v.Message(nanos(testNow), r, fuzzWorld{c, r}, b)
		v.Flush(wire.Root(), true)
		if spent := cost(b); spent.signatures > limits.Signatures || spent.failures > limits.Failures || spent.hashes > limits.Hashes ||
			spent.fetches > limits.Fetches || spent.digests > limits.Digests+1 {
			t.Errorf("cost %+v", spent)
		}
		for _, ch := range res.Answer {
			if res.Security != dnssec.Secure || ch.Security != dnssec.Secure || ch.Set.Type == wire.TypeCNAME && len(ch.Set.Sigs) == 0 {
				continue
			}
			if c.owns(ch.Set) || signed[dataOf(ch.Set)] {
				continue
			}
			t.Errorf("secure, and nobody signed it: %v %x", ch.Set, ch.Set.Data)
		}
	})
}

// owns tells whether the set is one that the chain itself serves.
func (c *chain) owns(set *message.RRset) bool {
	for _, r := range c.answers {
		for _, s := range append(append([]*message.RRset{}, r.Answer...), r.Authority...) {
			if s.Type == set.Type && s.SameData(set) {
				return true
			}
		}
	}
	return false
}

// dataOf is type and data of a set, owner and case aside: a wildcard may be under any name.
func dataOf(set *message.RRset) string {
	text := set.Type.String()
	for _, d := range set.Data {
		text += string(wire.AppendCanonical([]byte{'|'}, set.Type, d))
	}
	return text
}
