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
	return c.denials.flush(lower, subtree) + c.forgetOwners(func(owner wire.Name) bool {
		return string(owner) == string(lower) || subtree && owner.IsSubdomainOf(lower)
	})
}

// FlushZones is Flush with subtree for many names in one walk: a catalog may bring ten thousand zones at a time.
func (c *Cache) FlushZones(names []wire.Name) (n int) {
	if len(names) == 0 {
		return 0
	}
	c.epoch.Add(1)
	tops := make(map[string]bool, len(names))
	for _, name := range names {
		lower := wire.Name(name.AppendLower(nil))
		tops[string(lower)] = true
		n += c.denials.flush(lower, true)
	}
	return n + c.forgetOwners(func(owner wire.Name) bool {
		for ; len(owner) > 0 && !tops[string(owner)]; owner = owner.Parent() {
			if owner.IsRoot() {
				return false
			}
		}
		return len(owner) > 0
	})
}

// forgetOwners forgets the entries of the owners that match says, and all packets, and returns how many there were of the former.
func (c *Cache) forgetOwners(match func(owner wire.Name) bool) (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, r := range s.rings {
			for _, seg := range r.queue {
				s.walk(seg, func(_, _ uint64, slot *atomic.Uint64, e entry) {
					isPacket := e.kind() == kindPacket
					if !isPacket && !match(keyName(e.key())) {
						return
					}
					s.forget(slot, e)
					if !isPacket {
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
