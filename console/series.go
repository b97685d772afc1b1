package console

import (
	"fmt"
	"math"
	"strings"
	"time"

	"anyu/console/chart"
	"anyu/console/period"
	"anyu/watch/gauge"
	"anyu/watch/history"
)

// series are the figures over a period, one value a step; NaN is a gap.
type series struct {
	from     time.Time
	step     time.Duration
	steps    int
	complete int

	volume, success, nx             []float64
	p50, p95, p99                   []float64
	cpu, host, ring, resident, heap []float64
	dropped                         []float64
	lastWeek                        []float64 // volume
	hasLoad                         bool
	total, good, bad                float64 // of the whole period
	unavailable                     bool    // the history could not be asked
}

var gap = math.NaN()

// historyStep is how often figures are kept for longer than the last hour.
const historyStep = 15 * time.Second

func newSeries(from time.Time, step time.Duration, steps int) *series {
	s := &series{from: from, step: step, steps: steps, complete: steps}
	for _, v := range s.all() {
		*v = make([]float64, steps)
		for i := range *v {
			(*v)[i] = gap
		}
	}
	return s
}

func (s *series) all() []*[]float64 {
	return []*[]float64{&s.volume, &s.success, &s.nx, &s.p50, &s.p95, &s.p99, &s.cpu, &s.host, &s.ring, &s.resident, &s.heap, &s.dropped}
}

// recent tells whether the last hour, which is known by the second, covers a period.
func recent(at period.Period, now time.Time) bool {
	return !at.From.Before(now.Add(-gauge.Hour)) && at.To.After(now.Add(-gauge.Hour))
}

// figures are the four figures of a page's period and sources, of everything or of one zone.
func (c *Console) figures(p *page, zone string) *series {
	if recent(p.Period, p.now) {
		if s := c.recentFigures(p, zone); s != nil {
			return s
		}
	}
	return c.keptFigures(p, zone)
}

// recentFigures come from the gauge; nil where it does not know the zone.
func (c *Console) recentFigures(p *page, zone string) *series {
	var points []gauge.Point
	at, now, of := p.Period, p.now, p.scope.set
	step := at.Step(time.Second, chart.MaxPoints)
	if zone == "" {
		points = c.opts.Gauge.Live(of, now, now.Sub(at.From), step)
	} else {
		step = max(step, 10*time.Second)
		points = join(c.opts.Gauge.LiveZone(of, now, now.Sub(at.From), zone), step)
		if points == nil {
			return nil
		}
	}
	for len(points) > 1 && !points[len(points)-1].Start.Before(at.To) {
		points = points[:len(points)-1]
	}
	s := newSeries(points[0].Start, step, len(points))
	s.complete = 0
	for i := range points {
		s.take(i, &points[i], zone == "" && p.scope.own())
	}
	return s
}

// join adds up steps of ten seconds to longer ones.
func join(points []gauge.Point, step time.Duration) []gauge.Point {
	var out []gauge.Point
	for _, p := range points {
		start := p.Start.Truncate(step)
		if len(out) == 0 || !out[len(out)-1].Start.Equal(start) {
			out = append(out, gauge.Point{Start: start, Step: step, Complete: p.Complete})
		}
		last := &out[len(out)-1]
		last.Known += p.Known
		last.Count += p.Count
		last.NX += p.NX
		if p.Timed > 0 { // the speed of the five minutes it is in
			last.Timed, last.P50, last.P95, last.P99 = p.Timed, p.P50, p.P95, p.P99
		}
		for o, n := range p.Outcomes {
			last.Outcomes[o] += n
		}
		last.Complete = p.Complete && p.Start.Add(p.Step).Equal(start.Add(step))
	}
	return out
}

func (s *series) take(i int, p *gauge.Point, own bool) {
	if p.Complete {
		s.complete = i + 1
	}
	if p.Known == 0 {
		return
	}
	s.volume[i] = p.Volume()
	s.total += float64(p.Count)
	s.good += float64(p.Outcomes[gauge.Success])
	s.bad += float64(p.Outcomes[gauge.Failure])
	if rate, ok := p.SuccessRate(); ok {
		s.success[i] = rate
	}
	if p.Count > 0 {
		s.nx[i] = float64(p.NX) / float64(p.Count)
	}
	if p.Timed > 0 {
		s.p50[i], s.p95[i], s.p99[i] = p.P50.Seconds(), p.P95.Seconds(), p.P99.Seconds()
	}
	if p.Loaded {
		s.dropped[i] = float64(p.Load.Dropped) / float64(p.Known)
	}
	if p.Loaded && own {
		l := &p.Load
		s.hasLoad = true
		s.cpu[i], s.host[i], s.ring[i] = l.CPU, l.HostCPU, l.Ring
		s.resident[i], s.heap[i] = float64(l.Resident), float64(l.Heap)
	}
}

