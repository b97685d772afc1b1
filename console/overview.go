package console

import (
	"html/template"
	"math"
	"net/http"
	"strconv"
	"time"

	"anyu/console/chart"
	"anyu/console/unit"
	"anyu/watch/findings"
	"anyu/watch/gauge"
	"anyu/watch/history"
)

// What the figures are held to. Crossing one is told by a word and a sign, not by colour alone.
const (
	limitSuccess = 0.999
	limitSpeed   = 0.100 // seconds, p95
	limitLoad    = 0.80  // of the CPUs this process may use
)

// nowWindow is what "now" means: long enough for quantiles, short enough to move.
const nowWindow = 10 * time.Second

// figure is one of the four figures, ready to be shown.
type figure struct {
	Key, Name       string
	Number, Symbol  string
	Prefix          string // p95
	Spark           template.HTML
	Detail          string
	Change          string
	Limit           string
	Broken          bool // the limit is not kept
	Link, LinkTitle string
	Help            string
}

type overviewView struct {
	*page
	Figures  []figure
	Charts   []chartView
	Findings []findings.Record
	More     int // open findings beyond those
	Movers   []moverLine
	Tops     []topList
	Ranked   []topList // of the last hour at most
	Distinct string
	Asked    bool         // there were queries to rank
	Watched  []sourceLine // beside each other, where there are several
	Gone     bool         // the history could not be asked
}

func (c *Console) overview(p *page) error {
	p.Title = p.T("nav.overview")
	if p.Period.Moving() {
		p.Live = p.With("lang", "", "page", "overview")
	}
	return p.show("overview", http.StatusOK, c.overviewOf(p, true))
}

// overviewOf gathers what the first page shows. The lists are merged from up to an hour of minutes, and may be left out.
func (c *Console) overviewOf(p *page, lists bool) *overviewView {
	s := c.figures(p, "")
	v := &overviewView{page: p, Gone: s.unavailable}
	open, total := c.opts.Findings.List(findings.Query{OnlyOpen: true, Limit: topLines})
	v.Findings, v.More = open, total-len(open)
	v.Figures = c.fourFigures(p, s)
	v.Charts = c.overviewCharts(p, s)
	p.DataAt = dataAt(s, p)
	if !lists {
		return v
	}
	v.Movers, v.Tops = c.moved(p), c.topLists(p)
	c.rank(p, v)
	if len(p.sources) > 1 {
		v.Watched = c.beside(p)
	}
	return v
}

// dataAt is how fresh the figures are.
func dataAt(s *series, p *page) time.Time {
	for i := s.steps - 1; i >= 0; i-- {
		if !math.IsNaN(s.volume[i]) {
			at := s.from.Add(time.Duration(i+1) * s.step)
			if at.After(p.now) {
				return p.now
			}
			return at
		}
	}
	return s.from
}

// present is the figures of now, or of the whole period where that is fixed.
type present struct {
	volume, success, p50, p95, p99, cpu float64
	load                                gauge.Load
	loaded                              bool
}

func (c *Console) present(p *page, s *series) present {
	if !p.Period.Moving() {
		v := present{volume: mean(s.volume), success: gap, p50: mean(s.p50), p95: mean(s.p95), p99: most(s.p99), cpu: mean(s.cpu)}
		if s.good+s.bad > 0 {
			v.success = s.good / (s.good + s.bad)
		}
		return v
	}
	point := c.opts.Gauge.Summary(p.scope.set, p.now, nowWindow)
	v := present{volume: gap, success: gap, p50: gap, p95: gap, p99: gap, cpu: gap, load: point.Load}
	if point.Known > 0 {
		v.volume = point.Volume()
	}
	if rate, ok := point.SuccessRate(); ok {
		v.success = rate
	}
	if point.Timed > 0 {
		v.p50, v.p95, v.p99 = point.P50.Seconds(), point.P95.Seconds(), point.P99.Seconds()
	}
	switch {
	case p.scope.own():
		v.loaded = point.Loaded
		if point.Loaded {
			v.cpu = point.Load.CPU
		}
	default:
		v.cpu = c.toldLoad(p)
	}
	return v
}

// toldLoad is what another server tells of its CPU, if it does.
func (c *Console) toldLoad(p *page) float64 {
	if p.scope.single() {
		for _, s := range c.opts.Sources.Sources() {
			if s.Name == p.scope.source && s.CPU != nil {
				return *s.CPU
			}
		}
	}
	return gap
}

const sparkHeight = 34

