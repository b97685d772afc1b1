// Package serve turns a query into an answer. This file orders the steps and is the one place that emits event.Query:
//
//	listen -> read -> local data -> fast -> filter -> cache | authority | always there | identity | transfer -> reply -> event
//	                                                  deferred: pending -> resolve -> Finish -> reply -> event
//
// The package promises: a reply for every well-formed query unless a filter says drop, the same bytes whether the answer
// was compiled or made anew, no allocation and no lock on the way. What it cannot answer at once is deferred to a Resolver, for
// clients that may use recursion; others are REFUSED with a reason.
//
// Limits today: UPDATE is refused; a TSIG is checked on transfers, NOTIFY and SOA queries only.
package serve

import (
	"time"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/authority"
	"anyu/serve/fast"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/reply"
	"anyu/serve/resolve"
)

// Worker answers queries, one at a time. Each receiving thread has its own.
type Worker struct {
	server *Server
	ring   *event.Ring
	clock  clock
	fast   *fast.Table

	// The query in hand.
	msg       []byte
	q         wire.Query
	from      *listen.Client
	table     *Table
	config    *Config
	opt       reply.OPT
	now       int64 // ns since 1970
	cookie    filter.CookieState
	reason    uint16
	via       event.From
	policy    event.Policy
	found     *resolve.Answer // what a resolver found, until it is observed
	zone      uint32          // event number
	rcode     wire.Rcode
	limit     int
	available bool // the client may use recursion
	recursive bool // and wants it
	keyed     bool // the table of finished answers was asked, and holds the key of this query
	opened    bool // local data says that the name is looked up
	aliases   int  // of alias that the answer begins with
	alias     [maxAliases]alias

	// Room for one answer.
	builder   wire.Builder
	authority authority.Responder
	lower     [wire.MaxName + 1]byte
	packetKey [wire.MaxName + 8]byte
	cookieBuf [filter.CookieSize]byte
	obs       event.Query
	questions [fast.MaxWarm][]byte
}

// clock gives wall time from one monotonic reading, which costs half of time.Now.
type clock struct {
	start     time.Time
	wall      int64
	simulated func() int64
}

func newClock() clock {
	now := time.Now()
	return clock{now, now.UnixNano(), nil}
}

func (c *clock) now() int64 {
	if c.simulated != nil {
		return c.simulated()
	}
	return c.wall + int64(time.Since(c.start))
}

// Simulate lets the worker's observations tell latencies by the clock of a simulation.
func (w *Worker) Simulate(now func() int64) { w.clock.simulated = now }

// Answer implements listen.Answerer.
func (w *Worker) Answer(msg []byte, from *listen.Client, out []byte) int {
	w.msg, w.from, w.now = msg, from, from.Arrived
	verdict := w.q.Read(msg)
	if verdict == wire.Silent {
		w.server.silent.Add(1)
		return listen.Drop
	}
	w.begin()
	n := w.answer(verdict, out)
	if n >= 0 {
		w.emit(n, out)
	}
	return n
}

// begin sets what every answer starts from.
func (w *Worker) begin() {
	w.table, w.config = w.server.table.Load(), w.server.config.Load()
	w.reason, w.via, w.policy, w.found, w.zone, w.rcode = event.NoReason, event.FromError, event.NoPolicy, nil, 0, wire.NoError
	w.limit = reply.Limit(&w.q, w.from.Transport == event.UDP, w.config.Payload)
	w.cookie, w.keyed, w.recursive, w.opened, w.aliases = filter.NoCookie, false, false, false, 0
	w.opt = reply.OPT{
		Present: w.q.HasEDNS, Payload: w.config.Payload, DO: w.q.DO, Keepalive: -1, Expire: -1, Reason: reply.NoReason,
	}
	if w.q.HasEDNS {
		w.options()
	}
	w.available = w.config.Recursion != nil && w.config.Recursion.Allow.Contains(w.from.Remote.Addr())
}

