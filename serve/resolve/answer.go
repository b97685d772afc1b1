package resolve

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/cache"
	"anyu/serve/validate"
)

// Answer is what a client is to be told, before it is written for it: all records, whether signed or not.
type Answer struct {
	Question   message.Question
	Rcode      wire.Rcode
	Security   dnssec.Security
	Reason     uint16 // RFC 8914, or event.NoReason
	Text       string
	Answer     []*message.RRset
	Authority  []*message.RRset
	Additional []*message.RRset
	Expires    int64         // seconds since 1970: what a cache may keep it until
	Renew      int64         // from when it should be renewed, before it expires
	Stale      bool          // from records that have expired (RFC 8767)
	Cached     bool          // no server was asked
	Epoch      uint64        // of the cache when resolving began: with a flush since, the answer is not to be kept
	Sends      int           // questions sent to servers
	Waited     time.Duration // for servers
	Upstream   Upstreamed
	Trace      []Step
}

// Upstreamed is the server whose answer was used, of a chain of aliases that of the last link which was asked for.
type Upstreamed struct {
	Address netip.AddrPort // not valid: the answer was here, or there was none
	Over    event.Transport
	Forward bool // it is a resolver
}

// renewShare is which part of an answer's life is left when it is renewed: a tenth, as others do.
const renewShare = 10

func failure(reason uint16, text string) *Answer {
	return &Answer{Rcode: wire.ServFail, Security: dnssec.Indeterminate, Reason: reason, Text: text}
}

// answer follows the chain from the question to its end: RFC 1034, Section 5.3.3, step 4c, each link an answer of its own with
// its own chain of trust (RFC 4035, Section 5).
func (t *task) answer(q message.Question) *Answer {
	a := &Answer{Question: q, Security: dnssec.Secure, Reason: event.NoReason, Expires: noEnd, Renew: noEnd}
	defer func() { a.Epoch = t.epoch; t.account(a) }()
	if t.reverse64(a) {
		return a
	}
	name := q.Name
	for range MaxChain + 1 {
		l := t.link(message.Question{Name: name, Type: q.Type, Class: q.Class}, true)
		a.add(l, t.e.config.Minimal)
		if t.dns64(a, l, name) {
			return a
		}
		if t.opts.CacheOnly && l.Reason == reasonNotReady {
			t.refer(a, name)
			return a
		}
		if l.Rcode == wire.ServFail {
			t.blame(a)
			return a
		}
		next := aliasOf(l, name, q.Type)
		if next == nil {
			if t.config.Sentinel && !t.opts.CD && t.e.Validator != nil && t.e.Validator.Sentinel(q, a.Security) {
				b := t.broken(q, "the root key sentinel asks so")
				b.Reason = reasonBogus
				return b
			}
			return a
		}
		if seen(a.Answer, next) {
			if next.Equal(name) && a.Security != dnssec.Secure && hasDNAME(l.Answer, name) {
				return a // made from a DNAME that leads to itself: it says all that there is
			}
			return t.broken(q, "the chain of CNAME and DNAME records is a loop") // servers.md 5.2, case 40: as others do
		}
		name = next
	}
	return t.broken(q, "the chain of CNAME and DNAME records is longer than allowed")
}

// broken is the failure of a whole chain.
func (t *task) broken(q message.Question, text string) *Answer {
	a := failure(reasonOther, text)
	a.Question, a.Expires = q, t.e.now/second+int64(t.config.failed())
	t.account(a)
	return a
}

// account says in an answer what it took.
func (t *task) account(a *Answer) {
	a.Sends, a.Cached, a.Waited, a.Upstream, a.Trace = t.spent.sends, t.spent.sends == 0, t.spent.waited, t.upstream, t.trace
}

