// Package ledger proves that what was kept is what was kept: each closed log segment, administrative act, finding and change of a rule is a leaf of
// a Merkle tree (RFC 6962, Section 2.1) whose heads are signed.
//
// It promises: an entry that Append returned for is synced; entries are numbered without gaps and their times never go back; the tree of today holds
// every tree whose checkpoint was ever signed. Verify says which entry or segment was altered, is missing, was put in, reordered or
// back-dated; that the folder was rolled back to an older head or rebuilt it can say only with a checkpoint that was kept elsewhere. A proof can be checked without the folder.
// It refuses to sign a tree that is smaller than the last one it signed, and to change or remove an entry: erasing personal data is an entry, too.
//
// Files, in DATA/ledger: entries.jsonl (one entry a line, the line is the leaf), hashes (of the tree, 32 octets each, in the order of
// golang.org/x/mod/sumdb/tlog; can be made again from the entries), checkpoint (the last signed head), checkpoints (older heads, one at least each
// hour in which something was added), key (the secret one), key.pub.
//
// Limits today: one key for the life of a ledger.
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
	size     int64 // entries that are known here, all under a signed head
	octets   int64 // of them
	last     time.Time
	headKept time.Time // of the last head in headsFile
	cut      int64     // lines behind the last head that were cut off, to be told by the next entry
	failed   error
}

// Open opens the ledger in a folder, or begins one. node names its owner in what is signed.
func Open(dir, node string) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	l := &Ledger{dir: dir}
	var err error
	if l.lock, err = os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	end, err := l.exclude()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the ledger in %s: %w", dir, err), l.lock.Close())
	}
	defer end()
	if err = l.openKey(node); err == nil {
		if l.entries, err = os.OpenFile(filepath.Join(dir, entriesFile), os.O_CREATE|os.O_RDWR, 0o640); err == nil {
			own(l.entries)
			if l.hashes, err = os.OpenFile(filepath.Join(dir, hashesFile), os.O_CREATE|os.O_RDWR, 0o640); err == nil {
				own(l.hashes)
			}
		}
	}
	if err == nil {
		err = l.catchUp()
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

// lockPatience bounds the wait for another process. A name server must not hang because somebody holds a file.
const lockPatience = 5 * time.Second

var errBusy = errors.New("another process holds the ledger's lock")

// exclude keeps other processes out until its result is called.
func (l *Ledger) exclude() (end func(), err error) { return flock(l.lock, unix.LOCK_EX) }

func flock(f *os.File, how int) (end func(), err error) {
	for begin := time.Now(); ; time.Sleep(200 * time.Microsecond) {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { unix.Flock(int(f.Fd()), unix.LOCK_UN) }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return func() {}, nil // a file system without locks, which then holds one process
		case time.Since(begin) > lockPatience:
			return nil, errBusy
		}
	}
}

// catchUp reads what is signed and not known here: all at the start, later what other processes appended. What is behind the last head was acknowledged to
// nobody, for each process signs before it lets another in: it is cut off, and the next entry says so, since it may have been put there by hand.
func (l *Ledger) catchUp() error {
	head, err := l.lastHead()
	if err != nil {
		return err
	}
	info, err := l.entries.Stat()
	if err != nil {
		return err
	}
	switch {
	case head == nil && info.Size() > 0:
		return fmt.Errorf("%w: there are entries, and no signed head", ErrDamaged)
	case head == nil:
		return nil
	case info.Size() < l.octets:
		return fmt.Errorf("%w: %s became shorter", ErrDamaged, entriesFile)
	case head.Size < l.size:
		return fmt.Errorf("%w: the signed head became older", ErrDamaged)
	}
	behind := int64(0)
	before := l.size
	_, err = eachLine(io.NewSectionReader(l.entries, l.octets, info.Size()-l.octets), func(line []byte) error {
		if l.size == head.Size {
			behind++
			return nil
		}
		e, err := parseEntry(line)
		if err != nil || e.N != l.size {
			return fmt.Errorf("%w: entry %d cannot be read", ErrDamaged, l.size)
		}
		if err := l.grow(l.size, line, true); err != nil {
			return err
		}
		l.size, l.octets, l.last = l.size+1, l.octets+int64(len(line))+1, e.Time
		return nil
	})
	if err != nil {
		return err
	}
	if l.size < head.Size {
		return fmt.Errorf("%w: %d entries were signed, %d are there", ErrDamaged, head.Size, l.size)
	}
	if before < l.size || before == 0 {
		root, err := tlog.TreeHash(head.Size, l.reader())
		if err != nil {
			return err
		}
		if root != head.Root {
			return fmt.Errorf("%w: its first %d entries are not those that were signed", ErrDamaged, head.Size)
		}
	}
	if l.octets < info.Size() {
		l.cut += behind
		return l.entries.Truncate(l.octets)
	}
	return nil
}

