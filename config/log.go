package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"anyu/dns/wire"
)

// LogRule says how many of some questions are logged. What it names nothing of, it does not look at.
type LogRule struct {
	// Clients are prefixes, as they ask: before anything is cut or replaced.
	Clients []netip.Prefix `yaml:"clients"`
	// Names, with everything below them.
	Names []string `yaml:"names"`
	// Sources: self, or names of taps.
	Sources []string `yaml:"sources"`
	// OneOf logs one question of so many: 1 all, 0 none.
	OneOf *int `yaml:"one_of"`
}

const (
	// maxLogRules bounds what each question is compared with (stops: a list of thousands, which would make observing slower than answering).
	maxLogRules = 64
	maxSample   = 1_000_000
	// Rows are made safe not more often than a disk can follow, and not so seldom that a crash loses what anybody would miss.
	leastSync, mostSync = Duration(100 * time.Millisecond), Duration(time.Minute)
)

// LogColumns are the columns of the query log that Log.Without may name. docs/formats/log.md tells what is in them.
func LogColumns() []string {
	return []string{"client", "client_port", "qname", "qname_asked", "qtype", "qclass", "rcode", "query_flags", "flags", "edns_payload", "do", "ede", "query_size", "reply_size",
		"latency_us", "zone", "server", "server_port", "id", "policy", "ecs", "upstream", "asked", "answers", "answer_ips"}
}

func (l *Log) check() error {
	for _, name := range l.Without {
		if !slices.Contains(LogColumns(), name) {
			return wrong("$.log.without", "%q is no column that can be left out: there are %s", name, strings.Join(LogColumns(), ", "))
		}
	}
	switch {
	case l.Sync < leastSync || l.Sync > mostSync:
		return wrong("$.log.sync", "%s: from %s to %s", time.Duration(l.Sync), time.Duration(leastSync), time.Duration(mostSync))
	case l.Sample < 1 || l.Sample > maxSample:
		return wrong("$.log.sample", "%d: from 1 (all) to %d", l.Sample, maxSample)
	case len(l.Rules) > maxLogRules:
		return wrong("$.log.rules", "%d of them: %d at most", len(l.Rules), maxLogRules)
	}
	for i := range l.Rules {
		if err := l.Rules[i].check(fmt.Sprintf("$.log.rules[%d]", i)); err != nil {
			return err
		}
	}
	if err := l.Clients.check(); err != nil {
		return err
	}
	return l.ClickHouse.check()
}

func (r *LogRule) check(at string) error {
	switch {
	case r.OneOf == nil:
		return wrong(at, "one_of is missing: 1 logs all questions that fit, 10 one of ten, 0 none")
	case *r.OneOf < 0 || *r.OneOf > maxSample:
		return wrong(at+".one_of", "%d: from 0 (none) to %d", *r.OneOf, maxSample)
	case len(r.Clients)+len(r.Names)+len(r.Sources) == 0:
		return wrong(at, "it names no clients, names or sources: write log.sample for all questions")
	}
	for _, name := range r.Names {
		if _, err := wire.ParseName(name); err != nil {
			return wrong(at+".names", "%q: %v", name, err)
		}
	}
	return nil
}
