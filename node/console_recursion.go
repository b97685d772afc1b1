package node

import (
	"strings"
	"time"

	"anyu/console"
)

// Recursion implements console.Resolver.
func (s shown) Recursion() *console.Recursion {
	n := s.n
	r := n.resolver()
	if r == nil || n.conf().Recursion.Off {
		return nil
	}
	now := time.Now()
	state, sum := r.state(now), r.sum()
	v := &console.Recursion{
		Tasks: sum.tasks, Waiting: sum.waiting, Outage: state.Outage, Zones: state.Zones,
		Counts: []console.Counted{{Key: "questions", N: sum.Questions + sum.Merged}, {Key: "merged", N: sum.Merged}, {Key: "refused", N: sum.Refused + sum.refused},
			{Key: "overrate", N: sum.overRate},
			{Key: "stale", N: sum.Stale}, {Key: "prefetched", N: sum.Prefetched}},
		Cache: console.CacheState{Bytes: state.Cache.Bytes, Size: state.Cache.Size, RRsets: state.Cache.RRsets, Answers: state.Cache.Answers, Packets: state.Cache.Packets,
			Denials: state.Cache.Denials, Hits: state.Cache.Hits, Misses: state.Cache.Misses, Evicted: state.Cache.Evicted},
	}
	for _, p := range append(loopback[:], n.conf().Clients.Recursion...) {
		v.Allowed = append(v.Allowed, p.String())
	}
	v.Rate = console.ClientRate{PerSecond: state.ClientRate.PerSecond, Burst: state.ClientRate.Burst, Prefix4: state.ClientRate.Prefix4, Prefix6: state.ClientRate.Prefix6}
	v.Local = console.LocalData{Records: state.Local.Records, Answered: state.Local.Answered, More: state.Local.More}
	for _, r := range state.Local.Rules {
		v.Local.Rules = append(v.Local.Rules, console.LocalRule{Name: r.Name, Answer: r.Answer, Answered: r.Answered})
	}
	for _, o := range state.ClientRate.Worst {
		v.Rate.Worst = append(v.Rate.Worst, console.Offender{Prefix: o.Prefix.String(), N: o.Count})
	}
	for _, key := range [...]string{"sent_udp", "sent_stream", "received", "foreign", "timeout", "error"} {
		v.Outgoing = append(v.Outgoing, console.Counted{Key: key, N: sum.outgoing[key]})
	}
	for _, f := range r.servers.List(now.UnixNano()) {
		v.Known++
		if !f.Down {
			continue
		}
		if v.DownAll++; len(v.Down) < console.MaxDown {
			v.Down = append(v.Down, console.Peer{Address: f.Addr.String(), RTT: f.RTT, Under: f.Outstanding})
		}
	}
	for _, k := range state.Anchors {
		v.Anchors = append(v.Anchors, console.AnchorKey{Zone: k.Zone, Type: k.Type, State: strings.ToLower(k.State), Tag: k.Tag, Since: k.Since, Probe: k.Probe, Problem: k.Problem})
	}
	for _, a := range state.Negative {
		from := a.From
		if from == "command line" {
			from = "flag"
		}
		v.Negative = append(v.Negative, console.NegativeAnchor{Name: a.Name, Owner: a.Owner, Reason: a.Reason, From: from, End: a.End})
	}
	for _, u := range state.Streams {
		v.Streams = append(v.Streams, console.Stream{Server: u.Server, Name: u.Name, Protocol: u.Protocol, Open: u.Open, Queries: u.Queries, Replies: u.Replies, Failed: u.Failed, Problem: u.Problem})
	}
	if c := state.LocalRoot; c != nil {
		v.Root = &console.RootCopy{Usable: c.Usable, Serial: c.Serial, Source: c.Source, Verified: c.Verified, Expires: c.Expires, Next: c.Next, Failed: c.Failed, Problem: c.Error}
	}
	return v
}
