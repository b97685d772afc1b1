package scene

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/cache"
	"anyu/serve/exchange"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/local"
	"anyu/serve/mirror"
	"anyu/serve/nameserver"
	"anyu/serve/pending"
	"anyu/serve/resolve"
	"anyu/serve/validate"
	"anyu/serve/validate/anchor"
	"anyu/watch/detect"
)

// machine is the rooms that `anyu serve` runs, joined as there, without sockets: from a client's octets to the octets of the reply.
type machine struct {
	clock    func() int64
	network  network
	server   *serve.Server
	worker   *serve.Worker
	finisher *serve.Worker
	ring     *event.Ring
	names    *event.Names

	cache     *cache.Cache
	servers   *nameserver.Table
	validator *validate.Validator
	engine    *resolve.Engine
	table     *pending.Table
	held      *serve.Held
	root      *mirror.Mirror  // nil: no version of the local root was ever offered
	shown     *zone.Zone      // the version of it that resolving sees
	trusted   validate.Config // without what RFC 5011 has learned
	points    []*anchor.Point
	local     *local.Table
	prefetch  bool
	ofServer  int

	exchanges map[uint64]*exchange.Exchange
	queue     []*serve.Deferred
	renewals  []renewal
	detectors []detector
	findings  []event.Finding
	seen      []string // observations, as scenarios write them
	room      [listen.MaxMessage]byte
}

// network carries what the machine sends. Later, it calls heard, broken or unreachable with the same id, or nothing.
type network interface {
	send(id uint64, x *exchange.Exchange)
}

// detector is one of watch: what it concludes from the observations becomes a finding.
type detector interface {
	Observe(q *event.Query)
	Tick(now time.Time, report func(event.Finding))
}

type renewal struct {
	q  message.Question
	cd bool
}

// plan is what a machine is made of.
type plan struct {
	resolve  resolve.Config
	pending  pending.Config
	cache    cache.Config
	validate validate.Config
	points   []*anchor.Point
	local    local.Config
	signal   bool
	prefetch bool
	ofServer int
	serve    serve.Config
	snoop    bool
	alone    bool // zones of our own only, no recursion
}

func newMachine(p plan, clock func() int64, n network) *machine {
	m := &machine{clock: clock, network: n, exchanges: map[uint64]*exchange.Exchange{}, ring: event.NewRing(1 << 23), names: event.NewNames()}
	m.cache = cache.New(p.cache)
	m.servers = nameserver.New(nameserver.Config{Seed: 1})
	m.server = serve.New(&serve.Config{Payload: exchange.Payload, Clients: filter.Everybody()}, m.names, nil, nil)
	m.worker, m.finisher = m.server.NewWorker(m.ring, 1<<20), m.server.NewWorker(m.ring, 0)
	m.worker.Simulate(clock)
	m.finisher.Simulate(clock)
	m.held = serve.NewHeld(m.server)
	p.resolve.Local = m.held
	m.trusted = p.validate
	m.trusted.Primed = func(now int64, zone wire.Name, set *message.RRset) bool { return m.table.Primed(now, zone, set) }
	m.points = p.points
	m.validator = validate.New(m.trusted)
	m.trust()
	m.engine = resolve.New(&p.resolve, resolve.Shared{Cache: m.cache, Servers: m.servers, Validator: m.validator}, chance(1))
	m.table = pending.New(p.pending, m.engine, m.cache)
	if len(m.points) > 0 {
		m.table.Follow(m.validator, m.points, p.signal, func(_ *anchor.Point, anchors bool, _ error) {
			if anchors {
				m.trust()
			}
		})
	}
	m.detectors = []detector{detect.NewNXShare(m.names, nodeName)}
	m.configure(p)
	return m
}

// nodeName is the subject of findings about the machine itself.
const nodeName = "anyu"

// configure puts another plan into effect, as a reload does. The cache stays.
func (m *machine) configure(p plan) {
	c := p.serve
	m.local = local.New(p.local, m.local)
	c.Recursion = &serve.Recursion{Local: m.local, Allow: filter.NewACL(allowed), Snoop: p.snoop, Open: opened(p.resolve.Zones), Cache: m.cache, Resolver: m}
	if p.alone {
		c.Recursion = nil
	}
	m.server.Configure(&c)
	p.resolve.Local = m.held
	m.cache.Configure(p.cache)
	primed := m.trusted.Primed
	m.trusted = p.validate
	m.trusted.Primed = primed
	m.trust()
	m.engine.Configure(&p.resolve)
	m.table.Configure(p.pending)
	m.prefetch, m.ofServer = p.prefetch, p.ofServer
}

// allowed are the clients that may use recursion.
var allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}

// opened are the names that zones which are always there give way to.
func opened(zones []resolve.Zone) (names []wire.Name) {
	for _, z := range zones {
		if !z.Name.IsRoot() {
			names = append(names, z.Name)
		}
	}
	return names
}

