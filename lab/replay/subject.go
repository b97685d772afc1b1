package replay

import (
	"cmp"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/cache"
	"anyu/serve/exchange"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/local"
	"anyu/serve/nameserver"
	"anyu/serve/pending"
	"anyu/serve/resolve"
	"anyu/serve/validate"
	"anyu/serve/validate/anchor"
)

// Subject is anyu's own resolver as a System: the rooms that `anyu serve` runs, without its sockets.
type Subject struct {
	settings  Settings
	server    *serve.Server
	worker    *serve.Worker
	finisher  *serve.Worker
	engine    *resolve.Engine
	table     *pending.Table
	cache     *cache.Cache
	servers   *nameserver.Table
	validator *validate.Validator
	trusted   validate.Config // without the anchors of points
	points    []*anchor.Point
	held      *serve.Held
	unchecked []AuthZone // whose signatures are still to be checked
	copies    []*secondary
	copied    uint64 // questions of secondaries so far

	now       int64
	out       []Output
	queue     []*serve.Deferred
	exchanges map[uint64]*exchange.Exchange // Deckard's cut
	random    func() uint64
	room      [listen.MaxMessage]byte
}

// NewSubject is a Factory.
func NewSubject(s Settings) (System, error) {
	x := &Subject{settings: s, now: s.Start, exchanges: make(map[uint64]*exchange.Exchange), random: generator(s.Seed)}
	x.cache = cache.New(cache.Config{Bytes: 16 << 20, MaxTTL: s.MaxTTL, MaxNegativeTTL: s.MaxNegativeTTL, MinTTL: s.MinTTL, Stale: s.ExpiredTTL, Seed: s.Seed})
	x.servers = nameserver.New(nameserver.Config{Servers: 1000, Lame: 1000, Seed: s.Seed})
	if s.Validate {
		c, err := validateConfig(&s)
		if err != nil {
			return nil, err
		}
		if err := x.follow(c); err != nil {
			return nil, err
		}
	}
	config := resolveConfig(&s)
	x.held = serve.NewHeld(nil)
	config.Local = x.held
	x.engine = resolve.New(config, resolve.Shared{Cache: x.cache, Servers: x.servers, Validator: x.validator}, x.random)
	x.table = pending.New(pending.Config{Stale: s.ServeExpired, StaleAfter: staleAfter(&s), StaleTTL: s.ExpiredReplyTTL, Prefetch: s.Prefetch, Discard: s.DiscardTimeout}, x.engine, x.cache)
	if len(x.points) > 0 {
		x.table.Follow(x.validator, x.points, s.AnchorSignaling, func(_ *anchor.Point, anchors bool, _ error) {
			if anchors {
				x.trust()
			}
		})
	}
	if err := x.serve(config); err != nil {
		return nil, err
	}
	return x, nil
}

