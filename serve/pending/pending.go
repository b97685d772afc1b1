// Package pending holds the questions that wait for an answer: equal ones are resolved once, each client has its deadline, and what
// takes too long is answered from records that have expired (RFC 8767).
//
// It promises: every waiter is answered exactly once, or told that it is not, within MaxWait; the number of waiters is bounded in all,
// for a question and for a client. It refuses to send: what a resolution wants sent comes out of the engine.
//
// A Table belongs to one engine and is used by one goroutine at a time. It has no clock of its own.
package pending

import (
	"cmp"
	"net/netip"
	"sync/atomic"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
	"anyu/serve/resolve"
)

// Limits. Each that is met is counted, and the client is told so by an error, or by silence where its address may be forged.
const (
	// MaxWaiters of all questions together (resource exhaustion by slow servers: phantom domains).
	MaxWaiters = 20000
	// MaxOfQuestion bounds the waiters of one question.
	MaxOfQuestion = 1000
	// MaxOfClient bounds the waiters of one client address that has not proved itself by cookie or stream (DNSBomb, CVE-2024-33655:
	// many replies gathered, to be let go at a victim all at once). Unbound's limit; a forwarder or a NAT needs some hundreds.
	MaxOfClient = 1000
	// DiscardAfter is when a client over UDP that has not proved its address gets no reply any more (DNSBomb). It has asked again.
	DiscardAfter = 1900 * time.Millisecond
	// MaxWait ends every wait.
	MaxWait = resolve.MaxTime + time.Second
)

// Config of a Table.
type Config struct {
	// Stale lets records that have expired answer (RFC 8767). StaleAfter is how long a client waits for fresh ones first (Section 5: 1.8 s); negative:
	// they answer at once, and are renewed meanwhile; 0: only when resolving has failed.
	Stale      bool
	StaleAfter time.Duration
	// Prefetch renews answers that are asked for in the last tenth of their life.
	Prefetch bool
	// StaleTTL is the TTL of records that have expired, seconds (Section 5: 30).
	StaleTTL uint32
	// Discard is DiscardAfter, if not 0.
	Discard time.Duration
	// Waiters, OfClient: as MaxWaiters and MaxOfClient, if not 0.
	Waiters, OfClient int
}

// Client is who waits.
type Client struct {
	Addr    netip.Addr
	Trusted bool // its address is proved, by a stream or a cookie
	// CacheOnly: it does not want recursion, so it is answered at once from what is known.
	CacheOnly bool
	// Done is called with the answer, or with nil where the client is to get no reply.
	Done func(*resolve.Answer)
}

// Table of questions.
type Table struct {
	engine *resolve.Engine
	cache  *cache.Cache
	config Config

	questions  map[string]*question
	clients    map[netip.Addr]int
	waiters    int
	soon, late queue // those whose clients get expired records next; those whose wait ends next
	counts     Counts
	key        []byte
	follower   atomic.Pointer[follower] // Primed comes from all engines
	renew      []renewal
}

// Counts since the start.
type Counts struct {
	Questions, Merged, Refused, Discarded, Stale, Prefetched uint64
}

// Add adds those of another table.
func (c *Counts) Add(d Counts) {
	c.Questions += d.Questions
	c.Merged += d.Merged
	c.Refused += d.Refused
	c.Discarded += d.Discarded
	c.Stale += d.Stale
	c.Prefetched += d.Prefetched
}

// question is one that is being resolved.
type question struct {
	key      string
	q        message.Question
	cd       bool
	waiters  []waiter
	started  int64
	answered bool // with expired records
	renewal  bool // of an answer that is still there: nobody need wait
	place
}

type waiter struct {
	Client
	since int64
}

// New makes a table.
func New(config Config, engine *resolve.Engine, c *cache.Cache) *Table {
	return &Table{engine: engine, cache: c, config: config, questions: make(map[string]*question), clients: make(map[netip.Addr]int)}
}

// Configure replaces the configuration.
func (t *Table) Configure(config Config) { t.config = config }

// Counts returns what has happened since the start.
func (t *Table) Counts() Counts { return t.counts }

// Waiting is how many clients wait.
func (t *Table) Waiting() int { return t.waiters }

// Ask lets a client wait for the answer to a question. False: there are too many already; Done is not called.
func (t *Table) Ask(now int64, q message.Question, cd bool, c Client) bool {
	if c.CacheOnly {
		t.engine.Resolve(now, q, resolve.Options{CD: cd, CacheOnly: true}, func(a *resolve.Answer) {
			if s := t.stale(now, q, cd); s != nil && t.config.Stale {
				t.counts.Stale++
				a = s
			}
			c.Done(a)
		})
		if t.config.Stale && t.stale(now, q, cd) != nil {
			t.Prefetch(now, q, cd) // as Unbound does; only who may look into the cache comes here
		}
		return true
	}
	if t.waiters >= cmp.Or(t.config.Waiters, MaxWaiters) || !c.Trusted && !c.Addr.IsLoopback() && t.clients[c.Addr] >= cmp.Or(t.config.OfClient, MaxOfClient) {
		t.counts.Refused++
		return false
	}
	if t.config.Stale && t.config.StaleAfter < 0 {
		if a := t.stale(now, q, cd); a != nil {
			t.counts.Stale++
			c.Done(a)
			t.Prefetch(now, q, cd)
			return true
		}
	}
	w := waiter{c, now}
	p := t.questions[string(t.keyOf(q, cd))]
	if p != nil && p.renewal && t.fromCache(now, q, cd, c) {
		return true
	}
	if p != nil {
		if len(p.waiters) >= MaxOfQuestion {
			t.counts.Refused++
			return false
		}
		t.counts.Merged++
		t.wait(p, w)
		switch {
		case p.answered && t.config.Stale: // the others have had expired records already
			t.replyStale(now, p)
		case p.in == nil: // a renewal, for which nobody waited
			t.due(now, p)
		}
		return true
	}
	p = t.open(now, q, cd)
	t.wait(p, w)
	t.due(now, p)
	t.resolve(now, p, resolve.Options{CD: cd})
	return true
}

