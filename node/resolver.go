package node

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"anyu/config"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/cache"
	"anyu/serve/filter"
	"anyu/serve/local"
	"anyu/serve/nameserver"
	"anyu/serve/outbound"
	"anyu/serve/pending"
	"anyu/serve/resolve"
	"anyu/serve/validate"
)

// resolver joins the rooms that find answers: one cache, one table of servers and one validator for all, and a loop with an engine for
// each CPU. Equal questions go to the same loop, where they meet.
type resolver struct {
	log       *slog.Logger
	cache     *cache.Cache
	servers   *nameserver.Table
	validator *validate.Validator
	held      *serve.Held
	loops     *outbound.Loops
	follows   *pending.Table // that of the first loop, which follows trust anchors
	streams   *outbound.Streams
	root      *rootCopy // nil in `anyu query`

	restored atomic.Bool // the saved cache was read, or there is none to read
	prefetch atomic.Bool
	used     chan struct{} // closed with the first question
	first    sync.Once
	reloaded chan struct{} // wakes who keeps the cache

	mu        sync.Mutex // of what follows; reload, control and probes change it
	plan      *recursionPlan
	anchors   *anchors
	nta       *negatives
	following bool // RFC 5011 is at work
	rate      clientRate
	local     *local.Table

	keeping sync.Mutex // one file at a time

	sink event.Sink // nil in `anyu query`
	node string

	stop func()
	work sync.WaitGroup
}

// resolverParts are what a resolver is made of beside its plan.
type resolverParts struct {
	plan *recursionPlan
	dir  string // of the state of trust anchors; "": none is kept
	nta  *negatives
	log  *slog.Logger
}

// newResolver makes the shared parts. attach makes the loops, once there is a server whose workers write their answers.
func newResolver(parts resolverParts) (*resolver, error) {
	p := parts.plan
	var seeds [2]uint64
	var b [16]byte
	if _, err := crand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("seeding the cache: %w", err)
	}
	seeds[0], seeds[1] = binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
	conf := p.cache
	conf.Seed = seeds[0]
	r := &resolver{
		log: parts.log, cache: cache.New(conf), servers: nameserver.New(nameserver.Config{Seed: seeds[1]}),
		used: make(chan struct{}), reloaded: make(chan struct{}, 1), plan: p, nta: parts.nta,
	}
	r.prefetch.Store(*p.conf.Cache.Prefetch)
	var err error
	if r.anchors, err = openAnchors(parts.dir, p); err != nil {
		return nil, err
	}
	r.validator = validate.New(r.trust())
	return r, nil
}

// attach makes the engines and their loops. Zones of the server are asked there and not at their servers (RFC 8806 for our own).
func (r *resolver) attach(server *serve.Server, loops int, worker func() *serve.Worker) (err error) {
	r.held = serve.NewHeld(server)
	r.streams = outbound.NewStreams(outbound.StreamConfig{Source: r.plan.source})
	var list []*outbound.Loop
	config := r.engineConfig()
	var secret [16]byte
	if _, err := crand.Read(secret[:]); err != nil {
		return fmt.Errorf("making the secret of cookies: %w", err)
	}
	for range loops {
		var seed [32]byte
		if _, err := crand.Read(seed[:]); err != nil {
			return fmt.Errorf("seeding the resolver: %w", err)
		}
		e := resolve.New(config, resolve.Shared{Cache: r.cache, Servers: r.servers, Validator: r.validator}, rand.NewChaCha8(seed).Uint64)
		t := pending.New(r.plan.pending, e, r.cache)
		if r.follows == nil {
			r.follows = t
		}
		l, err := outbound.New(outbound.Config{Engine: e, Table: t, Servers: r.servers, Worker: worker(), Streams: r.streams,
			Source: r.plan.source, OfServer: r.plan.conf.Limits.ServerQueries, Secret: secret})
		if err != nil {
			return fmt.Errorf("opening a loop of the resolver: %w", err)
		}
		list = append(list, l)
	}
	r.loops = outbound.Together(list...)
	return nil
}

// minds says what saved entries depend on.
func (r *resolver) minds() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.plan.minds
}

// engineConfig is the plan with the zones that are here.
func (r *resolver) engineConfig() *resolve.Config {
	c := r.plan.resolve
	c.Local = r.held
	return &c
}

