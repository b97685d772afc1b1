package history

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"
)

// Pair is a figure of one hour and of the same hour last week; NaN is unknown.
type Pair struct{ Now, Before float64 }

// Week compares the four figures of an hour with those of the same hour a week before.
type Week struct {
	Volume, Success, P95, CPU Pair

	Known time.Duration // of last week's hour; less than an hour: the node was not running, or its history does not go back so far
}

// weekQueries are asked with LABELS and OFFSET filled in.
var weekQueries = [...]string{
	`sum(increase(anyu_queries_total{LABELS}[1h] OFFSET))`,
	`sum(rate(anyu_outcomes_total{outcome="success",LABELS}[1h] OFFSET)) / sum(rate(anyu_outcomes_total{outcome=~"success|failure",LABELS}[1h] OFFSET))`,
	`histogram_quantile(0.95, sum by (le) (rate(anyu_answer_seconds_bucket{LABELS}[1h] OFFSET)))`,
	`avg(avg_over_time(anyu_cpu_ratio[1h] OFFSET))`,
}

// LastWeek compares the hour that ends at a time. Labels choose whose figures, as PromQL matchers; the CPU is this process's.
func (s *Store) LastWeek(ctx context.Context, at time.Time, labels ...string) (w Week, err error) {
	ask := func(query, offset string) float64 {
		query = strings.NewReplacer("LABELS", strings.Join(labels, ","), " OFFSET", offset).Replace(query)
		list, why := s.At(ctx, query, at)
		if why != nil {
			err = errors.Join(err, why)
		}
		if why != nil || len(list) == 0 || len(list[0].Samples) == 0 {
			return math.NaN()
		}
		return list[0].Samples[0].Value
	}
	for i, into := range []*Pair{&w.Volume, &w.Success, &w.P95, &w.CPU} {
		*into = Pair{ask(weekQueries[i], ""), ask(weekQueries[i], " offset 7d")}
	}
	known := func(offset string) time.Duration {
		n := ask("max(count_over_time(anyu_cpu_ratio[1h] OFFSET))", offset)
		if math.IsNaN(n) {
			return 0
		}
		return min(time.Duration(n)*s.opts.Interval, time.Hour)
	}
	now, before := known(""), known(" offset 7d")
	w.Known = before
	// Of an hour that is known in part only, the mean is that of the part.
	w.Volume = Pair{perSecond(w.Volume.Now, now), perSecond(w.Volume.Before, before)}
	return w, err
}

// leastKnown is how much of an hour must be known for a mean of it.
const leastKnown = time.Minute

func perSecond(n float64, over time.Duration) float64 {
	if over < leastKnown {
		return math.NaN()
	}
	return n / over.Seconds()
}
