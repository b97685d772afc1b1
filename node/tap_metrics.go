package node

import (
	"github.com/prometheus/client_golang/prometheus"
)

// tapFigures exports what taps count. The figures are made when they are asked for; queries, outcomes and times of taps are in those of history.
type tapFigures struct {
	node    *Node
	metrics []tapMetric
}

type tapMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(s *SourceState) (float64, bool) // false: unknown
}

func newTapFigures(n *Node) *tapFigures {
	f := &tapFigures{node: n}
	add := func(kind prometheus.ValueType, name, help string, of func(s *SourceState) (float64, bool)) {
		f.metrics = append(f.metrics, tapMetric{prometheus.NewDesc(name, help, []string{"source", "node"}, nil), kind, of})
	}
	count := func(name, help string, of func(s *SourceState) uint64) {
		add(prometheus.CounterValue, name, help, func(s *SourceState) (float64, bool) { return float64(of(s)), true })
	}
	count("anyu_tap_messages_total", "DNS messages that a tap told.", func(s *SourceState) uint64 { return s.Messages })
	count("anyu_tap_malformed_total", "Messages that could not be read as a whole.", func(s *SourceState) uint64 { return s.Malformed })
	count("anyu_tap_broken_total", "Frames and packets that could not be read.", func(s *SourceState) uint64 { return s.Broken })
	count("anyu_tap_unmatched_queries_total", "Questions whose answer was not seen.", func(s *SourceState) uint64 { return s.UnmatchedQueries })
	count("anyu_tap_unmatched_responses_total", "Answers whose question was not seen.", func(s *SourceState) uint64 { return s.UnmatchedResponses })
	count("anyu_tap_outgoing_total", "Questions that the observed server asked others; they are not in anyu_queries_total.", func(s *SourceState) uint64 { return s.Outgoing })
	count("anyu_tap_events_total", "Events without a DNS message.", func(s *SourceState) uint64 { return s.Events })
	count("anyu_tap_dropped_total", "Observations of a tap that found its ring full; among where=\"ring\" of anyu_dropped_total.", func(s *SourceState) uint64 { return s.Dropped })
	count("anyu_tap_lost_total", "Packets that the kernel did not keep for a capture.", func(s *SourceState) uint64 { return s.Lost })
	count("anyu_tap_refused_total", "Connections refused.", func(s *SourceState) uint64 { return s.Refused })
	add(prometheus.GaugeValue, "anyu_tap_connections", "Open connections.", func(s *SourceState) (float64, bool) { return float64(s.Connections), true })
	add(prometheus.GaugeValue, "anyu_tap_last_timestamp_seconds", "When the last message came, Unix time. Not there before the first.", func(s *SourceState) (float64, bool) {
		return float64(s.Last.UnixMilli()) / 1000, !s.Last.IsZero()
	})
	add(prometheus.GaugeValue, "anyu_tap_lag_seconds", "Smallest age of messages at their arrival lately; negative: the observed server's clock is ahead.", func(s *SourceState) (float64, bool) {
		if s.Lag == nil {
			return 0, false
		}
		return s.Lag.Seconds(), true
	})
	add(prometheus.GaugeValue, "anyu_tap_cpu_ratio", "CPU used by the observed process, of this machine's. Known of processes that write into a unix socket.", func(s *SourceState) (float64, bool) {
		if s.CPU == nil {
			return 0, false
		}
		return *s.CPU, true
	})
	add(prometheus.GaugeValue, "anyu_tap_memory_resident_bytes", "Memory of the observed process, known as its CPU is.", func(s *SourceState) (float64, bool) {
		if s.Memory == nil {
			return 0, false
		}
		return float64(*s.Memory), true
	})
	return f
}

// Describe and Collect make it a prometheus.Collector.
func (f *tapFigures) Describe(out chan<- *prometheus.Desc) {
	for _, m := range f.metrics {
		out <- m.desc
	}
}

func (f *tapFigures) Collect(out chan<- prometheus.Metric) {
	list := f.node.Sources()
	for i := range list {
		for _, m := range f.metrics {
			if v, ok := m.of(&list[i]); ok {
				out <- prometheus.MustNewConstMetric(m.desc, m.kind, v, list[i].Name, list[i].Node)
			}
		}
	}
}