// options prepares what the client's EDNS options ask for. It is done before anything else, so that refusals carry it too.
func (w *Worker) options() {
	if w.q.Wants&wire.WantsNSID != 0 && len(w.config.NSID) > 0 {
		w.opt.NSID = w.config.NSID
	}
	if w.q.Cookie != nil && w.config.Cookies != nil {
		now := w.now / int64(time.Second)
		w.cookie = w.config.Cookies.Check(w.q.Cookie, w.from.Remote.Addr(), now)
		w.opt.Cookie = w.config.Cookies.Append(w.cookieBuf[:0], w.q.Cookie, w.cookie, w.from.Remote.Addr(), now)
	}
	// RFC 7828, Section 3.2.2: never over UDP.
	if w.q.Wants&wire.WantsKeepalive != 0 && (w.from.Transport == event.TCP || w.from.Transport == event.TLS) {
		w.opt.Keepalive = int(w.config.Keepalive / (100 * time.Millisecond))
	}
	if w.q.Wants&wire.WantsExpire != 0 && w.q.Type == wire.TypeSOA && w.q.Name != nil {
		w.opt.Expire = w.table.expire(w.q.Name, w.now/int64(time.Second))
	}
	w.opt.Pad = w.q.Wants&wire.WantsPadding != 0 && w.from.Transport.Encrypted()
}

// answer chooses who answers.
func (w *Worker) answer(verdict wire.Verdict, out []byte) int {
	switch {
	case w.config.Ignored != nil && w.config.Ignored.Contains(w.from.Remote.Addr()):
		w.decided(event.ClientIgnored)
		return listen.Drop
	case verdict == wire.Malformed:
		return w.fail(out, wire.FormErr, event.NoReason, "")
	case verdict == wire.Unknown:
		return w.fail(out, wire.NotImp, event.NoReason, "")
	case w.q.HasEDNS && w.q.Version != 0:
		return w.fail(out, wire.BadVers, event.NoReason, "") // RFC 6891, Section 6.1.3 (case 58)
	case !w.config.Clients.Contains(w.from.Remote.Addr()):
		w.decided(event.ClientNotAllowed)
		return w.fail(out, wire.Refused, reasonProhibited, "client not allowed")
	case w.q.QD == 0:
		return w.cookieOnly(out)
	case w.q.Opcode() != wire.OpcodeQuery || w.q.TSIG != 0 || w.q.Type == wire.TypeAXFR || w.q.Type == wire.TypeIXFR:
		return w.special(out)
	}
	return w.question(out)
}

// question answers an ordinary question, signed or not.
func (w *Worker) question(out []byte) int {
	switch {
	case w.q.Class != wire.ClassIN:
		return w.otherClass(out)
	case w.q.Type == wire.TypeOPT || w.q.Type == 0 || w.q.Type == wire.TypeTKEY || w.q.Type == wire.TypeTSIG: // RFC 6895, Section 3.1: of the exchange itself
		return w.fail(out, wire.FormErr, event.NoReason, "")
	case w.q.Type == wire.TypeNXNAME: // RFC 9824, Section 3.5: it stands in NSEC records only
		return w.fail(out, wire.FormErr, reasonInvalidType, "NXNAME is no type to ask for")
	}
	w.recursive = w.available && (w.q.Flags&wire.FlagRD != 0 || w.config.Recursion.Snoop)
	if w.config.Recursion != nil && w.config.Recursion.Local != nil {
		if n, ok := w.fromLocal(out); ok {
			return n
		}
	}
	if n, ok := w.compiled(out); ok {
		return n
	}
	if w.recursive && !(w.table.guarded && w.guarded()) {
		if n, ok := w.cached(out); ok {
			return n
		}
	}
	return w.fromZone(out, w.q.Name)
}

// compiled answers from the worker's table of finished answers, if there is one to use.
func (w *Worker) compiled(out []byte) (n int, ok bool) {
	if len(w.table.byName) == 0 { // what is always there is not kept: a resolver need not look
		return 0, false
	}
	a, ok := w.fast.Find(&w.q)
	w.keyed = true
	if !ok || !w.table.current(a.Stamp) {
		return 0, false
	}
	z := &w.table.zones[a.Stamp.Zone]
	if z.Allow != nil && !z.Allow.Contains(w.from.Remote.Addr()) {
		return 0, false // the slow path refuses, with a reason
	}
	if w.q.End+len(a.Body)+w.opt.Size() > w.limit {
		return 0, false
	}
	w.via, w.zone, w.rcode = event.FromCompiled, a.Tag, wire.Rcode(a.Flags&15)
	if n, limited := w.limited(out, filter.Positive, w.q.Name); limited {
		return n, true
	}
	copy(out[wire.HeaderSize:w.q.End], w.msg[wire.HeaderSize:w.q.End])
	n = w.q.End + copy(out[w.q.End:], a.Body)
	h := wire.Header{ID: w.q.ID, Flags: a.Flags | w.q.Flags&wire.FlagRD, QD: 1, AN: a.AN, NS: a.NS, AR: a.AR}
	return w.finish(out, n, h), true
}

