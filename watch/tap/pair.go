package tap

import (
	"hash/maphash"

	"anyu/dns/wire"
	"anyu/event"
)

const (
	// Window is how long a query waits for its response (C-DNS's collectors use the same).
	Window = 5e9
	// replyWindow is how long a response waits for a query that is written later: threads of a server hand over when they come to it.
	replyWindow = 1e9
	// sweepEvery is how often the table is walked for them.
	sweepEvery = 250e6
	// skew is by how much a response may carry an earlier time than its query: two clocks, or two queues of one card.
	skew = 10_000

	// maxWaiting and maxOctets bound the table (stops: queries that nobody answers, and large responses without queries).
	maxWaiting = 1 << 17
	maxOctets  = 64 << 20
	// maxAlike bounds the equal queries that wait (stops: a chain of one client's repetitions that each response would walk).
	maxAlike = 8
)

// sight is a message with what was read from it.
type sight struct {
	Message
	facts
}

// waiting is a sight that lacks its counterpart. Its memory is its own and is used again.
type waiting struct {
	sight
	octets []byte // what the slices point into

	hash         uint64
	next         int32 // of the chain
	older, newer int32 // by arrival
	at           int64 // arrival
	follow       bool  // an answered transfer: more responses are no new ones
}

// Table puts queries and responses together. Time comes in as an argument: that of the arrival for what is live, that of the messages for files.
// It is for one goroutine.
type Table struct {
	Counts

	emit func(*Transaction)
	seed maphash.Seed

	chains         []int32 // index+1 into all
	all            []waiting
	free           []int32
	oldest, newest int32 // index+1
	count          int
	octets         int
	swept          int64

	in, asked           sight // reused
	inStore, askedStore [wire.MaxName]byte
	out                 Transaction
}

// NewTable makes a table that hands transactions to emit, which must not keep them.
func NewTable(emit func(*Transaction)) *Table {
	return &Table{emit: emit, seed: maphash.MakeSeed(), chains: make([]int32, 1<<10)}
}

// Waiting is the number of messages that lack their counterpart yet.
func (t *Table) Waiting() int { return t.count }

// Add takes a message that arrived at a time.
func (t *Table) Add(m *Message, at int64) {
	t.in.Message = *m
	s := &t.in
	s.scan(m.Wire, &t.inStore)
	t.note(s)
	t.Expire(at)
	if s.problem == ShortHeader || s.problem == BadQuestion {
		t.single(s) // nothing to find its counterpart by
		return
	}
	hash := t.hash(s)
	if !s.Reply {
		if w := t.find(s, hash, true); w >= 0 {
			t.pair(s, &t.all[w].sight)
			t.forget(w)
			return
		}
		t.bound(s, hash)
		t.keep(s, hash, at, false)
		return
	}
	if w := t.find(s, hash, false); w >= 0 {
		if t.all[w].follow {
			t.Continued++
			return
		}
		t.pair(&t.all[w].sight, s)
		t.forget(w)
		t.follow(s, hash, at)
		return
	}
	if m.Query != nil {
		t.asked.Message = Message{Kind: m.Kind, Has: m.Has &^ event.HasTime, Time: m.Asked, Client: m.Client, Server: m.Server, ClientPort: m.ClientPort, ServerPort: m.ServerPort,
			Transport: m.Transport, Wire: m.Query, Identity: m.Identity, Zone: m.Zone}
		if m.Asked != 0 {
			t.asked.Has |= event.HasTime
		}
		t.asked.scan(m.Query, &t.askedStore)
		t.pair(&t.asked, s)
		return
	}
	t.keep(s, hash, at, false)
}

// AddPair takes a query and its response that somebody else put together.
func (t *Table) AddPair(query, reply *Message) {
	t.asked.Message, t.in.Message = *query, *reply
	t.asked.scan(query.Wire, &t.askedStore)
	t.in.scan(reply.Wire, &t.inStore)
	t.note(&t.asked)
	t.note(&t.in)
	t.pair(&t.asked, &t.in)
}

