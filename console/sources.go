package console

import (
	"net/http"
	"strings"
	"time"

	"anyu/console/unit"
	"anyu/watch/gauge"
	"anyu/watch/tap/live"
)

// Sources tells the other servers that are watched.
type Sources interface{ Sources() []Source }

// Source is a tap, with the four figures of its last minute. What is null is unknown.
type Source struct {
	Name string `json:"name"`
	From string `json:"from"`
	Node string `json:"node"`
	live.Status
	PerSecond *float64       `json:"queries_per_second"`
	Success   *float64       `json:"success_ratio"`
	P50       *time.Duration `json:"p50_ns"`
	P95       *time.Duration `json:"p95_ns"`
	P99       *time.Duration `json:"p99_ns"`
}

type sourcesView struct {
	*page
	Lines []sourceLine
}

// sourceLine is a source as the page shows it.
type sourceLine struct {
	Source
	State  string // key
	Volume string
	Rate   string
	Speed  string
	Load   string

	Figures string // address of the first page for it
}

// maxSilence is how long a source may bring nothing before the page says so.
const maxSilence = time.Minute

func (c *Console) sources(p *page) error {
	p.Title = p.T("nav.sources")
	v := sourcesView{page: p}
	for _, s := range c.opts.Sources.Sources() {
		v.Lines = append(v.Lines, p.sourceLine(s))
	}
	return p.show("sources", http.StatusOK, v)
}

func (p *page) sourceLine(s Source) sourceLine {
	return sourceLine{
		Source: s, State: sourceState(&s, p.now), Volume: shown(s.PerSecond, unit.PerSecond), Rate: shown(s.Success, unit.Ratio), Load: shown(s.CPU, unit.Ratio),
		Speed: p.T("sources.speed", "p50", shownTime(s.P50), "p95", shownTime(s.P95), "p99", shownTime(s.P99)), Figures: link("/", p.Period, "source", s.Name),
	}
}

// beside is the last minute of this server and of the taps, one a line.
func (c *Console) beside(p *page) []sourceLine {
	minute := c.opts.Gauge.Summary(gauge.Self, p.now, time.Minute)
	self := Source{Name: p.T("scope.self"), Node: c.opts.Name}
	if minute.Known > 0 {
		volume := minute.Volume()
		self.PerSecond = &volume
	}
	if rate, ok := minute.SuccessRate(); ok {
		self.Success = &rate
	}
	if minute.Timed > 0 {
		self.P50, self.P95, self.P99 = &minute.P50, &minute.P95, &minute.P99
	}
	if minute.Loaded {
		self.CPU = &minute.Load.CPU
	}
	lines := []sourceLine{p.sourceLine(self)}
	lines[0].Figures = link("/", p.Period)
	for _, s := range c.opts.Sources.Sources() {
		lines = append(lines, p.sourceLine(s))
	}
	return lines
}

// sourceState is connected, silent or waiting.
func sourceState(s *Source, now time.Time) string {
	switch {
	case s.Connections == 0 && s.Last.IsZero() && !strings.HasPrefix(s.From, "capture:"):
		return "waiting"
	case s.Last.IsZero() || now.Sub(s.Last) > maxSilence:
		return "silent"
	}
	return "here"
}

func shown(v *float64, u unit.Unit) string {
	if v == nil {
		return unit.Unknown
	}
	return u.Text(*v)
}

func shownTime(d *time.Duration) string {
	if d == nil {
		return unit.Unknown
	}
	return unit.Seconds.Text(d.Seconds())
}

// Slow is the p95 alone.
func (l sourceLine) Slow() string { return shownTime(l.P95) }

// Lagged writes the age of messages at their arrival.
func (l sourceLine) Lagged() string { return shownTime(l.Lag) }

// Unseen are the messages that lack their counterpart, Unread those that could not be read.
func (l sourceLine) Unseen() uint64 { return l.UnmatchedQueries + l.UnmatchedResponses }
func (l sourceLine) Unread() uint64 { return l.Malformed + l.Broken }
func (l sourceLine) Gone() uint64   { return l.Dropped + l.Lost }

// apiSources is the same for programs.
func (c *Console) apiSources(p *page) error {
	p.json(http.StatusOK, map[string]any{"sources": c.opts.Sources.Sources()})
	return nil
}
