package resolve

import (
	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/cache"
	"anyu/serve/validate"
)

// Variants of what the cache keeps of one question.
const (
	validated  = 0 // checked, as far as there are trust anchors
	raw        = 1 // as a server gave it
	delegation = 2 // the name servers that a parent names for a zone, with their glue (question: the zone, NS)
)

// link answers one question without following aliases: from the cache, else from servers, and validated unless checked is false.
// It never returns nil; what fails is SERVFAIL with a reason.
func (t *task) link(q message.Question, checked bool) *cache.Answer {
	checked = checked && t.e.Validator != nil && !t.opts.CD && t.e.Validator.Secure(q.Name, t.e.now)
	if checked && t.config.Local != nil && t.config.Local.Own(q.Name) {
		checked = false // our own data needs no proof; AD is not told of it
	}
	variant := uint8(raw)
	if checked {
		variant = validated
	}
	if a := t.cached(q, variant); a != nil {
		t.note(Step{Kind: StepCache, Question: q, Zone: q.Name, Rcode: a.Rcode})
		return a
	}
	if t.opts.CacheOnly {
		return t.fail(q, reasonNotReady, "not in the cache")
	}
	if t.depth > MaxDepth {
		return t.fail(q, reasonLimit, "looking up name servers needs too many other name servers")
	}
	t.depth++
	t.upstream = Upstreamed{}
	a := t.once(keyOf(q, variant), func() *cache.Answer {
		if checked {
			return t.secured(q)
		}
		return t.fetched(q)
	})
	t.depth--
	if a == nil {
		return t.fail(q, reasonLimit, "name servers depend on each other in a circle at "+q.Name.String())
	}
	return a
}

// cached looks for the answer where no server need be asked.
func (t *task) cached(q message.Question, variant uint8) *cache.Answer {
	e := t.e
	if t.opts.Refresh && t.depth == 0 {
		return nil
	}
	if t.opts.CD { // what has been proved needs no second question (RFC 4035, Section 3.2.2)
		if a, ok := e.Cache.Answer(q, validated, e.now); ok && a.Security == dnssec.Secure {
			t.refresh(a)
			return a
		}
	}
	if a, ok := e.Cache.Answer(q, variant, e.now); ok && (t.depth > 0 || a.Rcode == wire.ServFail || !withoutSOA(q, a) || t.addSOA(a)) {
		t.refresh(a)
		return a
	}
	if a := t.alias(q, variant); a != nil {
		return a
	}
	if a := t.belowNX(q, variant); a != nil {
		return a
	}
	if variant == validated && t.config.Aggressive {
		if a := t.denied(q); a != nil {
			return a
		}
	}
	return nil
}

// refresh gives an answer the name servers and the additional addresses that were heard of since.
func (t *task) refresh(a *cache.Answer) {
	for _, section := range [...][]*message.RRset{a.Authority, a.Additional} {
		for i, s := range section {
			if s.Type != wire.TypeNS && s.Type != wire.TypeA && s.Type != wire.TypeAAAA {
				continue
			}
			if e, ok := t.e.Cache.RRset(s.Name, s.Type, t.e.now); ok && e.Stored >= a.Stored && e.Security >= a.Security && (s.Type == wire.TypeNS || !e.Set.SameData(s)) {
				section[i] = e.Set
			}
		}
	}
}

// denied answers from proofs held of other names (RFC 8198). Those of a zone above do not speak for a configured zone.
func (t *task) denied(q message.Question) *cache.Answer {
	a, ok := t.e.Cache.Deny(q, t.e.now)
	if !ok {
		a, ok = t.e.Cache.Expand(q, t.e.now)
	}
	if !ok {
		return nil
	}
	if z := t.config.zoneFor(q.Name); z != nil && !signer(a.Authority).IsSubdomainOf(z.Name) {
		return nil
	}
	return a
}

