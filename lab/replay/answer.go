package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// checkAnswer compares the answers that wait with a CHECK_ANSWER step and takes the one that matches away.
func (r *run) checkAnswer(s *Step) error {
	var best []string
	var seen *answered
	for i, a := range r.answers {
		diff := r.match.differences(s.Entry, a.message, a.tcp)
		if s.Address.IsValid() && s.Address.Addr() != a.to.Addr() {
			diff = append([]string{fmt.Sprintf("it went to %s, not to %s", a.to.Addr(), s.Address.Addr())}, diff...)
		}
		if len(diff) == 0 {
			r.answers = slices.Delete(r.answers, i, i+1)
			r.tracef("step %d (line %d) CHECK_ANSWER: matches", s.Number, s.Line)
			return nil
		}
		if seen == nil || len(diff) < len(best) {
			best, seen = diff, a
		}
	}
	detail := fmt.Sprintf("expected (entry of line %d, MATCH %s):\n%s", s.Entry.Line, s.Entry.Match, s.Entry.message().Text("    "))
	if seen == nil {
		return r.fail(detail+r.outstanding(), "no answer came%s", r.outstandingLine())
	}
	return r.fail(detail+"got:\n"+seen.message.Text("    ")+r.outstanding(), "the answer differs: %s", strings.Join(best, " | "))
}

func (r *run) outstandingLine() string {
	if len(r.asked) == 0 {
		return "; no query is outstanding"
	}
	var list []string
	for _, a := range r.asked {
		list = append(list, fmt.Sprintf("%s to %s", a.message.Line(), a.To.Addr()))
	}
	return "; outstanding: " + strings.Join(list, ", ")
}

func (r *run) outstanding() string {
	var b strings.Builder
	for _, a := range r.asked {
		fmt.Fprintf(&b, "outstanding: #%d to %s %s: %s\n%s", a.ID, a.To, transport(a.TCP), a.message.Line(), r.why(a))
	}
	return b.String()
}

// why explains that nothing answers a question: which ranges its server has, which of them live, and the entries that nearly match.
func (r *run) why(a *asking) string {
	var b strings.Builder
	step := -1
	if s := r.waiting(); s != nil {
		step = s.Number
	}
	for i := range r.sc.Ranges {
		g := &r.sc.Ranges[i]
		if len(g.Addresses) > 0 && !slices.ContainsFunc(g.Addresses, func(w netip.AddrPort) bool { return sameServer(w, a.To) }) {
			continue
		}
		if step < g.First || step > g.Last {
			fmt.Fprintf(&b, "    range of line %d lives from step %d to %d, not at %d\n", g.Line, g.First, g.Last, step)
			continue
		}
		fmt.Fprintf(&b, "    range of line %d lives; none of its %d entries matches\n", g.Line, len(g.Entries))
		for _, e := range g.Entries {
			if diff := r.match.differences(e, a.message, a.TCP); len(diff) == 1 {
				fmt.Fprintf(&b, "      entry of line %d: %s\n", e.Line, diff[0])
			}
		}
	}
	if b.Len() == 0 {
		return "    no range has this address\n"
	}
	return b.String()
}
