package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"
)

// Options of a run. The zero Options are the usual ones.
type Options struct {
	Seed uint64
	// Payload is the size an OPT record must name where a whole message is compared; 0 takes any.
	Payload uint16
	// StrictOrder compares records inside a section in their order too.
	StrictOrder bool
	// ServfailUnmatched answers SERVFAIL to a question that no entry of an Unbound file knows once nothing else can go on. It is
	// for resolvers that ask in another order than Unbound; Result.Unmatched counts what it answered.
	ServfailUnmatched bool
	// Trace gets all that happens, line by line; nil: nothing.
	Trace io.Writer
}

// maxRounds of a run; a scenario that needs more goes in circles. (The same number as testbound's.)
const maxRounds = 5000

// Failure is why a run failed.
type Failure struct {
	Step   int    // its number; 0 before the first and after the last
	Line   int    // in the file
	Reason string // one line
	Detail string // more lines: what was expected, what came
}

func (f *Failure) Error() string {
	if f.Step == 0 {
		return f.Reason
	}
	return fmt.Sprintf("line %d, step %d: %s", f.Line, f.Step, f.Reason)
}

// run is one scenario on its way.
type run struct {
	sc    *Scenario
	sys   System
	opts  Options
	match matcher
	set   Settings
	now   int64

	at        int // index of the step that waits
	asked     []*asking
	answers   []*answered
	pending   []delivery // Deckard: what the network carries
	used      map[*Entry]int
	macros    macros
	rounds    int
	unmatched int
	failure   error // what Handle's outputs did wrong
}

// asking is a question that is outstanding.
type asking struct {
	Output
	message *Message
	packets int // of a stream, delivered
}

// answered is an answer that waits to be checked.
type answered struct {
	to      netip.AddrPort
	tcp     bool
	message *Message
	size    int
}

// Run runs a scenario against the system that make makes. The error is a *Skip, a *Failure, or what made the run impossible.
// unmatched counts the questions answered only because of Options.ServfailUnmatched.
func Run(ctx context.Context, sc *Scenario, make Factory, opts Options) (unmatched int, err error) {
	rules, err := skipRules(skipText)
	if err != nil {
		return 0, err
	}
	if why := sc.skip(rules); why != nil {
		return 0, why
	}
	set, err := sc.Settings()
	if err != nil {
		return 0, err
	}
	set.Seed = opts.Seed
	sys, err := make(set)
	if err != nil {
		return 0, err
	}
	r := &run{sc: sc, sys: sys, opts: opts, match: matcher{sc.Dialect, opts.Payload, opts.StrictOrder}, set: set, now: set.Start,
		used: map[*Entry]int{}}
	r.macros = macros{map[string]string{}, func() float64 { return float64(r.now) / 1e9 }, r.timeout}
	if c, ok := sys.(io.Closer); ok {
		defer c.Close()
	}
	if sc.Dialect == Deckard {
		err = r.deckard(ctx)
	} else {
		err = r.testbound(ctx)
	}
	if err != nil {
		r.tracef("FAILED: %v", err)
		var f *Failure
		if errors.As(err, &f) && f.Detail != "" {
			r.trace(f.Detail)
		}
	} else {
		r.tracef("PASSED")
	}
	return r.unmatched, err
}

// waiting is the step that waits, or nil at the end.
func (r *run) waiting() *Step {
	if r.at >= len(r.sc.Steps) {
		return nil
	}
	return &r.sc.Steps[r.at]
}

func (r *run) fail(detail, format string, args ...any) error {
	f := &Failure{Reason: fmt.Sprintf(format, args...), Detail: detail}
	if s := r.waiting(); s != nil {
		f.Step, f.Line = s.Number, s.Line
	}
	return f
}

// round counts one turn of the loop.
func (r *run) round(ctx context.Context) error {
	if r.rounds++; r.rounds > maxRounds {
		return r.fail("", "more than %d rounds: the run goes in circles", maxRounds)
	}
	if ctx.Err() != nil {
		return r.fail("", "the time limit is over")
	}
	return r.failure
}

// handle gives the system one input and does what it wants.
func (r *run) handle(in Input) {
	for _, out := range r.sys.Handle(r.now, in) {
		switch out.Kind {
		case Send:
			r.send(out)
		case Cancel:
			r.cancel(out.ID)
		case Answer:
			a := &answered{out.To, out.TCP, Decode(out.Msg), len(out.Msg)}
			r.answers = append(r.answers, a)
			r.tracef("ANSWER to %s %s, %d octets", out.To, transport(out.TCP), a.size)
			r.traceMessage(a.message)
		case Note:
			r.tracef("  . %s", out.Text)
		}
	}
}

