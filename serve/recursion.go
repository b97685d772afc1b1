package serve

import (
	"bytes"
	"net/netip"
	"slices"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/cache"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/local"
	"anyu/serve/reply"
	"anyu/serve/resolve"
)

// Recursion is what a server needs to resolve for clients.
type Recursion struct {
	// Allow lists who may. Default: loopback. An open resolver is a weapon (RFC 5358).
	Allow filter.ACL
	// Snoop lets those who may recurse ask without RD for what is in the cache.
	Snoop bool
	// Open are names whose resolving is configured: zones that are always there (RFC 6303, RFC 6761) give way to them, as for reverse
	// zones of a company that are forwarded inside it.
	Open []wire.Name
	// Local is what the operator wants answered here; nil: nothing.
	Local *local.Table
	Cache *cache.Cache
	// Clients limits the queries of one prefix; nil does not.
	Clients *filter.Clients
	// Resolver takes over what is not in the cache.
	Resolver Resolver
}

// Resolver finds answers. Resolve takes a query over and has it finished with Worker.Finish, exactly once, later, by another goroutine; false means that
// there is too much to do. Prefetch renews an answer that will expire soon; it never waits, and does not keep
// the name.
type Resolver interface {
	Resolve(d *Deferred) bool
	Prefetch(q message.Question, cd bool)
}

// opens tells whether a name in a zone that is always there is to be resolved nevertheless.
func (r *Recursion) opens(name, local wire.Name) bool {
	for _, n := range r.Open {
		if name.IsSubdomainOf(n) && n.IsSubdomainOf(local) {
			return true
		}
	}
	return false
}

// forget drops from the cache what zones that come or go make untrue.
func (r *Recursion) forget(c Change, before *Table) {
	gone := slices.Clone(c.Remove)
	for _, z := range c.Put {
		had, is := before.Get(z.Name)
		if !is && !z.Local || is && had.Allow == nil && z.Allow != nil { // what is cached of a zone that has a list now would go to everybody
			gone = append(gone, z.Name)
		}
	}
	r.Cache.FlushZones(gone)
}

// Deferred is a query whose answer is still to be found.
type Deferred struct {
	Question message.Question
	CD       bool
	RD       bool // else only the cache answers
	Client   netip.Addr
	Trusted  bool // the address is proved, by a cookie or a stream
	Arrived  int64

	query   []byte
	alias   []alias // what the answer begins with, before that to Question
	from    listen.Client
	replier listen.Replier
}

const (
	flagsDO = 1
	flagsCD = 2
)

// variant is which of the finished forms of an answer the client gets.
func (w *Worker) variant() uint8 {
	v := uint8(0)
	if w.q.DO {
		v |= flagsDO
	}
	if w.q.Flags&wire.FlagCD != 0 {
		v |= flagsCD
	}
	return v
}

// guarded tells whether the name lies in a zone of ours that has a list of who may ask: then nothing but the zone answers.
func (w *Worker) guarded() bool {
	i := w.table.find(w.q.Name, w.q.Type, w.lower[:0])
	return i >= 0 && w.table.zones[i].Allow != nil
}

// alwaysThere tells whether the name lies in a zone that is always there. It was looked up because the settings open the zone, perhaps for this client
// only: a packet would go to others, and outlive the settings.
func (w *Worker) alwaysThere(q message.Question) bool {
	i := w.table.find(q.Name, q.Type, w.lower[:0])
	return i >= 0 && w.table.zones[i].Local
}

// cached answers from the cache of finished packets.
func (w *Worker) cached(out []byte) (n int, ok bool) {
	r := w.config.Recursion
	key := cache.AppendKey(w.packetKey[:0], message.Question{Name: w.q.Name, Type: w.q.Type, Class: w.q.Class}, w.variant())
	p, ok := r.Cache.Packet(key, w.now)
	if !ok {
		return 0, false
	}
	if p.Reason != event.NoReason {
		text := ""
		if len(p.Text) > 0 {
			text = string(p.Text) // failures only
		}
		w.explain(p.Reason, text)
	}
	if w.q.End+len(p.Body)+w.opt.Size() > w.limit {
		w.explain(event.NoReason, "")
		return 0, false // the slow path truncates
	}
	if n, over := w.overRate(out); over {
		return n, true
	}
	w.via, w.rcode = event.FromCache, p.Rcode
	if n, limited := w.limited(out, filter.Positive, w.q.Name); limited {
		return n, true
	}
	if p.PrefetchAt != 0 && w.now/1e9 >= p.PrefetchAt {
		r.Resolver.Prefetch(message.Question{Name: w.q.Name, Type: w.q.Type, Class: w.q.Class}, w.q.Flags&wire.FlagCD != 0)
	}
	copy(out[wire.HeaderSize:w.q.End], w.msg[wire.HeaderSize:w.q.End])
	n = len(p.Append(out[:w.q.End:len(out)], w.now))
	h := wire.Header{ID: w.q.ID, Flags: w.replyFlags(p.Rcode, p.Security), QD: 1, AN: p.AN, NS: p.NS, AR: p.AR}
	return w.finish(out, n, h), true
}