// generator is splitmix64: all chance of a run comes from its seed.
func generator(seed uint64) func() uint64 {
	return func() uint64 {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
}

// serve makes the side that clients see.
func (x *Subject) serve(rc *resolve.Config) error {
	s := &x.settings
	everybody, allowed, err := access(s)
	if err != nil {
		return err
	}
	own, err := localData(s)
	if err != nil {
		return err
	}
	c := &serve.Config{Payload: 4096, NSID: s.NSID, Clients: everybody, Ignored: allowed.ignored, NoReasons: !s.EDE, Version: identity(s.Version, s.HideVersion), Hostname: identity(s.Identity, s.HideIdentity),
		Recursion: &serve.Recursion{Allow: allowed.recurse, Snoop: allowed.snoop, Open: open(s), Local: local.New(own, nil), Cache: x.cache, Resolver: x}}
	if c.Keepalive = -time.Second; s.Keepalive { // less than nothing: the option is not sent
		c.Keepalive = s.KeepaliveTime
	}
	if s.AnswerCookie {
		c.Cookies = new(filter.Cookies)
		if copy(c.Cookies.Current[:], s.CookieSecret) == 0 {
			binary.BigEndian.PutUint64(c.Cookies.Current[:], x.random())
		}
	}
	x.server = serve.New(c, event.NewNames(), nil, nil)
	x.worker, x.finisher = x.server.NewWorker(nil, 0), x.server.NewWorker(nil, 0)
	return x.zones(rc)
}

func identity(text string, hide bool) string {
	if hide {
		return ""
	}
	return text
}

// Resolve implements serve.Resolver.
func (x *Subject) Resolve(d *serve.Deferred) bool {
	x.queue = append(x.queue, d)
	return true
}

// Prefetch implements serve.Resolver.
func (x *Subject) Prefetch(q message.Question, cd bool) {
	if x.settings.Prefetch {
		x.table.Prefetch(x.now, q, cd)
	}
}

// Handle implements System.
func (x *Subject) Handle(now int64, in Input) []Output {
	x.now, x.out = now, nil
	x.checkHeld()
	if c := x.copyOf(in.ID); c != nil {
		c.outcome(in)
		x.checkHeld()
		x.wishes()
		return x.out
	}
	switch in.Kind {
	case Client:
		x.client(in)
	case Reply:
		x.reply(in)
	case TimedOut:
		x.engine.Outcome(now, in.ID, resolve.Outcome{Kind: resolve.TimedOut})
	case Failed:
		x.failed(in)
	case Wake:
		x.table.Tick(now)
		for _, id := range x.due() {
			x.act(id, x.exchanges[id].Expired(now))
		}
		for _, c := range x.copies {
			c.turn()
		}
	case Measured:
		x.servers.Answered(in.From, wire.TypeA, time.Duration(in.RTT), now)
	case Flush:
		x.cache.FlushAnswer(message.Question(in.Question))
	case Expire:
		x.cache.ExpireAnswer(message.Question(in.Question))
	}
	x.wishes()
	return x.out
}

// due lists the exchanges whose time is over, oldest first.
func (x *Subject) due() (ids []uint64) {
	for id, e := range x.exchanges {
		if e.Deadline() <= x.now {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Timer implements System.
func (x *Subject) Timer() (int64, bool) {
	at, armed := x.table.Deadline()
	for _, e := range x.exchanges {
		if !armed || e.Deadline() < at {
			at, armed = e.Deadline(), true
		}
	}
	for _, c := range x.copies {
		if t, waits := c.due(); waits && (!armed || t < at) {
			at, armed = t, true
		}
	}
	return at, armed
}

func (x *Subject) client(in Input) {
	c := &listen.Client{Remote: in.From, Local: netip.MustParseAddrPort("127.0.0.1:53"), Arrived: x.now, Transport: event.UDP}
	if in.TCP {
		c.Transport = event.TCP
	}
	to := replier{x, in.From, in.TCP}
	c.Later = func() listen.Replier { return to }
	if n := x.worker.Answer(in.Msg, c, x.room[:]); n > 0 {
		to.Reply(x.room[:n])
	}
	for len(x.queue) > 0 {
		d := x.queue[0]
		x.queue = x.queue[1:]
		x.start(d)
	}
}

// start lets a deferred query wait for its answer.
func (x *Subject) start(d *serve.Deferred) {
	done := func(a *resolve.Answer) {
		if a != nil && a.Trace != nil {
			for _, s := range a.Trace {
				x.out = append(x.out, Output{Kind: Note, Text: s.String()})
			}
		}
		if a != nil && a.Stale && !x.settings.ExpiredEDE {
			quiet := *a
			quiet.Reason, quiet.Text = event.NoReason, ""
			a = &quiet
		}
		x.finisher.Finish(x.now, d, a, make([]byte, listen.MaxMessage))
	}
	c := pending.Client{Addr: d.Client, Trusted: d.Trusted, CacheOnly: !d.RD, Done: done}
	if !x.table.Ask(x.now, d.Question, d.CD, c) {
		done(&resolve.Answer{Question: d.Question, Rcode: wire.ServFail, Reason: event.NoReason})
	}
}

// replier sends to a client of the simulation.
type replier struct {
	x   *Subject
	to  netip.AddrPort
	tcp bool
}

func (r replier) Reply(msg []byte) {
	if len(msg) > 0 {
		r.x.out = append(r.x.out, Output{Kind: Answer, To: r.to, TCP: r.tcp, Msg: slices.Clone(msg)})
	}
}

func (x *Subject) reply(in Input) {
	if e := x.exchanges[in.ID]; e != nil {
		x.act(in.ID, e.Heard(x.now, in.Msg))
		return
	}
	m, err := message.Parse(in.Msg)
	if err != nil {
		x.engine.Outcome(x.now, in.ID, resolve.Outcome{Kind: resolve.TimedOut})
		return
	}
	x.engine.Outcome(x.now, in.ID, resolve.Outcome{Kind: resolve.Replied, Message: m, Stream: in.TCP})
}

func (x *Subject) failed(in Input) {
	if e := x.exchanges[in.ID]; e != nil {
		x.act(in.ID, e.Broken(x.now))
		return
	}
	x.engine.Outcome(x.now, in.ID, resolve.Outcome{Kind: resolve.TimedOut}) // a connection closed early is tried again
}

// wishes sends what the engine wants sent.
func (x *Subject) wishes() {
	for {
		asks := x.engine.Asks()
		if len(asks) == 0 {
			return
		}
		for _, a := range asks {
			if x.settings.Dialect == Deckard {
				e := exchange.New(a, x.servers, x.random, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, x.now)
				x.exchanges[a.ID] = e
				x.act(a.ID, e.Start(x.now))
				continue
			}
			x.out = append(x.out, Output{Kind: Send, ID: a.ID, To: a.Server, TCP: a.Stream, Msg: x.query(a)})
		}
	}
}

// act does what an exchange wants.
func (x *Subject) act(id uint64, action exchange.Action) {
	e := x.exchanges[id]
	switch action {
	case exchange.Send:
		x.out = append(x.out, Output{Kind: Send, ID: id, To: e.Server(), TCP: e.Stream(), Msg: e.Message()})
	case exchange.Done:
		delete(x.exchanges, id)
		x.out = append(x.out, Output{Kind: Cancel, ID: id})
		x.engine.Outcome(x.now, id, e.Outcome())
	}
}

// query writes the question as it stands above retransmission: with EDNS and DO, in the letters that it has.
func (x *Subject) query(a resolve.Ask) []byte {
	flags := uint16(0)
	if a.RD {
		flags |= wire.FlagRD
	}
	if a.CD {
		flags |= wire.FlagCD
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(a.ID))
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 1)
	b = append(b, a.Question.Name...)
	b = binary.BigEndian.AppendUint16(b, uint16(a.Question.Type))
	b = binary.BigEndian.AppendUint16(b, uint16(a.Question.Class))
	b = append(b, 0, 0, byte(wire.TypeOPT), 1232>>8, 1232&255, 0, 0, 0, 0, 0, 0)
	if x.settings.SendDO {
		b[len(b)-4] = 0x80
	}
	return b
}

// follow makes the validator, with the anchors of key files, which change with what the zones say (RFC 5011).
func (x *Subject) follow(c validate.Config) error {
	c.Primed = func(now int64, zone wire.Name, set *message.RRset) bool { return x.table.Primed(now, zone, set) }
	x.trusted = c
	for _, f := range x.settings.AnchorFiles {
		p, err := anchor.Parse(f.Text)
		if err != nil {
			return err
		}
		p.AddHold, p.RemoveHold, p.KeepMissing = int64(x.settings.AddHold), int64(x.settings.RemoveHold), int64(cmp.Or(x.settings.KeepMissing, math.MaxUint32))
		x.points = append(x.points, p)
	}
	x.validator = validate.New(c)
	x.trust()
	return nil
}

// trust gives the validator the anchors as they are now.
func (x *Subject) trust() {
	c := x.trusted
	c.Anchors = slices.Clone(c.Anchors)
	for _, p := range x.points {
		if !p.Over() {
			c.Anchors = append(c.Anchors, p.Anchors()...)
		}
	}
	x.validator.Configure(c)
}

// Anchors implements AnchorKeeper.
func (x *Subject) Anchors(file string) (keys []AnchorKey, err error) {
	for i, f := range x.settings.AnchorFiles {
		if f.Name != file {
			continue
		}
		for _, k := range x.points[i].Keys {
			state := AnchorState(k.State)
			if k.State == anchor.Start && k.Type == wire.TypeDNSKEY {
				state = AnchorValid // what an operator wrote down is trusted; Unbound writes that so
			}
			keys = append(keys, AnchorKey{Owner: x.points[i].Zone, Type: k.Type, RData: k.Data, State: state})
		}
	}
	return keys, nil
}
