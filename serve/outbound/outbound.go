// Package outbound runs engines: it takes questions from the workers, lets an engine resolve them, and sends what the engine wants sent.
// It is the only sender of the resolver's queries. This file is the loop, flight.go what it does with one query, sockets_linux.go the
// system calls, streams.go the connections.
//
// It promises: each query over UDP leaves from a socket of its own, connected to the server asked, from a port taken at random from the
// whole range (RFC 5452, Section 9.2; RFC 6056, Section 3.2), so that the ICMP messages of others cannot find it (SAD DNS) and replies from
// elsewhere never arrive; streams are kept open and shared (RFC 7766, Section 6.2); what is held is bounded. It decides nothing: which
// server, which reply, how long, is said by resolve and exchange.
//
// It refuses to wait: whoever hands it a question or a reply goes on at once, and the loop never waits for a stream.
//
// Limits today: one loop has one goroutine; on systems other than Linux a query over UDP costs a goroutine.
package outbound

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"math"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/dchest/siphash"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/listen"
	"anyu/serve/nameserver"
	"anyu/serve/pending"
	"anyu/serve/resolve"
)

// Limits of a loop.
const (
	// MaxQueue bounds the questions handed over and not yet looked at. More are refused: who asks for more than can be done must not make the rest wait.
	MaxQueue = 8192
	// MaxFlights bounds the queries under way. Each over UDP has a descriptor (phantom domains: servers that hold queries by silence).
	MaxFlights = 4096
	// maxSleep bounds a wait, so that what changes the clock (suspend) does not make the loop late for ever.
	maxSleep = time.Second
	// maxTurn bounds how long the loop works without letting others run, but for one reply.
	maxTurn = 200 * time.Microsecond
	// turnsOfKernel is how many turns go to who waits for the CPU, for one that goes to who waits for a processor of Go's.
	turnsOfKernel = 8
)

// Source is the addresses that queries leave from; zero: what the system chooses.
type Source struct{ V4, V6 netip.Addr }

func (s Source) of(server netip.Addr) netip.Addr {
	if server.Is4() {
		return s.V4
	}
	return s.V6
}

// Config of a loop.
type Config struct {
	Engine  *resolve.Engine
	Table   *pending.Table
	Servers *nameserver.Table
	Worker  *serve.Worker // for the loop alone: it writes the replies. nil, if nothing is handed to Resolve
	Streams *Streams      // may be shared by loops
	Source  Source
	// OfServer bounds the queries under way to one server over all loops that share Servers (fetches per server); 0: not bounded. Configured
	// upstreams are not bounded by it.
	OfServer int
	// Secret makes cookies; the same one for all loops that share Servers. Zero: one of its own.
	Secret [16]byte
}

// Counts since the start.
type Counts struct {
	Sent       uint64 // queries over UDP
	SentStream uint64 // and over streams
	Received   uint64 // messages heard
	Foreign    uint64 // of these, not the reply that was waited for
	TimedOut   uint64
	Errors     uint64 // queries that could not be sent, or were refused by the server's host
	Refused    uint64 // questions that were one too many
	Waiting    uint64 // queries under way now
}

type counts struct {
	sent, sentStream, received, foreign, timedOut, errors, refused atomic.Uint64
	waiting                                                        atomic.Int64
}

// Loop runs one engine. Others hand it questions from any goroutine.
type Loop struct {
	config Config
	last   int64     // when the loop last looked at the clock
	turn   time.Time // when it began to work without a pause
	turns  uint
	random random
	queue  queue
	recent recent

	// The loop's own.
	sockets   *sockets
	deadlines deadlines
	free      []*flight
	flights   int
	out       [listen.MaxMessage]byte

	counts counts
}

// New makes a loop. Run starts it.
func New(c Config) (*Loop, error) {
	if c.Secret == [16]byte{} {
		if _, err := rand.Read(c.Secret[:]); err != nil {
			return nil, err
		}
	}
	l := &Loop{config: c, recent: newRecent()}
	var err error
	if l.sockets, err = newSockets(c.Source, &l.random); err != nil {
		return nil, err
	}
	l.queue.wake = l.sockets.wake
	return l, nil
}

// Counts are what happened since the start.
func (l *Loop) Counts() Counts {
	c := &l.counts
	return Counts{Sent: c.sent.Load(), SentStream: c.sentStream.Load(), Received: c.received.Load(), Foreign: c.foreign.Load(),
		TimedOut: c.timedOut.Load(), Errors: c.errors.Load(), Refused: c.refused.Load(), Waiting: uint64(max(0, c.waiting.Load()))}
}

// Resolve takes a query over. False: too many wait to be looked at.
func (l *Loop) Resolve(d *serve.Deferred) bool {
	if !l.queue.put(input{kind: inQuery, deferred: d}) {
		l.counts.refused.Add(1)
		return false
	}
	return true
}

// Prefetch has an answer renewed, if there is time for it. It does not keep the name. Calls that say the same within a moment cost
// little: a popular answer that is about to expire is hit often before it is renewed.
func (l *Loop) Prefetch(q message.Question, cd bool) {
	if !l.recent.first(q, cd, now()) {
		return
	}
	q.Name = append(wire.Name(nil), q.Name...)
	l.queue.put(input{kind: inPrefetch, question: q, cd: cd})
}

