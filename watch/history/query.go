package history

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
)

// Limits of a question to the history (stop: one query that takes the memory or a core from the answers).
const (
	queryTimeout = 20 * time.Second
	maxSamples   = 4_000_000 // at once in memory, 16 octets each
	maxQueries   = 4         // at a time; more wait
	maxPoints    = 11_000    // a series, as Prometheus refuses too
)

func newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: maxSamples, Timeout: queryTimeout, LookbackDelta: lookback, ActiveQueryTracker: make(turnstile, maxQueries),
		EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return defaultInterval.Milliseconds() },
	})
}

// turnstile lets maxQueries queries run at a time.
type turnstile chan struct{}

func (t turnstile) GetMaxConcurrent() int { return cap(t) }
func (t turnstile) Delete(int)            { <-t }
func (t turnstile) Close() error          { return nil }
func (t turnstile) Insert(ctx context.Context, _ string) (int, error) {
	select {
	case t <- struct{}{}:
		return 0, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Sample is one value of a series.
type Sample struct {
	At    time.Time
	Value float64
}

// Series is one line of an answer. Samples that are missing are gaps; no value is a NaN.
type Series struct {
	Labels  map[string]string
	Samples []Sample
}

// Range asks PromQL for every step of [from, to].
func (s *Store) Range(ctx context.Context, query string, from, to time.Time, step time.Duration) ([]Series, error) {
	if step <= 0 || to.Before(from) || to.Sub(from)/step > maxPoints {
		return nil, fmt.Errorf("asking the history: %v from %v by %v is no range of at most %d steps", to, from, step, maxPoints)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil, ErrNotOpen
	}
	q, err := s.engine.NewRangeQuery(ctx, s.db, nil, query, from, to, step)
	if err != nil {
		return nil, fmt.Errorf("asking the history: %w", err)
	}
	defer q.Close()
	matrix, err := q.Exec(ctx).Matrix()
	if err != nil {
		return nil, fmt.Errorf("asking the history: %w", err)
	}
	all := make([]Series, 0, len(matrix))
	for _, line := range matrix {
		one := Series{Labels: line.Metric.Map()}
		for _, p := range line.Floats {
			one.add(p.T, p.F)
		}
		all = append(all, one)
	}
	return all, nil
}

// At asks PromQL for one moment; each series has one sample.
func (s *Store) At(ctx context.Context, query string, at time.Time) ([]Series, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil, ErrNotOpen
	}
	q, err := s.engine.NewInstantQuery(ctx, s.db, nil, query, at)
	if err != nil {
		return nil, fmt.Errorf("asking the history: %w", err)
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, fmt.Errorf("asking the history: %w", result.Err)
	}
	var all []Series
	switch v := result.Value.(type) {
	case promql.Vector:
		for _, p := range v {
			one := Series{Labels: p.Metric.Map()}
			one.add(p.T, p.F)
			all = append(all, one)
		}
	case promql.Scalar:
		one := Series{Labels: map[string]string{}}
		one.add(v.T, v.V)
		all = append(all, one)
	default:
		return nil, fmt.Errorf("asking the history: the query gives a %s, not one value a series", result.Value.Type())
	}
	return all, nil
}

func (s *Series) add(ms int64, v float64) {
	if !math.IsNaN(v) {
		s.Samples = append(s.Samples, Sample{At: time.UnixMilli(ms), Value: v})
	}
}

// formatBound is the value of the label le.
func formatBound(bound float64) string { return strconv.FormatFloat(bound, 'g', -1, 64) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// isLocked tells a folder in use from a broken one. The store's own error type is not exported.
func isLocked(err error) bool { return strings.Contains(err.Error(), "lock DB directory") }