// grow adds the hashes of entry n, unless they are there since before. known: it is signed, and so a hash that is another one is damage.
func (l *Ledger) grow(n int64, line []byte, known bool) error {
	hashes, err := tlog.StoredHashes(n, line, l.reader())
	if err != nil {
		return err
	}
	at := tlog.StoredHashIndex(0, n) * tlog.HashSize
	var b []byte
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	old := make([]byte, len(b))
	got, err := l.hashes.ReadAt(old, at)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case got == len(b) && bytes.Equal(old, b):
		return nil
	case got == len(b) && known:
		return fmt.Errorf("%w: the hash of entry %d is not that of its text", ErrDamaged, n)
	}
	_, err = l.hashes.WriteAt(b, at)
	return err
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
	return &head, nil
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
	end, err := l.exclude()
	if err != nil {
		return fmt.Errorf("adding to the ledger: %w", err)
	}
	defer end()
	err = l.append(now.UTC(), entries)
	if errors.Is(err, ErrDamaged) {
		l.failed = err
	}
	if err != nil {
		return fmt.Errorf("adding to the ledger: %w", err)
	}
	return nil
}

// append writes, syncs and signs. Where one of these fails, what was written is behind the last head, and cut off by the next call.
func (l *Ledger) append(now time.Time, entries []*Entry) error {
	if err := l.catchUp(); err != nil {
		return err
	}
	if now.Before(l.last) {
		now = l.last // a clock set back: the order is what is promised
	}
	if l.cut > 0 {
		entries = append([]*Entry{{Kind: Loss, Subject: "ledger", Why: "lines behind the last signed head were cut off", Facts: []Fact{{"lines", fmt.Sprint(l.cut)}}}}, entries...)
	}
	var text []byte
	var lines [][]byte
	for i, e := range entries {
		e.N, e.Time = l.size+int64(i), now
		line, err := e.line()
		if err != nil {
			return err
		}
		lines = append(lines, line)
		text = append(append(text, line...), '\n')
	}
	if _, err := l.entries.WriteAt(text, l.octets); err != nil {
		return errors.Join(err, l.entries.Truncate(l.octets))
	}
	if err := l.entries.Sync(); err != nil {
		return err
	}
	for i, line := range lines {
		if err := l.grow(l.size+int64(i), line, false); err != nil {
			return err
		}
	}
	if err := l.hashes.Sync(); err != nil {
		return err
	}
	if err := l.sign(l.size+int64(len(lines)), now); err != nil {
		return err
	}
	l.size, l.octets, l.last, l.cut = l.size+int64(len(lines)), l.octets+int64(len(text)), now, 0
	return nil
}

// sign writes the head of the tree of that size, and keeps one each hour for good. The last head first: what a kept one says must be there.
func (l *Ledger) sign(size int64, now time.Time) error {
	root, err := tlog.TreeHash(size, l.reader())
	if err != nil {
		return err
	}
	text, err := signCheckpoint(Checkpoint{Origin: l.origin, Size: size, Root: root, Time: now}, l.signer)
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(l.dir, headFile), text, 0o640); err != nil {
		return err
	}
	if now.Sub(l.headKept) >= headEvery || l.headKept.IsZero() {
		if err := l.keepHead(text); err == nil { // else with the next entry: it is signed already
			l.headKept = now
		}
	}
	return nil
}

// keepHead appends to the heads, which are separated by an empty line of their own (a note has one inside).
func (l *Ledger) keepHead(text []byte) error {
	f, err := os.OpenFile(filepath.Join(l.dir, headsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if _, err = f.Write(append(bytes.Clone(text), '\n')); err != nil {
		return errors.Join(err, f.Truncate(info.Size()), f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
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
	own(f)
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

// own gives a file to the owner of its folder: root, who adds an account beside a node of another user, must not take the ledger from it.
func own(f *os.File) {
	var dir unix.Stat_t
	if os.Geteuid() == 0 && unix.Stat(filepath.Dir(f.Name()), &dir) == nil {
		f.Chown(int(dir.Uid), int(dir.Gid)) // else it stays root's, which is no worse than before
	}
}
