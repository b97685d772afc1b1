package validate

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
)

// zone is what is known of a name as a zone. It does not change once it is in the table.
type zone struct {
	name    wire.Name
	cut     bool // false: nothing is delegated at the name, it belongs to the zone above
	end     bool // and there is no such name, so that nothing below it is delegated either
	verdict      // of the keys: secure, insecure (no chain of trust reaches the zone), bogus, indeterminate
	keys    []key
	bits    int   // of the largest key that signs
	expires int64 // seconds since 1970
	// under which settings it was learned: it counts under no others, also where a query that began earlier ends after Configure.
	under *settings
}

// key is a zone's key that may sign.
type key struct {
	flags     uint16
	algorithm dnssec.Algorithm
	tag       uint16
	sum       [sha256.Size]byte // of the DNSKEY RDATA
	public    *dnssec.Key       // nil with algorithms that are faked, and where err says why
	err       error
}

// keyTable keeps zones, a bounded number of them. What was used since the hand passed last stays (CLOCK).
type keyTable struct {
	epoch  atomic.Uint64 // of flushes: what was asked for before one is not kept after it
	shards [keyShards]keyShard
}

const keyShards = 16 // engines look at the same time, one per CPU

type keyShard struct {
	mu    sync.Mutex
	index map[string]int
	slots []slot
	hand  int
	room  int
}

type slot struct {
	key  string
	zone *zone
	used bool
}

func newKeyTable(entries int) *keyTable {
	if entries <= 0 {
		entries = DefaultKeyEntries
	}
	t := &keyTable{}
	for i := range t.shards {
		t.shards[i] = keyShard{index: map[string]int{}, room: max(1, entries/keyShards)}
	}
	return t
}

// shard of a name in lower case: FNV-1a.
func (t *keyTable) shard(name wire.Name) *keyShard {
	h := uint32(2166136261)
	for _, c := range name {
		h = (h ^ uint32(c)) * 16777619
	}
	return &t.shards[(h^h>>16)%keyShards]
}

func (t *keyTable) get(name wire.Name, seconds int64, under *settings) *zone {
	var room [wire.MaxName]byte
	name = name.AppendLower(room[:0])
	s := t.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[string(name)]
	if !ok || s.slots[i].zone.expires <= seconds || s.slots[i].zone.under != under {
		return nil
	}
	s.slots[i].used = true
	return s.slots[i].zone
}

func (t *keyTable) put(z *zone, epoch uint64) {
	name := wire.Name(z.name.AppendLower(nil))
	s := t.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.epoch.Load() != epoch {
		return
	}
	i, ok := s.index[string(name)]
	switch {
	case ok:
	case len(s.slots) < s.room:
		i = len(s.slots)
		s.slots = append(s.slots, slot{})
	default:
		for s.slots[s.hand].used {
			s.slots[s.hand].used = false
			s.hand = (s.hand + 1) % len(s.slots)
		}
		i = s.hand
		s.hand = (s.hand + 1) % len(s.slots)
		delete(s.index, s.slots[i].key)
	}
	s.slots[i] = slot{key: string(name), zone: z}
	s.index[string(name)] = i
}

// flush forgets a name, or all at and below it, and tells how many that were.
func (t *keyTable) flush(name wire.Name, subtree bool) (n int) {
	t.epoch.Add(1)
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for j := range s.slots {
			at := wire.Name(s.slots[j].key)
			if s.slots[j].zone.expires == 0 || !(at.Equal(name) || subtree && at.IsSubdomainOf(name)) {
				continue
			}
			s.slots[j].zone = &zone{}
			s.slots[j].used = false
			n++
		}
		s.mu.Unlock()
	}
	return n
}