// overRate counts a query that the resolver is to answer, and says what a client gets that asks too much; true means that n is the whole reply.
func (w *Worker) overRate(out []byte) (n int, is bool) {
	r := w.config.Recursion
	if r.Clients == nil {
		return 0, false
	}
	verdict := r.Clients.Allow(w.from.Remote.Addr(), w.from.Transport != event.UDP || w.cookie == filter.ValidCookie, w.now)
	if verdict == filter.Within {
		return 0, false
	}
	w.decided(event.ClientRate)
	w.explain(event.NoReason, "")
	switch verdict {
	case filter.Truncate:
		w.rcode = wire.NoError
		return reply.Short(out, w.msg, &w.q, wire.NoError, wire.FlagTC|wire.FlagRA, &w.opt), true
	case filter.Refuse:
		return w.fail(out, wire.Refused, reasonOther, "more queries a second than one client may send"), true
	}
	return listen.Drop, true
}

// replyFlags of a resolver's answer. RFC 6840, Section 5.8: AD goes to who asks for it, by AD or DO; Section 5.9: CD is copied.
func (w *Worker) replyFlags(rcode wire.Rcode, s dnssec.Security) uint16 {
	f := wire.FlagQR | wire.FlagRA | w.q.Flags&(wire.FlagRD|wire.FlagCD) | uint16(rcode&15)
	if s == dnssec.Secure && (w.q.DO || w.q.Flags&wire.FlagAD != 0) {
		f |= wire.FlagAD
	}
	return f
}

// deferred hands the query to the resolver, to look up the name asked for, or where aliases of the operator's own have led.
func (w *Worker) deferred(out []byte, name wire.Name) int {
	if n, over := w.overRate(out); over {
		return n
	}
	r := w.config.Recursion
	w.via = event.FromRecursion
	d := &Deferred{
		Question: message.Question{Name: bytes.Clone(name), Type: w.q.Type, Class: w.q.Class}, alias: slices.Clone(w.alias[:w.aliases]), CD: w.q.Flags&wire.FlagCD != 0, RD: w.q.Flags&wire.FlagRD != 0, Client: w.from.Remote.Addr(), Arrived: w.now,
		Trusted: w.from.Transport != event.UDP || w.cookie == filter.ValidCookie,
		query:   bytes.Clone(w.msg), from: *w.from,
	}
	if w.from.Later == nil {
		return w.fail(out, wire.ServFail, reasonNotSupported, "this transport cannot wait for an answer")
	}
	d.replier = w.from.Later()
	d.from.Later = nil
	if !r.Resolver.Resolve(d) {
		n := w.fail(out, wire.ServFail, reasonNotReady, "too many questions at a time")
		w.emit(n, out)
		d.replier.Reply(out[:n])
	}
	return listen.Deferred
}

// Finish writes the reply to a query that was deferred, and sends it. nil is no reply. The worker is one that answers no other
// queries at the time; out has room for listen.MaxMessage octets.
func (w *Worker) Finish(now int64, d *Deferred, a *resolve.Answer, out []byte) {
	w.msg, w.from, w.now = d.query, &d.from, now
	if w.q.Read(d.query) != wire.Good {
		d.replier.Reply(nil)
		return
	}
	w.begin()
	if w.aliases = copy(w.alias[:], d.alias); w.aliases > 0 {
		w.policy = w.alias[0].rule
	}
	w.via = event.FromRecursion
	n := 0
	if w.found = a; a != nil {
		n = w.resolved(a, out)
	}
	w.emit(n, out)
	w.found = nil // not kept alive until the next
	d.replier.Reply(out[:n])
}

