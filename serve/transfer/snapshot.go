package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// A snapshot is a master file whose last line is a comment with the CRC-32C of all before it: people can read it, and the loader of
// zones does the work.
const (
	trailerForm = "; crc32c %08x\n"
	trailerSize = len("; crc32c 00000000\n")
)

var errSnapshot = errors.New("snapshot is damaged")

// snapshot writes a version as the new base. The steps before it stay, as history for others.
func (j *journal) snapshot(z *zone.Zone) error {
	var size int64
	err := j.replace(snapshotFile, func(w io.Writer) error {
		sum := &summing{to: w, sum: crc32.New(castagnoli)}
		b := bufio.NewWriterSize(sum, 1<<18)
		if err := errors.Join(z.WriteText(b), b.Flush()); err != nil {
			return err
		}
		size = sum.n + int64(trailerSize)
		_, err := fmt.Fprintf(w, trailerForm, sum.sum.Sum32())
		return err
	})
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.base, j.since = size, 0
	return nil
}

// summing writes and sums.
type summing struct {
	to  io.Writer
	sum hash.Hash32
	n   int64
}

func (s *summing) Write(b []byte) (int, error) {
	s.sum.Write(b)
	n, err := s.to.Write(b)
	s.n += int64(n)
	return n, err
}

// readSnapshot loads a snapshot; what is not exactly as it was written is refused.
func readSnapshot(ctx context.Context, path string, name wire.Name) (*zone.Zone, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	text := info.Size() - int64(trailerSize)
	trailer := make([]byte, trailerSize)
	if text < 0 {
		return nil, errSnapshot
	}
	if _, err := f.ReadAt(trailer, text); err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	sum := crc32.New(castagnoli)
	z, _, err := zone.Load(ctx, zone.LoadOptions{Name: name, File: path, Open: func(file string) (io.ReadCloser, error) {
		if file != path {
			return nil, errSnapshot // a snapshot includes nothing
		}
		return io.NopCloser(io.TeeReader(io.NewSectionReader(f, 0, text), sum)), nil
	}})
	if string(trailer) != fmt.Sprintf(trailerForm, sum.Sum32()) {
		return nil, errSnapshot
	}
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	return z, nil
}