// AddAlone takes a message of which somebody else knows that its counterpart was not seen.
func (t *Table) AddAlone(m *Message) {
	t.in.Message = *m
	t.in.scan(m.Wire, &t.inStore)
	t.note(&t.in)
	t.single(&t.in)
}

// note counts a message.
func (t *Table) note(s *sight) {
	t.Messages++
	if s.Reply {
		t.Responses++
	} else {
		t.Queries++
	}
	if s.Kind < kinds {
		t.Kinds[s.Kind]++
	}
	if s.problem != Fine {
		t.Malformed[s.problem]++
	}
	if s.Has&event.HasTime != 0 {
		if t.First == 0 || s.Time < t.First {
			t.First = s.Time
		}
		t.Last = max(t.Last, s.Time)
	}
}

// Bare counts an event that has no DNS message, such as PowerDNS' newly observed domains. It is no query.
func (t *Table) Bare() { t.Malformed[NoMessage]++ }

// Expire gives up what has waited too long at a time.
func (t *Table) Expire(at int64) {
	for t.oldest != 0 {
		w := &t.all[t.oldest-1]
		if at-w.at <= Window {
			break
		}
		t.giveUp(t.oldest - 1)
	}
	if at-t.swept >= sweepEvery {
		t.swept = at
		t.expireReplies(at)
	}
}

// expireReplies gives up responses whose query did not come.
func (t *Table) expireReplies(at int64) {
	for i := t.oldest; i != 0; {
		w := &t.all[i-1]
		next := w.newer
		if w.Reply && !w.follow && at-w.at > replyWindow {
			t.giveUp(i - 1)
		}
		i = next
	}
}

// Close gives up everything.
func (t *Table) Close() {
	for t.oldest != 0 {
		t.giveUp(t.oldest - 1)
	}
}

// hash is over what query and response have in common.
func (t *Table) hash(s *sight) uint64 {
	var key [16 + 2 + 2 + 2 + 2 + wire.MaxName]byte
	b := append(key[:0], s.Client[:]...)
	b = append(b, byte(s.ClientPort>>8), byte(s.ClientPort), byte(s.id>>8), byte(s.id), byte(s.typ>>8), byte(s.typ), byte(s.Transport), direction(s.Kind))
	for _, c := range s.name {
		b = append(b, wire.Lower(c))
	}
	return maphash.Bytes(t.seed, b)
}

func direction(k Kind) byte {
	if k.Outgoing() {
		return 1
	}
	return 0
}

// alike tells whether two messages belong to one question.
func alike(a, b *sight) bool {
	return a.id == b.id && a.typ == b.typ && a.ClientPort == b.ClientPort && a.Client == b.Client && a.Transport == b.Transport &&
		direction(a.Kind) == direction(b.Kind) && (a.name == nil) == (b.name == nil) && wire.Name(a.name).Equal(b.name)
}

// find is the oldest counterpart of a message, a response if reply, or -1.
func (t *Table) find(s *sight, hash uint64, reply bool) int32 {
	found := int32(-1)
	for i := t.chains[hash&uint64(len(t.chains)-1)]; i != 0; {
		w := &t.all[i-1]
		if w.hash == hash && (w.Reply == reply || w.follow && s.Reply) && alike(&w.sight, s) && inTime(&w.sight, s) {
			found = i - 1 // chains begin with the newest
		}
		i = w.next
	}
	return found
}

// inTime tells whether the times of two messages allow that they belong together.
func inTime(a, b *sight) bool {
	if a.Has&b.Has&event.HasTime == 0 {
		return true
	}
	d := b.Time - a.Time
	if a.Reply {
		d = -d
	}
	return d >= -skew && d <= Window
}

