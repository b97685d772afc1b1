package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anyu/serve/outbound"
	"anyu/serve/pending"
	"anyu/serve/resolve"
)

// resolverFigures exports what the resolver counts. The figures are made when they are asked for.
type resolverFigures struct {
	resolver *resolver
	node     string
}

func resolverDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"node"}, labels...), nil)
}

// The descriptions are made anew for each collector: there is one.
type resolverDescs struct {
	hits, misses, bytes, size, entries, evicted, outgoing, tasks, waiters, limited, questions, stale, prefetched, local, servers, root, rootSerial, rootExpires, rootFailed *prometheus.Desc
}

func newResolverDescs() *resolverDescs {
	return &resolverDescs{
		hits:       resolverDesc("anyu_cache_hits_total", "Records and answers that the resolver found in its cache while it looked for answers; finished answers that were sent as they were are in anyu_queries_total."),
		misses:     resolverDesc("anyu_cache_misses_total", "Records and answers that it looked for in its cache and did not find."),
		bytes:      resolverDesc("anyu_cache_bytes", "Memory held by the cache."),
		size:       resolverDesc("anyu_cache_size_bytes", "Memory that the cache may take."),
		entries:    resolverDesc("anyu_cache_entries", "What the cache holds, by kind.", "kind"),
		evicted:    resolverDesc("anyu_cache_evicted_total", "Entries that made room for others before they were over."),
		outgoing:   resolverDesc("anyu_outgoing_total", "Messages to and from other servers, by what became of them.", "outcome"),
		tasks:      resolverDesc("anyu_resolver_tasks", "Questions that are being looked up."),
		waiters:    resolverDesc("anyu_resolver_waiters", "Clients that wait for an answer."),
		limited:    resolverDesc("anyu_resolver_limited_total", "Questions not looked up, or answered too late to be sent, because of a limit.", "limit"),
		questions:  resolverDesc("anyu_resolver_questions_total", "Questions of clients that were not in the cache; merged ones waited for the same answer as another.", "kind"),
		stale:      resolverDesc("anyu_resolver_stale_total", "Answers made of expired records (RFC 8767)."),
		prefetched: resolverDesc("anyu_resolver_prefetched_total", "Answers renewed before they expired."),
		local:      resolverDesc("anyu_local_answers_total", "Questions that recursion.local answered, by the kind of the rule; record: without a rule.", "answer"),
		servers:    resolverDesc("anyu_resolver_servers", "Servers that something is remembered of.", "state"),

		root:        resolverDesc("anyu_local_root_usable", "1 while a verified copy of the root zone is used (RFC 8806), 0 while the root servers are asked instead. Not there without sources."),
		rootSerial:  resolverDesc("anyu_local_root_serial", "Serial of the copy."),
		rootExpires: resolverDesc("anyu_local_root_expires_seconds", "When the copy may not be used any more, seconds since 1970."),
		rootFailed:  resolverDesc("anyu_local_root_failures", "Tries to renew the copy since the last that succeeded."),
	}
}

func (f *resolverFigures) Describe(out chan<- *prometheus.Desc) {
	d := newResolverDescs()
	for _, x := range []*prometheus.Desc{d.hits, d.misses, d.bytes, d.size, d.entries, d.evicted, d.outgoing, d.tasks, d.waiters, d.limited, d.questions, d.stale, d.prefetched, d.local, d.servers,
		d.root, d.rootSerial, d.rootExpires, d.rootFailed} {
		out <- x
	}
}

