package resolve

import (
	"fmt"
	"net/netip"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
)

// StepKind says what a Step tells of.
type StepKind uint8

const (
	StepZone     StepKind = iota // the servers of a zone are about to be asked
	StepAsk                      // a server was asked, and this came of it
	StepReferral                 // a zone below was named
	StepCache                    // an answer was in the cache
	StepTarget                   // the address of a name server is looked up
	StepValidate                 // what the validator did
	StepFail                     // an attempt ended without answer
)

// Step is one thing that happened on the way to an answer, for an operator to read.
type Step struct {
	Kind     StepKind
	Depth    int // how deep in looking up what else was needed
	At       time.Duration
	Zone     wire.Name
	Question message.Question
	Server   netip.AddrPort
	RTT      time.Duration
	Rcode    wire.Rcode
	Text     string
}

// MaxSteps of a resolution are kept.
const MaxSteps = 400

func (t *task) note(s Step) {
	if len(t.trace) >= MaxSteps {
		return
	}
	s.Depth, s.At = t.depth, time.Duration(t.e.now-t.started)
	t.trace = append(t.trace, s)
}

// String is one line without the indentation.
func (s Step) String() string {
	switch s.Kind {
	case StepZone:
		return fmt.Sprintf("zone %s: ask for %s", s.Zone, s.Question)
	case StepAsk:
		return fmt.Sprintf("%s (%s): %s %s", s.Server, s.RTT.Round(100*time.Microsecond), s.Question, s.Text)
	case StepReferral:
		return fmt.Sprintf("referral to %s: %s", s.Zone, s.Text)
	case StepCache:
		return fmt.Sprintf("cache: %s %s", s.Question, s.Rcode)
	case StepTarget:
		return fmt.Sprintf("address of name server %s", s.Question)
	case StepValidate:
		return fmt.Sprintf("validation of %s: %s", s.Question, s.Text)
	}
	return fmt.Sprintf("failed: %s: %s", s.Question, s.Text)
}
