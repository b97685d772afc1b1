// Package ledger proves that what was kept is what was kept: each closed log segment, administrative act, finding and change of a rule is a leaf of
// a Merkle tree (RFC 6962, Section 2.1) whose heads are signed.
//
// It promises: an entry that Append returned for is synced; entries are numbered without gaps and their times never go back; the tree of today holds
// every tree whose checkpoint was ever signed. Verify says which entry or segment was altered, is missing, was put in, reordered or
// back-dated; with a checkpoint that was kept elsewhere also that the whole folder was rolled back or rebuilt. A proof can be checked without the folder.
// It refuses to sign a tree that is smaller than the last one it signed, and to change or remove an entry: erasing personal data is an entry, too.
//
// Files, in DATA/ledger: entries.jsonl (one entry a line, the line is the leaf), hashes (of the tree, 32 octets each, in the order of
// golang.org/x/mod/sumdb/tlog; can be made again from the entries), checkpoint (the last signed head), checkpoints (older heads, one at least each
// hour in which something was added), key (the secret one), key.pub.
//
// Limits today: one key for the life of a ledger; witnesses are asked by who carries the checkpoint to them.
package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"
)

// Names inside the ledger's folder.
const (
	entriesFile = "entries.jsonl"
	hashesFile  = "hashes"
	headFile    = "checkpoint"
	headsFile   = "checkpoints"
	secretFile  = "key"
	publicFile  = "key.pub"
	lockFile    = "lock"
)

// headEvery is how long a signed head may stay the only one of its entries: an entry that is dated back is found with that precision.
const headEvery = time.Hour

// ErrDamaged says that the files do not fit together any more: nothing is added to them, and Verify says what is wrong.
var ErrDamaged = errors.New("the ledger is damaged")

// Ledger takes entries. Everything may be called from any goroutine; other processes may append, too (anyu user add beside a running node).
type Ledger struct {
	dir    string
	origin string
	signer note.Signer
	public string

	mu       sync.Mutex
	entries  *os.File
	hashes   *os.File
	lock     *os.File
	size     int64 // entries that are known here
	octets   int64 // of them
	last     time.Time
	signed   int64     // entries under the last head
	headKept time.Time // of the last head in headsFile
	failed   error
}

// Open opens the ledger in a folder, or begins one. node names its owner in what is signed.
func Open(dir, node string) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	l := &Ledger{dir: dir}
	var err error
	if l.lock, err = os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o640); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	defer l.exclude()()
	if err = l.openKey(node); err == nil {
		if l.entries, err = os.OpenFile(filepath.Join(dir, entriesFile), os.O_CREATE|os.O_RDWR, 0o640); err == nil {
			l.hashes, err = os.OpenFile(filepath.Join(dir, hashesFile), os.O_CREATE|os.O_RDWR, 0o640)
		}
	}
	var head *Checkpoint
	if err == nil {
		head, err = l.lastHead()
	}
	if err == nil {
		err = l.catchUp()
	}
	if err == nil && head != nil {
		err = l.complete(head)
	}
	if err == nil {
		err = l.mendHeads()
	}
	if err != nil {
		l.closeFiles()
		return nil, fmt.Errorf("opening the ledger in %s: %w", dir, err)
	}
	return l, nil
}

// exclude keeps other processes out until its result is called.
func (l *Ledger) exclude() (end func()) {
	unix.Flock(int(l.lock.Fd()), unix.LOCK_EX) // fails on file systems without locks only, which then hold one process
	return func() { unix.Flock(int(l.lock.Fd()), unix.LOCK_UN) }
}

// catchUp reads what is in the file and not known here: all at the start, later what other processes appended. An end without a newline was
// never acknowledged and is cut off.
func (l *Ledger) catchUp() error {
	info, err := l.entries.Stat()
	if err != nil {
		return err
	}
	if info.Size() < l.octets {
		return fmt.Errorf("%w: %s became shorter", ErrDamaged, entriesFile)
	}
	whole, err := eachLine(io.NewSectionReader(l.entries, l.octets, info.Size()-l.octets), func(line []byte) error {
		e, err := parseEntry(line)
		if err != nil || e.N != l.size {
			return fmt.Errorf("%w: entry %d cannot be read", ErrDamaged, l.size)
		}
		if err := l.grow(line); err != nil {
			return err
		}
		l.last = e.Time
		return nil
	})
	l.octets += whole
	if err == nil && l.octets < info.Size() {
		err = l.entries.Truncate(l.octets)
	}
	return err
}

// grow adds the hashes of one more entry, unless they are there since before.
func (l *Ledger) grow(line []byte) error {
	hashes, err := tlog.StoredHashes(l.size, line, l.reader())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	at := tlog.StoredHashIndex(0, l.size) * tlog.HashSize
	var b []byte
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	old := make([]byte, len(b))
	if n, _ := l.hashes.ReadAt(old, at); n < len(b) || !bytes.Equal(old, b) {
		// Under a signed head the hashes were synced. Behind it, what a power failure left of them is anything.
		if n == len(b) && l.size < l.signed {
			return fmt.Errorf("%w: the hash of entry %d is not that of its text", ErrDamaged, l.size)
		}
		if _, err := l.hashes.WriteAt(b, at); err != nil {
			return err
		}
	}
	l.size++
	return nil
}

