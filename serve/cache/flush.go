package cache

import (
	"sync/atomic"

	"anyu/dns/wire"
)

// Flush forgets all entries of a name, with subtree also those below it, and returns how many there were. Denials of the zones concerned
// go too, and so do all finished packets, which are not counted: one of another name may hold an alias that leads there.
func (c *Cache) Flush(name wire.Name, subtree bool) int {
	c.epoch.Add(1)
	lower := wire.Name(name.AppendLower(nil))
	n := c.denials.flush(lower, subtree)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, r := range s.rings {
			for _, seg := range r.queue {
				s.walk(seg, func(_, _ uint64, slot *atomic.Uint64, e entry) {
					if e.kind() == kindPacket {
						s.forget(slot, e)
						return
					}
					owner := keyName(e.key())
					if string(owner) == string(lower) || subtree && owner.IsSubdomainOf(lower) {
						s.forget(slot, e)
						n++
					}
				})
			}
		}
		s.mu.Unlock()
	}
	return n
}

// FlushAll forgets everything.
func (c *Cache) FlushAll() {
	c.epoch.Add(1)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.clear()
		s.mu.Unlock()
	}
	c.denials.clear()
}