// resolved writes what was found.
func (w *Worker) resolved(a *resolve.Answer, out []byte) int {
	switch {
	case a.Stale:
		w.via = event.FromStale
	case a.Cached:
		w.via = event.FromCache
	case a.Upstream.Forward:
		w.via = event.FromForward
	}
	w.rcode = a.Rcode
	switch {
	case a.Reason != event.NoReason:
		w.explain(a.Reason, a.Text)
	case w.aliases > 0:
		w.explain(w.alias[0].reason, "")
	}
	kind := filter.Positive
	if a.Rcode != wire.NoError {
		kind = filter.Failure
	}
	if n, limited := w.limited(out, kind, w.q.Name); limited {
		return n
	}
	if w.q.End+w.opt.Size() > w.limit {
		w.opt.Text = ""
	}
	whole := w.records(a, out)
	b := &w.builder
	n := b.Len()
	security := a.Security
	if w.aliases > 0 {
		security = dnssec.Insecure // nobody signed the operator's own
	}
	h := wire.Header{ID: w.q.ID, Flags: w.replyFlags(a.Rcode, security), QD: 1,
		AN: uint16(b.Count(wire.Answers)), NS: uint16(b.Count(wire.Authorities)), AR: uint16(b.Count(wire.Additionals))}
	if w.aliases > 0 && a.Rcode != wire.ServFail {
		h.Flags |= wire.FlagAA // RFC 1035, Section 4.1.1: it is about the first owner name
	}
	switch {
	case !whole:
		h.Flags |= wire.FlagTC
	case w.aliases == 0: // else the packet is not the answer to the resolver's question
		w.keepPacket(a, h, out[w.q.End:n])
	}
	return w.finish(out, n, h)
}

// records puts the sections into the builder, RRset by RRset. False means that not all that matters fitted; what is missing of the
// additional section does not matter (RFC 2181, Section 9).
func (w *Worker) records(a *resolve.Answer, out []byte) (whole bool) {
	b := &w.builder
	b.Reset(out[:w.limit:len(out)])
	b.Question(w.q.Name, w.q.Type, w.q.Class)
	b.Reserve(w.opt.Size())
	if a.Rcode != wire.ServFail && !w.putAliases() { // a failure is one of the whole
		return false
	}
	for _, section := range []struct {
		sets []*message.RRset
		at   wire.Section
	}{{a.Answer, wire.Answers}, {a.Authority, wire.Authorities}, {a.Additional, wire.Additionals}} {
		for _, s := range section.sets {
			if !w.q.DO && s.Type != w.q.Type && (s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3 || s.Type == wire.TypeRRSIG) {
				continue // RFC 4035, Section 3.2.1
			}
			if !s.Put(b, section.at, s.TTL, w.q.DO) && section.at != wire.Additionals {
				return false
			}
		}
	}
	return true
}

// keepPacket lets the next who asks the same be answered at once. It is for answers that came from the cache, to somebody who asked again: most
// names are asked for once, and would hold a third of the memory with packets that nobody uses.
func (w *Worker) keepPacket(a *resolve.Answer, h wire.Header, body []byte) {
	now := w.now / 1e9
	life := a.Expires - now
	for _, s := range a.Authority {
		if s.Type == wire.TypeNS {
			return // may be replaced while the answer holds
		}
	}
	for _, s := range a.Answer {
		if int64(s.TTL) <= life {
			break
		}
		if s == a.Answer[len(a.Answer)-1] {
			return // the cache holds it with a shorter life
		}
	}
	if !a.Cached || life <= 0 || a.Stale || w.q.Flags&wire.FlagRD == 0 || w.config.Recursion == nil || w.alwaysThere(a.Question) {
		return
	}
	p := &cache.Packet{Body: body, Flags: h.Flags, AN: h.AN, NS: h.NS, AR: h.AR, Rcode: a.Rcode, Reason: a.Reason, Text: []byte(a.Text), Security: a.Security,
		PrefetchAt: a.Renew}
	if a.Renew > a.Expires {
		p.PrefetchAt = 0
	}
	key := cache.AppendKey(w.packetKey[:0], a.Question, w.variant())
	w.config.Recursion.Cache.Since(a.Epoch).PutPacket(key, p, uint32(min(life, 1<<31-1)), w.now)
}
