package console

import (
	"html/template"
	"math"
	"strconv"
	"time"

	"anyu/console/chart"
	"anyu/console/period"
	"anyu/console/unit"
	"anyu/watch/findings"
)

// chartView is a chart with what stands around it.
type chartView struct {
	ID, Title string
	Note      string
	Legend    []chart.Series
	SVG       template.HTML
	Table     template.HTML
	Link      string // what is behind the whole chart
}

// plan is a chart to be drawn.
type plan struct {
	id        string // its texts are chart.ID and so on
	unit      unit.Unit
	height    int
	log       bool
	base, top float64
	limit     float64
	series    []chart.Series
	pairs     []string // filter of what is behind it
}

func (c *Console) overviewCharts(p *page, s *series) []chartView {
	base := chart.RatioBase(s.success)
	volume := []chart.Series{{Key: "s1", Name: p.T("series.volume"), Values: s.volume, Area: true}}
	if s.lastWeek != nil && !math.IsNaN(most(s.lastWeek)) {
		volume = append(volume, chart.Series{Key: "ghost", Name: p.T("series.lastweek"), Values: s.lastWeek})
	}
	plans := []plan{
		{id: "volume", unit: unit.PerSecond, height: 120, series: volume},
		{id: "success", unit: unit.Ratio, height: 84, base: base, top: 1, limit: limitSuccess, pairs: []string{"rcode", "SERVFAIL"},
			series: []chart.Series{{Key: "s2", Name: p.T("series.success"), Values: s.success}}},
		{id: "speed", unit: unit.Seconds, height: 120, log: true, limit: limitSpeed, series: []chart.Series{
			{Key: "s1", Name: "p50", Values: s.p50}, {Key: "s3", Name: "p95", Values: s.p95}, {Key: "s2", Name: "p99", Values: s.p99}}},
	}
	if p.scope.own() {
		plans = append(plans, loadPlans(p, s)...)
	}
	return c.draw(p, s, "", append(plans, plan{id: "dropped", unit: unit.PerSecond, height: 48, series: []chart.Series{{Key: "s2", Name: p.T("series.dropped"), Values: s.dropped, Area: true}}}))
}

// loadPlans are the charts of this process. What other servers have to do is not known over time.
func loadPlans(p *page, s *series) []plan {
	return []plan{
		{id: "load", unit: unit.Ratio, height: 84, top: 1, limit: limitLoad, series: []chart.Series{
			{Key: "s4", Name: p.T("series.cpu"), Values: s.cpu, Area: true}, {Key: "s1", Name: p.T("series.host"), Values: s.host}, {Key: "s2", Name: p.T("series.ring"), Values: s.ring}}},
		{id: "memory", unit: unit.Bytes, height: 64, series: []chart.Series{
			{Key: "s4", Name: p.T("series.resident"), Values: s.resident, Area: true}, {Key: "s3", Name: p.T("series.heap"), Values: s.heap}}},
	}
}

func (c *Console) zoneCharts(p *page, s *series, zone string) []chartView {
	return c.draw(p, s, zone, []plan{
		{id: "volume", unit: unit.PerSecond, height: 120, series: []chart.Series{{Key: "s1", Name: p.T("series.volume"), Values: s.volume, Area: true}}},
		{id: "success", unit: unit.Ratio, height: 84, base: chart.RatioBase(s.success), top: 1, limit: limitSuccess, pairs: []string{"rcode", "SERVFAIL"},
			series: []chart.Series{{Key: "s2", Name: p.T("series.success"), Values: s.success}}},
		{id: "nx", unit: unit.Ratio, height: 84, top: 1, pairs: []string{"rcode", "NXDOMAIN"},
			series: []chart.Series{{Key: "s3", Name: p.T("series.nx"), Values: s.nx, Area: true}}},
	})
}

// draw makes the charts of a page on one time axis, with the findings of that time as marks.
func (c *Console) draw(p *page, s *series, zone string, plans []plan) (views []chartView) {
	marks := c.marks(p, s, zone)
	for i, one := range plans {
		pairs := append([]string{"zone", zone}, one.pairs...)
		k := chart.Chart{
			ID: "c-" + one.id, Title: p.T("chart."+one.id) + " · " + p.Range(), Zone: p.Clock, From: s.from, Step: s.step, Steps: s.steps, Complete: s.complete,
			Series: one.series, Unit: one.unit, Log: one.log, Base: one.base, Top: one.top, Limit: one.limit, Height: one.height,
			TimeAxis: i == len(plans)-1 || i == 0, Marks: marks,
			Link: func(from, to time.Time) string {
				return link("/log", period.Between(from, to), append(pairs, p.logScope()...)...)
			},
		}
		if one.limit > 0 {
			k.LimitText = p.T("chart.limit", "limit", one.unit.Round(one.limit))
		}
		k.Desc = p.describe(&k, s)
		v := chartView{ID: k.ID, Title: p.T("chart." + one.id), Legend: one.series, SVG: k.SVG(), Table: k.Table(p.T("log.time")), Link: p.LogLink(pairs...)}
		v.Note = p.T("chart.step", "step", p.span(s.step))
		if one.base > 0 {
			v.Note += p.T("chart.base", "base", unit.Ratio.Round(one.base))
		}
		views = append(views, v)
	}
	return views
}

// describe says in a sentence what a chart shows: where each line stands now, its least and its most.
func (p *page) describe(k *chart.Chart, s *series) string {
	text := ""
	for _, line := range k.Series {
		least := gap
		for _, v := range line.Values {
			if math.IsNaN(least) || v < least {
				least = v
			}
		}
		if math.IsNaN(least) {
			text += p.T("chart.desc.none", "name", line.Name)
			continue
		}
		text += p.T("chart.desc", "name", line.Name, "now", k.Unit.Text(s.latest(line.Values)), "least", k.Unit.Text(least), "most", k.Unit.Text(most(line.Values)))
	}
	return text
}

// maxMarks bounds the marks on a chart: more cannot be told apart.
const maxMarks = 30

func (c *Console) marks(p *page, s *series, zone string) (all []chart.Mark) {
	to := s.from.Add(time.Duration(s.steps) * s.step)
	list, _ := c.opts.Findings.List(findings.Query{From: s.from, To: to, Subject: zone, Limit: maxMarks})
	for _, f := range list {
		all = append(all, chart.Mark{At: f.Opened, Kind: f.Severity.String(), Link: p.Link("/findings/" + f.ID),
			Text: p.T("mark", "time", p.Short(f.Opened), "kind", p.KindName(f.Kind), "subject", f.Subject)})
	}
	return all
}

// Bar is a bar of a width in percent. It is a picture of a number that stands beside it.
func (p *page) Bar(width string) template.HTML {
	if _, err := strconv.ParseFloat(width, 64); err != nil {
		return ""
	}
	return template.HTML(`<svg class="bar" aria-hidden="true"><rect width="` + width + `%"/></svg>`)
}