// Call runs a function between two steps of the loop, and returns when it has run. False: the loop has ended. It must not be called by
// what the loop itself calls.
func (l *Loop) Call(f func(engine *resolve.Engine, table *pending.Table)) bool {
	done := make(chan struct{})
	if !l.queue.force(input{kind: inCall, call: func() { f(l.config.Engine, l.config.Table); close(done) }}) {
		return false
	}
	<-done
	return true
}

// Configure replaces what queries from now on leave from, and how many may be under way to one server. False: the loop has ended.
func (l *Loop) Configure(source Source, ofServer int) bool {
	return l.Call(func(*resolve.Engine, *pending.Table) {
		l.config.Source, l.config.OfServer = source, ofServer
		l.sockets.source = source
	})
}

// Run resolves until ctx ends. Who still waits then gets no answer.
func (l *Loop) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.sockets.wake)
	defer stop()
	defer l.close()
	var batch []input
	for ctx.Err() == nil {
		timeout := time.Duration(0)
		if l.queue.sleep() {
			timeout = l.timeout(now())
		}
		n, err := l.sockets.wait(timeout)
		l.queue.awake()
		if err != nil {
			return err
		}
		l.turn = time.Now()
		at := l.turn.UnixNano()
		l.noticeStep(at)
		for i := range n {
			l.receive(at, i)
			l.yield()
		}
		batch = l.queue.take(batch)
		for i := range batch {
			l.handle(at, &batch[i])
			batch[i] = input{}
			l.yield()
		}
		l.expire(at)
		l.config.Table.Tick(at)
		l.wishes(at)
	}
	return nil
}

func now() int64 { return time.Now().UnixNano() }

// yield lets others run when the loop has worked for a turn: a reply may cost half a millisecond of signatures, and who answers
// from the cache must not wait for all of them. The kernel decides as a rule: workers have processors of Go's of their own while there is much to
// resolve (node/processors.go). Go's scheduler has its turn seldom: while a processor is idle, each Gosched wakes a thread that finds
// nothing to do, which took a twentieth of the resolver's time.
func (l *Loop) yield() {
	if time.Since(l.turn) < maxTurn {
		return
	}
	if l.turns++; l.turns%turnsOfKernel == 0 {
		runtime.Gosched()
	} else {
		yieldThread()
	}
	l.turn = time.Now()
}

// noticeStep ends all waits when the clock has been set back: their deadlines lie in a time that will not come for long.
func (l *Loop) noticeStep(at int64) {
	if at < l.last-int64(time.Second) {
		for f := l.deadlines.due(math.MaxInt64); f != nil; f = l.deadlines.due(math.MaxInt64) {
			l.act(at, f, f.x.Expired(at))
		}
		l.config.Servers.Pardon(at)
	}
	l.last = at
}

// timeout is how long there is nothing to do.
func (l *Loop) timeout(now int64) time.Duration {
	next := now + int64(maxSleep)
	if at, ok := l.config.Table.Deadline(); ok {
		next = min(next, at)
	}
	if at, ok := l.deadlines.next(); ok {
		next = min(next, at)
	}
	return time.Duration(max(0, next-now))
}

func (l *Loop) handle(now int64, in *input) {
	switch in.kind {
	case inQuery:
		l.start(now, in.deferred)
	case inPrefetch:
		l.config.Table.Prefetch(now, in.question, in.cd)
	case inStream:
		l.heardStream(now, in)
	case inCall:
		in.call()
	}
	l.wishes(now)
}

// start lets a query wait for its answer.
func (l *Loop) start(at int64, d *serve.Deferred) {
	done := func(a *resolve.Answer) { l.config.Worker.Finish(now(), d, a, l.out[:]) }
	client := pending.Client{Addr: d.Client, Trusted: d.Trusted, CacheOnly: !d.RD, Done: done}
	if !l.config.Table.Ask(at, d.Question, d.CD, client) {
		l.counts.refused.Add(1)
		done(&resolve.Answer{Question: d.Question, Rcode: wire.ServFail, Reason: event.NoReason, Text: "too many questions wait"})
	}
}

// cookie is our half for a server (RFC 7873, Section 4.1): another one for each server, so that none can use it elsewhere.
func (l *Loop) cookie(server netip.AddrPort) (c [8]byte) {
	b := server.Addr().As16()
	s := &l.config.Secret
	binary.LittleEndian.PutUint64(c[:], siphash.Hash(binary.LittleEndian.Uint64(s[:]), binary.LittleEndian.Uint64(s[8:]), b[:]))
	return c
}

// close ends what is under way.
func (l *Loop) close() {
	for _, in := range l.queue.close() {
		switch in.kind {
		case inQuery:
			l.config.Worker.Finish(now(), in.deferred, nil, l.out[:])
		case inCall:
			in.call()
		}
	}
	l.config.Engine.Stop()
	l.sockets.end()
}

// random gives numbers from the system's source of randomness, bought wholesale: ports, IDs and letters that can be predicted are an
// invitation (CVE-2025-40780).
type random struct {
	pool [512]byte
	left int
}

func (r *random) next() uint64 {
	if r.left < 8 {
		rand.Read(r.pool[:]) // never fails: crypto/rand ends the process instead
		r.left = len(r.pool)
	}
	r.left -= 8
	v := binary.LittleEndian.Uint64(r.pool[r.left:])
	clear(r.pool[r.left : r.left+8])
	return v
}
