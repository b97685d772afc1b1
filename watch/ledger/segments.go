package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SegmentExt is how the names of segments end.
const SegmentExt = ".parquet"

// compareSegments compares the files with what their entries say, and looks for files without entry.
func (w *verifier) compareSegments() error {
	paths := slices.Sorted(maps.Keys(w.files))
	for i, path := range paths {
		w.compareSegment(path, w.files[path])
		if w.Progress != nil {
			w.Progress(i+1, len(paths), w.r.Octets)
		}
	}
	if w.Log == "" {
		return nil
	}
	// The folder itself may be a link, to another disk. Inside, the log has none, and what they lead to would be hidden from this walk.
	root, err := filepath.EvalSymlinks(filepath.Join(w.Data, w.Log))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type()&fs.ModeSymlink != 0 {
			w.problem(Unknown, -1, path, "a link inside the query log was put in")
			return nil
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(d.Name(), SegmentExt) || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.Join(w.Log, rel)
		if w.files[filepath.ToSlash(rel)] == nil {
			if info, err := d.Info(); err == nil && w.Now.Sub(info.ModTime()) < pendingTime && w.Now.After(info.ModTime()) {
				return nil // its entry is about to be made
			}
			w.problem(Unknown, -1, filepath.ToSlash(rel), "no entry of the ledger names this segment: it was put in, or is older than the ledger")
		}
		return nil
	})
}

func (w *verifier) compareSegment(path string, e *Entry) {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		w.problem(Unreadable, e.N, path, "the entry names a file outside the data folder")
		return
	}
	full := filepath.Join(w.Data, filepath.FromSlash(path))
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist) && w.removedSince(path):
		return
	case errors.Is(err, fs.ErrNotExist):
		w.problem(Missing, e.N, path, "the segment is gone, and no entry says that it was removed")
		return
	case err != nil:
		w.problem(Unreadable, e.N, path, "%v", err)
		return
	}
	w.r.Segments++
	w.r.Octets += info.Size()
	if info.Size() != e.Octets && !w.erasedSince(path, full) {
		w.problem(Altered, e.N, path, "the segment has %d octets, entry %d says %d", info.Size(), e.N, e.Octets)
	}
	if w.Quick || info.Size() != e.Octets {
		return
	}
	sum, _, err := SumFile(full)
	switch {
	case err != nil:
		w.problem(Unreadable, e.N, path, "%v", err)
	case sum != e.SHA256 && !w.erasedSince(path, full):
		w.problem(Altered, e.N, path, "the segment's SHA-256 is %s, entry %d says %s", sum, e.N, e.SHA256)
	}
}

// removedSince tells whether the running node removed a segment while this verification went on.
func (w *verifier) removedSince(path string) (removed bool) {
	err := Each(w.dir, func(e Entry) bool {
		removed = e.N >= w.r.Entries && e.Kind == Removed && e.Subject == path
		return !removed
	})
	return err == nil && removed
}

// erasedSince tells whether the running node took something out of a segment while this verification went on.
func (w *verifier) erasedSince(path, full string) (is bool) {
	sum, _, err := SumFile(full)
	if err != nil {
		return false
	}
	err = Each(w.dir, func(e Entry) bool {
		is = e.N >= w.r.Entries && e.Kind == Erased && e.Subject == path && e.SHA256 == sum
		return !is
	})
	return err == nil && is
}

// SumFile is the SHA-256 of a file, hexadecimal, and its length.
func SumFile(path string) (sum string, octets int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	octets, err = io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return hex.EncodeToString(h.Sum(nil)), octets, err
}
