package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
	"time"

	"anyu/console/unit"
)

// Table writes the values as a table: the same picture for who cannot or will not look at it. Steps without any value are
// left out.
func (c *Chart) Table(timeHeading string) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<table class="values"><caption>%s</caption><thead><tr><th scope="col">%s</th>`, html.EscapeString(c.Title), html.EscapeString(timeHeading))
	for _, s := range c.Series {
		fmt.Fprintf(&b, `<th scope="col">%s</th>`, html.EscapeString(s.Name))
	}
	b.WriteString("</tr></thead><tbody>")
	layout := time.TimeOnly
	if c.to().Sub(c.From) > 12*time.Hour {
		layout = "01-02 15:04"
	}
	for i := range c.Steps {
		known := false
		for _, s := range c.Series {
			known = known || i < len(s.Values) && !math.IsNaN(s.Values[i])
		}
		if !known {
			continue
		}
		fmt.Fprintf(&b, "<tr><th>%s", c.From.Add(time.Duration(i)*c.Step).In(c.Zone).Format(layout))
		for _, s := range c.Series {
			text := unit.Unknown
			if i < len(s.Values) {
				text = c.Unit.Text(s.Values[i])
			}
			b.WriteString("<td>" + html.EscapeString(text))
		}
	}
	b.WriteString("</tbody></table>")
	return template.HTML(b.String())
}

// Spark is a small curve without axes, from zero to the highest value.
func Spark(key string, v []float64, base, top float64, height int) template.HTML {
	c := Chart{Steps: len(v), Height: height, Base: base, Top: top}
	s := Series{Key: key, Values: v, Area: true}
	c.Series = []Series{s}
	y := c.axis()
	if top == 0 {
		y.high = base
		for _, f := range v {
			if !math.IsNaN(f) {
				y.high = max(y.high, f)
			}
		}
		if y.high <= base {
			y.high = base + 1
		}
	}
	return template.HTML(fmt.Sprintf(`<svg class="spark" height="%d" viewBox="0 0 %d %d" preserveAspectRatio="none" aria-hidden="true"><path class="area %s" d="%s"/><path class="line %s" d="%s"/></svg>`,
		height, wide, height, key, c.path(v, 0, y, true), key, c.path(v, 0, y, false)))
}
