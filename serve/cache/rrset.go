package cache

import (
	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// Trust is the rank of data by where it came from (RFC 2181, Section 5.4.1), lowest first.
type Trust uint8

const (
	TrustNone       Trust = iota
	TrustAdditional       // additional section: glue
	TrustReferral         // authority section without AA: the NS of a referral
	TrustAnswer           // answer section without AA
	TrustAuthority        // authority section with AA
	TrustAuthAnswer       // answer section with AA
	TrustSecure           // validated
)

var trustNames = [...]string{"none", "additional", "referral", "answer", "authority", "authoritative answer", "secure"}

func (t Trust) String() string {
	if int(t) < len(trustNames) {
		return trustNames[t]
	}
	return "unknown"
}

// Entry is an RRset as the cache holds it.
type Entry struct {
	Set      *message.RRset // a copy of its own; TTL is what remains, 0 when stale
	Trust    Trust
	Security dnssec.Security
	Stored   int64 // seconds
	Expires  int64
}

// Stale tells whether the entry is past its TTL.
func (e *Entry) Stale(now int64) bool { return int64(seconds(now)) >= e.Expires }

// RRset returns a fresh RRset of class IN.
func (c *Cache) RRset(name wire.Name, t wire.Type, now int64) (Entry, bool) {
	return c.rrset(name, t, now, 0)
}

// StaleRRset returns an RRset that is fresh or expired no longer ago than Config.Stale (RFC 8767). What failed validation is never
// returned stale.
func (c *Cache) StaleRRset(name wire.Name, t wire.Type, now int64) (Entry, bool) {
	return c.rrset(name, t, now, c.config.Load().Stale)
}

func (c *Cache) rrset(name wire.Name, t wire.Type, now int64, stale uint32) (Entry, bool) {
	var room [keyRoom]byte
	key := appendSetKey(room[:0], name, t)
	h := c.secret.hash(kindRRset, key)
	s := c.shard(h)
	slot, e := s.index.Load().find(h, kindRRset, key)
	at := seconds(now)
	if slot == nil || !e.usable(at, stale) || !e.fresh(at) && security(e) == dnssec.Bogus {
		s.misses.Add(1)
		return Entry{}, false
	}
	out, ok := decodeRRset(e, at)
	if !ok {
		s.misses.Add(1)
		return Entry{}, false
	}
	s.hits.Add(1)
	use(slot)
	return out, true
}

func security(e entry) dnssec.Security { return dnssec.Security(e.state() & 15) }

func decodeRRset(e entry, now uint32) (Entry, bool) {
	// One copy: what is returned must not keep a whole segment alive.
	own := append([]byte(nil), e[entryHeader:e.size()]...)
	n := e.keyLen()
	if n < 3 {
		return Entry{}, false
	}
	r := reader{b: own[n:]}
	set := r.set(wire.Name(own[:n-2]))
	if r.bad {
		return Entry{}, false
	}
	set.TTL = left(e.expires(), now)
	return Entry{
		Set: set, Trust: Trust(e.state() >> 4), Security: security(e),
		Stored: int64(e.stored()), Expires: int64(e.expires()),
	}, true
}

func left(expires, now uint32) uint32 {
	if expires <= now {
		return 0
	}
	return expires - now
}

// PutRRset offers an RRset of class IN and returns what the cache holds afterwards, which is what the caller should use.
//
//   - While what is held is fresh, data of lower trust does not replace it, unless what is held failed validation
//     (RFC 2181, Section 5.4.1).
//   - Data of equal or higher trust replaces it. Records that are the same with the same trust keep the verdict of the validator where the new
//     ones have none.
//   - The life of NS RRsets is never extended while they are fresh, whatever the trust: the new RRset expires with the one
//     it replaces, or earlier, unless that one failed validation. So neither a child nor a stranger keeps a delegation alive that its parent has withdrawn
//     (ghost domains; CVE-2022-30698, CVE-2022-30699). The same holds for additional data that is replaced by additional
//     data, and for addresses whatever replaces them: a name server that was withdrawn with the delegation that named it does not live on
//     by its own word. Only what is expired, or was flushed, starts a new life.
//   - What failed validation is kept for MaxBogusTTL at most.
//
// An RRset with TTL 0 is stored and is stale at once; one that is too long, of another class or from before a flush is not stored, and is returned
// as offered.
func (v Since) PutRRset(set *message.RRset, trust Trust, sec dnssec.Security, now int64) Entry {
	c := v.cache
	var room [keyRoom]byte
	key := appendSetKey(room[:0], set.Name, set.Type)
	h := c.secret.hash(kindRRset, key)
	s := c.shard(h)
	at := seconds(now)
	expires := at + c.life(set.TTL, sec)
	s.mu.Lock()
	defer s.mu.Unlock()
	if set.Class != wire.ClassIN || v.over() {
		return Entry{Set: set.Copy(), Trust: trust, Security: sec, Stored: int64(at), Expires: int64(expires)}
	}
	if slot, e := s.index.Load().find(h, kindRRset, key); slot != nil && e.fresh(at) {
		if held, ok := decodeRRset(e, at); ok {
			if trust < held.Trust && held.Security != dnssec.Bogus {
				return held
			}
			same := trust == held.Trust && set.SameData(held.Set)
			if same && sec == dnssec.Unchecked {
				sec = held.Security
			}
			limited := set.Type == wire.TypeNS || held.Trust == TrustAdditional && (trust == TrustAdditional || set.Type == wire.TypeA || set.Type == wire.TypeAAAA)
			if limited && held.Security != dnssec.Bogus {
				expires = min(expires, uint32(held.Expires))
			}
			if same && sec == held.Security && expires == uint32(held.Expires) && len(set.Sigs) == len(held.Set.Sigs) {
				return held // nothing new: spare the write
			}
		}
	}
	own := set.Copy()
	own.TTL = left(expires, at)
	e := appendHeader(s.scratch[:0], kindRRset, byte(sec)|byte(trust)<<4, key, 0, at, expires)
	e = appendSet(e, own, wire.Name(key[:len(key)-2]))
	s.scratch = e[:0]
	s.store(h, e, at)
	return Entry{Set: own, Trust: trust, Security: sec, Stored: int64(at), Expires: int64(expires)}
}

// life is how long data is kept that was published with a TTL.
func (c *Cache) life(ttl uint32, sec dnssec.Security) uint32 {
	config := c.config.Load()
	ttl = min(max(ttl, config.MinTTL), config.MaxTTL)
	if sec == dnssec.Bogus {
		ttl = min(ttl, MaxBogusTTL)
	}
	return ttl
}
