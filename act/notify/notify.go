// Package notify tells people and systems outside what was found: by webhook, by syslog (RFC 5424) and by mail (RFC 5321).
//
// It promises: Notify never waits; each receiver has its own bounded queue and goroutine, so that one that hangs does not hold up
// another; what cannot be delivered is tried again with growing pauses and in the end counted, not forgotten silently.
// It refuses to decide what is worth telling, and follows no redirects.
// Limits today: the queue is in memory, a restart loses what was not delivered (the findings themselves are kept elsewhere).
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"anyu/event"
)

const (
	// queueSize bounds what waits for a receiver that is down (stops: memory filled by a storm of findings).
	queueSize = 256
	// sendTimeout is for one attempt.
	sendTimeout = 10 * time.Second
	// attempts with pauses of 1, 2, 4 ... s, at most maxPause, between them: about four minutes in all.
	attempts   = 9
	firstPause = time.Second
	maxPause   = time.Minute
)

// errPermanent marks what no repetition will mend.
var errPermanent = errors.New("refused for good")

// Receiver delivers findings to one place.
type Receiver struct {
	name    string
	send    func(ctx context.Context, f *event.Finding) error
	close   func()
	logger  *slog.Logger
	queue   chan event.Finding
	dropped atomic.Uint64
	sent    atomic.Uint64

	stop context.CancelFunc
	wg   sync.WaitGroup
}

func newReceiver(name string, logger *slog.Logger, send func(context.Context, *event.Finding) error, close func()) *Receiver {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Receiver{name: name, send: send, close: close, logger: logger, queue: make(chan event.Finding, queueSize), stop: stop}
	r.wg.Go(func() { r.run(ctx) })
	return r
}

// Notify queues a finding, or counts it as dropped.
func (r *Receiver) Notify(f event.Finding) {
	select {
	case r.queue <- f:
	default:
		r.dropped.Add(1)
	}
}

// Name says where it goes, without secrets.
func (r *Receiver) Name() string { return r.name }

// Dropped counts findings that were not delivered, Sent those that were.
func (r *Receiver) Dropped() uint64 { return r.dropped.Load() }
func (r *Receiver) Sent() uint64    { return r.sent.Load() }

// Close delivers what is queued, as far as that works until ctx ends, and counts the rest. Notify must not be called any more.
func (r *Receiver) Close(ctx context.Context) {
	close(r.queue)
	ended := context.AfterFunc(ctx, r.stop)
	defer ended()
	r.wg.Wait()
	r.stop()
	r.close()
}

func (r *Receiver) run(ctx context.Context) {
	for f := range r.queue {
		if err := r.deliver(ctx, &f); err != nil {
			r.dropped.Add(1)
			r.logger.Error("finding not delivered", "receiver", r.name, "finding", f.ID, "error", err)
			continue
		}
		r.sent.Add(1)
	}
}

// deliver tries until it works, is refused for good, or was tried often enough.
func (r *Receiver) deliver(ctx context.Context, f *event.Finding) (err error) {
	pause := firstPause
	for n := range attempts {
		if n > 0 {
			select {
			case <-ctx.Done():
				return err
			case <-time.After(pause):
			}
			pause = min(2*pause, maxPause)
		}
		one, cancel := context.WithTimeout(ctx, sendTimeout)
		err = r.send(one, f)
		cancel()
		if err == nil || errors.Is(err, errPermanent) || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("after %d attempts: %w", attempts, err)
}

// state is a finding's in one word.
func state(f *event.Finding) string {
	if f.Open() {
		return "open"
	}
	return "closed"
}

// summary is a finding in one line.
func summary(f *event.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s, %s, since %s", f.Kind, f.Subject, state(f), f.Severity, f.Opened.UTC().Format(time.RFC3339))
	for _, fact := range f.Facts {
		fmt.Fprintf(&b, "; %s %s", fact.Name, fact.Value)
	}
	return b.String()
}
