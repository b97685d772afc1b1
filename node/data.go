package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// format is the version of the data folder's layout. A change that an older anyu cannot read makes it one higher and adds a
// step to upgrade.
const format = 1

// Names inside the data folder.
const (
	formatFile  = "FORMAT"
	lockFile    = "LOCK"
	controlFile = "control.sock"
	secretFile  = "cookie.secret"
	userFile    = "users.json"
	journalDir  = "journal"
	logDir      = "log"
	figuresDir  = "tsdb"

	findingsFile = "findings.jsonl"
)

// Data is an opened data folder: locked, of a known format.
type Data struct {
	Dir  string
	lock *os.File
}

// OpenData creates the folder if need be, locks it and brings it to the current format. One running node a folder.
func OpenData(dir string) (*Data, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("creating the data folder: %w (choose another with --data)", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w (choose another with --data)", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(lock.Name())
		lock.Close()
		return nil, fmt.Errorf("the data folder %s is in use by process %s: stop that anyu, or choose another folder with --data", dir, strings.TrimSpace(string(owner)))
	}
	d := &Data{dir, lock}
	if err := d.checkFormat(); err != nil {
		d.Close()
		return nil, err
	}
	// The number is for the message above only; a full disk must not stop a name server from starting.
	if lock.Truncate(0) == nil {
		lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return d, nil
}

// Path joins a name to the folder.
func (d *Data) Path(name string) string { return filepath.Join(d.Dir, name) }

// Close gives the lock back.
func (d *Data) Close() error { return d.lock.Close() }

func (d *Data) checkFormat() error {
	b, err := os.ReadFile(d.Path(formatFile))
	if errors.Is(err, os.ErrNotExist) {
		return writeFile(d.Path(formatFile), []byte(strconv.Itoa(format)+"\n"), 0o640)
	}
	if err != nil {
		return fmt.Errorf("reading the format of the data folder: %w", err)
	}
	found, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || found < 1 {
		return fmt.Errorf("%s: %q is no format version: this is not a data folder of anyu, or it is damaged", d.Path(formatFile), b)
	}
	if found > format {
		return fmt.Errorf("the data folder %s has format %d and this anyu knows %d: use a newer anyu, or restore a backup into another folder", d.Dir, found, format)
	}
	return nil
}

// writeFile replaces a file so that a crash leaves either the old or the new one.
func writeFile(path string, b []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
