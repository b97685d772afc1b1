// Package history keeps figures over time: a Prometheus TSDB inside the process, PromQL over it, and the words in
// which the figures are exported (the metrics of /metrics and of the TSDB are the same, from one registry).
//
// It promises: what /metrics shows is appended every Interval and kept for Retention; the store is opened after the server
// answers already, and until then its questions get ErrNotOpen; a store that cannot be read is moved aside, never deleted,
// and a new one begun; queries are bounded in time, samples and number. It serves reading only: no writing, no deleting, no
// administration over HTTP.
// Limits today: the samples of the last scrape interval are lost on kill -9; no remote write.
package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
)

// Options say where the history is and how much of it is kept.
type Options struct {
	Dir       string               // DATA/tsdb
	Registry  *prometheus.Registry // what is appended
	Interval  time.Duration        // between appends; 0 is 15 s
	Retention time.Duration        // 0 is 30 days
	Version   string               // of anyu, told to Grafana
	Logger    *slog.Logger         // nil: no messages of the store
}

const (
	defaultInterval  = 15 * time.Second
	defaultRetention = 30 * 24 * time.Hour

	// blockSpan is how much the head holds before it becomes a block on disk; blocks are merged up to a tenth of the retention.
	blockSpan = 2 * time.Hour
	// stripes of the head's series map; the default of 16,384 is for millions of series, we have at most some ten thousand.
	stripes = 512
	// lookback: a series without a sample for this long is a gap. Prometheus' five minutes would paint over a restart.
	lookback = 4 * defaultInterval
)

// ErrNotOpen says that the store is not open yet, or is closed.
var ErrNotOpen = errors.New("the history is not open yet")

// Store is the history. Open makes it usable.
type Store struct {
	opts    Options
	engine  *promql.Engine
	refused atomic.Uint64

	mu  sync.RWMutex // db and api change together
	db  *tsdb.DB
	api func() http.Handler
}

// New returns a store that is not open.
func New(opts Options) *Store {
	if opts.Interval <= 0 {
		opts.Interval = defaultInterval
	}
	if opts.Retention <= 0 {
		opts.Retention = defaultRetention
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Store{opts: opts, engine: newEngine()}
}

// Open opens the folder and replays what a crash left in it; that may take seconds. If the folder cannot be read it is renamed and
// a new one begun: then aside is its new name, and why the reason.
func (s *Store) Open(now time.Time) (aside string, why error, err error) {
	db, err := s.open()
	if err != nil {
		if isLocked(err) {
			return "", nil, fmt.Errorf("opening history %s: another process uses it; stop that one, or choose another --data: %w", s.opts.Dir, err)
		}
		if !exists(s.opts.Dir) || errors.Is(err, os.ErrPermission) {
			return "", nil, fmt.Errorf("opening history %s: %w", s.opts.Dir, err)
		}
		why = err
		aside = fmt.Sprintf("%s.unreadable-%s", s.opts.Dir, now.UTC().Format("20060102T150405Z"))
		if err := os.Rename(s.opts.Dir, aside); err != nil {
			return "", why, fmt.Errorf("opening history: moving the unreadable one aside: %w", err)
		}
		if db, err = s.open(); err != nil {
			return aside, why, fmt.Errorf("opening history %s: %w", s.opts.Dir, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Made for the first client only: Prometheus' API renders its own documentation, some megabytes of it.
	s.db, s.api = db, sync.OnceValue(func() http.Handler { return newAPI(s.engine, db, s.opts) })
	return aside, why, nil
}

func (s *Store) open() (*tsdb.DB, error) {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = s.opts.Retention.Milliseconds()
	o.MinBlockDuration = blockSpan.Milliseconds()
	o.MaxBlockDuration = max(blockSpan, s.opts.Retention/10).Milliseconds()
	o.StripeSize = stripes
	o.WALSegmentSize = 16 << 20
	return tsdb.Open(s.opts.Dir, s.opts.Logger, nil, o, nil)
}

// Run appends every interval until ctx ends.
func (s *Store) Run(ctx context.Context) {
	for {
		next := time.Now().Truncate(s.opts.Interval).Add(s.opts.Interval)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		if err := s.Append(next); err != nil {
			s.opts.Logger.Error("history not appended", "error", err)
		}
	}
}

// Append stores the registry's figures as of now. It is for one goroutine.
func (s *Store) Append(now time.Time) error {
	return s.append(now, func(v float64) float64 { return v })
}

func (s *Store) append(now time.Time, change func(float64) float64) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return ErrNotOpen
	}
	families, err := s.opts.Registry.Gather()
	if err != nil {
		return fmt.Errorf("gathering figures: %w", err)
	}
	app := s.db.Appender(context.Background())
	for _, family := range families {
		flatten(family, func(l labels.Labels, v float64) {
			if _, err := app.Append(0, l, now.UnixMilli(), change(v)); err != nil {
				s.refused.Add(1) // the clock went back: nothing older than the newest is taken
			}
		})
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("appending figures: %w", err)
	}
	return nil
}

// Refused counts samples the store did not take.
func (s *Store) Refused() uint64 { return s.refused.Load() }

// Close marks every series as ended, so that a stop is a gap at once, and closes the store.
func (s *Store) Close(now time.Time) error {
	err := s.append(now, func(float64) float64 { return math.Float64frombits(value.StaleNaN) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	err = errors.Join(err, s.db.Close())
	s.db, s.api = nil, nil
	return err
}

// Bytes is the disk space of the blocks.
func (s *Store) Bytes() (n int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return 0
	}
	for _, b := range s.db.Blocks() {
		n += b.Size()
	}
	return n
}

// flatten turns a family into series as a scrape would.
func flatten(family *dto.MetricFamily, yield func(labels.Labels, float64)) {
	name := family.GetName()
	for _, m := range family.GetMetric() {
		series := func(suffix string, v float64, extra ...string) {
			b := labels.NewScratchBuilder(len(m.GetLabel()) + 2)
			b.Add(model.MetricNameLabel, name+suffix)
			for _, l := range m.GetLabel() {
				b.Add(l.GetName(), l.GetValue())
			}
			if len(extra) == 2 {
				b.Add(extra[0], extra[1])
			}
			b.Sort()
			yield(b.Labels(), v)
		}
		switch family.GetType() {
		case dto.MetricType_COUNTER:
			series("", m.GetCounter().GetValue())
		case dto.MetricType_GAUGE:
			series("", m.GetGauge().GetValue())
		case dto.MetricType_UNTYPED:
			series("", m.GetUntyped().GetValue())
		case dto.MetricType_HISTOGRAM:
			h := m.GetHistogram()
			for _, b := range h.GetBucket() {
				series("_bucket", float64(b.GetCumulativeCount()), labels.BucketLabel, formatBound(b.GetUpperBound()))
			}
			series("_bucket", float64(h.GetSampleCount()), labels.BucketLabel, "+Inf")
			series("_sum", h.GetSampleSum())
			series("_count", float64(h.GetSampleCount()))
		case dto.MetricType_SUMMARY, dto.MetricType_GAUGE_HISTOGRAM:
			// We export none: quantiles of summaries cannot be added up.
		}
	}
}
