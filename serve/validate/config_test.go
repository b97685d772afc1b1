package validate_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/validate"

	"github.com/miekg/dns"
)

// RFC 7646, Section 2: at and below its name nothing is validated, up to the next trust anchor and until its end.
func TestNegativeAnchor_reachesToTheNextAnchor(t *testing.T) {
	c := newChain(t)
	config := c.config(t)
	now := testNow.Unix()
	config.Negative = []validate.NegativeAnchor{{Name: mustName(t, "example."), Owner: "noc", Reason: "keys lost", Begin: now, End: now + 3600}}
	bad := response(t, "www.sub.example.", wire.TypeA, 0, []dns.RR{parseRR(t, "www.sub.example. 300 IN A 192.0.2.1")})
	apex := response(t, "example.", wire.TypeA, 0, []dns.RR{parseRR(t, "example. 300 IN A 192.0.2.1")})
	ds := response(t, "example.", wire.TypeDS, 0, c.root.set(c.example.ds(dns.SHA256)))
	ask := func(v *validate.Validator, r *validate.Response, at time.Time) validate.Result {
		return v.Message(nanos(at), r, c, validate.DefaultLimits().Budget())
	}
	v := validate.New(config)
	expect(t, "below", ask(v, bad, testNow), dnssec.Insecure, validate.NoReason)
	expect(t, "at the name", ask(v, apex, testNow), dnssec.Insecure, validate.NoReason)
	expect(t, "the parent's DS record", ask(v, ds, testNow), dnssec.Secure, validate.NoReason)
	expect(t, "after its end", ask(v, bad, testNow.Add(time.Hour)), dnssec.Bogus, validate.ReasonNoSignature)
	config.Anchors = append(config.Anchors, anchors(t, c.sub.ds(dns.SHA256))...)
	v.Configure(config)
	expect(t, "below a trust anchor", ask(v, bad, testNow), dnssec.Bogus, validate.ReasonNoSignature)
	config.Anchors = append(config.Anchors, anchors(t, c.example.ds(dns.SHA256))...)
	v.Configure(config)
	expect(t, "at a trust anchor", ask(v, apex, testNow), dnssec.Insecure, validate.NoReason)
}

// RFC 7646, Section 2: owner, reason, and no more than a week.
func TestNegativeAnchor_check(t *testing.T) {
	name := mustName(t, "example.")
	good := validate.NegativeAnchor{Name: name, Owner: "noc", Reason: "keys lost", Begin: 1000, End: 1000 + validate.MaxNegativeLife}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(n *validate.NegativeAnchor){
		"owner": func(n *validate.NegativeAnchor) { n.Owner = "" }, "reason": func(n *validate.NegativeAnchor) { n.Reason = "" },
		"end": func(n *validate.NegativeAnchor) { n.End = 0 }, "a week": func(n *validate.NegativeAnchor) { n.End++ },
		"name": func(n *validate.NegativeAnchor) { n.Name = nil },
	} {
		n := good
		if change(&n); n.Check() == nil {
			t.Errorf("without a good %s it is accepted", what)
		}
	}
}

// RFC 4035, Section 5: the nearest trust anchor decides; DS and DNSKEY forms do the same.
func TestAnchors_theNearestDecides(t *testing.T) {
	c := newChain(t)
	r := response(t, "www.sub.example.", wire.TypeA, 0, c.sub.set("www.sub.example. 300 IN A 192.0.2.1"))
	ask := func(text ...string) (validate.Result, int) {
		c.asked = nil
		v := validate.New(validate.Config{Anchors: anchors(t, text...)})
		return v.Message(nanos(testNow), r, c, validate.DefaultLimits().Budget()), len(c.asked)
	}
	for _, test := range []struct {
		what     string
		anchors  []string
		fetches  int
		security dnssec.Security
		reason   uint16
	}{
		{"the root's DS", []string{c.root.ds(dns.SHA256)}, 5, dnssec.Secure, validate.NoReason},
		{"the zone's key", []string{c.sub.key.String()}, 1, dnssec.Secure, validate.NoReason},
		{"the zone's beside the root's", []string{c.root.ds(dns.SHA256), c.sub.ds(dns.SHA256)}, 1, dnssec.Secure, validate.NoReason},
		{"a wrong one nearer than a right one", []string{c.root.ds(dns.SHA256), newSigner(t, "sub.example.").key.String()}, 1, dnssec.Bogus, validate.ReasonBogus},
		{"a wrong one beside a right one", []string{newSigner(t, "sub.example.").key.String(), c.sub.key.String()}, 1, dnssec.Secure, validate.NoReason},
		{"none", nil, 0, dnssec.Indeterminate, validate.NoReason},
		{"of another zone", []string{newSigner(t, "other.").key.String()}, 0, dnssec.Indeterminate, validate.NoReason},
		{"of an unknown algorithm", []string{"sub.example. IN DS 1 200 2 " + fmt.Sprintf("%064x", 1)}, 0, dnssec.Insecure, validate.ReasonKeyAlgorithm},
	} {
		res, n := ask(test.anchors...)
		expect(t, test.what, res, test.security, test.reason)
		if n != test.fetches {
			t.Errorf("%s: asked %v", test.what, c.asked)
		}
	}
}