// trust is what the validator is told: what is configured, what RFC 5011 has learned, and the negative trust anchors.
func (r *resolver) trust() validate.Config {
	c := r.plan.validate
	c.Negative = append(append([]validate.NegativeAnchor(nil), c.Negative...), r.nta.list(time.Now())...)
	if !r.plan.conf.Validation.Off {
		c.Anchors = r.anchors.trusted()
	}
	if r.anchors.update {
		// RFC 5011, Section 2.1: a revocation counts at once, not with the next probe. The keys come on the goroutine of any loop.
		c.Primed = func(now int64, zone wire.Name, set *message.RRset) bool { return r.follows.Primed(now, zone, set) }
	}
	return c
}

// run starts the loops.
func (r *resolver) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = cancel
	r.work.Go(func() {
		if err := r.loops.Run(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("the resolver ended", "error", err)
		}
	})
}

// close ends the loops; who waits is told nothing.
func (r *resolver) close() {
	if r.stop != nil {
		r.stop()
	}
	r.work.Wait()
	if r.streams != nil {
		r.streams.Close()
	}
}

// Resolve implements serve.Resolver.
func (r *resolver) Resolve(d *serve.Deferred) bool {
	r.first.Do(func() { close(r.used) })
	return r.loops.Resolve(d)
}

// Prefetch implements serve.Resolver.
func (r *resolver) Prefetch(q message.Question, cd bool) {
	if r.prefetch.Load() {
		r.loops.Prefetch(q, cd)
	}
}

var errStopped = errors.New("the resolver has stopped")