func (l *Ledger) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			if _, err := l.hashes.ReadAt(hashes[i][:], x*tlog.HashSize); err != nil {
				return nil, fmt.Errorf("reading hash %d: %w", x, err)
			}
		}
		return hashes, nil
	})
}

// lastHead reads the last signed head; nil: nothing was signed yet.
func (l *Ledger) lastHead() (*Checkpoint, error) {
	text, err := os.ReadFile(filepath.Join(l.dir, headFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	head, err := OpenCheckpoint(text, l.public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	l.signed = head.Size
	return &head, nil
}

// complete compares what is there with the last head: it must hold all that was signed.
func (l *Ledger) complete(head *Checkpoint) error {
	if head.Size > l.size {
		return fmt.Errorf("%w: %d entries were signed, %d are there", ErrDamaged, head.Size, l.size)
	}
	root, err := tlog.TreeHash(head.Size, l.reader())
	if err != nil {
		return err
	}
	if root != head.Root {
		return fmt.Errorf("%w: its first %d entries are not those that were signed", ErrDamaged, head.Size)
	}
	return nil
}

// mendHeads cuts off what a crash left of an older head that was being written, and notes of when the last one is.
func (l *Ledger) mendHeads() error {
	path := filepath.Join(l.dir, headsFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	whole := wholeHeads(text)
	if heads := splitHeads(text[:whole]); len(heads) > 0 {
		if c, err := OpenCheckpoint(heads[len(heads)-1], l.public); err == nil {
			l.headKept = c.Time
		}
	}
	if whole < len(text) {
		return os.Truncate(path, int64(whole))
	}
	return nil
}

// Append adds entries; their N and Time are set. When it returns without an error they are on disk and signed.
func (l *Ledger) Append(now time.Time, entries ...*Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	defer l.exclude()()
	err := l.append(now.UTC(), entries)
	if errors.Is(err, ErrDamaged) {
		l.failed = err
	}
	if err != nil {
		return fmt.Errorf("adding to the ledger: %w", err)
	}
	return nil
}

func (l *Ledger) append(now time.Time, entries []*Entry) error {
	if err := l.catchUp(); err != nil {
		return err
	}
	if now.Before(l.last) {
		now = l.last // a clock set back: the order is what is promised
	}
	size, octets := l.size, l.octets
	var text []byte
	for _, e := range entries {
		e.N, e.Time = size, now
		line, err := e.line()
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
		size++
	}
	if _, err := l.entries.WriteAt(text, octets); err == nil {
		err = l.entries.Sync()
		if err != nil {
			return errors.Join(err, l.entries.Truncate(octets))
		}
	} else {
		return errors.Join(err, l.entries.Truncate(octets))
	}
	l.last = now
	if err := l.catchUp(); err != nil {
		return err
	}
	if err := l.hashes.Sync(); err != nil {
		return err
	}
	return l.sign(now)
}

// sign writes the head of the tree as it is, and keeps the one before for whom it may be asked.
func (l *Ledger) sign(now time.Time) error {
	root, err := tlog.TreeHash(l.size, l.reader())
	if err != nil {
		return err
	}
	text, err := signCheckpoint(Checkpoint{Origin: l.origin, Size: l.size, Root: root, Time: now}, l.signer)
	if err != nil {
		return err
	}
	if now.Sub(l.headKept) >= headEvery || l.headKept.IsZero() {
		if err := l.keepHead(text); err != nil {
			return err
		}
		l.headKept = now
	}
	if err := replace(filepath.Join(l.dir, headFile), text, 0o640); err != nil {
		return err
	}
	l.signed = l.size
	return nil
}

// keepHead appends to the heads, which are separated by an empty line of their own (a note has one inside).
func (l *Ledger) keepHead(text []byte) error {
	f, err := os.OpenFile(filepath.Join(l.dir, headsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.Clone(text), '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// Size is the number of entries known.
func (l *Ledger) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// Key is the key that checks what the ledger signs, as golang.org/x/mod/sumdb/note writes it.
func (l *Ledger) Key() string { return l.public }

// Close ends it. Appending afterwards is an error.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = errors.New("the ledger is closed")
	return l.closeFiles()
}

func (l *Ledger) closeFiles() error {
	var errs []error
	for _, f := range []*os.File{l.entries, l.hashes, l.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// replace writes a file so that it is there whole or as before.
func replace(path string, text []byte, mode os.FileMode) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Segments are the segments that should be there, by their path: the last entry of each.
func (l *Ledger) Segments() (map[string]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := map[string]Entry{}
	_, err := eachLine(io.NewSectionReader(l.entries, 0, l.octets), func(line []byte) error {
		e, err := parseEntry(line)
		switch {
		case err != nil:
			return err
		case e.Kind == Segment || e.Kind == Erased:
			list[e.Subject] = e
		case e.Kind == Removed:
			delete(list, e.Subject)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	return list, nil
}

// Each calls f with every entry from the first, until it returns false.
func Each(dir string, f func(Entry) bool) error {
	file, err := os.Open(filepath.Join(dir, entriesFile))
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	defer file.Close()
	enough := errors.New("enough")
	_, err = eachLine(file, func(line []byte) error {
		e, err := parseEntry(line)
		if err != nil {
			return err
		}
		if !f(e) {
			return enough
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	return nil
}

// Head is the last checkpoint as it is signed, to be kept elsewhere.
func Head(dir string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, headFile))
	if err != nil {
		return nil, fmt.Errorf("reading the ledger's checkpoint: %w", err)
	}
	return text, nil
}