// trust gives the validator the anchors as they are now.
func (m *machine) trust() {
	c := m.trusted
	if len(m.points) > 0 {
		c.Anchors = nil
		for _, p := range m.points {
			if !p.Over() {
				c.Anchors = append(c.Anchors, p.Anchors()...)
			}
		}
	}
	m.validator.Configure(c)
}

// chance is splitmix64: all that a run leaves to chance comes from a seed.
func chance(seed uint64) func() uint64 {
	return func() uint64 {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
}

// Resolve implements serve.Resolver.
func (m *machine) Resolve(d *serve.Deferred) bool {
	m.queue = append(m.queue, d)
	return true
}

// Prefetch implements serve.Resolver.
func (m *machine) Prefetch(q message.Question, cd bool) {
	if m.prefetch {
		q.Name = bytes.Clone(q.Name)
		m.renewals = append(m.renewals, renewal{q, cd})
	}
}

// ask takes a client's message; reply gets what is sent back, once, or nil.
func (m *machine) ask(msg []byte, from netip.AddrPort, transport event.Transport, reply func([]byte)) {
	c := &listen.Client{Remote: from, Local: netip.MustParseAddrPort("192.0.2.53:53"), Arrived: m.clock(), Transport: transport}
	c.Later = func() listen.Replier { return replier(reply) }
	switch n := m.worker.Answer(msg, c, m.room[:]); {
	case n > 0:
		reply(slices.Clone(m.room[:n]))
	case n != listen.Deferred:
		reply(nil)
	}
	m.settle()
}

type replier func([]byte)

func (r replier) Reply(msg []byte) { r(slices.Clone(msg)) }

// settle does what is to be done at this moment.
func (m *machine) settle() {
	for len(m.queue)+len(m.renewals) > 0 {
		for _, d := range m.take() {
			m.start(d)
		}
		renewals := m.renewals
		m.renewals = nil
		for _, r := range renewals {
			m.table.Prefetch(m.clock(), r.q, r.cd)
		}
	}
	m.wishes()
}

func (m *machine) take() []*serve.Deferred {
	q := m.queue
	m.queue = nil
	return q
}

// start lets a query wait for its answer, as the loop of outbound does.
func (m *machine) start(d *serve.Deferred) {
	done := func(a *resolve.Answer) { m.finisher.Finish(m.clock(), d, a, make([]byte, listen.MaxMessage)) }
	c := pending.Client{Addr: d.Client, Trusted: d.Trusted, CacheOnly: !d.RD, Done: done}
	if !m.table.Ask(m.clock(), d.Question, d.CD, c) {
		done(&resolve.Answer{Question: d.Question, Rcode: wire.ServFail, Reason: event.NoReason, Text: "too many questions wait"})
	}
}

// wishes begins an exchange for each question that the engine wants asked.
func (m *machine) wishes() {
	for {
		asks := m.engine.Asks()
		if len(asks) == 0 {
			return
		}
		for _, a := range asks {
			limit := m.ofServer
			if a.Upstream != nil || a.RD {
				limit = 0
			}
			x := exchange.New(a, m.servers, chance(a.ID), cookieOf(a.Server), m.clock())
			m.exchanges[a.ID] = x
			m.act(a.ID, x.Admit(m.clock(), limit))
		}
	}
}

// cookieOf is our half for a server.
func cookieOf(server netip.AddrPort) (c [8]byte) {
	b := server.Addr().As16()
	copy(c[:], b[8:])
	c[0] = 0xc0
	return c
}

func (m *machine) act(id uint64, a exchange.Action) {
	x := m.exchanges[id]
	switch a {
	case exchange.Send:
		m.network.send(id, x)
	case exchange.Done:
		delete(m.exchanges, id)
		x.End()
		m.engine.Outcome(m.clock(), id, x.Outcome())
	}
}

// tell hands an exchange what happened to it, if it still waits.
func (m *machine) tell(id uint64, what func(x *exchange.Exchange) exchange.Action) {
	if x := m.exchanges[id]; x != nil {
		m.act(id, what(x))
		m.settle()
	}
}

// due is when a wait ends: of an exchange, or of a client.
func (m *machine) due() (at int64, ok bool) {
	at, ok = m.table.Deadline()
	for _, x := range m.exchanges {
		if !ok || x.Deadline() < at {
			at, ok = x.Deadline(), true
		}
	}
	return at, ok
}

// busy tells whether somebody waits, or something is under way.
func (m *machine) busy() bool { return m.table.Waiting() > 0 || len(m.exchanges) > 0 }

// tick ends the waits that are over.
func (m *machine) tick() {
	now := m.clock()
	m.table.Tick(now)
	var over []uint64
	for id, x := range m.exchanges {
		if x.Deadline() <= now {
			over = append(over, id)
		}
	}
	slices.Sort(over)
	for _, id := range over {
		m.tell(id, func(x *exchange.Exchange) exchange.Action { return x.Expired(now) })
	}
	m.settle()
}

// Report implements event.Sink.
func (m *machine) Report(f event.Finding) { m.findings = append(m.findings, f) }
