package replay

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// testbound runs a scenario by Unbound's rules. The order of the four cases is their semantics.
func (r *run) testbound(ctx context.Context) error {
	for r.waiting() != nil {
		if err := r.round(ctx); err != nil {
			return err
		}
		s := r.waiting()
		if a := r.lookedFor(s); a != nil {
			r.tracef("step %d (line %d) CHECK_OUT_QUERY: #%d is it", s.Number, s.Line, a.ID)
			r.advance()
			if s.Entry.Adjust.CopyID {
				r.deliver(a, s.Entry, "step")
			}
		} else if s.Kind == StepCheckAnswer && len(r.answers) > 0 {
			if err := r.checkAnswer(s); err != nil {
				return err
			}
			r.advance()
		} else if a, e := r.inRange(s.Number); a != nil {
			r.deliver(a, e, "range")
		} else if r.opts.ServfailUnmatched && s.Kind == StepCheckAnswer && len(r.asked) > 0 {
			r.giveUp()
		} else if err := r.execute(s); err != nil {
			return err
		}
	}
	return r.atEnd()
}

// atEnd checks that nothing is left over.
func (r *run) atEnd() error {
	if r.failure != nil {
		return r.failure
	}
	if len(r.asked) > 0 && !r.opts.ServfailUnmatched {
		return r.fail(r.outstanding(), "the scenario ends and queries are outstanding%s", strings.TrimPrefix(r.outstandingLine(), "; outstanding"))
	}
	if len(r.answers) > 0 {
		a := r.answers[0]
		return r.fail(a.message.Text("    "), "the scenario ends and an answer was not checked: %s", a.message.Line())
	}
	return nil
}

func (r *run) advance() {
	r.at++
	if s := r.waiting(); s != nil {
		r.tracef("-- waiting: step %d (line %d) %s", s.Number, s.Line, s.Kind)
	} else {
		r.tracef("-- no step is left")
	}
}

// lookedFor is the outstanding question that a waiting CHECK_OUT_QUERY looks for.
func (r *run) lookedFor(s *Step) *asking {
	if s.Kind != StepCheckOutQuery {
		return nil
	}
	for _, a := range r.asked {
		if sameServer(s.Address, a.To) && r.match.matches(s.Entry, a.message, a.TCP) {
			return a
		}
	}
	return nil
}

// inRange is an outstanding question, the newest first, that a live range answers. Ranges are searched last in the file first; one
// that has no entry for the question leaves it to the next.
func (r *run) inRange(step int) (*asking, *Entry) {
	for _, a := range r.asked {
		for i := len(r.sc.Ranges) - 1; i >= 0; i-- {
			g := &r.sc.Ranges[i]
			if step < g.First || step > g.Last || len(g.Addresses) > 0 && !sameServer(g.Addresses[0], a.To) {
				continue
			}
			for _, e := range g.Entries {
				if r.match.matches(e, a.message, a.TCP) {
					return a, e
				}
			}
		}
	}
	return nil, nil
}

// deliver gives the system the entry's packet. In a stream the question stays outstanding while packets are left. The simulated clock
// does not move: the sleeps of an entry are real ones in testbound, and mean nothing here.
func (r *run) deliver(a *asking, e *Entry, from string) {
	msg := e.reply(Unbound, a.message, a.packets)
	more := a.packets+1 < len(e.Packets)
	a.packets++
	if !more {
		r.drop(a)
	}
	r.tracef("REPLY #%d from %s (%s, entry of line %d)", a.ID, a.To, from, e.Line)
	r.traceMessage(Decode(msg))
	if !usable(msg) {
		r.tracef("  . no reply at all: it counts as silence")
		r.handle(Input{Kind: TimedOut, ID: a.ID, From: a.To, TCP: a.TCP, Unusable: true})
		return
	}
	r.handle(Input{Kind: Reply, ID: a.ID, From: a.To, TCP: a.TCP, Msg: msg, More: more})
}

// giveUp answers SERVFAIL to the newest question, which no entry knows.
func (r *run) giveUp() {
	a := r.asked[0]
	r.drop(a)
	r.unmatched++
	r.tracef("REPLY #%d SERVFAIL: no entry knows the question (ServfailUnmatched)", a.ID)
	r.handle(Input{Kind: Reply, ID: a.ID, From: a.To, TCP: a.TCP, Msg: servfail(a.message)})
}

// execute does the waiting step. QUERY, REPLY, TIMEOUT and ERROR move the step pointer first, so that what they trigger meets the
// next step.
func (r *run) execute(s *Step) error {
	r.tracef("== step %d (line %d) %s", s.Number, s.Line, s.Kind)
	switch s.Kind {
	case StepQuery:
		in := r.client(s, s.Entry.message())
		r.tracef("CLIENT %s %s: %s", in.From, transport(in.TCP), s.Entry.message().Line())
		r.advance()
		r.handle(in)
		return nil
	case StepReply, StepTimeout, StepError:
		return r.outcome(s)
	case StepCheckAnswer:
		return r.checkAnswer(s)
	case StepCheckOutQuery:
		detail := fmt.Sprintf("expected (MATCH %s):\n%s%s", s.Entry.Match, s.Entry.message().Text("    "), r.outstanding())
		return r.fail(detail, "the query looked for was not sent%s", r.outstandingLine())
	}
	if err := r.quiet(s); err != nil {
		return err
	}
	r.advance()
	return nil
}

// outcome ends the newest outstanding question as the step says.
func (r *run) outcome(s *Step) error {
	if len(r.asked) == 0 {
		return r.fail("", "%s, and no query is outstanding", s.Kind)
	}
	a := r.asked[0]
	if s.Kind != StepReply {
		r.drop(a)
	}
	r.advance()
	switch s.Kind {
	case StepTimeout:
		r.tracef("TIMEOUT #%d", a.ID)
		r.handle(Input{Kind: TimedOut, ID: a.ID, From: a.To, TCP: a.TCP})
	case StepError:
		r.tracef("ERROR #%d", a.ID)
		r.handle(Input{Kind: Failed, ID: a.ID, From: a.To, TCP: a.TCP})
	default:
		r.deliver(a, s.Entry, "step")
	}
	return nil
}

// quiet does the steps that move no message of their own.
func (r *run) quiet(s *Step) error {
	switch s.Kind {
	case StepTimePasses:
		return r.passTime(s)
	case StepAssign:
		value, err := r.macros.expand(s.Text)
		if err != nil {
			return r.fail("", "%v", err)
		}
		r.macros.vars[s.Name] = value
		r.tracef("%s = %s", s.Name, value)
	case StepCheckAutotrust:
		return r.checkAutotrust(s)
	case StepCheckTempfile:
		return r.checkTempfile(s)
	case StepFlushMessage, StepExpireMessage:
		return r.control(s)
	case StepInfraRTT:
		return r.measured(s)
	}
	return nil
}

// passTime moves the clock, and then runs what is due at the new time, as testbound does.
func (r *run) passTime(s *Step) error {
	elapse := s.Elapse
	if s.Text != "" {
		text, err := r.macros.expand(s.Text)
		if err != nil {
			return r.fail("", "%v", err)
		}
		n, err := r.macros.arithmetic(text)
		if err != nil || n < 0 {
			return r.fail("", "%q is no time that can pass: %v", text, err)
		}
		elapse = time.Duration(n * float64(time.Second))
	}
	r.now += int64(elapse)
	r.tracef("now %s", clock(r.now))
	return r.wake()
}