// label quotes a value for PromQL.
func label(name, value string) string {
	if value == "" {
		return ""
	}
	return name + "=" + fmt.Sprintf("%q", value)
}

// selector makes {a="x",b="y"} of labels that are not empty.
func selector(labels ...string) string {
	kept := labels[:0]
	for _, l := range labels {
		if l != "" {
			kept = append(kept, l)
		}
	}
	return "{" + strings.Join(kept, ",") + "}"
}

// keptFigures come from the history, by PromQL.
func (c *Console) keptFigures(p *page, zone string) *series {
	at, now := p.Period, p.now
	step := at.Step(historyStep, chart.MaxPoints)
	from := at.From.Truncate(step)
	steps := int((at.To.Sub(from) + step - 1) / step)
	s := newSeries(from, step, steps)
	s.complete = min(steps, max(0, int(now.Sub(from)/step)))
	window := max(step, 4*historyStep)
	over := fmt.Sprintf("[%ds]", int(window.Seconds()))
	for _, ask := range questions(s, &p.scope, zone, over) {
		// The value of a step is what PromQL tells at its end.
		lines, err := c.opts.History.Range(p.r.Context(), ask.query, from.Add(step), from.Add(time.Duration(steps)*step), step)
		if err != nil {
			s.unavailable = true
			c.opts.Log.Debug("console history", "query", ask.query, "error", err)
			continue
		}
		fill(*ask.into, lines, from, step)
	}
	s.hasLoad = zone == "" && p.scope.own()
	for i, v := range s.volume {
		if !math.IsNaN(v) {
			n := v * step.Seconds()
			s.total += n
			if rate := s.success[i]; !math.IsNaN(rate) {
				s.good, s.bad = s.good+n*rate, s.bad+n*(1-rate)
			}
		}
	}
	return s
}

type question struct {
	into  *[]float64
	query string
}

// questions are what to ask the history for a page.
func questions(s *series, of *scope, zone, over string) []question {
	labels := func(more ...string) string {
		return selector(append(append(of.labels(), label("zone", zone)), more...)...)
	}
	asked := []question{
		{&s.volume, "sum(rate(anyu_queries_total" + labels() + over + "))"},
		{&s.success, "sum(rate(anyu_outcomes_total" + labels(label("outcome", "success")) + over + ")) / sum(rate(anyu_outcomes_total" + labels(`outcome=~"success|failure"`) + over + "))"},
		{&s.nx, "sum(rate(anyu_queries_total" + labels(label("rcode", "NXDOMAIN")) + over + ")) / sum(rate(anyu_queries_total" + labels() + over + "))"},
	}
	if zone != "" {
		return asked
	}
	s.lastWeek = make([]float64, s.steps)
	for i := range s.lastWeek {
		s.lastWeek[i] = gap
	}
	quantile := func(q string) string {
		return "histogram_quantile(" + q + ", sum by (le) (rate(anyu_answer_seconds_bucket" + labels() + over + ")))"
	}
	asked = append(asked,
		question{&s.lastWeek, "sum(rate(anyu_queries_total" + labels() + over + " offset 7d))"},
		question{&s.p50, quantile("0.5")}, question{&s.p95, quantile("0.95")}, question{&s.p99, quantile("0.99")},
		question{&s.dropped, `sum(rate(anyu_dropped_total{where=~"ring|log"}` + over + "))"},
	)
	if !of.own() {
		return asked
	}
	return append(asked,
		question{&s.cpu, "avg(avg_over_time(anyu_cpu_ratio" + over + "))"}, question{&s.host, "avg(avg_over_time(anyu_host_cpu_ratio" + over + "))"},
		question{&s.ring, "max(max_over_time(anyu_ring_used_ratio" + over + "))"},
		question{&s.resident, "max(max_over_time(anyu_memory_resident_bytes" + over + "))"}, question{&s.heap, "max(max_over_time(anyu_memory_heap_bytes" + over + "))"},
	)
}

// fill puts samples where their steps are.
func fill(into []float64, lines []history.Series, from time.Time, step time.Duration) {
	for _, line := range lines {
		for _, sample := range line.Samples {
			if i := int(sample.At.Sub(from)/step) - 1; i >= 0 && i < len(into) {
				into[i] = sample.Value
			}
		}
	}
}

// mean and most look at what is known; NaN if nothing is.
func mean(v []float64) float64 {
	sum, n := 0.0, 0
	for _, f := range v {
		if !math.IsNaN(f) {
			sum += f
			n++
		}
	}
	if n == 0 {
		return gap
	}
	return sum / float64(n)
}

func most(v []float64) float64 {
	top := gap
	for _, f := range v {
		if math.IsNaN(top) || f > top {
			top = f
		}
	}
	return top
}

// latest is the last value that is known and complete.
func (s *series) latest(v []float64) float64 {
	for i := min(s.complete, len(v)) - 1; i >= 0; i-- {
		if !math.IsNaN(v[i]) {
			return v[i]
		}
	}
	return gap
}