// RFC 5011, Section 2.1: a revocation counts with the query that finds it.
func TestConfig_primed(t *testing.T) {
	c := newChain(t)
	config := c.config(t)
	var v *validate.Validator
	told := 0
	config.Primed = func(_ int64, zone wire.Name, set *message.RRset) bool {
		if told++; !zone.IsRoot() || len(set.Data) != 1 {
			t.Errorf("%v %v", zone, set)
		}
		bare := config
		bare.Anchors = nil
		v.Configure(bare)
		return true
	}
	v = validate.New(config)
	r := response(t, "www.sub.example.", wire.TypeA, 0, c.sub.set("www.sub.example. 300 IN A 192.0.2.1"))
	expect(t, "all anchors revoked", v.Message(nanos(testNow), r, c, validate.DefaultLimits().Budget()), dnssec.Indeterminate, validate.NoReason)
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// RFC 9905, Section 3: zones of algorithms 5 and 7 are insecure unless a setting says otherwise; then even 512 bits count, which
// crypto/rsa refuses.
func TestConfig_algorithms(t *testing.T) {
	for _, test := range []struct {
		what     string
		number   uint8
		bits     int
		config   validate.Config
		security dnssec.Security
		reason   uint16
	}{
		{"RSASHA1", dns.RSASHA1, 1024, validate.Config{}, dnssec.Insecure, validate.ReasonKeyAlgorithm},
		{"RSASHA1 allowed", dns.RSASHA1, 1024, validate.Config{AllowSHA1: true}, dnssec.Secure, validate.NoReason},
		{"RSASHA1-NSEC3-SHA1", dns.RSASHA1NSEC3SHA1, 1024, validate.Config{}, dnssec.Insecure, validate.ReasonKeyAlgorithm},
		{"RSASHA1-NSEC3-SHA1 allowed", dns.RSASHA1NSEC3SHA1, 1024, validate.Config{AllowSHA1: true}, dnssec.Secure, validate.NoReason},
		{"RSASHA256", dns.RSASHA256, 1024, validate.Config{}, dnssec.Secure, validate.NoReason},
		{"RSASHA256 refused", dns.RSASHA256, 1024, validate.Config{Refused: []dnssec.Algorithm{dnssec.RSASHA256}}, dnssec.Insecure, validate.ReasonKeyAlgorithm},
		{"RSASHA512", dns.RSASHA512, 1024, validate.Config{}, dnssec.Secure, validate.NoReason},
		{"ECDSA P-384", dns.ECDSAP384SHA384, 384, validate.Config{}, dnssec.Secure, validate.NoReason},
		{"Ed25519", dns.ED25519, 256, validate.Config{}, dnssec.Secure, validate.NoReason},
	} {
		s := newSignerOf(t, "alone.", test.number, test.bits)
		var w world
		w.add(response(t, "alone.", wire.TypeDNSKEY, 0, s.keySet()))
		test.config.Anchors = anchors(t, s.ds(dns.SHA256))
		res := validate.New(test.config).Message(nanos(testNow), response(t, "alone.", wire.TypeA, 0, s.set("alone. 300 IN A 192.0.2.1")), &w,
			validate.DefaultLimits().Budget())
		expect(t, test.what, res, test.security, test.reason)
	}
}

// RFC 6840, Section 5.11: one algorithm of several is enough, but where the operator wants all.
func TestConfig_allAlgorithms(t *testing.T) {
	a, b := newSigner(t, "alone."), newSignerOf(t, "alone.", dns.ED25519, 256)
	keys := []dns.RR{a.key, b.key}
	for _, test := range []struct {
		what     string
		all      bool
		sigs     []dns.RR
		security dnssec.Security
		reason   uint16
	}{
		{"one is enough", false, []dns.RR{a.sign(keys, -1)}, dnssec.Secure, validate.NoReason},
		{"all are wanted, and one is there", true, []dns.RR{a.sign(keys, -1)}, dnssec.Bogus, validate.ReasonBogus},
		{"all are wanted, and there", true, []dns.RR{a.sign(keys, -1), b.sign(keys, -1)}, dnssec.Secure, validate.NoReason},
	} {
		var w world
		w.add(response(t, "alone.", wire.TypeDNSKEY, 0, join(keys, test.sigs)))
		v := validate.New(validate.Config{Anchors: anchors(t, a.ds(dns.SHA256), b.ds(dns.SHA256)), AllAlgorithms: test.all})
		res := v.Message(nanos(testNow), response(t, "alone.", wire.TypeA, 0, a.set("alone. 300 IN A 192.0.2.1")), &w, validate.DefaultLimits().Budget())
		expect(t, test.what, res, test.security, test.reason)
	}
}

// RFC 9276, Section 3.2: the cap is a setting, by key size as Unbound has it.
func TestConfig_iterations(t *testing.T) {
	s := newSignerOf(t, "alone.", dns.RSASHA256, 2048)
	r := response(t, "alone.", wire.TypeMX, 0, nil, join(s.soa(), s.nsec3("alone.", 400, 0, step(hash3(t, "alone.", 400), 1), "NS SOA RRSIG")))
	for _, test := range []struct {
		what     string
		limits   []validate.IterationLimit
		security dnssec.Security
		reason   uint16
	}{
		{"default", nil, dnssec.Insecure, validate.ReasonNSEC3Iterations},
		{"by size", []validate.IterationLimit{{KeyBits: 1024, Iterations: 150}, {KeyBits: 2048, Iterations: 500}, {KeyBits: 4096, Iterations: 2500}}, dnssec.Secure, validate.NoReason},
		{"the last for all above", []validate.IterationLimit{{KeyBits: 512, Iterations: 100}, {KeyBits: 1024, Iterations: 150}}, dnssec.Insecure, validate.ReasonNSEC3Iterations},
	} {
		var w world
		w.add(response(t, "alone.", wire.TypeDNSKEY, 0, s.keySet()))
		v := validate.New(validate.Config{Anchors: anchors(t, s.ds(dns.SHA256)), Iterations: test.limits})
		expect(t, test.what, v.Message(nanos(testNow), r, &w, validate.DefaultLimits().Budget()), test.security, test.reason)
	}
}

// The date can be set apart from the clock, or be left out.
func TestConfig_date(t *testing.T) {
	c := newChain(t)
	r := response(t, "www.sub.example.", wire.TypeA, 0, c.sub.set("www.sub.example. 300 IN A 192.0.2.1"))
	for _, test := range []struct {
		what     string
		date     int64
		skew     uint32
		clock    time.Time
		security dnssec.Security
	}{
		{"set, and the clock at its start", testNow.Unix(), 0, time.Unix(0, 0), dnssec.Secure},
		{"off", validate.DateOff, 0, time.Unix(0, 0), dnssec.Secure},
		{"the clock", 0, 0, testNow.Add(25 * time.Hour), dnssec.Bogus},
		{"the clock, with lenience", 0, 7200, testNow.Add(25 * time.Hour), dnssec.Secure},
	} {
		config := c.config(t)
		config.Date, config.Skew = test.date, test.skew
		if res := validate.New(config).Message(nanos(test.clock), r, c, validate.DefaultLimits().Budget()); res.Security != test.security {
			t.Errorf("%s: %v %s", test.what, res.Security, res.Text)
		}
	}
}

// FakeSHA1 believes what cannot be computed, and still looks at tags and dates.
func TestConfig_fakeSHA1(t *testing.T) {
	s := newSigner(t, "alone.")
	key := &dns.DNSKEY{Hdr: s.key.Hdr, Flags: 257, Protocol: 3, Algorithm: dns.DSA, PublicKey: "ALXLUsWqUrY3JYER3T4TBJIIs70j"}
	fake := func(rr dns.RR, tag uint16, to time.Time) []dns.RR {
		sig := s.sign([]dns.RR{rr}, -1)
		sig.Algorithm, sig.KeyTag, sig.Expiration = dns.DSA, tag, uint32(to.Unix())
		return []dns.RR{rr, sig}
	}
	var w world
	w.add(response(t, "alone.", wire.TypeDNSKEY, 0, fake(key, key.KeyTag(), s.to)))
	a := parseRR(t, "alone. 300 IN A 192.0.2.1")
	for _, test := range []struct {
		what     string
		fake     bool
		answer   []dns.RR
		security dnssec.Security
	}{
		{"faked", true, fake(a, key.KeyTag(), s.to), dnssec.Secure},
		{"another tag", true, fake(a, key.KeyTag()+1, s.to), dnssec.Bogus},
		{"expired", true, fake(a, key.KeyTag(), testNow.Add(-time.Hour)), dnssec.Bogus},
		{"in earnest", false, fake(a, key.KeyTag(), s.to), dnssec.Insecure},
	} {
		v := validate.New(validate.Config{Anchors: anchors(t, key.ToDS(dns.SHA1).String()), FakeSHA1: test.fake})
		if res := v.Message(nanos(testNow), response(t, "alone.", wire.TypeA, 0, test.answer), &w, validate.DefaultLimits().Budget()); res.Security != test.security {
			t.Errorf("%s: %v %s", test.what, res.Security, res.Text)
		}
	}
}

// RFC 8509, Section 2.2 and RFC 8145, Section 5.1.
func TestSentinelAndSignal(t *testing.T) {
	v := validate.New(validate.Config{Anchors: anchors(t, rootAnchors...)})
	for _, test := range []struct {
		name     string
		typ      wire.Type
		security dnssec.Security
		refuse   bool
	}{
		{"root-key-sentinel-is-ta-20326.example.", wire.TypeA, dnssec.Secure, false},
		{"root-key-sentinel-not-ta-20326.example.", wire.TypeA, dnssec.Secure, true},
		{"Root-Key-Sentinel-Not-TA-20326.example.", wire.TypeAAAA, dnssec.Secure, true},
		{"root-key-sentinel-is-ta-00001.example.", wire.TypeAAAA, dnssec.Secure, true},
		{"root-key-sentinel-not-ta-00001.example.", wire.TypeAAAA, dnssec.Secure, false},
		{"root-key-sentinel-not-ta-20326.example.", wire.TypeTXT, dnssec.Secure, false},
		{"root-key-sentinel-not-ta-20326.example.", wire.TypeA, dnssec.Insecure, false},
		{"www.root-key-sentinel-not-ta-20326.example.", wire.TypeA, dnssec.Secure, false},
		{"root-key-sentinel-is-ta-1.example.", wire.TypeA, dnssec.Secure, false},
		{"root-key-sentinel-is-ta-99999.example.", wire.TypeA, dnssec.Secure, false},
		{".", wire.TypeA, dnssec.Secure, false},
	} {
		if got := v.Sentinel(message.Question{Name: mustName(t, test.name), Type: test.typ, Class: wire.ClassIN}, test.security); got != test.refuse {
			t.Errorf("%s %v %v: %v", test.name, test.typ, test.security, got)
		}
	}
	if name, ok := v.SignalName(wire.Root()); !ok || name.String() != "_ta-4a5c-4f66." {
		t.Errorf("%v, %v", name, ok)
	}
	if _, ok := v.SignalName(mustName(t, "example.")); ok {
		t.Error("a zone without anchor has a name to signal")
	}
}

// retrying is a source that does better the second time.
type retrying struct {
	*chain
	better map[string]*validate.Response
	why    []string
}

func (s *retrying) Retry(q message.Question, why string) (*validate.Response, error) {
	s.why = append(s.why, why)
	if r := s.better[q.String()]; r != nil {
		return r, nil
	}
	return nil, errors.New("no other server")
}

// servers.md 5.2, case 57: where one server's DS or DNSKEY answer is bogus, another is asked, a few times.
func TestSource_isAskedElsewhere(t *testing.T) {
	c := newChain(t)
	r := response(t, "www.sub.example.", wire.TypeA, 0, c.sub.set("www.sub.example. 300 IN A 192.0.2.1"))
	src := &retrying{chain: c, better: map[string]*validate.Response{"sub.example. DS": c.answers["sub.example. ds"], "sub.example. DNSKEY": c.answers["sub.example. dnskey"]}}
	c.add(response(t, "sub.example.", wire.TypeDS, 0, flip(c.example.set(c.sub.ds(dns.SHA256)))))
	c.add(response(t, "sub.example.", wire.TypeDNSKEY, 0, flip(c.sub.keySet())))
	res := validate.New(c.config(t)).Message(nanos(testNow), r, src, validate.DefaultLimits().Budget())
	expect(t, "twice elsewhere", res, dnssec.Secure, validate.NoReason)
	if len(src.why) != 2 {
		t.Errorf("%q", src.why)
	}
	src.better, src.why = map[string]*validate.Response{"sub.example. DS": c.answers["sub.example. ds"]}, nil
	res = validate.New(c.config(t)).Message(nanos(testNow), r, src, validate.DefaultLimits().Budget())
	expect(t, "bogus everywhere", res, dnssec.Bogus, validate.ReasonBogus)
	if len(src.why) == 0 || len(src.why) > 3 {
		t.Errorf("%d times elsewhere", len(src.why))
	}
}

// What is learned of zones is kept, for all goroutines, within its bound, until it is flushed.
func TestKeys_areKeptAndFlushed(t *testing.T) {
	c := newChain(t)
	v := validate.New(c.config(t))
	r := response(t, "www.sub.example.", wire.TypeA, 0, c.sub.set("www.sub.example. 300 IN A 192.0.2.1"))
	ask := func() (asked int) {
		c.asked = nil
		res := v.Message(nanos(testNow), r, c, validate.DefaultLimits().Budget())
		expect(t, "asked again", res, dnssec.Secure, validate.NoReason)
		return len(c.asked)
	}
	first, second := ask(), ask()
	flushed := v.Flush(mustName(t, "sub.example."), false)
	third := ask()
	all := v.Flush(wire.Root(), true)
	if fourth := ask(); first != 5 || second != 0 || flushed != 1 || third != 2 || all != 3 || fourth != 5 {
		t.Errorf("asked %d, %d, %d, %d; flushed %d and %d", first, second, third, fourth, flushed, all)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				w := &world{answers: c.answers}
				if res := v.Message(nanos(testNow), r, w, validate.DefaultLimits().Budget()); res.Security != dnssec.Secure {
					t.Error(res.Text)
				}
				v.Flush(mustName(t, "example."), true)
			}
		})
	}
	group.Wait()
}

