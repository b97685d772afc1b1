package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// Names inside the folder of one zone.
const (
	stepsFile    = "steps"
	snapshotFile = "snapshot"
	stateFile    = "state.json"
)

// minSinceBase is how long the steps since the snapshot may always get. Writing the snapshot again for less costs more than it
// saves at the next start.
const minSinceBase = 1 << 20

// journal is what the disk holds of one zone: its last steps, and for a secondary a snapshot that they lead on from. It is a folder;
// no file stays open. A step is on disk when append returns.
type journal struct {
	dir   string
	limit int64

	mu    sync.Mutex
	steps []step
	size  int64 // of the steps file; 0: there is none
	base  int64 // size of the snapshot; 0: there is none
	since int64 // octets of steps since the snapshot
}

// openJournal reads what is on disk and cuts off what a crash left half written.
func openJournal(dir string, limit int64) (*journal, error) {
	j := &journal{dir: dir, limit: limit}
	if info, err := os.Stat(j.path(snapshotFile)); err == nil {
		j.base = info.Size()
	}
	f, err := os.Open(j.path(stepsFile))
	if errors.Is(err, os.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return j, fmt.Errorf("opening the journal: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return j, fmt.Errorf("opening the journal: %w", err)
	}
	j.steps, j.size, err = scanSteps(f, limit)
	if err != nil {
		return j, j.reset()
	}
	if info.Size() > j.size {
		if err := os.Truncate(f.Name(), j.size); err != nil {
			return j, fmt.Errorf("repairing the journal: %w", err)
		}
	}
	return j, nil
}

func (j *journal) path(name string) string { return filepath.Join(j.dir, name) }

// append adds the step between two versions. errTooLong says that it is too large to be kept; the history is then empty.
func (j *journal) append(old, fresh *zone.Zone) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	b, err := encodeStep(old, fresh, j.limit/4)
	if err != nil {
		return errors.Join(err, j.reset())
	}
	if n := len(j.steps); n > 0 && j.steps[n-1].to != old.Serial() {
		if err := j.reset(); err != nil {
			return err
		}
	}
	if j.size+int64(len(b)) > j.limit {
		if err := j.prune(j.limit / 2); err != nil {
			return err
		}
	}
	if j.size == 0 {
		if err := j.reset(); err != nil {
			return err
		}
	}
	if err := j.write(b); err != nil {
		return err
	}
	_, records, _ := fresh.Size()
	j.steps = append(j.steps, step{old.Serial(), fresh.Serial(), uint64(records), j.size + frameSize, int64(len(b) - frameSize)})
	j.size += int64(len(b))
	j.since += int64(len(b))
	return nil
}

// write appends to the file and waits for the disk. What a failed write left is cut off, now or at the next start.
func (j *journal) write(b []byte) error {
	f, err := os.OpenFile(j.path(stepsFile), os.O_RDWR, 0o640)
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	_, err = f.WriteAt(b, j.size)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		err = fmt.Errorf("writing the journal: %w", errors.Join(err, f.Truncate(j.size)))
	}
	return errors.Join(err, f.Close())
}

// reset empties the history. j.mu is held, or the journal is being opened.
func (j *journal) reset() error {
	j.steps, j.since = nil, 0
	err := j.replace(stepsFile, func(w io.Writer) error { _, err := io.WriteString(w, journalMagic); return err })
	if err == nil {
		j.size = int64(len(journalMagic))
	} else {
		j.size = 0
	}
	return err
}

// clear empties the history if there is one.
func (j *journal) clear() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.steps) == 0 {
		return nil
	}
	return j.reset()
}

// prune drops the oldest steps so that those left take at most room octets.
func (j *journal) prune(room int64) error {
	first := 0
	for first < len(j.steps) && j.size-j.steps[first].off > room {
		first++
	}
	kept := append([]step(nil), j.steps[first:]...)
	if len(kept) == 0 {
		return j.reset()
	}
	f, err := os.Open(j.path(stepsFile))
	if err != nil {
		return fmt.Errorf("shortening the journal: %w", err)
	}
	defer f.Close()
	from := kept[0].off - frameSize
	err = j.replace(stepsFile, func(w io.Writer) error {
		if _, err := io.WriteString(w, journalMagic); err != nil {
			return err
		}
		_, err := io.Copy(w, io.NewSectionReader(f, from, j.size-from))
		return err
	})
	if err != nil {
		return err
	}
	moved := from - int64(len(journalMagic))
	for i := range kept {
		kept[i].off -= moved
	}
	j.steps, j.size = kept, j.size-moved
	return nil
}

// replace writes a file anew so that a crash leaves the old one or the new one.
func (j *journal) replace(name string, write func(io.Writer) error) error {
	if err := os.MkdirAll(j.dir, 0o750); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	f, err := os.CreateTemp(j.dir, "."+name+"-*")
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	defer os.Remove(f.Name())
	err = write(f)
	err = errors.Join(err, f.Chmod(0o640), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), j.path(name))
	}
	if err == nil {
		err = syncDir(j.dir)
	}
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// read returns the steps that lead from one serial to another, nil where they are not there.
func (j *journal) read(from, to uint32) *history {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := len(j.steps)
	if n == 0 || j.steps[n-1].to != to {
		return nil
	}
	first := n - 1
	for first >= 0 && j.steps[first].from != from {
		first--
	}
	if first < 0 {
		return nil
	}
	// The file may be replaced while it is read; what is open stays as it was.
	f, err := os.Open(j.path(stepsFile))
	if err != nil {
		return nil
	}
	h := &history{in: f, steps: append([]step(nil), j.steps[first:]...), done: func() { f.Close() }}
	h.bytes = j.size - h.steps[0].off
	return h
}

// fits tells whether the history ends at this version. The number of records finds a file that changed while we were away and kept
// its serial.
func (j *journal) fits(z *zone.Zone) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := len(j.steps)
	_, records, _ := z.Size()
	return n == 0 || j.steps[n-1].to == z.Serial() && j.steps[n-1].records == uint64(records)
}

// stale tells whether the steps since the snapshot are so long that it should be written again.
func (j *journal) stale() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.base == 0 || j.since > min(max(minSinceBase, j.base), j.limit/4)
}

// depth counts the steps, for people.
func (j *journal) depth() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.steps)
}

// remove deletes everything.
func (j *journal) remove() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.steps, j.size, j.base, j.since = nil, 0, 0, 0
	return os.RemoveAll(j.dir)
}

// load reads the last copy: the snapshot and the steps after it. nil and no error: there is none.
func (j *journal) load(ctx context.Context, name wire.Name) (*zone.Zone, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.base == 0 {
		return nil, nil
	}
	z, err := readSnapshot(ctx, j.path(snapshotFile), name)
	if err != nil {
		return nil, err
	}
	at := 0
	for at < len(j.steps) && j.steps[at].from != z.Serial() {
		at++
	}
	if at == len(j.steps) {
		if at > 0 && j.steps[at-1].to != z.Serial() {
			return z, j.reset() // the history of a version before this snapshot
		}
		return z, nil
	}
	f, err := os.Open(j.path(stepsFile))
	if err != nil {
		return z, nil
	}
	defer f.Close()
	j.since = j.size - j.steps[at].off
	for i := at; i < len(j.steps); i++ {
		next, err := applyStep(f, j.steps[i], z)
		if err != nil {
			return z, errors.Join(err, j.reset())
		}
		z = next
	}
	return z, nil
}

// based tells whether a snapshot is there that steps can lead on from; distrust makes the next version write it anew.
func (j *journal) based() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.base > 0 && j.since < j.limit
}

func (j *journal) distrust() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.since = j.limit
}