// due says how long the first client of a question waits for it.
func (t *Table) due(now int64, p *question) {
	if t.config.Stale && t.config.StaleAfter > 0 { // RFC 8767, Section 5: the client response timer
		t.soon.push(p, now+int64(t.config.StaleAfter))
	} else {
		t.late.push(p, now+int64(MaxWait))
	}
}

// fromCache answers from the cache, if it can.
func (t *Table) fromCache(now int64, q message.Question, cd bool, c Client) (done bool) {
	t.engine.Resolve(now, q, resolve.Options{CD: cd, CacheOnly: true, Priority: true}, func(a *resolve.Answer) {
		if done = a.Rcode != wire.ServFail && a.Expires > now/second; done {
			c.Done(a)
		}
	})
	return done
}

// Prefetch renews an answer that is about to expire, or has, before somebody has to wait for it.
func (t *Table) Prefetch(now int64, q message.Question, cd bool) {
	if t.questions[string(t.keyOf(q, cd))] != nil {
		return
	}
	for variant := range uint8(2) {
		if f, ok := t.cache.Failure(q, variant, now); ok && f.Expires > now/second {
			return // it has just failed (RFC 9520, Section 3.2)
		}
	}
	t.counts.Prefetched++
	p := t.open(now, q, cd)
	p.renewal = true
	t.resolve(now, p, resolve.Options{CD: cd, Refresh: true})
}

func (t *Table) keyOf(q message.Question, cd bool) []byte {
	t.key = q.Name.AppendLower(t.key[:0])
	t.key = append(t.key, byte(q.Type>>8), byte(q.Type), 0)
	if cd {
		t.key[len(t.key)-1] = 1
	}
	return t.key
}

func (t *Table) open(now int64, q message.Question, cd bool) *question {
	p := &question{key: string(t.keyOf(q, cd)), q: q, cd: cd, started: now}
	t.questions[p.key] = p
	t.counts.Questions++
	return p
}

func (t *Table) wait(p *question, w waiter) {
	p.waiters = append(p.waiters, w)
	t.waiters++
	if !w.Trusted {
		t.clients[w.Addr]++
	}
}

// resolve starts the resolution of a question; its end answers all who wait by then.
func (t *Table) resolve(now int64, p *question, opts resolve.Options) {
	t.engine.Resolve(now, p.q, opts, func(a *resolve.Answer) {
		delete(t.questions, p.key)
		p.drop()
		if opts.Refresh && a.Rcode != wire.ServFail {
			t.cache.ForgetPackets(p.q) // they hold the answer before
		}
		now := max(now, t.engine.Now())
		if a.Rcode == wire.ServFail && t.config.Stale {
			if s := t.stale(now, p.q, p.cd); s != nil {
				t.counts.Stale++
				a = s
			}
		}
		t.answer(now, p, a)
		if t.config.Prefetch && a.Cached && !opts.Refresh && now/second >= a.Renew && a.Rcode != wire.ServFail {
			t.renew = append(t.renew, renewal{p.q, p.cd})
		}
	})
	for len(t.renew) > 0 { // not from within the engine
		r := t.renew[0]
		t.renew = t.renew[1:]
		t.Prefetch(now, r.q, r.cd)
	}
}

// renewal is an answer to be renewed.
type renewal struct {
	q  message.Question
	cd bool
}

// answer answers everybody who waits for a question.
func (t *Table) answer(now int64, p *question, a *resolve.Answer) {
	waiters := p.waiters
	p.waiters = nil
	discard := cmp.Or(t.config.Discard, DiscardAfter)
	for _, w := range waiters {
		t.leave(w)
		if !w.Trusted && !w.Addr.IsLoopback() && now-w.since > int64(discard) {
			t.counts.Discarded++
			w.Done(nil)
			continue
		}
		w.Done(a)
	}
}

func (t *Table) leave(w waiter) {
	t.waiters--
	if w.Trusted {
		return
	}
	if t.clients[w.Addr]--; t.clients[w.Addr] <= 0 {
		delete(t.clients, w.Addr)
	}
}

// Tick does what is due. Deadline tells when that is next.
func (t *Table) Tick(now int64) {
	t.probe(now)
	for p := t.soon.pop(now); p != nil; p = t.soon.pop(now) {
		t.late.push(p, p.started+int64(MaxWait))
		if len(p.waiters) > 0 {
			t.replyStale(now, p)
		}
	}
	for p := t.late.pop(now); p != nil; p = t.late.pop(now) {
		t.answer(now, p, &resolve.Answer{Question: p.q, Rcode: wire.ServFail, Reason: reasonNoReachable, Text: "no answer in time"})
	}
}

const reasonNoReachable = 22 // RFC 8914, Section 4.23

// Deadline returns the time of the next Tick that has something to do.
func (t *Table) Deadline() (at int64, ok bool) {
	at, ok = t.nextWait()
	if probe, due := t.nextProbe(); due && (!ok || probe < at) {
		return probe, true
	}
	return at, ok
}

func (t *Table) nextWait() (at int64, ok bool) {
	for _, w := range [...]*queue{&t.soon, &t.late} {
		if p := w.first; p != nil && (!ok || p.due < at) {
			at, ok = p.due, true
		}
	}
	return at, ok
}
