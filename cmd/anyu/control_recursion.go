package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/user"
	"strings"
	"time"

	"anyu/node"
)

// negativeFlags are those of `anyu control nta add`.
type negativeFlags struct {
	owner, reason string
	life          time.Duration
}

// defaultNegative is how long a negative trust anchor stands if nobody says. RFC 7646, Section 2, would have it short.
const defaultNegative = 24 * time.Hour

func (n *negativeFlags) define(f *flag.FlagSet) {
	f.StringVar(&n.owner, "owner", "", "nta add: `WHO` answers for it (default: the account)")
	f.StringVar(&n.reason, "reason", "", "nta add: `TEXT` that says why")
	f.DurationVar(&n.life, "for", defaultNegative, "nta add: how long it stands, at most 168h")
}

// args completes the words of `nta add NAME`.
func (n *negativeFlags) args(words []string) ([]string, error) {
	if len(words) != 3 || words[0] != "nta" || words[1] != "add" {
		return words, nil
	}
	if n.reason == "" {
		return nil, errors.New("nta add needs --reason TEXT: who finds it later wants to know why names are not validated")
	}
	if n.owner == "" {
		if u, err := user.Current(); err == nil {
			n.owner = u.Username
		}
	}
	return append(words, n.owner, n.reason, n.life.String()), nil
}

func showNegatives(w io.Writer, result json.RawMessage) error {
	var list []node.Negative
	if err := json.Unmarshal(result, &list); err != nil {
		return err
	}
	fmt.Fprintln(w, "NAME\tUNTIL\tFROM\tOWNER\tREASON")
	for _, n := range list {
		until := moment(n.End)
		if n.End.IsZero() {
			until = "the node stops"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", n.Name, until, n.From, n.Owner, n.Reason)
	}
	return nil
}

func showRecursion(w io.Writer, result json.RawMessage) error {
	var s node.RecursionState
	if err := json.Unmarshal(result, &s); err != nil {
		return err
	}
	c := s.Cache
	fmt.Fprintf(w, "allowed for\t%s\n", strings.Join(s.Allowed, ", "))
	fmt.Fprintf(w, "cache\t%.1f of %.1f MiB: %d RRsets, %d answers, %d packets, %d proofs\n", mib(c.Bytes), mib(c.Size), c.RRsets, c.Answers, c.Packets, c.Denials)
	fmt.Fprintf(w, "found in it\t%d of %d, %d made room for others\n", c.Hits, c.Hits+c.Misses, c.Evicted)
	for i, l := range s.Loops {
		fmt.Fprintf(w, "loop %d\t%d looked up now, %d clients wait; %d questions, %d merged, %d refused, %d stale, %d prefetched\n",
			i+1, l.Tasks, l.Waiting, l.Questions, l.Merged, l.Refused, l.Stale, l.Prefetched)
	}
	for _, z := range s.Zones {
		fmt.Fprintf(w, "configured\t%s\n", z)
	}
	showLocal(w, s.Local)
	showLocalRoot(w, s.LocalRoot)
	for _, a := range s.Anchors {
		fmt.Fprintf(w, "trust anchor\t%s %s %d, %s since %s, next probe %s %s\n", a.Zone, a.Type, a.Tag, strings.ToLower(a.State), moment(a.Since), moment(a.Probe), a.Problem)
	}
	for _, n := range s.Negative {
		fmt.Fprintf(w, "not validated\t%s until %s: %s (%s)\n", n.Name, moment(n.End), n.Reason, n.Owner)
	}
	o := s.Outgoing
	fmt.Fprintf(w, "sent\t%d over UDP, %d over streams; %d messages came back, %d of them foreign; %d timed out, %d failed\n", o["sent_udp"], o["sent_stream"], o["received"], o["foreign"], o["timeout"], o["error"])
	for _, u := range s.Streams {
		fmt.Fprintf(w, "stream\t%s %s %s: %d open, %d questions, %d answers, %d failed %s\n", u.Server, u.Protocol, u.Name, u.Open, u.Queries, u.Replies, u.Failed, u.Problem)
	}
	if s.Outage {
		fmt.Fprintf(w, "network\tno server answers: it seems to be gone\n")
	}
	for _, f := range s.Servers {
		state := "up"
		if f.Down {
			state = "down"
		}
		fmt.Fprintf(w, "server\t%s %s, %.1f ms\n", f.Address, state, f.RTT*1000)
	}
	return nil
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// showLocal tells what recursion.local answers, if anything.
func showLocal(w io.Writer, s node.LocalState) {
	if s.Records > 0 {
		fmt.Fprintf(w, "local records\t%d, which answered %d\n", s.Records, s.Answered)
	}
	for _, r := range s.Rules {
		fmt.Fprintf(w, "local rule\t%s %s: answered %d\n", r.Name, r.Answer, r.Answered)
	}
	if s.More > 0 {
		fmt.Fprintf(w, "\tand %d rules that answered less\n", s.More)
	}
}

// showLocalRoot tells which copy of the root zone is used, if one is configured.
func showLocalRoot(w io.Writer, s *node.LocalRootState) {
	switch {
	case s == nil:
		return
	case s.Usable:
		fmt.Fprintf(w, "local root\tserial %d from %s, verified %s, expires %s, next look %s\n", s.Serial, s.Source, moment(s.Verified), moment(s.Expires), moment(s.Next))
	default:
		fmt.Fprintf(w, "local root\tnone: the root servers are asked; next try %s\n", moment(s.Next))
	}
	if s.Error != "" {
		fmt.Fprintf(w, "\tfailed %d times, last: %s\n", s.Failed, s.Error)
	}
}
