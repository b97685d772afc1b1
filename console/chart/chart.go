// Package chart draws time series as SVG on the server.
//
// It promises: a gap stays a gap; the last step, which is not over, is drawn pale; linear axes begin at zero unless the caller says
// otherwise; every chart has a title and a description for readers who do not see it, and a table of its values; all colours
// come from style sheets (classes, no style attributes), so that dark mode, print and a strict Content-Security-Policy work;
// text keeps its size at every width, because horizontal positions are percentages. The size is bounded by MaxPoints.
// It refuses interaction: a script may add it, from the data- attributes.
//
// Limits today: lines only; no heat maps, no stacks.
package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"anyu/console/unit"
)

// MaxPoints is the most points a series is drawn with: about one for each four pixels of a desktop's page.
const MaxPoints = 240

// Series is one line.
type Series struct {
	Key    string    // class name
	Name   string    // for people
	Values []float64 // one a step; NaN is a gap
	Area   bool      // fill down to the axis
}

// Mark is a moment worth seeing on every chart.
type Mark struct {
	At   time.Time
	Kind string // class name
	Text string
	Link string
}

// Chart is one picture. Points stand in the middle of their steps.
type Chart struct {
	ID          string
	Title, Desc string
	Zone        *time.Location
	From        time.Time
	Step        time.Duration
	Steps       int
	Complete    int // steps that are over; the rest is drawn pale
	Series      []Series
	Unit        unit.Unit
	Log         bool    // logarithmic axis, for times
	Base        float64 // where a linear axis begins; 0 mostly
	Top         float64 // where it ends; 0: after the values
	Limit       float64 // a line to be held to; 0: none
	LimitText   string
	Height      int  // of the plot, pixels
	TimeAxis    bool // labels below
	Marks       []Mark
	Link        func(from, to time.Time) string // what is behind a piece of time; nil: nothing
}

const (
	wide       = 1000 // the plot's own width; it is stretched to what the page has
	axisHeight = 18
	padTop     = 6 // room above the highest line for half a label
)

func (c *Chart) to() time.Time { return c.From.Add(time.Duration(c.Steps) * c.Step) }

// percent is the place of a moment on the time axis.
func (c *Chart) percent(at time.Time) float64 {
	return 100 * float64(at.Sub(c.From)) / float64(c.to().Sub(c.From))
}

// SVG draws the chart: the value axis and the plot, side by side in one grid.
func (c *Chart) SVG() template.HTML {
	var b strings.Builder
	y := c.axis()
	h := c.Height
	if c.TimeAxis {
		h += axisHeight
	}
	fmt.Fprintf(&b, `<div class="plot"><svg class="y" height="%d" aria-hidden="true">`, h)
	for _, t := range y.ticks {
		fmt.Fprintf(&b, `<text x="100%%" y="%s">%s</text>`, short(y.at(t)+4), html.EscapeString(c.Unit.Round(t)))
	}
	fmt.Fprintf(&b, `</svg><svg class="x" height="%d" role="img" tabindex="0" aria-labelledby="%s-t %s-d" data-from="%d" data-step="%s" data-steps="%d" data-unit="%s"><title id="%s-t">%s</title><desc id="%s-d">%s</desc>`,
		h, c.ID, c.ID, c.From.Unix(), short(c.Step.Seconds()), c.Steps, c.Unit, c.ID, html.EscapeString(c.Title), c.ID, html.EscapeString(c.Desc))
	for _, t := range y.ticks {
		fmt.Fprintf(&b, `<line class="grid" x2="100%%" y1="%[1]s" y2="%[1]s"/>`, short(y.at(t)))
	}
	c.timeAxis(&b)
	limitText := c.limit(&b, y)
	fmt.Fprintf(&b, `<svg class="lines" width="100%%" height="%d" viewBox="0 0 %d %d" preserveAspectRatio="none">`, c.Height, wide, c.Height)
	for i := range c.Series {
		c.line(&b, &c.Series[i], y)
	}
	b.WriteString(`</svg>` + limitText)
	c.marks(&b)
	b.WriteString(`</svg></div>`)
	return template.HTML(b.String()) // every text in it went through EscapeString
}