// alias answers from a CNAME at the name, or a DNAME above it, that is known from another question.
func (t *task) alias(q message.Question, variant uint8) *cache.Answer {
	if q.Type == wire.TypeANY || q.Type == wire.TypeDS {
		return nil
	}
	own := q.Type == wire.TypeNSEC || q.Type == wire.TypeRRSIG // RFC 4035, Section 2.5: these stand beside a CNAME and are of its name
	least := dnssec.Unchecked
	if variant == validated {
		least = dnssec.Indeterminate
	}
	if s, ok := t.e.Cache.RRset(q.Name, wire.TypeCNAME, t.e.now); ok && q.Type != wire.TypeCNAME && !own && s.Trust >= cache.TrustAnswer && s.Security >= least && !wildcard(s.Set) {
		return t.made(q, s, s.Set)
	}
	if len(q.Name) <= 1 {
		return nil
	}
	for up := q.Name.Parent(); len(up) > 1; up = up.Parent() {
		s, ok := t.e.Cache.StaleRRset(up, wire.TypeDNAME, t.e.now)
		// One that may not be kept at all still answers the questions that come with it.
		if ok = ok && (s.Expires > t.e.now/second || s.Expires == s.Stored && t.e.now/second-s.Stored <= 1); !ok || s.Security != dnssec.Secure || wildcard(s.Set) {
			continue // one server's unsigned word is not believed for a whole subtree
		}
		if c := synthesise(q.Name, s.Set); c != nil {
			return t.made(q, s, s.Set, c)
		}
	}
	return nil
}

func (t *task) made(q message.Question, e cache.Entry, sets ...*message.RRset) *cache.Answer {
	return &cache.Answer{Question: q, Answer: sets, Security: e.Security, Reason: event.NoReason, Stored: e.Stored, Expires: e.Expires}
}

// wildcard tells whether a signature says that an RRset was made from a wildcard: then it holds only together with a proof.
func wildcard(s *message.RRset) bool {
	for _, d := range s.Sigs {
		if len(d) > 3 && int(d[3]) < dnssec.LabelsOf(s.Name) {
			return true
		}
	}
	return false
}

// belowNX answers with the NXDOMAIN of a name above (RFC 8020, Section 2), if that was proved: one server's unsigned word
// should not hide a whole subtree. A configured zone below goes on (CVE-2026-44687).
func (t *task) belowNX(q message.Question, variant uint8) *cache.Answer {
	if !t.config.BelowNX || len(q.Name) <= 1 {
		return nil
	}
	z := t.config.zoneFor(q.Name)
	for up := q.Name.Parent(); len(up) > 1; up = up.Parent() {
		if z != nil && z.Name.IsSubdomainOf(up) {
			return nil
		}
		// What is proved not to exist is found under any type.
		a, ok := t.e.Cache.Answer(message.Question{Name: up, Type: q.Type, Class: q.Class}, variant, t.e.now)
		if ok && a.Rcode == wire.NXDomain && a.Security == dnssec.Secure && len(a.Answer) == 0 {
			c := *a
			c.Question = q
			return &c
		}
	}
	return nil
}

// fail makes a failure.
func (t *task) fail(q message.Question, reason uint16, text string) *cache.Answer {
	t.note(Step{Kind: StepFail, Question: q, Zone: q.Name, Text: text})
	return &cache.Answer{Question: q, Rcode: wire.ServFail, Security: dnssec.Indeterminate, Reason: reason, Text: text, Stored: t.e.now / second, Expires: t.e.now/second + int64(t.config.failed())}
}

// failureTTL lets the time that a failure is remembered grow by a quarter each time while it lasts (RFC 9520, Section 3.2: with
// back-off, 5 minutes at most).
func (t *task) failureTTL(q message.Question, variant uint8) uint32 {
	f, ok := t.e.Cache.Failure(q, variant, t.e.now)
	if !ok || t.e.now/second-f.Expires > maxFailed {
		return t.config.failed()
	}
	last := f.Expires - f.Stored
	return uint32(min(max(last+(last+3)/4, int64(t.config.failed())), maxFailed))
}

