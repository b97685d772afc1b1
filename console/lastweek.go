package console

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"
)

// lastWeek compares an hour with the same hour a week before. Pages ask each second, so answers are kept for a while.
type lastWeek struct {
	mu    sync.Mutex
	at    time.Time
	pairs [4]pairOf
}

// pairOf is a figure of one hour and of the same hour last week; NaN is unknown.
type pairOf struct{ now, before float64 }

// Places in the list of pairs, in the order of the four figures.
const (
	atVolume = iota
	atSuccess
	atSpeed
	atLoad
)

const (
	lastWeekKept  = 30 * time.Second
	lastWeekLimit = 2 * time.Second
)

var lastWeekQueries = [4]string{
	atVolume:  `sum(rate(anyu_queries_total[1h] OFFSET))`,
	atSuccess: `sum(rate(anyu_outcomes_total{outcome="success"}[1h] OFFSET)) / sum(rate(anyu_outcomes_total{outcome=~"success|failure"}[1h] OFFSET))`,
	atSpeed:   `histogram_quantile(0.95, sum by (le) (rate(anyu_answer_seconds_bucket[1h] OFFSET)))`,
	atLoad:    `avg(avg_over_time(anyu_cpu_ratio[1h] OFFSET))`,
}

// compare gives the pairs for the hour that ends at a time.
func (c *Console) compare(ctx context.Context, at time.Time) [4]pairOf {
	l := &c.lastWeek
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := at.Sub(l.at); d >= 0 && d < lastWeekKept {
		return l.pairs
	}
	ctx, cancel := context.WithTimeout(ctx, lastWeekLimit)
	defer cancel()
	for i, query := range lastWeekQueries {
		l.pairs[i] = pairOf{c.one(ctx, replaceOffset(query, ""), at), c.one(ctx, replaceOffset(query, " offset 7d"), at)}
	}
	l.at = at
	return l.pairs
}

func (c *Console) one(ctx context.Context, query string, at time.Time) float64 {
	list, err := c.opts.History.At(ctx, query, at)
	if err != nil || len(list) == 0 || len(list[0].Samples) == 0 {
		return math.NaN()
	}
	return list[0].Samples[0].Value
}

func replaceOffset(query, offset string) string { return strings.ReplaceAll(query, " OFFSET", offset) }
