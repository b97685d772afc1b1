package cache

import (
	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// Since stores what was learned from a moment on, and nothing once Flush or FlushAll came after that: an answer that was under way then may be the very
// one that was to be forgotten, and what was judged under other trust anchors is not worth keeping. Whoever flushes counts the epoch on first and
// takes the locks then; whoever stores looks at it with the lock held. So either the flush finds the entry, or it is not stored.
type Since struct {
	cache *Cache
	epoch uint64
}

// Epoch names the time between two flushes.
func (c *Cache) Epoch() uint64 { return c.epoch.Load() }

// Since is for storing what was asked for in an epoch.
func (c *Cache) Since(epoch uint64) Since { return Since{c, epoch} }

// over tells whether there was a flush. The lock of what is to be changed is held.
func (s Since) over() bool { return s.cache.epoch.Load() != s.epoch }

// PutRRset, PutAnswer, PutDenial and PutPacket of Cache store what is known at this moment.
func (c *Cache) PutRRset(set *message.RRset, trust Trust, sec dnssec.Security, now int64) Entry {
	return c.Since(c.Epoch()).PutRRset(set, trust, sec, now)
}

// PutAnswer: see Since.PutAnswer.
func (c *Cache) PutAnswer(a *Answer, variant uint8, ttl uint32, now int64) {
	c.Since(c.Epoch()).PutAnswer(a, variant, ttl, now)
}

// PutDenial: see Since.PutDenial.
func (c *Cache) PutDenial(zone wire.Name, set, soa *message.RRset, now int64) {
	c.Since(c.Epoch()).PutDenial(zone, set, soa, now)
}

// PutPacket: see Since.PutPacket.
func (c *Cache) PutPacket(key []byte, p *Packet, ttl uint32, now int64) bool {
	return c.Since(c.Epoch()).PutPacket(key, p, ttl, now)
}
