// Package period is the piece of time a page shows, as it stands in the page's address: ?last=15m, or ?from=...&to=...
//
// It promises: what it writes it reads again; pieces are half open, [From, To); a piece is between MinSpan and MaxSpan; steps are
// round and as many as a chart has points. It reads no clock.
package period

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"anyu/console/unit"
)

const (
	MinSpan = time.Minute
	MaxSpan = 30 * 24 * time.Hour
	usual   = 15 * time.Minute
)

// Presets are what is offered.
func Presets() []time.Duration {
	return []time.Duration{time.Minute, 5 * time.Minute, usual, time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, MaxSpan}
}

// Period is a piece of time, either up to now or fixed.
type Period struct {
	Last     time.Duration // up to now; 0: fixed
	From, To time.Time
}

// ErrPeriod says how a period is written.
var ErrPeriod = errors.New("write last=15m (s, m, h or d; up to 30d), or from= and to= as 2026-11-23T14:00:00+08:00, from before to")

// Parse reads a period out of an address. Times without a zone are in zone.
func Parse(q url.Values, now time.Time, zone *time.Location) (Period, error) {
	if from, to := q.Get("from"), q.Get("to"); from != "" || to != "" {
		return fixed(from, to, now, zone)
	}
	last := usual
	if text := q.Get("last"); text != "" {
		d, err := span(text)
		if err != nil {
			return Of(usual, now), ErrPeriod
		}
		last = d
	}
	if last < MinSpan || last > MaxSpan {
		return Of(min(max(last, MinSpan), MaxSpan), now), ErrPeriod
	}
	return Of(last, now), nil
}

// Of is the last piece of time of a length.
func Of(last time.Duration, now time.Time) Period { return Period{last, now.Add(-last), now} }

// Between is a fixed piece.
func Between(from, to time.Time) Period { return Period{0, from, to} }

func fixed(fromText, toText string, now time.Time, zone *time.Location) (Period, error) {
	to, err := moment(toText, zone)
	if toText == "" {
		to, err = now, nil
	}
	from, err2 := moment(fromText, zone)
	if fromText == "" {
		from, err2 = to.Add(-usual), nil
	}
	if err != nil || err2 != nil || !from.Before(to) || to.Sub(from) > MaxSpan {
		return Of(usual, now), ErrPeriod
	}
	return Between(from, to), nil
}

// span reads 90s, 15m, 24h, 30d.
func span(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

// moment reads a time as addresses and date fields write it.
func moment(text string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, ErrPeriod
}

// Moving tells whether the period ends now.
func (p Period) Moving() bool { return p.Last > 0 }

// Span is its length.
func (p Period) Span() time.Duration { return p.To.Sub(p.From) }

// Put writes the period into the query of an address.
func (p Period) Put(q url.Values) {
	if p.Moving() {
		q.Set("last", unit.Span(p.Last))
		return
	}
	q.Set("from", p.From.UTC().Format(time.RFC3339Nano))
	q.Set("to", p.To.UTC().Format(time.RFC3339Nano))
}

var steps = [...]time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
	10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour,
}

// Step is the shortest round step, at least least, that cuts the period into at most points pieces.
func (p Period) Step(least time.Duration, points int) time.Duration {
	for _, s := range steps {
		if s >= least && p.Span() <= time.Duration(points)*s {
			return s
		}
	}
	return steps[len(steps)-1]
}
