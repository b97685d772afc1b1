package console

import (
	"context"
	"sync"
	"time"

	"anyu/watch/gauge"
	"anyu/watch/history"
)

// lastWeek compares an hour with the same hour a week before. Pages ask each second, so answers are kept for a while.
type lastWeek struct {
	mu   sync.Mutex
	kept map[string]comparison // by scope
}

type comparison struct {
	at time.Time
	history.Week
}

const (
	lastWeekKept  = 30 * time.Second
	lastWeekLimit = 2 * time.Second
	// maxComparisons bounds what is kept (stops: memory filled by addresses of many sources); beyond it all is forgotten.
	maxComparisons = 2 * gauge.MaxSources
)

// compare looks at the hour that ends when a page's period does.
func (c *Console) compare(p *page) history.Week {
	l, at, key := &c.lastWeek, p.Period.To, p.scope.key()
	l.mu.Lock()
	defer l.mu.Unlock()
	if have, ok := l.kept[key]; ok {
		if d := at.Sub(have.at); d >= 0 && d < lastWeekKept {
			return have.Week
		}
	}
	ctx, cancel := context.WithTimeout(p.r.Context(), lastWeekLimit)
	defer cancel()
	week, err := c.opts.History.LastWeek(ctx, at, p.scope.labels()...)
	if err != nil {
		c.opts.Log.Debug("console comparison", "error", err) // what is unknown is shown as that
	}
	if l.kept == nil || len(l.kept) >= maxComparisons {
		l.kept = map[string]comparison{}
	}
	l.kept[key] = comparison{at, week}
	return week
}
