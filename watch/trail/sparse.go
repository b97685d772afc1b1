package trail

import (
	"errors"
	"os"
	"runtime"

	"anyu/watch/trail/column"
)

// sparseFile is a segment of which little is read, here and there. Who waits for a disk leaves the processor to others.
type sparseFile struct {
	s    *search
	file *os.File
	fd   int // of file; to ask for it is a question to the system each time
	size int64
}

// open opens a segment. What the system would read ahead by itself is in vain (of half a year 3.9 GB in place of 1.6, for one client).
func (s *search) open(path string) (f *sparseFile, err error) {
	s.elsewhere(func() {
		f = &sparseFile{s: s}
		if f.file, err = os.Open(path); err != nil {
			return
		}
		info, e := f.file.Stat()
		if e != nil {
			err = errors.Join(e, f.file.Close())
			return
		}
		f.fd, f.size = int(f.file.Fd()), info.Size()
		adviseRandom(f.fd)
		column.Expect(f, f.size)
	})
	return f, err
}

func (f *sparseFile) close() { f.file.Close() }

// patience is how often a read lets others work before it waits for the disk itself. Mostly what it wants was foreseen and is there soon; a thread that waits keeps its
// processor from others for as long, since the runtime notices too late (with reads that wait, two processors were idle for a third of a search).
const patience = 2

// ReadAt reads.
func (f *sparseFile) ReadAt(b []byte, at int64) (n int, err error) {
	for range patience {
		read, tells := readReady(f.fd, b, at)
		if read {
			return len(b), nil
		}
		if !tells {
			break
		}
		f.s.elsewhere(runtime.Gosched)
	}
	f.s.elsewhere(func() { n, err = f.file.ReadAt(b, at) })
	return n, err
}

// Foresee has the system read without waiting for it.
func (f *sparseFile) Foresee(at, octets int64) { adviseSoon(f.fd, at, octets) }