const (
	second    = int64(1e9)
	maxFailed = 300 // seconds
)

// fetched asks the servers, and keeps what they said.
func (t *task) fetched(q message.Question) *cache.Answer {
	epoch, fresh := t.e.Cache.Epoch(), t.fresh()
	r, err := t.iterate(q, nil)
	if err != nil {
		t.upstream = Upstreamed{}
		a := t.fail(q, err.reason, err.Error())
		if err.reason != reasonLimit || fresh && err.spent {
			t.keepFailure(a, raw, epoch)
		}
		return a
	}
	var first *cache.Answer
	t.comesFrom(keyOf(q, raw), r.from)
	for i, l := range r.links(q, t.config.Minimise && !r.recursive) {
		if i > 0 && t.knows(l.Question, raw) {
			break
		}
		a := &cache.Answer{Question: l.Question, Rcode: l.Rcode, AA: r.aa, Security: dnssec.Unchecked, Reason: event.NoReason, Answer: l.Answer, Authority: l.Authority, Additional: l.Additional}
		if i == 0 && r.dropped > 0 {
			a.Reason, a.Text = reasonOther, leftOut
		}
		t.keepSets(a, r)
		t.keep(a, raw, r.epoch)
		if i == 0 {
			first = a
		}
	}
	t.upstream = r.upstream()
	return first
}

// fresh tells whether nothing was spent yet: what this link of the client's own question uses up, its name has used up.
func (t *task) fresh() bool { return t.depth == 1 && t.spent == spent{} && t.checks.Whole() }

// keepFailure keeps a failure (RFC 9520, Section 2.5 and 3.2). That of a limit counts against the name only where the resolution was fresh: then the next one would
// spend as much, and whoever has a name that costs all of it would have it at each question.
func (t *task) keepFailure(a *cache.Answer, variant uint8, epoch uint64) {
	kept := *a
	kept.Answer, kept.Authority, kept.Additional, kept.Security = nil, nil, nil, dnssec.Indeterminate
	if kept.Reason == reasonLimit {
		kept.Reason = reasonOther
	}
	t.e.Cache.Since(epoch).PutAnswer(&kept, variant, t.failureTTL(a.Question, variant), t.e.now)
}

// knows tells whether a question has an answer already. What an answer says beside its question does not replace that: nobody asked
// (CVE-2026-42960).
func (t *task) knows(q message.Question, variant uint8) bool {
	_, ok := t.e.Cache.Answer(q, variant, t.e.now)
	return ok
}

// keepSets files the RRsets of an answer by themselves, for other questions. Where the cache knows better (RFC 2181, Section 5.4.1), or has the same name servers
// already and does not let them live longer for being heard of again, the answer has what the cache has.
func (t *task) keepSets(a *cache.Answer, r *reply) {
	store := t.e.Cache.Since(r.epoch)
	trust, beside := cache.TrustAnswer, cache.TrustReferral
	switch {
	case a.Security == dnssec.Secure:
		trust, beside = cache.TrustSecure, cache.TrustSecure
	case r.aa:
		trust, beside = cache.TrustAuthAnswer, cache.TrustAuthority
	}
	for i, s := range a.Answer {
		if len(s.Data) > 0 && s.Type != wire.TypeRRSIG && (i == 0 || s.Type != wire.TypeCNAME) {
			if e := store.PutRRset(s, trust, a.Security, t.e.now); i == 0 && e.Trust == trust {
				a.Expires = e.Expires
			}
		}
	}
	for i, s := range a.Authority {
		switch s.Type {
		case wire.TypeNS:
			a.Authority[i] = t.held(store, s, beside, a.Security)
		case wire.TypeSOA:
			store.PutRRset(s, beside, a.Security, t.e.now)
		}
	}
	for i, s := range a.Additional {
		if s.Type == wire.TypeA || s.Type == wire.TypeAAAA {
			if e := store.PutRRset(s, cache.TrustAdditional, dnssec.Unchecked, t.e.now); e.Set != nil && e.Security >= a.Security && (e.Trust > cache.TrustAdditional || len(e.Set.Sigs)+len(s.Sigs) == 0) {
				a.Additional[i] = e.Set
			}
		}
	}
}

