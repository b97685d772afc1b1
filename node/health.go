package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/resolve"
	"anyu/serve/validate"
)

// Kinds of findings about the resolver.
const (
	kindUpstream   = "resolver-upstream"   // nobody to ask answers
	kindValidation = "resolver-validation" // nothing validates any more
	kindCacheSave  = "cache-not-saved"
)

const (
	healthEvery    = 5 * time.Minute
	healthAgain    = 10 * time.Second // after a failure, or when all servers seem to be gone
	healthPatience = 15 * time.Second
)

// watchHealth looks whether the root (or who it is forwarded to) answers, and whether its keys hold. It begins with the first question.
func (r *resolver) watchHealth(ctx context.Context, sink event.Sink, node string) {
	select {
	case <-r.used:
	case <-ctx.Done():
		return
	}
	for {
		ok := r.checkHealth(ctx, sink, node)
		wait := healthEvery
		if !ok {
			wait = healthAgain
		}
		for end := time.Now().Add(wait); time.Now().Before(end); {
			select {
			case <-time.After(min(healthAgain, wait)):
			case <-ctx.Done():
				return
			}
			if ok && r.servers.Outage() {
				break
			}
		}
	}
}

// checkHealth asks two questions that always have answers.
func (r *resolver) checkHealth(ctx context.Context, sink event.Sink, node string) (ok bool) {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	root := message.Question{Name: wire.Root(), Type: wire.TypeNS, Class: wire.ClassIN}
	a, err := r.ask(ctx, root, resolve.Options{CD: true, Refresh: true, Priority: true})
	if errors.Is(err, errStopped) || errors.Is(err, context.Canceled) {
		return true
	}
	reached := err == nil && a.Rcode != wire.ServFail
	report(sink, kindUpstream, node, event.Critical, reached, func() []event.Fact {
		text := "no answer in time"
		if a != nil {
			text = a.Text
		}
		return []event.Fact{{Name: "error", Value: text}, {Name: "servers", Value: strconv.Itoa(len(r.servers.List(time.Now().UnixNano())))}}
	})
	if !reached {
		return false // of validation nothing can be said
	}
	r.mu.Lock()
	off := r.plan.conf.Validation.Off
	r.mu.Unlock()
	if off {
		report(sink, kindValidation, node, event.Critical, true, nil)
		return true
	}
	root.Type = wire.TypeDNSKEY
	a, err = r.ask(ctx, root, resolve.Options{Priority: true})
	if err != nil {
		return false
	}
	holds := a.Rcode != wire.ServFail || a.Security != dnssec.Bogus && !validationReason(a.Reason)
	report(sink, kindValidation, node, event.Critical, holds, func() []event.Fact {
		return []event.Fact{{Name: "likely", Value: likelyCause(a.Reason, time.Now())}, {Name: "error", Value: a.Text}, {Name: "clock", Value: time.Now().UTC().Format(time.RFC3339)}}
	})
	return holds
}

func validationReason(reason uint16) bool {
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

// report opens, keeps or ends a finding.
func report(sink event.Sink, kind, node string, severity event.Severity, over bool, facts func() []event.Fact) {
	if sink == nil {
		return
	}
	now := time.Now().UTC()
	f := event.Finding{Kind: kind, Subject: node, Node: node, Severity: severity, Updated: now}
	if over {
		f.Closed = now
	} else {
		f.Opened, f.Facts = now, facts()
	}
	sink.Report(f)
}
