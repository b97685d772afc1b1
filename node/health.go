package node

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/health"
)

const kindCacheSave = "cache-not-saved"

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
	if sink == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	a, err := r.ask(ctx, health.ReachQuestion(), health.ReachOptions())
	if errors.Is(err, errStopped) || errors.Is(err, context.Canceled) {
		return true
	}
	f, reached := health.Reach(a, len(r.servers.List(time.Now().UnixNano())), node, time.Now())
	sink.Report(f)
	sink.Report(health.Way(r.resolving(), node, time.Now()))
	if !reached {
		return false // of validation nothing can be said
	}
	r.mu.Lock()
	off := r.plan.conf.Validation.Off
	r.mu.Unlock()
	if off {
		sink.Report(health.Unjudged(node, time.Now()))
		return true
	}
	if a, err = r.ask(ctx, health.KeyQuestion(), health.KeyOptions()); err != nil {
		return false
	}
	f, holds := health.Keys(a, node, time.Now())
	sink.Report(f)
	return holds
}

// resolving are the configured root servers that answered as resolvers lately.
func (r *resolver) resolving() (list []netip.Addr) {
	r.mu.Lock()
	hints := r.plan.resolve.Hints
	r.mu.Unlock()
	for _, h := range hints {
		for _, a := range h.Addresses {
			if r.servers.Look(a, wire.Root(), time.Now().UnixNano()).LameRecursive {
				list = append(list, a.Addr())
			}
		}
	}
	return list
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