// held files an RRset and returns what the cache holds then.
func (t *task) held(store cache.Since, s *message.RRset, trust cache.Trust, security dnssec.Security) *message.RRset {
	if e := store.PutRRset(s, trust, security, t.e.now); e.Set != nil && e.Security >= security && (len(e.Set.Sigs) > 0 || len(s.Sigs) == 0) {
		return e.Set
	}
	return s
}

// keep puts an answer into the cache for as long as it holds. epoch is that in which it was asked for.
func (t *task) keep(a *cache.Answer, variant uint8, epoch uint64) {
	ttl, held := t.ttl(a), a
	if life := a.Expires - t.e.now/second; a.Expires != 0 && life < int64(ttl) {
		ttl, held = uint32(max(life, 0)), shorter(a, uint32(max(life, 0)))
	}
	t.lowerSOA(a, ttl)
	a.Stored, a.Expires = t.e.now/second, t.e.now/second+int64(ttl)
	if ttl == 0 {
		// RFC 8767, Section 4: what could be refreshed is not used any more, though the new answer may not be kept.
		t.e.Cache.DropAnswer(a.Question, variant)
		return
	}
	t.e.Cache.Since(epoch).PutAnswer(held, variant, ttl, t.e.now)
}

// shorter is an answer as it is kept where the cache does not let its RRset live as long as this server says.
func shorter(a *cache.Answer, ttl uint32) *cache.Answer {
	c := *a
	c.Answer = nil
	for _, s := range a.Answer {
		s = s.Copy()
		s.TTL = min(s.TTL, ttl)
		c.Answer = append(c.Answer, s)
	}
	return &c
}

// lowerSOA gives the SOA of a denial the time that the denial holds (RFC 2308, Section 3).
func (t *task) lowerSOA(a *cache.Answer, ttl uint32) {
	for i, s := range a.Authority {
		if s.Type == wire.TypeSOA && s.TTL > ttl && len(a.Answer) == 0 {
			c := s.Copy()
			c.TTL = ttl
			a.Authority[i] = c
		}
	}
}

// bogusTTL is how long data that does not validate is not asked for again (RFC 4035, Section 4.7: the BAD cache).
const bogusTTL = 60

// ttl is how long an answer holds: the least of its records, or what the SOA says of an answer without any (RFC 2308, Section 5).
func (t *task) ttl(a *cache.Answer) uint32 {
	if a.Security == dnssec.Bogus { // its own TTL cannot be trusted either
		if old, ok := t.e.Cache.StaleAnswer(a.Question, validated, t.e.now); ok && old.Rcode != wire.ServFail && old.Security != dnssec.Bogus {
			return t.config.failed() // clients may be given what has expired (RFC 8767): try again soon
		}
		return t.config.bogus()
	}
	ttl := uint32(1 << 31)
	for _, s := range a.Answer {
		ttl = min(ttl, s.TTL)
	}
	if len(a.Answer) == 0 || a.Rcode != wire.NoError {
		negative := t.config.failed() // without SOA it may not be kept (Section 5); a little, so that nobody makes us ask at will
		if soa := findType(a.Authority, wire.TypeSOA); soa != nil && len(soa.Data) > 0 {
			negative = min(soa.TTL, message.SOAMinimum(soa.Data[0]), t.config.negativeTTL())
		}
		ttl = min(ttl, negative)
	}
	for _, s := range a.Authority {
		if s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3 {
			ttl = min(ttl, s.TTL)
		}
	}
	return ttl
}

