package trail

import (
	"errors"
	"os"
	"time"

	"anyu/event"
)

// pause is how long the log waits before it tries a full or broken disk again.
const pause = 10 * time.Second

// writer is the goroutine that appends. It alone waits for the disk.
type writer struct {
	t     *Trail
	log   *appendLog
	retry time.Time // not before; zero: the disk works
}

func (t *Trail) write() {
	w := &writer{t: t}
	sync := time.NewTicker(t.opts.SyncEvery)
	defer sync.Stop()
	for {
		select {
		case s, more := <-t.queue:
			if !more {
				w.seal(time.Now())
				return
			}
			w.append(s, time.Now())
			t.give(s)
		case sealed := <-t.seals:
			for n := len(t.queue); n > 0; n-- { // what was handed over before
				if s, more := <-t.queue; more {
					w.append(s, time.Now())
					t.give(s)
				}
			}
			w.seal(time.Now())
			close(sealed)
		case now := <-sync.C:
			w.sync(now)
			if w.log != nil && (!sameHour(w.log.began, now) || w.t.opts.SealEvery > 0 && now.Sub(w.log.began) >= w.t.opts.SealEvery) {
				w.seal(now)
			}
		}
	}
}

// create begins a file where there is none. It is made under the lock, so that the keeper never takes it for a sealed one.
func (w *writer) create(now time.Time, key string) error {
	if w.log != nil && w.log.key != key {
		w.seal(now)
	}
	if w.log != nil {
		return nil
	}
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	log, err := createLog(&w.t.opts, now, key)
	if err == nil {
		w.log, w.t.live = log, log
	}
	return err
}

func sameHour(a, b time.Time) bool { return a.Unix()/3600 == b.Unix()/3600 }

func (w *writer) append(s *slab, now time.Time) {
	if now.Before(w.retry) {
		w.t.dropped.Add(uint64(s.rows))
		return
	}
	err := w.create(now, s.key)
	var reg region
	if err == nil {
		reg, err = w.log.append(s, &w.t.opts)
	}
	if err != nil {
		w.t.dropped.Add(uint64(s.rows))
		w.fail(err, now)
		return
	}
	w.t.mu.Lock()
	w.log.note(reg)
	w.t.mu.Unlock()
	if w.log.rows >= w.t.opts.SegmentRows || w.log.size >= maxLog {
		w.seal(now)
	}
}

// sync makes the rows written so far safe, and counts them.
func (w *writer) sync(now time.Time) {
	if w.log == nil || w.log.unsaved == 0 {
		if w.retry.IsZero() {
			w.t.touch(now)
		}
		return
	}
	if err := w.log.file.Sync(); err != nil {
		w.fail(err, now)
		return
	}
	w.t.rows.Add(uint64(w.log.unsaved))
	w.log.unsaved = 0
	w.t.touch(now)
	if !w.retry.IsZero() {
		w.retry = time.Time{}
		w.t.report("log-disk", event.Critical, false)
	}
}

// seal ends the file, which then waits to become segments.
func (w *writer) seal(now time.Time) {
	w.sync(now)
	if w.log == nil { // sync may have failed
		return
	}
	if err := w.log.file.Close(); err != nil {
		w.t.opts.Logger.Error("query log not closed", "file", w.log.path, "error", err)
	}
	w.hide()
	w.t.wakeKeeper()
}

// fail gives the file up for now. What was synced, and what is whole, stays; a half-written frame is cut off.
func (w *writer) fail(err error, now time.Time) {
	if w.retry.IsZero() {
		w.t.opts.Logger.Error("query log not written, answers go on", "error", err)
	}
	w.retry = now.Add(pause)
	if w.log != nil {
		if cut := os.Truncate(w.log.path, w.log.size); cut != nil && !errors.Is(cut, os.ErrNotExist) {
			w.t.opts.Logger.Error("query log not cut to its last whole frame", "file", w.log.path, "error", cut)
		}
		if close := w.log.file.Close(); close != nil {
			w.t.opts.Logger.Error("query log not closed", "file", w.log.path, "error", close)
		}
		w.hide()
	}
	w.t.report("log-disk", event.Critical, true, event.Fact{Name: "error", Value: err.Error()}, event.Fact{Name: "dir", Value: w.t.opts.Dir})
	w.t.wakeKeeper()
}

// hide ends the writing of the file, also for readers.
func (w *writer) hide() {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	w.t.waiting[w.log.path] = &sealedLog{w.log.regions, w.log.key}
	w.log, w.t.live = nil, nil
}

func (t *Trail) wakeKeeper() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}