// timeAxis writes vertical lines and labels, and makes each piece between them lead to what is behind it.
func (c *Chart) timeAxis(b *strings.Builder) {
	ticks := TimeTicks(c.From, c.to(), c.Zone)
	for i, t := range ticks {
		class, x := "", c.percent(t.At)
		if i%2 == 1 {
			class = ` class="odd"` // left out where the page is narrow
		}
		fmt.Fprintf(b, `<line class="grid v" x1="%[1]s%%" x2="%[1]s%%" y2="%[2]d"/>`, short(x), c.Height)
		if c.TimeAxis && x > 2 && x < 98 {
			fmt.Fprintf(b, `<text%s x="%s%%" y="%d">%s</text>`, class, short(x), c.Height+axisHeight-4, t.Text)
		}
	}
	if c.Link == nil {
		return
	}
	// Keyboards reach the same through the chart's own link and table, so these are no stops for the tab key.
	edges := []time.Time{c.From}
	for _, t := range ticks {
		if t.At.After(c.From) && t.At.Before(c.to()) {
			edges = append(edges, t.At)
		}
	}
	edges = append(edges, c.to())
	for i := range len(edges) - 1 {
		x := c.percent(edges[i])
		fmt.Fprintf(b, `<a href="%s" tabindex="-1"><rect class="hit" x="%s%%" width="%s%%" height="%d"/></a>`,
			html.EscapeString(c.Link(edges[i], edges[i+1])), short(x), short(c.percent(edges[i+1])-x), c.Height)
	}
}

// limit draws the line to be held to, and gives its text, which goes over the curves to be read.
func (c *Chart) limit(b *strings.Builder, y axis) (text string) {
	if c.Limit == 0 || c.Limit < y.low || c.Limit > y.high {
		return ""
	}
	at := y.at(c.Limit)
	fmt.Fprintf(b, `<line class="limit" x2="100%%" y1="%[1]s" y2="%[1]s"/>`, short(at))
	return fmt.Sprintf(`<text class="limit" x="100%%" y="%s">%s</text>`, short(at+12), html.EscapeString(c.LimitText))
}

func (c *Chart) marks(b *strings.Builder) {
	for _, m := range c.Marks {
		x := c.percent(m.At)
		if x < 0 || x > 100 {
			continue
		}
		fmt.Fprintf(b, `<a href="%s" tabindex="-1"><title>%s</title><line class="mark %s" x1="%[4]s%%" x2="%[4]s%%" y2="%[5]d"/><circle class="mark %[3]s" cx="%[4]s%%" cy="4" r="4"/></a>`,
			html.EscapeString(m.Link), html.EscapeString(m.Text), m.Kind, short(x), c.Height)
	}
}

// line draws one series: complete steps in one path, the rest pale in another.
func (c *Chart) line(b *strings.Builder, s *Series, y axis) {
	complete := min(max(c.Complete, 0), len(s.Values))
	if s.Area {
		fmt.Fprintf(b, `<path class="area %s" d="%s"/>`, s.Key, c.path(s.Values[:complete], 0, y, true))
	}
	fmt.Fprintf(b, `<path class="line %s" data-name="%s" data-v="%s" d="%s"/>`, s.Key, html.EscapeString(s.Name), values(s.Values), c.path(s.Values[:complete], 0, y, false))
	if from := max(complete-1, 0); complete < len(s.Values) {
		fmt.Fprintf(b, `<path class="line pale %s" d="%s"/>`, s.Key, c.path(s.Values[from:], from, y, false))
	}
}

// path connects what has no gap between. A value alone between gaps is a short dash, so that it is seen.
func (c *Chart) path(v []float64, first int, y axis, area bool) string {
	var b strings.Builder
	step := wide / float64(max(c.Steps, 1))
	x := func(i int) float64 { return (float64(first+i) + 0.5) * step }
	for i := 0; i < len(v); {
		if math.IsNaN(v[i]) {
			i++
			continue
		}
		end := i
		for end < len(v) && !math.IsNaN(v[end]) {
			end++
		}
		switch {
		case area:
			fmt.Fprintf(&b, "M%s %d", short(x(i)), c.Height)
		case end == i+1:
			fmt.Fprintf(&b, "M%s %sh%s", short(x(i)-step/2), short(y.at(v[i])), short(step))
			i = end
			continue
		}
		for at := i; at < end; at++ {
			letter := byte('L')
			if at == i && !area {
				letter = 'M'
			}
			b.WriteByte(letter)
			b.WriteString(short(x(at)) + " " + short(y.at(v[at])))
		}
		if area {
			fmt.Fprintf(&b, "L%s %dZ", short(x(end-1)), c.Height)
		}
		i = end
	}
	return b.String()
}

// values are for the script, four digits each; a gap is empty.
func values(v []float64) string {
	var b strings.Builder
	for i, f := range v {
		if i > 0 {
			b.WriteByte(',')
		}
		if !math.IsNaN(f) {
			b.WriteString(strconv.FormatFloat(f, 'g', 4, 64))
		}
	}
	return b.String()
}

// short writes a coordinate with one decimal at most.
func short(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}
