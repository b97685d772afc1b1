package history

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anyu/watch/gauge"
)

// Count is one named counter of somebody else's.
type Count struct {
	Name string
	N    uint64
}

// Figures exports what a gauge counted, in the metrics that scripts may rely on. It makes them when asked, from the tables.
type Figures struct {
	Gauge    *gauge.Gauge
	Node     string
	Version  string
	Started  time.Time
	CPUTime  func() time.Duration
	Dropped  func() []Count // by where
	Findings func() []Count // by kind, since the start
	Rows     func() uint64  // of the query log, since the start; nil: no log
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	queriesDesc  = desc("anyu_queries_total", "Questions observed.", "source", "node", "zone", "transport", "type", "rcode")
	outcomesDesc = desc("anyu_outcomes_total", "Questions observed by what they mean for the success rate: success / (success + failure).", "source", "node", "zone", "outcome")
	serverDesc   = desc("anyu_server_outcomes_total", "Questions observed by the address that was asked; beyond 256 addresses \"other\".", "source", "node", "server", "outcome")
	networkDesc  = desc("anyu_network_outcomes_total", "Questions observed by the client's network, of those under figures.networks.", "source", "node", "network", "outcome")
	clientsDesc  = desc("anyu_distinct_clients", "Different clients in the last hour, about: standard error 1.6 %.", "source", "node")
	namesDesc    = desc("anyu_distinct_names", "Different names in the last hour, about: standard error 1.6 %.", "source", "node")
	answerDesc   = desc("anyu_answer_seconds", "Time from the question's arrival to the finished reply.", "source", "node", "transport")
	droppedDesc  = desc("anyu_dropped_total", "Observations, log rows and messages given up so that answers need not wait.", "where")
	findingsDesc = desc("anyu_findings_total", "Findings opened.", "kind")
	rowsDesc     = desc("anyu_log_rows_total", "Rows written to the query log.", "node")
	cpuDesc      = desc("anyu_cpu_ratio", "CPU used by this process, of what it may use.", "node")
	cpuTimeDesc  = desc("anyu_cpu_seconds_total", "CPU time used by this process.", "node")
	hostCPUDesc  = desc("anyu_host_cpu_ratio", "CPU in use on this machine.", "node")
	residentDesc = desc("anyu_memory_resident_bytes", "Memory of this process.", "node")
	heapDesc     = desc("anyu_memory_heap_bytes", "Memory of this process in live and not yet collected objects.", "node")
	ringDesc     = desc("anyu_ring_used_ratio", "The fullest ring of observations within the last second.", "node")
	connsDesc    = desc("anyu_connections", "Open client connections.", "node")
	startDesc    = desc("anyu_start_timestamp_seconds", "When this process started, Unix time.", "node")
	buildDesc    = desc("anyu_build_info", "Always 1; the labels tell the version.", "version", "go")
)

// Describe and Collect make Figures a prometheus.Collector.
func (f *Figures) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queriesDesc, outcomesDesc, serverDesc, networkDesc, clientsDesc, namesDesc, answerDesc, droppedDesc, findingsDesc, rowsDesc, cpuDesc, cpuTimeDesc,
		hostCPUDesc, residentDesc, heapDesc, ringDesc, connsDesc, startDesc, buildDesc} {
		out <- d
	}
}

// Collect sends the figures of now.
func (f *Figures) Collect(out chan<- prometheus.Metric) {
	f.collectTotals(out)
	f.collectSources(out)
	f.collectSpeed(out)
	f.collectLoad(out)
	count := func(d *prometheus.Desc, all func() []Count) {
		if all == nil {
			return
		}
		for _, c := range all() {
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(c.N), c.Name)
		}
	}
	count(droppedDesc, f.Dropped)
	count(findingsDesc, f.Findings)
	if f.Rows != nil {
		out <- prometheus.MustNewConstMetric(rowsDesc, prometheus.CounterValue, float64(f.Rows()), f.Node)
	}
	out <- prometheus.MustNewConstMetric(startDesc, prometheus.GaugeValue, float64(f.Started.Unix()), f.Node)
	out <- prometheus.MustNewConstMetric(buildDesc, prometheus.GaugeValue, 1, f.Version, runtime.Version())
}