// bound gives up the oldest of too many equal queries.
func (t *Table) bound(s *sight, hash uint64) {
	n, oldest := 0, int32(-1)
	for i := t.chains[hash&uint64(len(t.chains)-1)]; i != 0; {
		w := &t.all[i-1]
		if w.hash == hash && !w.Reply && alike(&w.sight, s) {
			n, oldest = n+1, i-1
		}
		i = w.next
	}
	if n >= maxAlike {
		t.Crowded++
		t.giveUp(oldest)
	}
}

// follow remembers an answered zone transfer over a stream, whose response is many messages; those after the first may lack the question (RFC
// 5936, Section 2.2).
func (t *Table) follow(s *sight, hash uint64, at int64) {
	if s.Transport == event.UDP || s.typ != uint16(wire.TypeAXFR) && s.typ != uint16(wire.TypeIXFR) {
		return
	}
	t.keep(s, hash, at, true)
	s.name, s.typ = nil, 0
	t.keep(s, t.hash(s), at, true)
}

// keep puts a copy of a message into the table.
func (t *Table) keep(s *sight, hash uint64, at int64, follow bool) {
	for t.oldest != 0 && (t.count >= maxWaiting || t.octets > maxOctets) {
		t.Crowded++
		t.giveUp(t.oldest - 1)
	}
	if t.count >= len(t.chains) {
		t.grow()
	}
	var i int32
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.all = append(t.all, waiting{})
		i = int32(len(t.all) - 1)
	}
	w := &t.all[i]
	w.copyOf(s, follow)
	chain := &t.chains[hash&uint64(len(t.chains)-1)]
	w.hash, w.at, w.follow = hash, at, follow
	w.next, *chain = *chain, i+1
	w.older, w.newer = t.newest, 0
	if t.newest != 0 {
		t.all[t.newest-1].newer = i + 1
	} else {
		t.oldest = i + 1
	}
	t.newest = i + 1
	t.count++
	t.octets += len(w.octets)
}

// copyOf takes over a message with all it points to.
func (w *waiting) copyOf(s *sight, follow bool) {
	w.Message = s.Message
	w.facts = s.facts
	b := w.octets[:0]
	if !follow {
		b = append(b, s.Wire...)
	}
	wireEnd := len(b)
	b = append(append(append(b, s.Identity...), s.Zone...), s.name...)
	w.octets, w.Wire, w.Query = b, b[:wireEnd:wireEnd], nil
	b = b[wireEnd:]
	take := func(n int) (part []byte) {
		part, b = b[:n:n], b[n:]
		return part
	}
	w.Identity, w.Zone = take(len(s.Identity)), take(len(s.Zone))
	if s.name != nil {
		w.name = take(len(s.name))
	}
}

// grow doubles the chains. Entries are sorted in again from the oldest on, so that chains begin with the newest.
func (t *Table) grow() {
	t.chains = make([]int32, 2*len(t.chains))
	for i := t.oldest; i != 0; i = t.all[i-1].newer {
		w := &t.all[i-1]
		chain := &t.chains[w.hash&uint64(len(t.chains)-1)]
		w.next, *chain = *chain, i
	}
}

// forget takes an entry out.
func (t *Table) forget(i int32) {
	w := &t.all[i]
	at := &t.chains[w.hash&uint64(len(t.chains)-1)]
	for *at != i+1 {
		at = &t.all[*at-1].next
	}
	*at = w.next
	if w.older != 0 {
		t.all[w.older-1].newer = w.newer
	} else {
		t.oldest = w.newer
	}
	if w.newer != 0 {
		t.all[w.newer-1].older = w.older
	} else {
		t.newest = w.older
	}
	t.count--
	t.octets -= len(w.octets)
	if cap(w.octets) > 4096 {
		w.octets = nil // what is large once need not stay so
	}
	t.free = append(t.free, i)
}

// giveUp lets a message go without its counterpart.
func (t *Table) giveUp(i int32) {
	if w := &t.all[i]; !w.follow {
		t.single(&w.sight)
	}
	t.forget(i)
}