// Collect implements prometheus.Collector.
func (f *resolverFigures) Collect(out chan<- prometheus.Metric) {
	d, r := newResolverDescs(), f.resolver
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, v, append([]string{f.node}, labels...)...)
	}
	count := func(desc *prometheus.Desc, v uint64, labels ...string) {
		send(desc, prometheus.CounterValue, float64(v), labels...)
	}
	c := r.cache.Stats()
	count(d.hits, c.Hits)
	count(d.misses, c.Misses)
	count(d.evicted, c.Evicted)
	send(d.bytes, prometheus.GaugeValue, float64(c.Bytes))
	r.mu.Lock()
	send(d.size, prometheus.GaugeValue, float64(r.plan.cache.Bytes))
	r.mu.Unlock()
	for kind, n := range map[string]int{"rrset": c.RRsets, "answer": c.Answers, "failure": c.Failures, "packet": c.Packets, "denial": c.Denials} {
		send(d.entries, prometheus.GaugeValue, float64(n), kind)
	}
	sum := r.sum()
	send(d.tasks, prometheus.GaugeValue, float64(sum.tasks))
	send(d.waiters, prometheus.GaugeValue, float64(sum.waiting))
	count(d.questions, sum.Questions, "first")
	count(d.questions, sum.Merged, "merged")
	count(d.limited, sum.Refused, "waiters")
	count(d.limited, sum.Discarded, "late")
	count(d.limited, sum.refused, "queue")
	count(d.limited, sum.overRate, "client_rate")
	count(d.stale, sum.Stale)
	count(d.prefetched, sum.Prefetched)
	for outcome, n := range sum.outgoing {
		count(d.outgoing, n, outcome)
	}
	r.mu.Lock()
	own := r.local
	r.mu.Unlock()
	for kind, n := range byAnswer(own) {
		count(d.local, n, kind)
	}
	f.servers(send, d)
	f.localRoot(send, d)
}

func (f *resolverFigures) localRoot(send func(*prometheus.Desc, prometheus.ValueType, float64, ...string), d *resolverDescs) {
	if f.resolver.root == nil {
		return
	}
	s := f.resolver.root.State()
	if s == nil {
		return
	}
	usable := 0.0
	if s.Usable {
		usable = 1
	}
	send(d.root, prometheus.GaugeValue, usable)
	send(d.rootFailed, prometheus.GaugeValue, float64(s.Failed))
	if !s.Expires.IsZero() {
		send(d.rootSerial, prometheus.GaugeValue, float64(s.Serial))
		send(d.rootExpires, prometheus.GaugeValue, float64(s.Expires.Unix()))
	}
}

func (f *resolverFigures) servers(send func(*prometheus.Desc, prometheus.ValueType, float64, ...string), d *resolverDescs) {
	up, down := 0, 0
	for _, s := range f.resolver.servers.List(time.Now().UnixNano()) {
		if s.Down {
			down++
		} else {
			up++
		}
	}
	send(d.servers, prometheus.GaugeValue, float64(up), "up")
	send(d.servers, prometheus.GaugeValue, float64(down), "down")
}

// sums are over all loops.
type sums struct {
	pending.Counts
	tasks, waiting int
	refused        uint64 // by the queues
	overRate       uint64 // by the limit of a client
	outgoing       map[string]uint64
}

func (r *resolver) sum() sums {
	s := sums{outgoing: map[string]uint64{}}
	for _, l := range r.loops.Each() {
		state := loopState(l)
		s.tasks += state.Tasks
		s.waiting += state.Waiting
		s.Counts.Add(state.Counts)
	}
	r.mu.Lock()
	s.overRate = r.rate.over().All()
	r.mu.Unlock()
	c := r.loops.Counts()
	s.refused = c.Refused
	for outcome, n := range map[string]uint64{"sent_udp": c.Sent, "sent_stream": c.SentStream, "received": c.Received, "foreign": c.Foreign, "timeout": c.TimedOut, "error": c.Errors} {
		s.outgoing[outcome] = n
	}
	return s
}

// loopState asks a loop how busy it is.
func loopState(l *outbound.Loop) (s LoopState) {
	l.Call(func(e *resolve.Engine, t *pending.Table) {
		s = LoopState{Tasks: e.Tasks(), Waiting: t.Waiting(), Counts: t.Counts()}
	})
	return s
}
