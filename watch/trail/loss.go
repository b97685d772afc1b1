package trail

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"anyu/event"
)

// runningFile is there while a log is open, and its time is that of the last rows made safe. One that is found at the start was left by a process that did not
// end in order. It holds that process's SyncEvery.
const runningFile = "running"

// RunningName is its place in the log's folder: a copy of the folder does not need it, for nobody runs there.
const RunningName = walDir + string(filepath.Separator) + runningFile

// begin records what the process before lost, if it was killed, and marks the log as open.
func (t *Trail) begin(now time.Time) error {
	path := t.running()
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		t.tellLoss(path, strings.TrimSpace(string(text[:min(len(text), 32)])), now)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return os.WriteFile(path, []byte(t.opts.SyncEvery.String()+"\n"), 0o640)
}

func (t *Trail) running() string { return filepath.Join(t.opts.Dir, RunningName) }

// tellLoss is a finding, and so an entry of the ledger: how many rows were lost nobody knows, only since when and of how long a time.
func (t *Trail) tellLoss(path, interval string, now time.Time) {
	safe := now
	if info, err := os.Stat(path); err == nil {
		safe = info.ModTime()
	}
	t.opts.Logger.Warn("query log was not closed: rows of its last moment may be lost", "safe until", safe, "at most", interval)
	t.report("log-loss", event.Warning, false, event.Fact{Name: "safe-until", Value: safe.UTC().Format(time.RFC3339Nano)},
		event.Fact{Name: "lost-at-most", Value: interval}, event.Fact{Name: "logging-again", Value: now.UTC().Format(time.RFC3339Nano)})
}

// end takes the mark away: everything observed is safe, or was counted as dropped.
func (t *Trail) end() error {
	if t.opts.Off {
		return nil
	}
	if err := os.Remove(t.running()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// touch says that everything handed over until now is safe.
func (t *Trail) touch(now time.Time) { _ = os.Chtimes(t.running(), now, now) } // without it the loss is told larger than it was
