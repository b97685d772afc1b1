package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// Deckard's world.
const (
	// clientPatience is how long a client waits for its answer.
	clientPatience = 5 * time.Second
	// latency of the simulated network, one way and back.
	latency = time.Millisecond
	dnsPort = 53
)

// delivery is what the network brings to the system at a time.
type delivery struct {
	at   int64
	in   Input
	what string
	show *Message
}

// deckard runs a scenario by Deckard's rules: a client asks, the clock runs while it waits, and only its last answer is kept.
func (r *run) deckard(ctx context.Context) error {
	ids := rand.New(rand.NewPCG(r.opts.Seed, 0xDECA))
	for ; r.waiting() != nil; r.at++ {
		s := r.waiting()
		r.tracef("== step %d (line %d) %s", s.Number, s.Line, s.Kind)
		var err error
		switch s.Kind {
		case StepQuery:
			err = r.deckardQuery(ctx, s, uint16(ids.Uint32()))
		case StepCheckAnswer:
			err = r.checkAnswer(s)
		case StepTimePasses:
			r.now += int64(s.Elapse)
			r.tracef("now %s", clock(r.now))
			if err = r.wake(); err == nil {
				err = r.settle(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
	return r.deckardEnd()
}

func (r *run) deckardEnd() error {
	check := func(e *Entry) error {
		if e != nil && e.Mandatory && r.used[e] == 0 {
			return r.fail("", "the mandatory entry of line %d was never used", e.Line)
		}
		return nil
	}
	for _, g := range r.sc.Ranges {
		for _, e := range g.Entries {
			if err := check(e); err != nil {
				return err
			}
		}
	}
	return r.failure
}

// deckardQuery sends the entry's message and waits for the answer.
func (r *run) deckardQuery(ctx context.Context, s *Step, id uint16) error {
	r.answers = nil
	m := s.Entry.message().Copy()
	if s.Entry.RawQuery != nil {
		m.Raw = s.Entry.RawQuery
	} else {
		m.ID = id
		if m.OPT == nil {
			m.OPT = &OPT{}
		}
		m.OPT.Payload = queryPayload
	}
	in := r.client(s, m)
	r.tracef("CLIENT %s: %s", in.From, Decode(in.Msg).Line())
	r.handle(in)
	if s.Entry.RawQuery != nil {
		// Nothing is expected; an error message may come all the same.
		err := r.settle(ctx)
		r.answers = nil
		return err
	}
	deadline := r.now + int64(clientPatience)
	for len(r.answers) == 0 {
		if err := r.round(ctx); err != nil {
			return err
		}
		if !r.turn(deadline) {
			r.now = deadline
			return r.fail("", "no answer within %s", clientPatience)
		}
	}
	if a := r.answers[len(r.answers)-1]; a.message.ID != id {
		return r.fail(a.message.Text("    "), "the answer has another ID than the query")
	}
	r.answers = r.answers[len(r.answers)-1:]
	return r.settle(ctx)
}

// turn moves the clock to what happens next and lets it happen; false when nothing does before the deadline.
func (r *run) turn(deadline int64) bool {
	at, armed := r.sys.Timer()
	if len(r.pending) > 0 && (!armed || r.pending[0].at <= at) {
		if r.pending[0].at > deadline {
			return false
		}
		r.bring()
		return true
	}
	if !armed || at > deadline {
		return false
	}
	r.now = max(r.now, at)
	r.tracef("WAKE")
	r.handle(Input{Kind: Wake})
	return true
}

// bring delivers the next thing the network carries.
func (r *run) bring() {
	d := r.pending[0]
	r.pending = r.pending[1:]
	r.now = max(r.now, d.at)
	r.tracef("%s", d.what)
	if d.show != nil {
		r.traceMessage(d.show)
	}
	r.handle(d.in)
}

// settle lets what is under way arrive, as it would between two steps of a real run.
func (r *run) settle(ctx context.Context) error {
	for len(r.pending) > 0 {
		if err := r.round(ctx); err != nil {
			return err
		}
		r.bring()
	}
	return r.failure
}

// carry puts what the servers do with a query on its way.
func (r *run) carry(a *asking) {
	in := Input{Kind: Reply, ID: a.ID, From: a.To, TCP: a.TCP}
	d := delivery{at: r.now + int64(latency)}
	switch msg, e := r.deckardReply(a); {
	case msg == nil && e == nil:
		in.Kind = Failed
		d.what = fmt.Sprintf("UNREACHABLE #%d: no server has the address %s", a.ID, a.To)
	case msg == nil:
		r.tracef("  . the entry of line %d does not answer #%d", e.Line, a.ID)
		return
	default:
		in.Msg = msg
		d.show = Decode(msg)
		d.what = fmt.Sprintf("REPLY #%d from %s %s (SERVFAIL: no entry)", a.ID, a.To, transport(a.TCP))
		if e != nil {
			d.what = fmt.Sprintf("REPLY #%d from %s %s (entry of line %d)", a.ID, a.To, transport(a.TCP), e.Line)
		}
	}
	d.in = in
	i, _ := slices.BinarySearchFunc(r.pending, d, func(x, y delivery) int {
		if x.at <= y.at {
			return -1
		}
		return 1
	})
	r.pending = slices.Insert(r.pending, i, d)
}

// deckardReply is what the servers answer. In file order the first range that lives and has the address is the range, and in it
// the first entry that matches; then the one-shot REPLY steps from here on; then SERVFAIL. No octets and no entry: nobody is there.
func (r *run) deckardReply(a *asking) ([]byte, *Entry) {
	step := r.waiting()
	if step == nil {
		step = &r.sc.Steps[len(r.sc.Steps)-1]
	}
	addr, there := r.serverAddress(a)
	if !there {
		return nil, nil
	}
	for i := range r.sc.Ranges {
		g := &r.sc.Ranges[i]
		if step.Number < g.First || step.Number > g.Last || addr.IsValid() && len(g.Addresses) > 0 && !slices.ContainsFunc(g.Addresses, func(w netip.AddrPort) bool { return w.Addr() == addr }) {
			continue
		}
		if e := r.firstMatch(g.Entries, a); e != nil {
			return r.useEntry(e, a)
		}
		if r.opts.Trace != nil {
			r.trace(r.why(a))
		}
		return servfail(a.message), nil
	}
	for i := range r.sc.Steps {
		s := &r.sc.Steps[i]
		if s.Kind != StepReply || s.Number < step.Number || r.used[s.Entry] > 0 {
			continue
		}
		if r.match.matches(s.Entry, a.message, a.TCP) {
			return r.useEntry(s.Entry, a)
		}
	}
	return servfail(a.message), nil
}

func (r *run) firstMatch(list []*Entry, a *asking) *Entry {
	for _, e := range list {
		if r.match.matches(e, a.message, a.TCP) {
			return e
		}
	}
	return nil
}

func (r *run) useEntry(e *Entry, a *asking) ([]byte, *Entry) {
	r.used[e]++
	if e.Adjust.Silent {
		return nil, e
	}
	if e.RawQuery != nil {
		raw := slices.Clone(e.RawQuery)
		if e.Adjust.RawID && len(raw) >= 2 {
			raw[0], raw[1] = byte(a.message.ID>>8), byte(a.message.ID)
		}
		return raw, e
	}
	return e.reply(Deckard, a.message, 0), e
}

// serverAddress is the address ranges are searched with. One that no range names means any range where the configuration sends
// queries there; at any other nobody listens. Servers listen on port 53 alone.
func (r *run) serverAddress(a *asking) (addr netip.Addr, there bool) {
	if a.To.Port() != dnsPort {
		return netip.Addr{}, false
	}
	addressed := false
	for _, g := range r.sc.Ranges {
		addressed = addressed || len(g.Addresses) > 0
		for _, w := range g.Addresses {
			if w.Addr() == a.To.Addr() {
				return a.To.Addr(), true
			}
		}
	}
	for _, h := range r.set.Hints {
		if h.Addr.Addr() == a.To.Addr() {
			return netip.Addr{}, true
		}
	}
	for _, f := range r.set.Forwards {
		for _, w := range f.Addrs {
			if w.Addr() == a.To.Addr() {
				return netip.Addr{}, true
			}
		}
	}
	return netip.Addr{}, !addressed
}
