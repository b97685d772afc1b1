package trail

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"anyu/event"
)

// LegalMinimum is six months at their longest (July to December). Rows younger than that are deleted only where log.space says so, and a finding tells.
const LegalMinimum = 184 * 24 * time.Hour

const (
	// lookEvery is how often the disk is looked at. At 100,000 rows/s the log grows by some 100 MB in that time.
	lookEvery = 10 * time.Second
	// reservePart of a disk, and maxReserve at most, is left free for what else is on it, and for making segments, which takes room before it gives some back.
	reservePart = 50
	maxReserve  = 4 << 30
	// maxPressure bounds sampling for want of space: with less than one of a thousand the log is no log.
	maxPressure = 1024
)

// Disk is what there is of a file system, octets.
type Disk struct{ Free, Size int64 }

// diskOf asks the operating system. A file system that is mounted over the network and does not answer stops the caller: the keeper, nobody else.
func diskOf(dir string) (Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Disk{}, fmt.Errorf("measuring the disk of %s: %w", dir, err)
	}
	return Disk{Free: int64(s.Bavail) * int64(s.Bsize), Size: int64(s.Blocks) * int64(s.Bsize)}, nil
}

// reserve is how much of a disk is to stay free.
func (o *Options) reserve(d Disk) int64 {
	if o.Reserve != 0 {
		return max(o.Reserve, 0)
	}
	return min(d.Size/reservePart, maxReserve)
}

// Reserve is how much of the disk is to stay free: what the forecast of a page has to leave.
func (t *Trail) Reserve() (int64, error) {
	disk, err := t.opts.Disk(t.opts.Dir)
	return t.opts.reserve(disk), err
}

// guard keeps the log from filling the disk: what the law does not ask for goes first, the oldest before the others; then rows are sampled, the more the
// less room there is, so that the log goes on for as long as it can and says what it is.
func (t *Trail) guard(now time.Time) {
	disk, err := t.opts.Disk(t.opts.Dir)
	if err != nil {
		t.opts.Logger.Error("room for the query log unknown", "error", err)
		return
	}
	reserve := t.opts.reserve(disk)
	t.tight = disk.Free < reserve+reserve/4
	switch {
	case disk.Free < reserve:
		disk.Free += t.makeRoom(now, reserve-disk.Free)
	case disk.Free >= reserve+reserve/4 && t.short:
		t.short = false
		t.endCrowded()
	}
	if t.opts.Off {
		return
	}
	before := t.sampler.pressure.Load()
	after := pressure(disk.Free, reserve, before)
	if after == before && !t.unnoted {
		return
	}
	if after > before {
		t.opts.Logger.Error("the query log is sampled: the disk is full", "one of", after, "free", disk.Free, "reserve", reserve)
	}
	t.sampler.pressure.Store(after)
	t.unnoted = !t.noteSample(now, after)
}

// pressure is 1 while there is the reserve, and doubles each time half of what is left of it is gone. Once above 1 it ends at five quarters of the reserve, so
// that it does not come and go with each file.
func pressure(free, reserve, now int64) int64 {
	if reserve <= 0 || free >= reserve+reserve/4 || free >= reserve && now == 1 {
		return 1
	}
	p := int64(2)
	for limit := reserve / 2; free < limit && p < maxPressure; limit /= 2 {
		p *= 2
	}
	if free <= 0 {
		return maxPressure
	}
	return p
}

// makeRoom deletes hours that are older than the law asks for, until there is room enough, and tells how much it made.
func (t *Trail) makeRoom(now time.Time, wanted int64) (made int64) {
	all, _, err := t.folders()
	if err != nil {
		t.opts.Logger.Error("query log not listed, nothing deleted", "error", err)
		return 0
	}
	hours := 0
	for _, h := range all {
		if made >= wanted || !h.begin.Add(time.Hour).Before(now.Add(-LegalMinimum)) {
			break
		}
		if t.drop(&h, "disk") {
			made += h.bytes
			hours++
		}
	}
	if hours > 0 {
		t.short = true
		t.report("log-space", event.Warning, true, event.Fact{Name: "hours-deleted", Value: fmt.Sprint(hours)}, event.Fact{Name: "why", Value: "the disk is full"},
			event.Fact{Name: "wanted-from", Value: now.Add(-t.opts.Retain).UTC().Format(time.RFC3339)}, event.Fact{Name: "six-months", Value: "kept"})
	}
	return made
}

// drop deletes an hour; false where it stays.
func (t *Trail) drop(h *hourFolder, why string) bool {
	paths, err := h.segments()
	if err != nil {
		t.opts.Logger.Error("hour of the query log not deleted", "dir", h.path, "error", err)
		return false
	}
	if t.opts.Holds != nil && slices.ContainsFunc(paths, func(p string) bool { return t.opts.Holds(t.relative(p)) }) {
		return false // somebody else waits for it
	}
	if err := os.RemoveAll(h.path); err != nil {
		t.opts.Logger.Error("hour of the query log not deleted", "dir", h.path, "error", err)
		return false
	}
	// Noted afterwards: on a full disk the ledger takes nothing before there is room, and room is what this makes.
	if err := t.forget(paths, why); err != nil {
		t.opts.Logger.Error("removed segments are not in the ledger", "dir", h.path, "error", err)
	}
	_ = os.Remove(filepath.Dir(h.path)) // the day's folder, if it is empty now
	t.opts.Logger.Info("hour of the query log deleted", "dir", h.path, "octets", h.bytes, "why", why)
	return true
}
