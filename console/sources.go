package console

import (
	"net/http"
	"strings"
	"time"

	"anyu/console/unit"
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
}

// maxSilence is how long a source may bring nothing before the page says so.
const maxSilence = time.Minute

func (c *Console) sources(p *page) error {
	p.Title = p.T("nav.sources")
	v := sourcesView{page: p}
	for _, s := range c.opts.Sources.Sources() {
		v.Lines = append(v.Lines, sourceLine{
			Source: s, State: sourceState(&s, p.now), Volume: shown(s.PerSecond, unit.PerSecond), Rate: shown(s.Success, unit.Ratio), Load: shown(s.CPU, unit.Ratio),
			Speed: p.T("sources.speed", "p50", shownTime(s.P50), "p95", shownTime(s.P95), "p99", shownTime(s.P99)),
		})
	}
	return p.show("sources", http.StatusOK, v)
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