// ask resolves a question for ourselves.
func (r *resolver) ask(ctx context.Context, q message.Question, opts resolve.Options) (*resolve.Answer, error) {
	came := make(chan *resolve.Answer, 1)
	if !r.loops.Each()[0].Call(func(e *resolve.Engine, _ *pending.Table) {
		e.Resolve(time.Now().UnixNano(), q, opts, func(a *resolve.Answer) { came <- a })
	}) {
		return nil, errStopped
	}
	select {
	case a := <-came:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// loopback may always use recursion.
var loopback = [...]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// settings is the part of the server's settings that is about recursion.
func (r *resolver) settings(c *config.Config) *serve.Recursion {
	return &serve.Recursion{
		Clients: r.limitClients(c.Recursion.Rate),
		Allow:   filter.NewACL(append(loopback[:], c.Clients.Recursion...)), Snoop: c.Recursion.Snoop, Open: configured(c), Local: r.localTable(), Cache: r.cache, Resolver: r,
	}
}

// configured are the names that zones which are always there give way to: stub and forward zones, zones with a trust anchor, and those that are
// said to be open.
func configured(c *config.Config) (names []wire.Name) {
	add := func(text string) {
		if n, err := wire.ParseName(text); err == nil && !n.IsRoot() {
			names = append(names, n)
		}
	}
	for _, z := range slices.Concat(c.Recursion.Stub, c.Recursion.Forward) {
		add(z.Name)
	}
	for _, n := range c.Recursion.Open {
		add(n)
	}
	anchors, _ := readAnchors(c.Recursion.Validation.Anchors) // an error has stopped the plan already
	for zone := range anchors {
		add(zone)
	}
	return names
}

// prepare reads what a plan needs, so that configure cannot fail.
func (r *resolver) prepare(p *recursionPlan) (*anchors, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reflect.DeepEqual(r.plan.anchors, p.anchors) && followed(r.plan) == followed(p) {
		return r.anchors, nil
	}
	return openAnchors(r.anchors.dir, p)
}

// configure puts another plan into effect. The cache stays, but for what the change makes untrue.
func (r *resolver) configure(p *recursionPlan, fresh *anchors) {
	r.mu.Lock()
	old := r.plan
	r.plan = p
	r.cache.Configure(p.cache)
	if r.anchors != fresh || *old.conf.Validation.Signal != *p.conf.Validation.Signal {
		if r.anchors = fresh; r.following {
			r.follow()
		}
	}
	r.validator.Configure(r.trust())
	r.prefetch.Store(*p.conf.Cache.Prefetch)
	config := r.engineConfig()
	r.mu.Unlock()
	r.streams.Configure(p.source)
	for _, l := range r.loops.Each() { // not under the lock: a loop may wait for it
		l.Configure(p.source, p.conf.Limits.ServerQueries)
		l.Call(func(e *resolve.Engine, t *pending.Table) {
			e.Configure(config)
			t.Configure(p.pending)
		})
	}
	r.forget(old, p)
	if r.root != nil && !reflect.DeepEqual(old.conf.LocalRoot, p.conf.LocalRoot) {
		r.root.configure(p.root)
	}
}

// keepRoot begins to keep the local root, if one is configured.
func (r *resolver) keepRoot(dir string, sink event.Sink, node string) {
	r.sink, r.node = sink, node
	r.root = newRootCopy(rootCopyParts{dir: dir, trust: r.validator, anchors: r.rootAnchors, look: r.addressesOf, sink: sink, node: node, log: r.log, use: func(z *zone.Zone) {
		if z == nil {
			r.held.Remove(wire.Root())
			return
		}
		r.held.Put(wire.Root(), z)
	}}, r.plan.root)
}

// rootAnchors are those of the root that are trusted now.
func (r *resolver) rootAnchors() (list []validate.Anchor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.anchors.trusted() {
		if a.Zone.IsRoot() {
			list = append(list, a)
		}
	}
	return list
}

// forget drops from the cache what was learned in a way that a new plan does not allow, and nothing else.
func (r *resolver) forget(old, fresh *recursionPlan) {
	if old.minds == fresh.minds && reflect.DeepEqual(old.validate, fresh.validate) {
		return
	}
	a, b := old.conf, fresh.conf
	if a.Validation.Off != b.Validation.Off || a.Validation.SHA1 != b.Validation.SHA1 || !reflect.DeepEqual(a.Validation.Refused, b.Validation.Refused) ||
		!reflect.DeepEqual(a.Private, b.Private) || a.DNS64 != b.DNS64 || !slices.Equal(a.DNS64Ignore, b.DNS64Ignore) || a.Hints != b.Hints {
		r.cache.FlushAll()
		return
	}
	names := changedZones(append(a.Stub, a.Forward...), append(b.Stub, b.Forward...))
	names = append(names, changedNames(old.resolve.PrivateNames, fresh.resolve.PrivateNames)...)
	names = append(names, changedNegatives(old.validate.Negative, fresh.validate.Negative)...)
	for zone := range union(old.anchors, fresh.anchors) {
		if !reflect.DeepEqual(old.anchors[zone], fresh.anchors[zone]) {
			names = append(names, zone)
		}
	}
	for _, n := range names {
		r.flush(n)
	}
}

// flush forgets a name and all below it.
func (r *resolver) flush(text string) int {
	name, err := wire.ParseName(text)
	if err != nil {
		return 0
	}
	if name.IsRoot() {
		count := entries(r.cache.Stats())
		r.cache.FlushAll()
		return count
	}
	return r.cache.Flush(name, true)
}

func entries(s cache.Stats) int { return s.RRsets + s.Answers + s.Failures + s.Packets + s.Denials }

// changedZones are the names of zones that are configured in another way.
func changedZones(before, after []config.Upstreams) (names []string) {
	one, two := map[string]config.Upstreams{}, map[string]config.Upstreams{}
	for _, u := range before {
		one[u.Name] = u
	}
	for _, u := range after {
		two[u.Name] = u
	}
	for name := range union(one, two) {
		if !reflect.DeepEqual(one[name], two[name]) {
			names = append(names, name)
		}
	}
	return names
}

func union[V any](a, b map[string]V) map[string]bool {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}

// changedNames are those in one list only.
func changedNames(before, after []wire.Name) (names []string) {
	count := map[string]int{}
	for _, n := range before {
		count[canonical(n)]++
	}
	for _, n := range after {
		count[canonical(n)]--
	}
	for name, c := range count {
		if c != 0 {
			names = append(names, name)
		}
	}
	return names
}

func changedNegatives(before, after []validate.NegativeAnchor) []string {
	names := func(list []validate.NegativeAnchor) (out []wire.Name) {
		for _, n := range list {
			out = append(out, n.Name)
		}
		return out
	}
	return changedNames(names(before), names(after))
}