// secured is fetched and validated. Where a server's answer does not validate, others are asked: it may be only that one which is broken
// or attacked.
func (t *task) secured(q message.Question) *cache.Answer {
	e := t.e
	var avoid []server
	var last *cache.Answer
	var epoch uint64 // of last
	var from Upstreamed
	fresh := t.fresh()
	defer func() { t.upstream = from }() // not who gave a key or an address on the way
	for range MaxBogus + 1 {
		r, known := t.rawReply(q, avoid, fresh)
		if r == nil {
			if last == nil {
				return known
			}
			break
		}
		from = r.upstream()
		var first *cache.Answer
		chain := false
		for i, l := range r.links(q, t.config.Minimise && !r.recursive) {
			if i > 0 && t.knows(l.Question, validated) {
				break
			}
			a, broken := t.check(l, r.dropped, r.epoch)
			a.AA = r.aa
			if i == 0 {
				first, chain = a, broken
			}
			if a.Reason == reasonLimit {
				if i == 0 && fresh {
					t.keepFailure(a, validated, r.epoch)
				}
				return a
			}
			if a.Security == dnssec.Bogus {
				break // what hangs on a bad link is not looked at
			}
			t.keepSets(a, r)
			t.keep(a, validated, r.epoch)
		}
		if first.Security != dnssec.Bogus {
			return first
		}
		last, epoch = first, r.epoch
		e.Cache.Forget(q, raw)
		if r.cached {
			continue // it was heard unchecked, for a client with CD or on the way to a server (RFC 6840, Appendix B): the servers may say something else
		}
		if chain || !r.from.Addr.IsValid() {
			break // the keys are at fault, which were asked for elsewhere already, or there is nobody else
		}
		avoid = append(avoid, r.from)
	}
	t.keep(last, validated, epoch)
	return last
}

// rawReply gets what a server says: from the cache where it was needed unchecked before, else by asking. Without a reply it
// returns the failure.
func (t *task) rawReply(q message.Question, avoid []server, fresh bool) (*reply, *cache.Answer) {
	epoch := t.e.Cache.Epoch()
	if len(avoid) == 0 && !t.opts.Refresh {
		if a, ok := t.e.Cache.Answer(q, raw, t.e.now); ok {
			if a.Rcode == wire.ServFail {
				return nil, a
			}
			if t.depth > 1 || !withoutSOA(q, a) || t.addSOA(a) { // a client wants the whole answer
				return cachedReply(a, epoch), nil
			}
		}
	}
	r, err := t.iterate(q, avoid)
	if err != nil {
		a := t.fail(q, err.reason, err.Error())
		if len(avoid) == 0 && (err.reason != reasonLimit || fresh && err.spent) {
			t.keepFailure(a, validated, epoch)
		}
		return nil, a
	}
	return r, nil
}

func cachedReply(a *cache.Answer, epoch uint64) *reply {
	return &reply{cached: true, epoch: epoch, question: a.Question, rcode: a.Rcode, aa: a.AA, answer: a.Answer, authority: a.Authority, additional: a.Additional}
}

// withoutSOA tells whether the denial of DS came with a referral, which has no SOA.
func withoutSOA(q message.Question, a *cache.Answer) bool {
	return q.Type == wire.TypeDS && len(a.Answer) == 0 && findType(a.Authority, wire.TypeSOA) == nil
}

// addSOA completes a denial with the SOA of its zone, if that is known.
func (t *task) addSOA(a *cache.Answer) bool {
	zone := signer(a.Authority)
	if zone == nil {
		return false
	}
	e, ok := t.e.Cache.RRset(zone, wire.TypeSOA, t.e.now)
	if ok {
		a.Authority = append(a.Authority, e.Set)
	}
	return ok
}

// leftOut is told to clients; RFC 8914 has no code for it.
const leftOut = "left out what has a wrong length"