func (c *Console) fourFigures(p *page, s *series) []figure {
	n := c.present(p, s)
	week := c.compare(p)
	dropped := 0.0
	for _, v := range s.dropped {
		if !math.IsNaN(v) {
			dropped += v * s.step.Seconds()
		}
	}
	complete := func(v []float64) []float64 { return v[:s.complete] }

	volume := figure{Key: "volume", Link: p.LogLink(), Spark: chart.Spark("s1", complete(s.volume), 0, 0, sparkHeight), Broken: dropped > 0}
	volume.Number, volume.Symbol = unit.PerSecond.Split(n.volume)
	volume.Detail = p.T("figure.volume.detail", "mean", unit.PerSecond.Text(mean(complete(s.volume))), "most", unit.PerSecond.Text(most(complete(s.volume))))
	volume.Change = p.change(week, week.Volume, false)
	volume.Limit = p.T("figure.volume.limit", "n", unit.Count.Text(math.Round(dropped)))

	base := chart.RatioBase(complete(s.success))
	success := figure{Key: "success", Link: p.LogLink("rcode", "SERVFAIL"), Spark: chart.Spark("s2", complete(s.success), base, 1, sparkHeight), Broken: n.success < limitSuccess}
	success.Number, success.Symbol = unit.Ratio.Split(n.success)
	success.Detail = p.T("figure.success.detail", "good", unit.Count.Text(math.Round(s.good)), "bad", unit.Count.Text(math.Round(s.bad)))
	success.Change = p.change(week, week.Success, true)
	success.Limit = p.T("figure.success.limit", "limit", unit.Ratio.Round(limitSuccess))

	speed := figure{Key: "speed", Prefix: "p95", Spark: chart.Spark("s3", complete(s.p95), 0, 0, sparkHeight), Broken: n.p95 > limitSpeed}
	speed.Number, speed.Symbol = unit.Seconds.Split(n.p95)
	slow := ""
	if !math.IsNaN(n.p95) {
		slow = strconv.FormatFloat(n.p95*1000, 'f', 3, 64)
	}
	speed.Link = p.LogLink("ms", slow)
	speed.Detail = p.T("figure.speed.detail", "p50", unit.Seconds.Text(n.p50), "p99", unit.Seconds.Text(n.p99))
	speed.Change = p.change(week, week.P95, false)
	speed.Limit = p.T("figure.speed.limit", "limit", unit.Seconds.Round(limitSpeed))

	load := figure{Key: "load", Prefix: "CPU", Link: p.Link("/about") + "#load", Spark: chart.Spark("s4", complete(s.cpu), 0, 0, sparkHeight), Broken: n.cpu > limitLoad}
	load.Number, load.Symbol = unit.Ratio.Split(n.cpu)
	resident, ring := s.latest(s.resident), most(complete(s.ring))
	if n.loaded {
		resident, ring = float64(n.load.Resident), n.load.Ring
	}
	if p.scope.own() {
		load.Detail = p.T("figure.load.detail", "memory", unit.Bytes.Text(resident), "ring", unit.Ratio.Text(ring))
		load.Change = p.change(week, week.CPU, true)
	} else {
		load.Detail, load.Link = p.T("figure.load.theirs"), p.Link("/sources")
	}
	load.Limit = p.T("figure.load.limit", "limit", unit.Ratio.Round(limitLoad))

	all := []figure{volume, success, speed, load}
	for i := range all {
		f := &all[i]
		f.Name, f.Help, f.LinkTitle = p.T("figure."+f.Key), p.T("figure."+f.Key+".help"), p.T("figure."+f.Key+".link")
	}
	return all
}

// change compares with last week: by percent, or by percentage points where the figure is a share itself.
func (p *page) change(week history.Week, v history.Pair, points bool) string {
	if math.IsNaN(v.Before) || math.IsNaN(v.Now) || v.Before == 0 && !points {
		return p.T("change.none")
	}
	sign := func(n float64, decimals int) string {
		text := strconv.FormatFloat(n, 'f', decimals, 64)
		if n >= 0 {
			text = "+" + text
		}
		return text
	}
	text := p.T("change.percent", "n", sign((v.Now/v.Before-1)*100, 1))
	if points {
		text = p.T("change.points", "n", sign((v.Now-v.Before)*100, 2))
	}
	if week.Known < time.Hour-time.Minute {
		text += p.T("change.partly", "known", p.span(week.Known.Truncate(time.Minute)))
	}
	return text
}
