package chart_test

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"anyu/console/chart"
	"anyu/console/unit"
)

var (
	gap   = math.NaN()
	start = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
)

func draw(values ...float64) *chart.Chart {
	return &chart.Chart{
		ID: "c", Title: "Queries", Desc: "flat", Zone: time.UTC, From: start, Step: time.Minute, Steps: len(values), Complete: len(values),
		Series: []chart.Series{{Key: "s1", Name: "q", Values: values}}, Unit: unit.PerSecond, Height: 100, TimeAxis: true,
	}
}

// elements parses the picture, which must be well-formed, and gives the attributes of every element of a name.
func elements(t *testing.T, picture, name string) (all []map[string]string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(picture))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%v in %s", err, picture)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == name {
			attributes := map[string]string{}
			for _, a := range e.Attr {
				attributes[a.Name.Local] = a.Value
			}
			all = append(all, attributes)
		}
	}
}

func line(t *testing.T, c *chart.Chart) string {
	t.Helper()
	for _, p := range elements(t, string(c.SVG()), "path") {
		if p["class"] == "line s1" {
			return p["d"]
		}
	}
	t.Fatal("no line")
	return ""
}

func TestSVG_gapStaysGap(t *testing.T) {
	if d := line(t, draw(1, 2, gap, 3, 4)); strings.Count(d, "M") != 2 {
		t.Errorf("a gap of one is drawn as %q", d)
	}
	if d := line(t, draw(1, 2, 3)); strings.Count(d, "M") != 1 {
		t.Errorf("without a gap: %q", d)
	}
	if d := line(t, draw(gap, 5, gap)); !strings.Contains(d, "h") {
		t.Errorf("a lone value is not seen: %q", d)
	}
	if d := line(t, draw(gap, gap)); d != "" {
		t.Errorf("nothing is drawn as %q", d)
	}
}

func TestSVG_unfinishedStepIsPale(t *testing.T) {
	c := draw(1, 2, 3)
	c.Complete = 2
	if picture := string(c.SVG()); !strings.Contains(picture, `class="line pale s1"`) {
		t.Error("the last step is drawn like the others")
	}
	if d := line(t, c); strings.Count(d, "L") != 1 {
		t.Errorf("the line of complete steps is %q", d)
	}
}

func TestSVG_speaksToWhoDoesNotSeeIt(t *testing.T) {
	c := draw(1, 2)
	c.Title, c.Desc = `a <b> & "c"`, "rose"
	picture := string(c.SVG())
	for _, want := range []string{`role="img"`, `aria-labelledby="c-t c-d"`, `<title id="c-t">a &lt;b&gt; &amp; &#34;c&#34;</title>`, `<desc id="c-d">rose</desc>`} {
		if !strings.Contains(picture, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(picture, "style=") || strings.Contains(picture, "fill=") {
		t.Error("colours stand in the picture: themes and a strict policy need them in the style sheet")
	}
	if table := string(c.Table("time")); strings.Count(table, "<tr>") != 3 {
		t.Errorf("the table is %s", table)
	}
}

func TestSVG_isBounded(t *testing.T) {
	values := make([]float64, chart.MaxPoints)
	for i := range values {
		values[i] = 1e5 * math.Abs(math.Sin(float64(i)))
	}
	if n := len(draw(values...).SVG()); n > 10_000 {
		t.Errorf("one line of %d points takes %d octets", len(values), n)
	}
}

func TestSVG_valuesOutsideStayInside(t *testing.T) {
	c := draw(math.MaxFloat64, 0, 1)
	c.Top = 1
	if d := line(t, c); strings.Contains(d, "Inf") || strings.Contains(d, "-") || strings.Contains(d, "e+") {
		t.Errorf("%q", d)
	}
}

func TestAxis_beginsAtZeroAndIsRound(t *testing.T) {
	for _, c := range []struct {
		most float64
		want []string
	}{
		{7, []string{"0\u202f/s", "2\u202f/s", "4\u202f/s", "6\u202f/s", "8\u202f/s"}}, {318, []string{"0\u202f/s", "100\u202f/s", "200\u202f/s", "300\u202f/s", "400\u202f/s"}},
	} {
		picture := string(draw(c.most).SVG())
		for _, want := range c.want {
			if !strings.Contains(picture, ">"+want+"<") {
				t.Errorf("up to %v: no tick %q in %s", c.most, want, picture)
			}
		}
	}
	logarithmic := draw(0.00002, 0.03)
	logarithmic.Log, logarithmic.Unit = true, unit.Seconds
	if picture := string(logarithmic.SVG()); !strings.Contains(picture, ">10\u202fµs<") || !strings.Contains(picture, ">100\u202fms<") {
		t.Errorf("decades: %s", picture)
	}
}

func TestTimeTicks_areRoundInTheirZone(t *testing.T) {
	shanghai := time.FixedZone("+08:00", 8*3600)
	for _, c := range []struct {
		from time.Time
		span time.Duration
		want string
	}{
		{start, time.Minute, "22:00:00"}, {start, time.Hour, "22:00"}, {start, 24 * time.Hour, "11-24"}, {start, 30 * 24 * time.Hour, "12-"},
	} {
		ticks := chart.TimeTicks(c.from, c.from.Add(c.span), shanghai)
		var all []string
		for _, tick := range ticks {
			all = append(all, tick.Text)
		}
		if len(ticks) < 3 || len(ticks) > 10 || !strings.Contains(strings.Join(all, " "), c.want) {
			t.Errorf("%v: %q", c.span, all)
		}
	}
}