func (f *Figures) collectTotals(out chan<- prometheus.Metric) {
	type query struct{ source, node, zone, transport, typ, rcode string }
	type outcome struct {
		source, node, zone string
		gauge.Outcome
	}
	queries, results := map[query]uint64{}, map[outcome]uint64{}
	for _, t := range f.Gauge.Totals() {
		queries[query{t.Source, t.Node, t.Zone, t.Transport, t.Type, t.Rcode}] += t.Count
		results[outcome{t.Source, t.Node, t.Zone, t.Outcome}] += t.Count
	}
	for k, n := range queries {
		out <- prometheus.MustNewConstMetric(queriesDesc, prometheus.CounterValue, float64(n), k.source, k.node, k.zone, k.transport, k.typ, k.rcode)
	}
	for k, n := range results {
		out <- prometheus.MustNewConstMetric(outcomesDesc, prometheus.CounterValue, float64(n), k.source, k.node, k.zone, k.Outcome.String())
	}
}

// collectSources sends what is known of each source and of the addresses that were asked.
func (f *Figures) collectSources(out chan<- prometheus.Metric) {
	type server struct {
		source, node, address string
		gauge.Outcome
	}
	servers := map[server]uint64{} // two sources of one name are one
	for _, s := range f.Gauge.Servers() {
		for o, n := range s.Outcomes {
			if n > 0 {
				servers[server{s.Source, s.Node, s.Address, gauge.Outcome(o)}] += n
			}
		}
	}
	for k, n := range servers {
		out <- prometheus.MustNewConstMetric(serverDesc, prometheus.CounterValue, float64(n), k.source, k.node, k.address, k.Outcome.String())
	}
	for _, n := range f.Gauge.Networks() {
		for o, count := range n.Outcomes {
			if count > 0 {
				out <- prometheus.MustNewConstMetric(networkDesc, prometheus.CounterValue, float64(count), n.Source, n.Node, n.Prefix, gauge.Outcome(o).String())
			}
		}
	}
	type named struct{ name, node string }
	sets := map[named]gauge.Set{}
	for _, s := range f.Gauge.Sources() {
		sets[named{s.Name, s.Node}] |= gauge.Only(s.ID)
	}
	now := time.Now()
	for k, of := range sets {
		d := f.Gauge.Distinct(of, now, gauge.Hour)
		out <- prometheus.MustNewConstMetric(clientsDesc, prometheus.GaugeValue, float64(d.Clients), k.name, k.node)
		out <- prometheus.MustNewConstMetric(namesDesc, prometheus.GaugeValue, float64(d.Names), k.name, k.node)
	}
}

func (f *Figures) collectSpeed(out chan<- prometheus.Metric) {
	type line struct{ source, node, transport string }
	sums := map[line]gauge.Timing{}
	for _, t := range f.Gauge.Timings() {
		k := line{t.Source, t.Node, t.Transport}
		if old, ok := sums[k]; ok { // two sources of one name
			t.Sum += old.Sum
			for i, c := range old.Speed {
				t.Speed[i] += c
			}
		}
		sums[k] = t
	}
	for k, t := range sums {
		buckets := map[float64]uint64{}
		for _, b := range t.Speed.Bounds() {
			buckets[b.Seconds] = b.Count
		}
		out <- prometheus.MustNewConstHistogram(answerDesc, t.Speed.Count(), t.Sum.Seconds(), buckets, k.source, k.node, k.transport)
	}
}

func (f *Figures) collectLoad(out chan<- prometheus.Metric) {
	if f.CPUTime != nil {
		out <- prometheus.MustNewConstMetric(cpuTimeDesc, prometheus.CounterValue, f.CPUTime().Seconds(), f.Node)
	}
	load, ok := f.Gauge.Load()
	if !ok {
		return
	}
	for d, v := range map[*prometheus.Desc]float64{
		cpuDesc: load.CPU, hostCPUDesc: load.HostCPU, residentDesc: float64(load.Resident), heapDesc: float64(load.Heap),
		ringDesc: load.Ring, connsDesc: float64(load.Connections),
	} {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, f.Node)
	}
}
