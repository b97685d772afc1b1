// Package resolve finds answers by iteration (RFC 1034, Section 5.3.3): it follows referrals from the root, chooses among the
// servers of a zone, cleans what they say, has it validated, and puts it together for a client.
//
// An Engine has no I/O. A question comes in with Resolve; what it wants to be sent comes out of Asks; what became of that goes in
// with Outcome; the clock is an argument. The same calls in the same order with the same random numbers give the same wishes, so
// every behaviour can be replayed from a scenario. Inside, each resolution is a coroutine (iter.Pull), because the algorithm
// is a recursion (an answer needs an address, which needs an answer ...) and reads like one: see iterate.go first, then answer.go.
//
// It promises: every resolution ends, within MaxSends questions to servers over all that it needed on the way, and what fails says
// why (RFC 8914). It refuses to believe a server about names outside the zone it was asked for.
//
// Limits today: one class, IN; no client subnet (RFC 7871).
package resolve

import (
	"net/netip"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
	"anyu/serve/nameserver"
	"anyu/serve/validate"
)

// Shared is what all engines of a node have in common. Each is safe for concurrent use.
type Shared struct {
	Cache     *cache.Cache
	Servers   *nameserver.Table
	Validator *validate.Validator // nil: nothing is validated
}

// Engine resolves many questions at a time. It is used by one goroutine at a time.
type Engine struct {
	Shared
	config *Config
	random func() uint64

	now    int64 // ns since 1970, of the call in hand
	asks   map[uint64]*task
	lastID uint64
	wishes []Ask
	spare  []Ask // the other buffer of Asks
	leads  map[string]*lead
	ready  []*task
	idle   []*coroutine
	tasks  int
	zones  map[string]int // questions under way for a zone, where Config.OfZone bounds them
	primed int64          // until when priming need not be tried again
}

// New makes an engine. random gives unpredictable numbers; in a replay, the same ones each time.
func New(config *Config, shared Shared, random func() uint64) *Engine {
	return &Engine{Shared: shared, config: config, random: random, asks: make(map[uint64]*task), leads: make(map[string]*lead), zones: make(map[string]int)}
}

// Configure replaces the configuration for the questions that come from now on.
func (e *Engine) Configure(config *Config) { e.config = config; e.primed = 0 }

// Ask is a wish: send this question to this server, and tell the engine what came of it.
type Ask struct {
	ID       uint64
	Server   netip.AddrPort
	Zone     wire.Name // the zone the server is asked as one of
	Question message.Question
	RD, CD   bool
	Signed   bool          // the answer must be signed: never ask without EDNS (RFC 6840, Section 5.9; CVE-2026-52690)
	Stream   bool          // not over UDP
	SameCase bool          // the letters of the name as they are, not in random case
	Upstream *Upstream     // how to speak to it; nil: DNS over UDP and TCP
	Timeout  time.Duration // after which the engine wants to hear that nothing came
	Until    int64         // ns since 1970, when it wants to hear of it whatever else was tried (over a stream, without EDNS); 0: never
}

// Kind of outcome.
type Kind uint8

const (
	Replied     Kind = iota
	TimedOut         // nothing came
	Unreachable      // the network says that the server cannot be reached; nothing was sent
	Refused          // the host is there, but the port is closed, or the connection was before a reply came
	Held             // not sent: the server is down, and somebody else is finding out whether it is back
	Unreadable       // over a stream came what is not the reply, or cannot be read
	Full             // not sent: as many questions to the server are under way as may be, and it did not answer some of them in time
)

// Outcome is what became of an Ask.
type Outcome struct {
	Kind    Kind
	Message *message.Message // with Replied
	RTT     time.Duration    // with Replied; 0: not measured
	Stream  bool             // the reply came over a stream, where addresses cannot be forged
}

// Options of one resolution.
type Options struct {
	CD bool // the client checks itself (RFC 4035, Section 3.2.2): nothing is validated for it
	// CacheOnly asks nobody: the client does not want recursion. What is not in the cache ends in the closest delegation known.
	CacheOnly bool
	Refresh   bool // do not answer from the cache: a prefetch, or an answer that has expired
	Trace     bool // the validator tells its steps, too
	Priority  bool // keys, trust anchors: not refused when there is too much to do
}

// Resolve starts a resolution. done is called with its end, from within Resolve, Outcome or Stop. It must not call the engine.
func (e *Engine) Resolve(now int64, q message.Question, opts Options, done func(*Answer)) {
	e.now = now
	if e.tasks >= e.config.maxTasks() && !opts.Priority {
		done(failure(reasonOther, "too many questions at a time"))
		return
	}
	e.start(opts, func(t *task) { done(t.answer(q)) })
	e.run()
}

// Asks returns the wishes since the last call. They are valid until the next call.
func (e *Engine) Asks() []Ask {
	w := e.wishes
	e.wishes, e.spare = e.spare[:0], w
	return w
}

// Outcome tells what became of an Ask. Of one that is not waited for any more, nothing comes.
func (e *Engine) Outcome(now int64, id uint64, out Outcome) {
	e.now = now
	t := e.asks[id]
	if t == nil {
		return
	}
	delete(e.asks, id)
	t.outcome = out
	e.ready = append(e.ready, t)
	e.run()
}

// Tasks is how many resolutions are under way.
func (e *Engine) Tasks() int { return e.tasks }

// Stop ends everything under way; nobody's done is called any more.
func (e *Engine) Stop() {
	stopped := make(map[*task]bool)
	for _, t := range e.asks {
		stopped[t] = true
	}
	for _, l := range e.leads {
		for _, t := range l.waiters {
			stopped[t] = true
		}
	}
	clear(e.asks)
	clear(e.leads)
	for t := range stopped {
		t.on.stop()
	}
	for _, c := range e.idle {
		c.stop()
	}
	e.ready, e.wishes, e.idle = nil, nil, nil
}

// lead is work that several tasks want the result of: one does it, the others wait.
type lead struct {
	task    *task
	waiters []*task
	result  *cache.Answer
	from    Upstreamed
}

// once does the work unless it is being done, and then waits for its result. It returns nil where waiting would be for ever,
// because whoever does the work waits for us: two zones whose servers are named in each other (TsuNAME).
func (t *task) once(key string, do func() *cache.Answer) *cache.Answer {
	for {
		l := t.e.leads[key]
		if l == nil {
			break
		}
		for x := l.task; x != nil; x = x.waitsFor {
			if x == t {
				return nil
			}
		}
		l.waiters = append(l.waiters, t)
		t.waitsFor = l.task
		t.suspend()
		if l.result != nil && l.result.Reason != reasonLimit {
			t.upstream = l.from
			return l.result
		} // else the other ran out of its own budget: ours is not spent
	}
	l := &lead{task: t}
	t.e.leads[key] = l
	l.result = do()
	l.from = t.upstream
	delete(t.e.leads, key)
	for _, w := range l.waiters {
		w.waitsFor = nil // from now on, not when its turn comes: until then others would see a circle that is none
	}
	t.e.ready = append(t.e.ready, l.waiters...)
	return l.result
}
