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
	err := filepath.WalkDir(filepath.Join(w.Data, w.Log), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(d.Name(), SegmentExt) || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		rel, err := filepath.Rel(w.Data, path)
		if err != nil {
			return err
		}
		if w.files[filepath.ToSlash(rel)] == nil {
			if info, err := d.Info(); err == nil && w.Now.Sub(info.ModTime()) < pendingTime && w.Now.After(info.ModTime()) {
				return nil // its entry is about to be made
			}
			w.problem(Unknown, -1, filepath.ToSlash(rel), "no entry of the ledger names this segment: it was put in, or is older than the ledger")
		}
		return nil
	})
	return err
}

func (w *verifier) compareSegment(path string, e *Entry) {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		w.problem(Unreadable, e.N, path, "the entry names a file outside the data folder")
		return
	}
	full := filepath.Join(w.Data, filepath.FromSlash(path))
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.problem(Missing, e.N, path, "the segment is gone, and no entry says that it was removed")
		return
	case err != nil:
		w.problem(Unreadable, e.N, path, "%v", err)
		return
	}
	w.r.Segments++
	w.r.Octets += info.Size()
	if info.Size() != e.Octets {
		w.problem(Altered, e.N, path, "the segment has %d octets, entry %d says %d", info.Size(), e.N, e.Octets)
		return
	}
	if w.Quick {
		return
	}
	sum, _, err := SumFile(full)
	switch {
	case err != nil:
		w.problem(Unreadable, e.N, path, "%v", err)
	case sum != e.SHA256:
		w.problem(Altered, e.N, path, "the segment's SHA-256 is %s, entry %d says %s", sum, e.N, e.SHA256)
	}
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
