package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"anyu/watch/store"
	"anyu/watch/trail"
)

// Backup copies the state of a data folder into an empty or new folder: accounts, secrets, findings, journals, the query
// log's finished segments, figures. It may run while the node runs: files are either append-only, replaced by rename, or
// finished. progress is told of each file; it may be nil.
func Backup(from, to string, progress func(name string, size int64)) (files int, size int64, err error) {
	if _, err := os.Stat(filepath.Join(from, formatFile)); err != nil {
		return 0, 0, fmt.Errorf("backing up: %s is no data folder of anyu: %w", from, err)
	}
	if err := outside(from, to); err != nil {
		return 0, 0, fmt.Errorf("backing up: %w", err)
	}
	if err := emptyFolder(to); err != nil {
		return 0, 0, fmt.Errorf("backing up: %w", err)
	}
	// The ledger after the log, and then what was closed meanwhile: the copy's ledger knows each of its segments, and each is there.
	for _, part := range []func(rel string) bool{
		func(rel string) bool { return !within(rel, ledgerDir) },
		func(rel string) bool { return within(rel, ledgerDir) },
		func(rel string) bool { return within(rel, logDir) },
	} {
		f, n, err := copyTree(from, to, part, progress)
		files, size = files+f, size+n
		if err != nil {
			return files, size, err
		}
	}
	return files, size, nil
}

// within tells whether a path is a folder or in it.
func within(rel, dir string) bool {
	return rel == dir || strings.HasPrefix(rel, dir+string(filepath.Separator))
}

// Restore puts a backup into a data folder that does not exist or is empty.
func Restore(from, to string, progress func(name string, size int64)) (files int, size int64, err error) {
	if _, err := os.Stat(filepath.Join(from, formatFile)); err != nil {
		return 0, 0, fmt.Errorf("restoring: %s is no backup of anyu: %w", from, err)
	}
	if err := emptyFolder(to); err != nil {
		return 0, 0, fmt.Errorf("restoring: %w: stop anyu and move the old folder away first", err)
	}
	files, size, err = copyTree(from, to, func(string) bool { return true }, progress)
	if err != nil {
		return files, size, err
	}
	// What the backup says was not sent to ClickHouse may have been since.
	if err := store.Doubt(filepath.Join(to, storeDir)); err != nil {
		return files, size, fmt.Errorf("restoring: %w", err)
	}
	// Opening it checks the format, and that nobody uses it.
	d, err := OpenData(to)
	if err != nil {
		return files, size, fmt.Errorf("restoring: %w", err)
	}
	return files, size, d.Close()
}

// outside refuses a backup inside what it copies: it would copy itself without end.
func outside(from, to string) error {
	from, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	for dir, err := filepath.Abs(to); ; dir = filepath.Dir(dir) {
		if err != nil {
			return err
		}
		if sameFolder(dir, from) {
			return fmt.Errorf("the folder %s is inside the data folder %s: name one elsewhere", to, from)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// sameFolder sees through links. A folder that is not there yet is no other one.
func sameFolder(a, b string) bool {
	one, err := os.Stat(a)
	two, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(one, two)
}

func emptyFolder(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o750)
	}
	if err == nil && len(list) > 0 {
		return fmt.Errorf("the folder %s is not empty", dir)
	}
	return err
}

// copyTree copies what a node would need again, of what is wanted and not there yet. What vanishes while it is copied was replaced by something newer.
func copyTree(from, to string, wanted func(rel string) bool, progress func(string, int64)) (files int, size int64, err error) {
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		base := d.Name()
		switch {
		case !wanted(rel) && rel != ".":
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o750)
		case !d.Type().IsRegular() || rel == filepath.Join(logDir, trail.RunningName) || rel == lockFile || rel == cacheFile || base == "lock" || strings.HasPrefix(base, ".new-"):
			return nil
		}
		n, err := copyFile(path, filepath.Join(to, rel))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err == nil {
			files, size = files+1, size+n
			if progress != nil {
				progress(rel, n)
			}
		}
		return err
	})
	if err != nil {
		return files, size, fmt.Errorf("copying the data folder: %w", err)
	}
	return files, size, nil
}

// copyFile copies as much as the file held when it was opened: an append-only file may grow meanwhile.
func copyFile(from, to string) (int64, error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, io.LimitReader(in, info.Size()))
	return n, errors.Join(err, out.Sync(), out.Close())
}