// check validates one link, which was asked for in an epoch of the cache. chain tells that it is the keys of a zone that do not hold.
func (t *task) check(l *validate.Response, dropped int, epoch uint64) (a *cache.Answer, chain bool) {
	e, store := t.e, t.e.Cache.Since(epoch)
	v := e.Validator.Message(e.now, l, source{t}, t.checks)
	for _, s := range v.Steps {
		t.note(Step{Kind: StepValidate, Question: l.Question, Zone: l.Question.Name, Text: s})
	}
	a = &cache.Answer{Question: l.Question, Rcode: v.Rcode, Security: v.Security, Reason: v.Reason, Text: v.Text,
		Answer: sets(v.Answer), Authority: sets(v.Authority), Additional: sets(v.Additional)}
	if v.Security == dnssec.Bogus {
		a.Rcode = wire.ServFail
		if dropped > 0 {
			a.Reason, a.Text = reasonOther, leftOut+"; "+a.Text
		}
	}
	if v.Spent { // by what came before, perhaps: it is this resolution that fails, not the name
		a.Rcode, a.Reason = wire.ServFail, reasonLimit
	}
	for _, c := range v.Answer {
		if c.Wildcard != nil && c.Security == dnssec.Secure {
			source := c.Set.Copy()
			source.Name = c.Wildcard
			store.PutRRset(source, cache.TrustSecure, dnssec.Secure, e.now)
		}
	}
	for _, d := range v.Denial.Sets {
		store.PutDenial(v.Denial.Zone, d, v.Denial.SOA, e.now)
	}
	return a, v.Chain
}

func sets(checked []validate.Checked) []*message.RRset {
	if len(checked) == 0 {
		return nil
	}
	list := make([]*message.RRset, len(checked))
	for i, c := range checked {
		list[i] = c.Set
	}
	return list
}

// source brings the validator what it needs. It implements validate.Source and validate.Retrier.
type source struct{ t *task }

// Retry implements validate.Retrier: the answer did not hold, so another server is asked.
func (s source) Retry(q message.Question, why string) (*validate.Response, error) {
	t := s.t
	key := keyOf(q, raw)
	t.note(Step{Kind: StepValidate, Question: q, Zone: q.Name, Text: "asking another server: " + why})
	if from, ok := t.from[key]; ok {
		t.blamed = append(t.blamed, from)
	}
	t.e.Cache.Forget(q, raw)
	r, err := t.iterate(q, t.blamed)
	if err != nil {
		return nil, err
	}
	l := r.links(q, true)[0]
	t.keep(&cache.Answer{Question: q, Rcode: l.Rcode, AA: r.aa, Reason: event.NoReason, Answer: l.Answer, Authority: l.Authority, Additional: l.Additional}, raw, r.epoch)
	t.comesFrom(key, r.from)
	return l, nil
}

// comesFrom remembers who gave an answer, to be able to ask another one.
func (t *task) comesFrom(key string, s server) {
	if t.from == nil {
		t.from = make(map[string]server)
	}
	t.from[key] = s
}

func keyOf(q message.Question, variant uint8) string {
	return string(append(q.Name.AppendLower(nil), byte(q.Type>>8), byte(q.Type), variant))
}

// Fetch implements validate.Source.
func (s source) Fetch(q message.Question) (*validate.Response, error) {
	if q.Type == wire.TypeDS { // a proof that there is none may be at hand, and need not be asked for
		if a := s.t.denied(q); a != nil {
			return &validate.Response{Question: q, Rcode: a.Rcode, Authority: a.Authority}, nil
		}
		if r := s.t.noDS(q); r != nil {
			return r, nil
		}
	}
	a := s.t.link(q, false)
	if a.Rcode == wire.ServFail {
		return nil, &failed{reason: a.Reason, text: a.Text}
	}
	return &validate.Response{Question: q, Rcode: a.Rcode, Answer: a.Answer, Authority: a.Authority, Additional: a.Additional}, nil
}

// failed is a resolution that came to nothing.
type failed struct {
	reason uint16
	text   string
	spent  bool // by what this resolution itself did
}

func (f *failed) Error() string { return f.text }
