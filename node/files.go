package node

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// settle is how long files must be quiet before they are read: editors and generators write in steps.
const settle = 300 * time.Millisecond

// watchFiles reads zone files again when they change. Where the system cannot watch, reload by signal or control remains.
func (n *Node) watchFiles(ctx context.Context) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		n.opts.Log.Warn("zone files are not watched: reload by hand", "error", err)
		return
	}
	defer w.Close()
	every := time.NewTicker(10 * time.Second) // folders change with the configuration
	defer every.Stop()
	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	n.follow(w)
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			n.follow(w)
		case e, ok := <-w.Events:
			if !ok {
				return
			}
			if n.zones.reads(e.Name) {
				quiet.Reset(settle)
			}
		case err, ok := <-w.Errors:
			if !ok {
				return
			}
			n.opts.Log.Warn("watching zone files", "error", err)
			quiet.Reset(settle)
		case <-quiet.C:
			n.zones.load(ctx, false)
		}
	}
}

// follow watches the folders of all zone files.
func (n *Node) follow(w *fsnotify.Watcher) {
	have := w.WatchList()
	want := n.zones.folders()
	for _, dir := range want {
		if !slices.Contains(have, dir) {
			if err := w.Add(dir); err != nil {
				n.opts.Log.Warn("folder of zone files is not watched: reload by hand", "folder", dir, "error", err)
			}
		}
	}
	for _, dir := range have {
		if !slices.Contains(want, dir) {
			w.Remove(dir)
		}
	}
}

// reads tells whether a path is a zone file.
func (z *zones) reads(path string) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, p := range z.all {
		if filepath.Clean(p.conf.File) == filepath.Clean(path) {
			return true
		}
	}
	return false
}

// monotonic is CLOCK_MONOTONIC in microseconds, which systemd wants with RELOADING=1.
func monotonic() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano() / 1000
}
