// Package health judges whether a resolver can do its work, from the answers to two questions that always have answers: the name servers
// of the root, and its keys.
//
// It promises: pure; each judgement is a Finding, opened with the facts it rests on or closed. It refuses to ask and to wait.
// Limits today: one judgement for all loops of a node.
package health

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/resolve"
	"anyu/serve/validate"
)

// Kinds of findings.
const (
	Upstream   = "resolver-upstream"   // nobody to ask answers
	Redirected = "resolver-redirected" // somebody on the way answers for the root servers
	Validation = "resolver-validation" // nothing validates any more
)

// ReachQuestion asks whether anybody answers, ReachOptions how: past the cache, and without validation.
func ReachQuestion() message.Question {
	return message.Question{Name: wire.Root(), Type: wire.TypeNS, Class: wire.ClassIN}
}

// ReachOptions are those of ReachQuestion.
func ReachOptions() resolve.Options {
	return resolve.Options{CD: true, Refresh: true, Priority: true}
}

// KeyQuestion asks whether the keys of the root hold.
func KeyQuestion() message.Question {
	return message.Question{Name: wire.Root(), Type: wire.TypeDNSKEY, Class: wire.ClassIN}
}

// KeyOptions are those of KeyQuestion.
func KeyOptions() resolve.Options { return resolve.Options{Priority: true} }

// Reach judges the answer to ReachQuestion; nil: none came in time. servers is how many are known.
func Reach(a *resolve.Answer, servers int, node string, now time.Time) (f event.Finding, ok bool) {
	ok = a != nil && a.Rcode != wire.ServFail
	text := "no answer in time"
	if a != nil {
		text = a.Text
	}
	return finding(Upstream, node, now, ok, event.Fact{Name: "error", Value: text}, event.Fact{Name: "servers", Value: strconv.Itoa(servers)}), ok
}

// Way judges whether queries arrive at the root servers. resolving are those that answered as resolvers: that is somebody else, to whom port 53 is
// redirected. Names may be found nevertheless, but by whoever answers, who sees them all and chooses what to ask.
func Way(resolving []netip.Addr, node string, now time.Time) event.Finding {
	var texts []string
	for _, a := range resolving {
		texts = append(texts, a.String())
	}
	f := finding(Redirected, node, now, len(texts) == 0, event.Fact{Name: "servers-that-resolve", Value: strings.Join(texts, ", ")})
	f.Severity = event.Warning
	return f
}

// Keys judges the answer to KeyQuestion.
func Keys(a *resolve.Answer, node string, now time.Time) (f event.Finding, ok bool) {
	ok = a.Rcode != wire.ServFail || a.Security != dnssec.Bogus && !isValidation(a.Reason)
	return finding(Validation, node, now, ok, event.Fact{Name: "likely", Value: likelyCause(a.Reason, now)}, event.Fact{Name: "error", Value: a.Text},
		event.Fact{Name: "clock", Value: now.UTC().Format(time.RFC3339)}), ok
}

// Unjudged ends the finding about validation where validation is off.
func Unjudged(node string, now time.Time) event.Finding { return finding(Validation, node, now, true) }

func finding(kind, node string, now time.Time, over bool, facts ...event.Fact) event.Finding {
	f := event.Finding{Kind: kind, Subject: node, Node: node, Severity: event.Critical, Updated: now.UTC()}
	if over {
		f.Closed = f.Updated
	} else {
		f.Opened, f.Facts = f.Updated, facts
	}
	return f
}

func isValidation(reason uint16) bool {
	return reason >= validate.ReasonBogus && reason <= validate.ReasonNoDenial
}

// oldest is before any anyu was made: a clock that shows less was not set.
var oldest = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// likelyCause tells an operator where to look when the root's own keys do not validate.
func likelyCause(reason uint16, now time.Time) string {
	switch {
	case now.Before(oldest):
		return fmt.Sprintf("the clock of this machine is wrong: it shows %s", now.UTC().Format(time.DateTime))
	case reason == validate.ReasonNotYet:
		return "the clock of this machine is slow: signatures of the root begin later than now"
	case reason == validate.ReasonExpired:
		return "the clock of this machine is fast, or an old copy of the root is served to it: signatures of the root are over"
	case reason == validate.ReasonNoKey:
		return "the trust anchor is lost: none of the root's keys is one that is trusted here"
	case reason == validate.ReasonNoSignature:
		return "somebody on the way takes signatures out of answers: a forwarder or a middlebox without DNSSEC"
	}
	return "the trust anchor does not fit, or answers of the root are altered on the way"
}
