package trail

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"anyu/event"
)

// hourFolder is what is kept of one hour.
type hourFolder struct {
	path  string // of the folder
	begin time.Time
	bytes int64
}

// retain deletes hours that are older than they must be kept, and then the oldest while there is too much.
func (t *Trail) retain(now time.Time) {
	all, total, err := t.folders()
	if err != nil {
		t.opts.Logger.Error("query log not listed, nothing deleted", "error", err)
		return
	}
	limit := now.Add(-t.opts.Retain)
	early := 0
	var kept time.Time
	for _, h := range all {
		old := h.begin.Add(time.Hour).Before(limit)
		if !old && (t.opts.MaxBytes <= 0 || total <= t.opts.MaxBytes) {
			kept = h.begin
			break
		}
		why := "age"
		if !old {
			why = "space"
		}
		if !t.drop(&h, why) {
			continue
		}
		total -= h.bytes
		if !old {
			early++
		}
	}
	t.removeCut(limit)
	switch {
	case early > 0:
		t.crowded = true
		severity := event.Warning
		if kept.IsZero() || kept.After(now.Add(-LegalMinimum)) {
			severity = event.Critical // the law asks for more than is left
		}
		t.report("log-space", severity, true, event.Fact{Name: "hours-deleted", Value: fmt.Sprint(early)},
			event.Fact{Name: "kept-from", Value: kept.UTC().Format(time.RFC3339)}, event.Fact{Name: "wanted-from", Value: limit.UTC().Format(time.RFC3339)},
			event.Fact{Name: "limit-octets", Value: fmt.Sprint(t.opts.MaxBytes)})
	case t.crowded && total < t.opts.MaxBytes/10*9: // well below, or it would open and end every hour
		t.crowded = false
		t.endCrowded()
	}
}

// endCrowded ends the finding when neither log.space nor the disk is the reason any more.
func (t *Trail) endCrowded() {
	if !t.crowded && !t.short {
		t.report("log-space", event.Warning, false)
	}
}

// removeCut deletes what was cut off by crashes, when it is as old as the rows of then.
func (t *Trail) removeCut(limit time.Time) {
	paths, _ := filepath.Glob(filepath.Join(t.opts.Dir, walDir, "*"+cutExt)) // the pattern is right
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.ModTime().Before(limit) {
			if err := os.Remove(path); err != nil {
				t.opts.Logger.Error("cut file of the query log not deleted", "file", path, "error", err)
			}
		}
	}
}

// hourFolders lists the hours that are kept, oldest first, without their sizes.
func (t *Trail) hourFolders() (all []hourFolder, err error) {
	paths, err := filepath.Glob(filepath.Join(t.opts.Dir, "date=*", "hour=*"))
	if err != nil {
		return nil, fmt.Errorf("listing segments: %w", err)
	}
	for _, path := range paths {
		day, hour := filepath.Split(path)
		begin, err := time.Parse("date=2006-01-02/hour=15", filepath.Base(day)+"/"+hour)
		if err != nil {
			continue // not ours
		}
		all = append(all, hourFolder{path: path, begin: begin})
	}
	slices.SortFunc(all, func(a, b hourFolder) int { return a.begin.Compare(b.begin) })
	return all, nil
}

// folders lists the hours that are kept, oldest first, and how much they are together.
func (t *Trail) folders() (all []hourFolder, total int64, err error) {
	if all, err = t.hourFolders(); err != nil {
		return nil, 0, err
	}
	for i := range all {
		entries, err := os.ReadDir(all[i].path)
		if err != nil {
			return nil, 0, fmt.Errorf("listing segments: %w", err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil {
				all[i].bytes += info.Size()
			}
		}
		total += all[i].bytes
	}
	return all, total, nil
}

// Usage is what the log takes on disk.
type Usage struct {
	Bytes  int64     // segments and append-only files
	Oldest time.Time // begin of the oldest hour kept; zero: none
}

// Usage measures the log's folder.
func (t *Trail) Usage() (Usage, error) {
	all, total, err := t.folders()
	if err != nil {
		return Usage{}, err
	}
	u := Usage{Bytes: total}
	if len(all) > 0 {
		u.Oldest = all[0].begin
	}
	entries, err := os.ReadDir(filepath.Join(t.opts.Dir, walDir))
	if err != nil {
		return u, fmt.Errorf("listing append-only files: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().Type() != fs.ModeDir {
			u.Bytes += info.Size()
		}
	}
	return u, nil
}

// segments lists the whole files of an hour.
func (h *hourFolder) segments() ([]string, error) {
	entries, err := os.ReadDir(h.path)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), segmentExt) && !strings.HasPrefix(e.Name(), ".") {
			paths = append(paths, filepath.Join(h.path, e.Name()))
		}
	}
	return paths, nil
}