// finish writes the OPT record and the header, in that order because OPT is counted there.
func (w *Worker) finish(out []byte, n int, h wire.Header) int {
	if w.opt.Present {
		h.AR++
		n = len(w.opt.Append(out[:n:len(out)], w.rcode, w.limit))
	}
	if w.available {
		h.Flags |= wire.FlagRA
	}
	h.Put(out)
	return n
}

// fail writes an answer without records.
func (w *Worker) fail(out []byte, rcode wire.Rcode, reason uint16, text string) int {
	w.explain(reason, text)
	w.rcode = rcode
	w.opt.Expire = -1 // it would tell who may not ask that the zone is here
	if n, limited := w.limited(out, filter.Failure, nil); limited {
		return n
	}
	if w.q.End+w.opt.Size() > w.limit {
		w.opt.Text = "" // the longest name beside NSID and cookie leaves no room for words in 512 octets
	}
	more := uint16(0)
	if w.available {
		more = wire.FlagRA
	}
	return reply.Short(out, w.msg, &w.q, rcode, more, &w.opt)
}

// decided notes which rule of the operator's decides.
func (w *Worker) decided(p event.Policy) { w.via, w.policy = event.FromPolicy, p }

// explain attaches an Extended DNS Error (RFC 8914).
func (w *Worker) explain(reason uint16, text string) {
	w.reason = reason
	if !w.config.NoReasons {
		w.opt.Reason, w.opt.Text = reason, text
	}
}

// limited applies response rate limiting; true means that n is the whole reply. A client that proved its address by a
// cookie, or that uses a stream, cannot be a spoofed victim.
func (w *Worker) limited(out []byte, kind filter.Kind, name wire.Name) (n int, is bool) {
	if w.config.Rate == nil || w.from.Transport != event.UDP || w.cookie == filter.ValidCookie {
		return 0, false
	}
	key := name.AppendLower(w.lower[:0])
	outcome := w.config.Rate.Allow(w.from.Remote.Addr(), kind, key, w.now/int64(time.Millisecond))
	if outcome == filter.Pass {
		return 0, false
	}
	w.decided(event.ResponseRate)
	w.server.limited.Add(1)
	if outcome == filter.DropIt {
		return listen.Drop, true
	}
	w.explain(event.NoReason, "")
	return reply.Short(out, w.msg, &w.q, wire.NoError, wire.FlagTC, &w.opt), true
}

// cookieOnly answers a query without a question, which asks for a cookie (RFC 7873, Section 5.4; case 54).
func (w *Worker) cookieOnly(out []byte) int {
	if w.opt.Cookie == nil || w.q.Opcode() != wire.OpcodeQuery {
		return w.fail(out, wire.FormErr, event.NoReason, "")
	}
	w.via = event.FromLocal
	return reply.Short(out, w.msg, &w.q, wire.NoError, 0, &w.opt)
}

// special hands on what is not a plain question: NOTIFY, UPDATE, transfers, and what is signed with TSIG.
func (w *Worker) special(out []byte) int {
	if w.q.Opcode() == wire.OpcodeUpdate {
		w.decided(event.NotServed)
		return w.fail(out, wire.Refused, reasonNotSupported, "no dynamic update")
	}
	if w.q.Name == nil {
		return w.fail(out, wire.FormErr, event.NoReason, "")
	}
	w.via = event.FromTransfer
	transfer := w.q.Type == wire.TypeAXFR || w.q.Type == wire.TypeIXFR
	if transfer && w.q.Opcode() == wire.OpcodeQuery && w.from.Transport != event.UDP && w.from.Transport != event.HTTPS {
		return listen.Stream
	}
	if w.server.transfers == nil {
		return w.fail(out, wire.Refused, reasonNotAuthoritative, "no transfers")
	}
	inner := func(q, out []byte, room int) int { return w.plain(q, out, room) }
	n, rcode := w.server.transfers.Message(w.msg, &w.q, w.from, out, inner)
	w.rcode = rcode
	if n < 0 {
		return w.fail(out, rcode, event.NoReason, "")
	}
	return n
}

// plain answers a query whose TSIG was checked and cut off, for the transfer room to sign: it leaves room for that.
func (w *Worker) plain(msg, out []byte, room int) int {
	w.msg = msg
	if w.q.Read(msg) != wire.Good {
		return w.fail(out, wire.FormErr, event.NoReason, "")
	}
	w.begin()
	w.limit -= room
	return w.question(out)
}
