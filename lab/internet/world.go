package internet

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"anyu/dns/wire"
)

// Config of a world. Zero fields take their defaults.
type Config struct {
	Seed uint64
	// Size is the number of registered (second-level) zones. Default 100,000; at least 1,000, at most MaxSize.
	Size int
	// Prefix holds the addresses of the servers. Default 127.53.0.0/16, which any process on Linux may bind; a world in a network
	// namespace may take 198.18.0.0/15. It must have room for Servers addresses.
	Prefix netip.Prefix
	// Prefix6, if valid, gives every server an IPv6 address too. Default: none.
	Prefix6 netip.Prefix
	// Healthy leaves every zone as it should be: no kind of Kinds is used.
	Healthy bool
}

// Bounds of a world.
const (
	// MaxSize: each stretch of names has at most as many as there are words, and the largest has a third of all.
	MaxSize = 30_000_000
	minSize = 1_000
	// maxZones are kept ready for the next question, maxSignatures made ones, of any world.
	maxZones      = 2_048
	maxSignatures = 1 << 15
)

// What the servers are. Each number is an address.
const (
	rootServers      = 4
	registries       = 20 // operators of top-level domains
	registryServers  = 3
	operators        = 60 // operators of other zones
	operatorServers  = 4
	networks         = 8 // content delivery networks
	strangers        = 4 // servers of each bad behaviour
	firstRegistry    = rootServers
	firstOperator    = firstRegistry + registries*registryServers
	firstStranger    = firstOperator + operators*operatorServers
	serverCount      = firstStranger + (int(behaviours)-1)*strangers
	smallestHostBits = 9
)

// World is one simulated Internet. It is safe for concurrent use.
type World struct {
	conf      Config
	root      *zone
	top       map[string]*zone // by label
	stretches []*stretch
	homes     []*zone // the zone each stretch is in
	special   map[string][]special
	zones     *shelf[*zone]
	sigs      *shelf[[][]byte]
	rsa       [rsaPool]rsaSlot
	asked     atomic.Uint64
	counts    [serverCount]atomic.Uint64
}

// New makes a world of a seed with size registered zones, on loopback addresses.
func New(seed uint64, size int) (*World, error) { return Open(Config{Seed: seed, Size: size}) }

// Open makes a world.
func Open(c Config) (*World, error) {
	if c.Size == 0 {
		c.Size = 100_000
	}
	if !c.Prefix.IsValid() {
		c.Prefix = netip.MustParsePrefix("127.53.0.0/16")
	}
	switch {
	case c.Size < minSize || c.Size > MaxSize:
		return nil, fmt.Errorf("making a world: %d zones: at least %d, at most %d", c.Size, minSize, MaxSize)
	case !c.Prefix.Addr().Is4() || c.Prefix.Bits() > 32-smallestHostBits:
		return nil, fmt.Errorf("making a world: %s is no IPv4 prefix with room for %d servers (/%d or shorter)", c.Prefix, serverCount, 32-smallestHostBits)
	case c.Prefix6.IsValid() && (c.Prefix6.Addr().Is4() || c.Prefix6.Bits() > 112):
		return nil, fmt.Errorf("making a world: %s is no IPv6 prefix of /112 or shorter", c.Prefix6)
	}
	c.Prefix, c.Prefix6 = c.Prefix.Masked(), c.Prefix6.Masked()
	w := &World{conf: c, top: map[string]*zone{}, special: map[string][]special{}, zones: newShelf[*zone](maxZones), sigs: newShelf[[][]byte](maxSignatures)}
	names := strings.Fields(topLevel)
	names = unique(names)
	if len(names) < topLevelCount {
		return nil, errors.New("making a world: too few top-level domains")
	}
	w.build(names[:topLevelCount])
	return w, nil
}

func unique(list []string) (out []string) {
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// Config is what the world was made of, with its defaults filled in.
func (w *World) Config() Config { return w.conf }

// Size is the number of registered zones.
func (w *World) Size() int { return w.conf.Size }

// mix is mix with the seed of the world.
func (w *World) mix(v ...uint64) uint64 { return mix(append([]uint64{w.conf.Seed}, v...)...) }

// Purposes of numbers drawn from the seed.
const (
	ofStretch = 1 + iota
	ofZone
	ofKind
	ofOperator
	ofTop
	ofKey
	ofRSA
	ofQuestion
	ofLoss
	ofNetwork
)

// Address is the IPv4 address of a server.
func (w *World) address(server int) netip.Addr {
	b := w.conf.Prefix.Addr().As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n += uint32(server) + 1
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func (w *World) address6(server int) netip.Addr {
	b := w.conf.Prefix6.Addr().As16()
	b[14], b[15] = byte((server+1)>>8), byte(server+1)
	return netip.AddrFrom16(b)
}

// server is the number of the server at an address.
func (w *World) server(a netip.Addr) (int, bool) {
	a = a.Unmap()
	var n int
	switch {
	case a.Is4() && w.conf.Prefix.Contains(a):
		b, first := a.As4(), w.conf.Prefix.Addr().As4()
		for i := range b {
			n = n<<8 + int(b[i]) - int(first[i])
		}
	case a.Is6() && w.conf.Prefix6.IsValid() && w.conf.Prefix6.Contains(a):
		b := a.As16()
		n = int(b[14])<<8 | int(b[15])
	}
	return n - 1, n >= 1 && n <= serverCount
}

// Servers are the addresses of all servers, those of the root first.
func (w *World) Servers() []netip.Addr {
	list := make([]netip.Addr, serverCount)
	for i := range list {
		list[i] = w.address(i)
	}
	return list
}

// host is a name server: a name and the number of a server.
type host struct {
	name   wire.Name
	server int
}

// special is a delegation that a registry has beside its registered names.
type special struct {
	label string
	open  func(parent *zone) *zone
}

// shelf keeps what was made for the next time, at most twice limit things: when the young ones fill, the old ones go.
type shelf[V any] struct {
	shards [16]struct {
		mu         sync.RWMutex
		young, old map[string]V
	}
	limit int
}

func newShelf[V any](limit int) *shelf[V] {
	s := &shelf[V]{limit: limit / 16 / 2}
	for i := range s.shards {
		s.shards[i].young = map[string]V{}
	}
	return s
}

// get returns what is kept under a key, or makes it. What is made twice at a time is the same.
func (s *shelf[V]) get(key []byte, build func() V) V {
	sh := &s.shards[digest(key)%uint64(len(s.shards))]
	sh.mu.RLock()
	v, ok := sh.young[string(key)]
	if !ok {
		v, ok = sh.old[string(key)]
	}
	sh.mu.RUnlock()
	if ok {
		return v
	}
	v = build()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.young) >= s.limit {
		sh.young, sh.old = make(map[string]V, s.limit), sh.young
	}
	sh.young[string(key)] = v
	return v
}