func transport(tcp bool) string {
	if tcp {
		return "tcp"
	}
	return "udp"
}

func (r *run) send(out Output) {
	for _, a := range r.asked {
		if a.ID == out.ID {
			r.failure = r.fail("", "the system sent two queries with the ID %d", out.ID)
			return
		}
	}
	a := &asking{Output: out, message: Decode(out.Msg)}
	r.tracef("QUERY #%d to %s %s: %s", out.ID, out.To, transport(out.TCP), a.message.Line())
	if r.sc.Dialect == Deckard {
		r.carry(a)
		return
	}
	// A question that the waiting step looks for moves the step pointer at once; it stays outstanding all the same.
	if s := r.waiting(); s != nil && s.Kind == StepCheckOutQuery && sameServer(s.Address, out.To) && r.match.matches(s.Entry, a.message, out.TCP) {
		r.tracef("step %d (line %d) CHECK_OUT_QUERY: #%d is it", s.Number, s.Line, out.ID)
		r.advance()
	}
	r.asked = slices.Insert(r.asked, 0, a)
}

func (r *run) cancel(id uint64) {
	r.tracef("CANCEL #%d", id)
	r.asked = slices.DeleteFunc(r.asked, func(a *asking) bool { return a.ID == id })
	r.pending = slices.DeleteFunc(r.pending, func(d delivery) bool { return d.in.ID == id })
}

func (r *run) drop(a *asking) {
	r.asked = slices.DeleteFunc(r.asked, func(b *asking) bool { return a == b })
}

// sameServer tells whether an address of the file means a server; no port in the file means any.
func sameServer(want, to netip.AddrPort) bool {
	return !want.IsValid() || want.Addr() == to.Addr() && (want.Port() == 0 || want.Port() == to.Port())
}

// timeout is how many seconds the earliest timer is away.
func (r *run) timeout() (float64, error) {
	at, armed := r.sys.Timer()
	if !armed {
		return 0, nil // as testbound says it
	}
	return float64(at-r.now) / 1e9, nil
}

// maxWakes at one moment; a timer that is due again at once for ever is a defect of the system.
const maxWakes = 10000

// wake runs the timers that are due.
func (r *run) wake() error {
	for range maxWakes {
		at, armed := r.sys.Timer()
		if !armed || at > r.now || r.failure != nil {
			return r.failure
		}
		r.tracef("WAKE (due at %s)", clock(at))
		r.handle(Input{Kind: Wake})
	}
	return r.fail("", "the system's timer is always due")
}

// client is the message of a QUERY step.
func (r *run) client(s *Step, m *Message) Input {
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(40000+r.at%20000))
	if s.Address.IsValid() {
		from = netip.AddrPortFrom(s.Address.Addr(), from.Port())
		if s.Address.Port() != 0 {
			from = s.Address
		}
	}
	return Input{Kind: Client, From: from, TCP: s.Entry.Match&MatchTCP != 0, Msg: m.Encode()}
}

// control gives the system a control input that names a message.
func (r *run) control(s *Step) error {
	q, err := recordHead([]string{s.Words[0], s.Words[1], s.Words[2]}, lineage{})
	if err != nil {
		return r.fail("", "%s: %v", s.Kind, err)
	}
	kind := Flush
	if s.Kind == StepExpireMessage {
		kind = Expire
	}
	r.handle(Input{Kind: kind, Question: Question{q.Name, q.Type, q.Class}})
	return nil
}

// measured is INFRA_RTT address zone milliseconds.
func (r *run) measured(s *Step) error {
	addr, err := netip.ParseAddr(s.Words[0])
	if err != nil {
		return r.fail("", "INFRA_RTT: %v", err)
	}
	zone, err := parseName(s.Words[1], "")
	if err != nil {
		return r.fail("", "INFRA_RTT: %v", err)
	}
	d, err := time.ParseDuration(s.Words[2] + "ms")
	if err != nil {
		return r.fail("", "INFRA_RTT: %v", err)
	}
	r.handle(Input{Kind: Measured, From: netip.AddrPortFrom(addr, 53), Question: Question{Name: zone}, RTT: int64(d)})
	return nil
}
