package cache

import (
	"encoding/binary"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// Answer is what is known about one question, without following a CNAME: one link of a chain.
type Answer struct {
	Question   message.Question
	Rcode      wire.Rcode
	AA         bool
	Security   dnssec.Security
	Reason     uint16 // EDE INFO-CODE, or event.NoReason
	Text       string // EXTRA-TEXT, for whoever operates the servers
	Answer     []*message.RRset
	Authority  []*message.RRset
	Additional []*message.RRset
	Stored     int64 // seconds
	Expires    int64
	Stale      bool
}

// Failed tells whether the answer is a failure to get one (RFC 9520), which is kept apart and never used stale.
func (a *Answer) Failed() bool {
	return a.Rcode != wire.NoError && a.Rcode != wire.NXDomain && a.Rcode != wire.YXDomain
}

// delegates tells whether it is what a parent says of a zone's name servers: no denial, and it holds as long as its records do.
func (a *Answer) delegates() bool {
	return a.Rcode == wire.NoError && len(a.Answer) == 0 && len(a.Authority) > 0 && a.Question.Type == wire.TypeNS &&
		a.Authority[0].Is(a.Question.Name, wire.TypeNS)
}

// Answer returns what is fresh about a question: an answer, or that its name does not exist, or else a failure. TTLs are what remains. What
// variant means is for the caller: CD, DO, a view.
//
// RFC 2308, Section 5: NXDOMAIN holds for all types of a name. It is used so only where it is proved, since servers that say NXDOMAIN
// when they mean NODATA are many.
func (c *Cache) Answer(q message.Question, variant uint8, now int64) (*Answer, bool) {
	at := seconds(now)
	for _, kind := range [...]byte{kindAnswer, kindNoName, kindFailure} {
		if a, s := c.lookup(kind, q, variant, at, 0); a != nil {
			s.hits.Add(1)
			return a, true
		} else if kind == kindFailure {
			s.misses.Add(1)
		}
	}
	return nil, false
}

// StaleAnswer is Answer for when no fresh one can be had (RFC 8767, Section 4): the answer may have expired, no longer ago than
// Config.Stale. Failures and what failed validation are no answers here.
func (c *Cache) StaleAnswer(q message.Question, variant uint8, now int64) (*Answer, bool) {
	at, stale := seconds(now), c.config.Load().Stale
	a, s := c.lookup(kindAnswer, q, variant, at, stale)
	if n, t := c.lookup(kindNoName, q, variant, at, stale); n != nil && (a == nil || n.Stored > a.Stored) {
		a, s = n, t
	}
	if a == nil || a.Stale && a.Security == dnssec.Bogus {
		return nil, false
	}
	s.hits.Add(1)
	return a, true
}

// Failure returns the last failure of a question, expired or not: RFC 9520, Section 3.2 lets the time double with each.
func (c *Cache) Failure(q message.Question, variant uint8, now int64) (*Answer, bool) {
	a, _ := c.lookup(kindFailure, q, variant, seconds(now), c.config.Load().Stale)
	return a, a != nil
}

func appendKeyOf(dst []byte, kind byte, q message.Question, variant uint8) []byte {
	if kind == kindNoName {
		q.Type = 0
	}
	return AppendKey(dst, q, variant)
}

func (c *Cache) lookup(kind byte, q message.Question, variant uint8, now, stale uint32) (*Answer, *shard) {
	var room [keyRoom]byte
	key := appendKeyOf(room[:0], kind, q, variant)
	h := c.secret.hash(kind, key)
	s := c.shard(h)
	slot, e := s.index.Load().find(h, kind, key)
	if slot == nil || !e.usable(now, stale) {
		return nil, s
	}
	a, ok := decodeAnswer(e, now)
	if !ok {
		return nil, s
	}
	use(slot)
	a.Question = q
	return a, s
}

func decodeAnswer(e entry, now uint32) (*Answer, bool) {
	own := append([]byte(nil), e[entryHeader:e.size()]...)
	ref := keyName(own[:e.keyLen()])
	if ref == nil {
		return nil, false
	}
	code := e.code()
	a := &Answer{
		Rcode: wire.Rcode(code &^ authority), AA: code&authority != 0, Security: security(e),
		Stored: int64(e.stored()), Expires: int64(e.expires()), Stale: !e.fresh(now),
	}
	r := reader{b: own[e.keyLen():]}
	if b := r.octets(2); b != nil {
		a.Reason = binary.LittleEndian.Uint16(b)
	}
	a.Text = string(r.octets(r.number(MaxEntry)))
	age := left(now, e.stored())
	for _, section := range [...]*[]*message.RRset{&a.Answer, &a.Authority, &a.Additional} {
		n := r.number(uint64(len(r.b)))
		for range n {
			set := r.set(ref)
			if r.bad {
				return nil, false
			}
			if a.Stale {
				set.TTL = 0
			}
			set.TTL -= min(age, set.TTL)
			*section = append(*section, set)
		}
	}
	return a, !r.bad
}

// PutAnswer keeps an answer for ttl seconds, which the caller took from its records, its SOA (RFC 2308, Section 5) or its failures. It is
// bounded here: by Config, for failures by RFC 9520, Section 3.2, for what failed validation by MaxBogusTTL. An answer, even one that
// may not be used again (ttl 0), ends the failure before it; a failure leaves the answer before it for StaleAnswer.
func (v Since) PutAnswer(a *Answer, variant uint8, ttl uint32, now int64) {
	c, at := v.cache, seconds(now)
	kind := byte(kindAnswer)
	switch {
	case a.Failed():
		kind = kindFailure
		ttl = min(max(ttl, MinFailureTTL), MaxFailureTTL)
	case a.Rcode == wire.NXDomain && a.Security == dnssec.Secure && len(a.Answer) == 0:
		kind = kindNoName
		fallthrough
	case len(a.Answer) == 0 && !a.delegates():
		ttl = min(ttl, c.config.Load().MaxNegativeTTL)
		fallthrough
	default:
		if len(a.Answer) > 0 || a.delegates() {
			ttl = c.life(ttl, a.Security)
		} else if a.Security == dnssec.Bogus {
			ttl = min(ttl, MaxBogusTTL)
		}
	}
	var room [keyRoom]byte
	key := appendKeyOf(room[:0], kind, a.Question, variant)
	h := c.secret.hash(kind, key)
	s := c.shard(h)
	code := uint16(a.Rcode) &^ authority
	if a.AA {
		code |= authority
	}
	s.mu.Lock()
	stored := false
	if !v.over() {
		e := appendHeader(s.scratch[:0], kind, byte(a.Security), key, code, at, at+ttl)
		e = c.appendAnswer(e, a, keyName(key))
		s.scratch = e[:0]
		stored = s.store(h, e, at)
	}
	s.mu.Unlock()
	if !stored || kind == kindFailure {
		return
	}
	c.remove(kindFailure, a.Question, variant)
	switch kind {
	case kindNoName:
		c.remove(kindAnswer, a.Question, variant)
	case kindAnswer:
		c.remove(kindNoName, a.Question, variant)
	}
}

func (c *Cache) appendAnswer(e []byte, a *Answer, ref wire.Name) []byte {
	e = binary.LittleEndian.AppendUint16(e, a.Reason)
	e = binary.AppendUvarint(e, uint64(len(a.Text)))
	e = append(e, a.Text...)
	limit := c.config.Load().MaxTTL
	for _, section := range [...][]*message.RRset{a.Answer, a.Authority, a.Additional} {
		e = binary.AppendUvarint(e, uint64(len(section)))
		for _, set := range section {
			if set.TTL > limit {
				set = set.Copy()
				set.TTL = limit
			}
			e = appendSet(e, set, ref)
		}
	}
	return e
}

// DropAnswer forgets what a question was answered with, fresh or expired, where an answer was heard that may not be kept.
func (c *Cache) DropAnswer(q message.Question, variant uint8) {
	for _, kind := range [...]byte{kindAnswer, kindNoName, kindFailure} {
		c.remove(kind, q, variant)
	}
}

// remove forgets one entry of a question.
func (c *Cache) remove(kind byte, q message.Question, variant uint8) int {
	var room [keyRoom]byte
	key := appendKeyOf(room[:0], kind, q, variant)
	return c.removeKey(kind, key)
}

func (c *Cache) removeKey(kind byte, key []byte) int {
	h := c.secret.hash(kind, key)
	s := c.shard(h)
	if slot, _ := s.index.Load().find(h, kind, key); slot == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, e := s.index.Load().find(h, kind, key)
	if slot == nil {
		return 0
	}
	s.forget(slot, e)
	return 1
}