// refer answers who does not want recursion with the closest delegation known: RFC 1034, Section 4.3.2, step 4.
func (t *task) refer(a *Answer, name wire.Name) {
	d, err := t.closest(message.Question{Name: name, Type: a.Question.Type, Class: a.Question.Class})
	if a.Expires = 0; err != nil || d.ns == nil {
		return
	}
	a.Rcode, a.Reason, a.Text, a.Security, a.Expires = wire.NoError, event.NoReason, "", dnssec.Indeterminate, 0
	a.Authority, a.Additional = []*message.RRset{d.ns}, d.glue
	if e, ok := t.e.Cache.RRset(d.zone, wire.TypeNS, t.e.now); ok { // what the zone says of itself, which may be signed
		a.Authority[0], a.Security = e.Set, e.Security
		if e.Security == dnssec.Unchecked && len(e.Set.Sigs) > 0 && t.e.Validator != nil {
			t.opts.CacheOnly = false // the keys may be asked for
			q := message.Question{Name: d.zone, Type: wire.TypeNS, Class: wire.ClassIN}
			checked, _ := t.check(&validate.Response{Question: q, Answer: a.Authority}, 0, t.epoch)
			a.Security = checked.Security
		}
	}
	glue := a.Additional
	a.Additional = nil
	for _, g := range glue {
		if e, ok := t.e.Cache.RRset(g.Name, g.Type, t.e.now); ok {
			g = e.Set
		}
		if len(g.Sigs) > 0 || a.Security != dnssec.Secure { // AD is not for what nobody signed
			a.Additional = append(a.Additional, g)
		}
	}
}

// aliasOf returns the name where a link leads on to, or nil where it is the end.
func aliasOf(l *cache.Answer, name wire.Name, t wire.Type) wire.Name {
	if t == wire.TypeCNAME || t == wire.TypeANY || l.Rcode == wire.YXDomain || len(l.Answer) == 0 {
		return nil
	}
	if message.Find(l.Answer, name, t) != nil {
		return nil
	}
	if s := message.Find(l.Answer, name, wire.TypeCNAME); s != nil && len(s.Data) > 0 {
		return message.Target(s.Data[0])
	}
	return nil
}

// seen tells whether the chain has come by a name already.
func seen(chain []*message.RRset, name wire.Name) bool {
	for _, s := range chain {
		if s.Type == wire.TypeCNAME && s.Name.Equal(name) {
			return true
		}
	}
	return false
}

// add appends a link to the chain. What the chain says of its security is what its worst link says.
func (a *Answer) add(l *cache.Answer, minimal bool) {
	a.Rcode, a.Reason, a.Text = l.Rcode, l.Reason, l.Text
	a.Security = min(a.Security, l.Security)
	if l.Rcode == wire.YXDomain {
		a.Security = min(a.Security, dnssec.Insecure) // nothing signs that the result would be too long
	}
	a.Expires = min(a.Expires, l.Expires)
	if renew := l.Expires - (l.Expires-l.Stored)/renewShare; l.Expires-l.Stored >= renewShare {
		a.Renew = min(a.Renew, renew)
	}
	a.Stale = a.Stale || l.Stale
	a.Answer = merge(a.Answer, l.Answer)
	proofs := a.Authority[:0]
	for _, s := range a.Authority { // of earlier links only the proofs count: that no closer name matched a wildcard
		if s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3 {
			proofs = append(proofs, s)
		}
	}
	a.Authority = merge(proofs, l.Authority)
	a.Additional = merge(nil, l.Additional)
	if minimal {
		a.minimise(l)
	}
}

// minimise leaves out what a positive answer can do without: everything beside it, unless a proof is part of it.
func (a *Answer) minimise(l *cache.Answer) {
	q := a.Question
	if len(a.Answer) == 0 && (l.Rcode == wire.NXDomain || findType(a.Authority, wire.TypeSOA) != nil) {
		a.Authority, a.Additional = dropNS(a.Authority), nil
		return
	}
	if l.Rcode != wire.NoError || q.Type == wire.TypeNS || findType(a.Answer, q.Type) == nil {
		return
	}
	for _, s := range a.Authority {
		if s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3 {
			return
		}
	}
	a.Authority, a.Additional = nil, nil
}

