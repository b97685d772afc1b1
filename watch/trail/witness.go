package trail

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Witness is told of each segment when it is whole and before anything else is deleted for it, and of each that was removed, so that both can
// be proved later. Paths are relative to the log's folder, with slashes.
type Witness interface {
	Closed(path string, rows int64, from, to time.Time) error
	Removed(path, why string) error
}

// witness tells of finished segments. What cannot be noted stays in its append-only file, and is tried again.
func (t *Trail) witness(made *segments) error {
	if t.opts.Witness == nil {
		return nil
	}
	for _, s := range made.all {
		if err := t.opts.Witness.Closed(t.relative(s.path), s.count, time.UnixMicro(s.from).UTC(), time.UnixMicro(s.to).UTC()); err != nil {
			return fmt.Errorf("noting a segment in the ledger: %w", err)
		}
	}
	return nil
}

// forget tells of segments that were deleted.
func (t *Trail) forget(paths []string, why string) error {
	if t.opts.Witness == nil {
		return nil
	}
	for _, path := range paths {
		if err := t.opts.Witness.Removed(t.relative(path), why); err != nil {
			return fmt.Errorf("noting a removed segment in the ledger: %w", err)
		}
	}
	return nil
}

func (t *Trail) relative(path string) string {
	rel, err := filepath.Rel(t.opts.Dir, path)
	if err != nil {
		return filepath.ToSlash(path)
	}
	return filepath.ToSlash(strings.TrimPrefix(rel, "./"))
}
