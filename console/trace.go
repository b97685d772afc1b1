package console

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyu/console/chart"
	"anyu/console/unit"
	"anyu/watch/trail"
)

// Shows are the views of what a search finds: its rows, the most frequent values of a column, a chart of when, and passive DNS.
func (v *logView) Shows() []string { return []string{"rows", "top", "timeline", "pdns"} }

// Bys are the columns that the view "top" counts by.
func (v *logView) Bys() []string {
	return []string{"client", "name", "answer", "type", "rcode", "upstream", "from", "source"}
}

// ShowLink is the same search in another view.
func (v *logView) ShowLink(show string) string {
	if show == "rows" {
		show = ""
	}
	return v.With("show", show, "before", "")
}

// ByLink is the same count by another column.
func (v *logView) ByLink(by string) string { return v.With("by", by) }

const (
	tracedTops    = 50
	tracedRecords = 200
)

// recordLine is a line of passive DNS.
type recordLine struct {
	trail.Record
	FirstSeen, LastSeen, Times string
	ByName, ByAnswer           string
}

// count fills the view that is not rows.
func (c *Console) count(ctx context.Context, p *page, v *logView) (scanned int, err error) {
	f := v.Filter.trail
	var add func(*trail.Row) error
	var tops *trail.Tops
	line, told := trail.NewTimeline(), trail.NewPassiveDNS()
	switch v.Show {
	case "top":
		if v.By = p.r.URL.Query().Get("by"); !slices.Contains(v.Bys(), v.By) {
			v.By = v.Bys()[0]
		}
		tops = trail.NewTops(v.By)
		add, f.Columns = tops.Add, tops.Columns()
	case "timeline":
		add, f.Columns = line.Add, trail.TimelineColumns()
	case "pdns":
		add, f.Columns = told.Add, trail.PassiveColumns()
	}
	f.Columns = append(f.Columns, "transport", "latency_us") // what the console filters by itself
	scanned, err = c.searcher(&v.Filter).Each(ctx, f, func(r *trail.Row) error {
		if !v.Filter.fits(r) {
			return nil
		}
		v.Counted += int(r.Questions())
		return add(r)
	})
	switch v.Show {
	case "top":
		v.Tops = p.tracedTops(tops)
	case "timeline":
		v.Timeline = p.timeline(line)
	case "pdns":
		v.Records, v.MoreRecords, v.Ruled, v.Partial = p.records(told), max(0, told.Len()-tracedRecords), int(told.Ruled), int(told.Partial)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // the page says that it is not everything
	}
	return scanned, err
}

func (p *page) tracedTops(tops *trail.Tops) (lines []topLine) {
	ranking := tops.Ranking(tracedTops)
	for _, t := range ranking.Top {
		share := float64(t.Count) / float64(ranking.Questions)
		l := topLine{Name: t.Value, Count: unit.Count.Text(float64(t.Count)), Share: unit.Ratio.Text(share), Width: strconv.FormatFloat(100*share, 'f', 1, 64)}
		if l.Name == "" {
			l.Name = p.T("log.unknown")
		}
		switch by := p.r.URL.Query().Get("by"); by {
		case "", "client", "name", "answer", "type", "rcode", "source":
			if by == "" {
				by = "client"
			}
			l.Link = p.With("show", "", "by", "", "before", "", by, t.Value)
		default:
			l.Link = p.With("show", "")
		}
		lines = append(lines, l)
	}
	return lines
}

// timeline draws how many questions there were in each hour or day; nil: none.
func (p *page) timeline(line *trail.Timeline) *chartView {
	bars, step := line.Bars(0, p.Clock)
	if len(bars) == 0 {
		return nil
	}
	values := make([]float64, len(bars))
	for i, b := range bars {
		values[i] = float64(b.Count)
	}
	k := chart.Chart{ID: "c-timeline", Title: p.T("log.show.timeline") + " · " + p.Range(), Desc: p.T("log.timeline.desc", "n", p.Number(len(bars)), "step", p.span(step), "most", unit.Count.Text(slices.Max(values))),
		Zone: p.Clock, From: bars[0].From, Step: step, Steps: len(bars), Complete: len(bars), Unit: unit.Count, Height: 160, TimeAxis: true,
		Series: []chart.Series{{Key: "s1", Name: p.T("log.timeline.rows"), Values: values, Area: true}},
		Link: func(from, to time.Time) string {
			return p.With("show", "", "last", "", "before", "", "from", from.UTC().Format(time.RFC3339Nano), "to", to.UTC().Format(time.RFC3339Nano))
		}}
	if len(values) == 1 { // a point is no line: an hour before and after it, of which nothing is known
		k.From, k.Steps, k.Complete = k.From.Add(-step), 3, 3
		k.Series[0].Values = []float64{math.NaN(), values[0], math.NaN()}
	}
	return &chartView{ID: k.ID, Title: k.Title, Legend: k.Series, Note: p.T("chart.step", "step", p.span(step)), SVG: k.SVG(), Table: k.Table(p.T("log.time")), Link: p.With("show", "")}
}

func (p *page) records(told *trail.PassiveDNS) (lines []recordLine) {
	for _, r := range told.Records() {
		if len(lines) == tracedRecords {
			break
		}
		l := recordLine{Record: r, FirstSeen: p.moment(r.First), LastSeen: p.moment(r.Last), Times: unit.Count.Text(float64(r.Count)), ByName: p.With("show", "", "before", "", "name", r.Name)}
		if _, err := netip.ParseAddr(r.RData); err == nil {
			l.ByAnswer = p.With("show", "", "before", "", "name", "", "answer", r.RData)
		}
		lines = append(lines, l)
	}
	return lines
}

func (p *page) moment(seconds int64) string {
	return time.Unix(seconds, 0).In(p.Clock).Format("2006-01-02 15:04:05")
}

// shortly is what a row's answers say, in a line.
func shortly(r *trail.Row) string {
	const most = 3
	var parts []string
	for _, text := range r.Answers[:min(most, len(r.Answers))] {
		_, rest, _ := strings.Cut(text, " ")
		_, rdata, _ := strings.Cut(rest, " ")
		if len(rdata) > 64 {
			rdata = rdata[:63] + "…"
		}
		parts = append(parts, rdata)
	}
	if len(r.Answers) > most {
		parts = append(parts, "…")
	}
	return strings.Join(parts, ", ")
}