func merge(to, from []*message.RRset) []*message.RRset {
	for _, s := range from {
		if message.Find(to, s.Name, s.Type) == nil {
			to = append(to, s)
		}
	}
	return to
}

// blame makes a failure say only what a client is to know of it.
func (t *task) blame(a *Answer) {
	if a.Reason == reasonLimit {
		a.Reason, a.Expires = reasonOther, 0 // others have a budget of their own
	}
	if !t.opts.CD {
		a.Answer, a.Authority, a.Additional = nil, nil, nil
	}
}

func findType(section []*message.RRset, t wire.Type) *message.RRset {
	for _, s := range section {
		if s.Type == t {
			return s
		}
	}
	return nil
}

// Now is the time of the call in hand.
func (e *Engine) Now() int64 { return e.now }

// reasonStaleNX is the code for a denial that has expired (RFC 8914, Section 4.20).
const reasonStaleNX = 19

// staleLink is one link as the cache has it. nil: it is missing, or was found bogus.
func (e *Engine) staleLink(now int64, q message.Question, cd bool) *cache.Answer {
	variant := uint8(validated)
	if cd { // what was proved serves these clients, too, as a fresh answer does
		if l, ok := e.Cache.StaleAnswer(q, validated, now); ok && l.Security == dnssec.Secure {
			return l
		}
	}
	if cd || e.Validator == nil || !e.Validator.Secure(q.Name, now) {
		variant = raw
	}
	l, ok := e.Cache.StaleAnswer(q, variant, now)
	if !ok || l.Rcode == wire.ServFail || l.Security == dnssec.Bogus {
		return nil
	}
	return l
}

// Stale puts an answer together from what the cache has, expired or not, asking nobody (RFC 8767, Section 4). Its records have
// the TTL ttl, 30 s if that is 0. nil: something is missing, or was found bogus.
func (e *Engine) Stale(now int64, q message.Question, cd bool, ttl uint32) *Answer {
	if ttl == 0 {
		ttl = 30
	}
	a := &Answer{Question: q, Security: dnssec.Secure, Cached: true, Expires: now/second + int64(ttl)}
	name := q.Name
	for range MaxChain + 1 {
		l := e.staleLink(now, message.Question{Name: name, Type: q.Type, Class: q.Class}, cd)
		if l == nil {
			return nil
		}
		a.add(l, e.config.Minimal)
		missing := false
		// RFC 6147, Section 5.1: that there is no AAAA record is not the end, expired or not.
		if !cd && e.config.dns64(a, l, name, func(q message.Question) *cache.Answer {
			four := e.staleLink(now, q, cd)
			if missing = four == nil; missing {
				four = &cache.Answer{}
			}
			return four
		}) {
			break
		}
		if missing {
			return nil
		}
		next := aliasOf(l, name, q.Type)
		if next == nil || seen(a.Answer, next) {
			break
		}
		name = next
	}
	if !a.Stale {
		return nil // all is fresh: it will be found so
	}
	a.Reason, a.Text = reasonStale, ""
	if a.Rcode == wire.NXDomain {
		a.Reason = reasonStaleNX
	}
	a.Expires = now/second + int64(ttl)
	for _, section := range [...][]*message.RRset{a.Answer, a.Authority, a.Additional} {
		for i, s := range section {
			c := s.Copy()
			c.TTL = ttl
			section[i] = c
			if signedUntil(s, now/second) < now/second {
				a.Security = min(a.Security, dnssec.Unchecked) // RFC 4035, Section 5.3.1: past its end a signature proves nothing, so no AD
			}
		}
	}
	return a
}

// signedUntil is when the first of an RRset's signatures ends, in seconds since 1970 (RFC 4034, Section 3.1.5: serial number arithmetic).
func signedUntil(s *message.RRset, now int64) int64 {
	until := int64(math.MaxInt64)
	for _, sig := range s.Sigs {
		if len(sig) >= 12 {
			until = min(until, now+int64(int32(binary.BigEndian.Uint32(sig[8:])-uint32(now))))
		}
	}
	return until
}