// The trace says what was asked and what held.
func TestMessage_tracesWhereAsked(t *testing.T) {
	c := newChain(t)
	r := response(t, "www.sub.example.", wire.TypeA, 0, c.sub.set("www.sub.example. 300 IN A 192.0.2.1"))
	b := validate.DefaultLimits().Budget()
	if res := validate.New(c.config(t)).Message(nanos(testNow), r, c, b); len(res.Steps) != 0 {
		t.Errorf("%q without being asked", res.Steps)
	}
	b.Trace = true
	if res := validate.New(c.config(t)).Message(nanos(testNow), r, c, b); len(res.Steps) < 8 {
		t.Errorf("%q", res.Steps)
	}
}

// A signature that was computed and holds is not computed again; anything changed in it, in the data or in time is looked at.
func TestVerified_isNotComputedAgain(t *testing.T) {
	c := newChain(t)
	v := validate.New(c.config(t))
	ask := func(answer []dns.RR, at time.Time) (dnssec.Security, int) {
		v.Flush(wire.Root(), true)
		b := validate.DefaultLimits().Budget()
		res := v.Message(nanos(at), response(t, answer[0].Header().Name, wire.TypeA, 0, answer), c, b)
		return res.Security, cost(b).signatures
	}
	good := c.sub.set("www.sub.example. 300 IN A 192.0.2.1")
	other := c.sub.set("www.sub.example. 300 IN A 192.0.2.1")
	other[0] = parseRR(t, "www.sub.example. 300 IN A 192.0.2.2")
	elsewhere := c.sub.set("www.sub.example. 300 IN A 192.0.2.1")
	for _, rr := range elsewhere {
		rr.Header().Name = "w2w.sub.example."
	}
	for _, test := range []struct {
		what     string
		answer   []dns.RR
		at       time.Time
		security dnssec.Security
		checks   int
	}{
		{"first", good, testNow, dnssec.Secure, 6},
		{"again", good, testNow, dnssec.Secure, 0},
		{"other data", other, testNow, dnssec.Bogus, 1},
		{"another owner", elsewhere, testNow, dnssec.Bogus, 1},
		{"another signature", flip(c.sub.set("www.sub.example. 300 IN A 192.0.2.1")), testNow, dnssec.Bogus, 1},
		{"later", good, testNow.Add(48 * time.Hour), dnssec.Bogus, 0},
	} {
		if security, checks := ask(test.answer, test.at); security != test.security || checks != test.checks {
			t.Errorf("%s: %v with %d checks, want %v with %d", test.what, security, checks, test.security, test.checks)
		}
	}
}
