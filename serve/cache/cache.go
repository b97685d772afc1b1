// Package cache keeps what a resolver learned: RRsets with their rank (RFC 2181, Section 5.4.1), answers with negative ones
// (RFC 2308) and failures (RFC 9520), finished packets for the hot path, and the proofs of what does not exist (RFC 8198).
//
// It promises: readers take no lock and wait for nobody; Packet does not allocate; the bytes held stay below Config.Bytes
// whatever is put in; the garbage collector has nothing to walk, for entries are octets in segments of 256 KiB that hold no
// pointers and are written once; data of lower rank never replaces fresh data of higher rank; nothing makes a delegation or
// glue live longer than what is held of it says (ghost domains). Safe for concurrent use. A Restore takes a file whole or not at
// all.
//
// How memory is reused: new entries go to a ring of segments, the trial. When room is needed the oldest segment of the trial is
// dropped; entries that were used since they came move to a second ring, where the same happens to what was not used again.
// So a flood of names that nobody asks twice passes through the trial and leaves the others alone (CacheFlush, random
// subdomains). A dropped segment is freed by the garbage collector once the last reader has left it: that is the grace
// period. Until the collector runs, such garbage comes on top of Config.Bytes; GOMEMLIMIT or GOGC bounds it.
//
// It refuses: entries over MaxEntry octets; a clock of its own (now is an argument, nanoseconds); decisions about what may be
// cached (bailiwick, scrubbing): that is the resolver's.
//
// Limits today: RRsets are of class IN (the class is not part of their key); an entry that is replaced leaves its octets
// behind until its segment is dropped; Flush walks everything, some 100 ms for a million names, during which readers go on.
package cache

import (
	"math/bits"
	"sync/atomic"
)

// Defaults and bounds of Config.
const (
	DefaultBytes          = 256 << 20
	DefaultMaxTTL         = 86400 // RFC 8767, Section 4, allows less than a week; servers.md 3.1: what others chose
	DefaultMaxNegativeTTL = 3600  // RFC 2308, Section 5: one to three hours work well
	DefaultStale          = 86400 // RFC 8767, Section 5: between 1 and 3 days

	// MaxBogusTTL bounds, in seconds, how long data that failed validation is kept: RFC 4035, Section 4.7 asks for a short time,
	// so that a signer's mistake does not outlast its repair.
	MaxBogusTTL = 60
	// MinFailureTTL and MaxFailureTTL: RFC 9520, Section 3.2.
	MinFailureTTL = 1
	MaxFailureTTL = 300
	// MaxEntry is the size of the longest entry. Longer ones would let one answer push out thousands of others (CacheFlush).
	MaxEntry = 64 << 10

	minBytes   = 4 << 20
	shardBytes = 16 << 20 // a shard for each, up to maxShards
	maxShards  = 32
)

// Config is how a Cache behaves. Zero fields take the defaults, but for MinTTL and Seed.
type Config struct {
	Bytes          int64  // for everything held; at least 4 MiB
	MaxTTL         uint32 // seconds
	MinTTL         uint32 // of RRsets and of answers that have records; 0 as published
	MaxNegativeTTL uint32
	Stale          uint32 // seconds after expiry during which an entry may be used by the Stale methods
	// Seed of the hash, from a good source of randomness: with it unknown nobody can aim at one bucket. Not changed by Configure.
	Seed uint64
}

func (c Config) withDefaults() Config {
	or := func(v *uint32, d uint32) {
		if *v == 0 {
			*v = d
		}
	}
	if c.Bytes == 0 {
		c.Bytes = DefaultBytes
	}
	c.Bytes = max(c.Bytes, minBytes)
	or(&c.MaxTTL, DefaultMaxTTL)
	or(&c.MaxNegativeTTL, DefaultMaxNegativeTTL)
	or(&c.Stale, DefaultStale)
	return c
}

// Cache is the store. Use New.
type Cache struct {
	config  atomic.Pointer[Config]
	secret  secret
	epoch   atomic.Uint64 // of Flush and FlushAll
	shards  []shard
	denials denials
}

// New returns an empty cache.
func New(config Config) *Cache {
	config = config.withDefaults()
	c := &Cache{secret: newSecret(config.Seed)}
	n := int64(1)
	for n*2*shardBytes <= config.Bytes && n < maxShards {
		n *= 2
	}
	c.shards = make([]shard, n)
	for i := range c.shards {
		c.shards[i].secret = &c.secret
		c.shards[i].clear()
	}
	c.Configure(config)
	return c
}

// Configure changes the settings and keeps the content; less room takes effect as entries are added.
func (c *Cache) Configure(config Config) {
	config = config.withDefaults()
	c.config.Store(&config)
	store := config.Bytes - config.Bytes/denialShare
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.budget = store / int64(len(c.shards))
		s.stale = config.Stale
		s.fit()
		s.mu.Unlock()
	}
	c.denials.configure(config.Bytes / denialShare)
}

func (c *Cache) shard(h uint64) *shard {
	return &c.shards[h>>shardShift&uint64(len(c.shards)-1)]
}

// seconds of a time, as entries hold them: they last until 2106.
func seconds(now int64) uint32 {
	return uint32(min(max(now/1e9, 0), 1<<32-1))
}

// Stats say what is held and what was found.
type Stats struct {
	RRsets, Answers, Failures, Packets, Denials int
	Bytes                                       int64  // of segments and indexes, all that is held
	Live                                        int64  // of these, in entries that can be found
	Hits, Misses                                uint64 // of RRset and Answer; who calls Packet counts for himself, without a shared line
	Evicted                                     uint64 // entries that made room for others before they were over
}

// Stats sums over all shards.
func (c *Cache) Stats() Stats {
	var t Stats
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		t.RRsets += s.count[kindRRset]
		t.Answers += s.count[kindAnswer] + s.count[kindNoName]
		t.Failures += s.count[kindFailure]
		t.Packets += s.count[kindPacket]
		t.Bytes += s.bytes()
		t.Live += s.live
		t.Evicted += s.evicted
		s.mu.Unlock()
		t.Hits += s.hits.Load()
		t.Misses += s.misses.Load()
	}
	t.Denials = c.denials.count()
	t.Bytes += c.denials.bytes()
	return t
}

// secret makes the hash unpredictable. All words matter: with a public constant in the multiplication an attacker could make
// factors zero and so collide names at will.
type secret [4]uint64

func newSecret(seed uint64) (s secret) {
	for i := range s { // splitmix64
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		s[i] = z ^ z>>31 | 1
	}
	return s
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
