package trail

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// Erasure says whose personal data is to be taken out of the log: client, client_port and ecs of rows whose client, or whose client subnet, is in the prefix. The rows
// stay, so that volumes and the history of names do.
type Erasure struct {
	Client   netip.Prefix
	From, To time.Time // [From, To); zero: without end
}

// Fits tells whether a row is one of those, and what is in it.
func (e *Erasure) fits(r *Row) bool {
	if !e.From.IsZero() && r.Time < e.From.UnixMicro() || !e.To.IsZero() && r.Time >= e.To.UnixMicro() {
		return false
	}
	return within(e.Client, r.Client) || e.Covers(r.Subnet)
}

// Covers tells whether a client subnet, as rows have it, says something of the prefix's clients.
func (e *Erasure) Covers(subnet string) bool {
	if subnet == "" {
		return false
	}
	p, err := netip.ParsePrefix(subnet)
	return err == nil && p.Overlaps(e.Client)
}

// Replacement is a segment without what was erased, beside the one that it is to replace.
type Replacement struct {
	Path   string // of the segment, relative to the log's folder
	Aside  string // the file that is to take its place
	Erased int64  // rows that something was taken out of
	Rows   int64
}

// erasedExt is how the name of a replacement ends that has not taken its segment's place yet.
const erasedExt = ".erased"

// Erase rewrites the segments that have something of it. The file that is being written becomes segments first. note is told of each replacement before it
// takes the place of its segment: what it refuses stays as it is. Files that crashes cut off are deleted when they are of the time.
func (t *Trail) Erase(ctx context.Context, e Erasure, note func(Replacement) error) (segments int, rows int64, err error) {
	if !e.Client.IsValid() {
		return 0, 0, errors.New("erasing from the query log: no client is named")
	}
	if err := t.sealNow(ctx); err != nil {
		return 0, 0, fmt.Errorf("erasing from the query log: %w", err)
	}
	t.keeper.hurry.Add(1)
	defer t.keeper.hurry.Add(-1)
	t.keeping.Lock()
	defer t.keeping.Unlock()
	if err := t.convertAll(func() bool { return ctx.Err() != nil }); err != nil {
		return 0, 0, fmt.Errorf("erasing from the query log: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return 0, 0, err // a file that is no segment yet may have something of it
	}
	all, _, err := t.folders()
	if err != nil {
		return 0, 0, fmt.Errorf("erasing from the query log: %w", err)
	}
	for _, h := range all {
		if !e.From.IsZero() && !h.begin.Add(time.Hour).After(e.From) || !e.To.IsZero() && !h.begin.Before(e.To) {
			continue
		}
		paths, err := h.segments()
		if err != nil {
			return segments, rows, fmt.Errorf("erasing from the query log: %w", err)
		}
		for _, path := range paths {
			if err := ctx.Err(); err != nil {
				return segments, rows, err
			}
			n, err := t.eraseFrom(path, &e, note)
			if err != nil {
				return segments, rows, fmt.Errorf("erasing from %s: %w", t.relative(path), err)
			}
			if rows += n; n > 0 {
				segments++
			}
		}
	}
	return segments, rows, t.eraseCut(&e)
}

// eraseFrom rewrites one segment, and tells of how many rows something was taken.
func (t *Trail) eraseFrom(path string, e *Erasure, note func(Replacement) error) (n int64, err error) {
	found := errors.New("found")
	err = EachBlock(path, 0, groupRows/8, func(rows []Row) error {
		for i := range rows {
			if e.fits(&rows[i]) {
				return found
			}
		}
		return nil
	})
	if err != found {
		return 0, err // also: nothing of it is there
	}
	dir, name := filepath.Split(path)
	r := Replacement{Path: t.relative(path), Aside: filepath.Join(dir, "."+name+erasedExt)}
	if err := rewrite(path, e, &r); err != nil {
		return 0, errors.Join(err, os.Remove(r.Aside))
	}
	if err := note(r); err != nil {
		return 0, errors.Join(err, os.Remove(r.Aside))
	}
	return r.Erased, takePlace(r.Aside, path)
}

func takePlace(aside, path string) error {
	if err := os.Rename(aside, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// rewrite writes the replacement.
func rewrite(path string, e *Erasure, r *Replacement) error {
	old, in, err := openSegment(path)
	if err != nil {
		return err
	}
	defer in.Close()
	options := segmentOptions()
	for _, kv := range old.Metadata().KeyValueMetadata {
		options = append(options, parquet.KeyValueMetadata(kv.Key, kv.Value))
	}
	out, err := os.Create(r.Aside)
	if err != nil {
		return err
	}
	w := parquet.NewGenericWriter[Row](out, options...)
	err = EachBlock(path, 0, groupRows/8, func(rows []Row) error {
		for i := range rows {
			row := &rows[i]
			if !e.fits(row) {
				continue
			}
			r.Erased++
			if within(e.Client, row.Client) {
				row.Client, row.ClientPort = "", nil
			}
			if e.Covers(row.Subnet) {
				row.Subnet = ""
			}
		}
		r.Rows += int64(len(rows))
		_, err := w.Write(rows)
		return err
	})
	return errors.Join(err, w.Close(), out.Sync(), out.Close())
}

// segmentOptions are how segments are written.
func segmentOptions() []parquet.WriterOption {
	return []parquet.WriterOption{
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}), parquet.MaxRowsPerRowGroup(groupRows), parquet.PageBufferSize(pageSize),
		parquet.DefaultEncodingFor(parquet.Int32, &parquet.DeltaBinaryPacked), parquet.CreatedBy("anyu", "1", ""),
		parquet.BloomFilters(parquet.SplitBlockFilter(nameBits, nameColumn), parquet.SplitBlockFilter(bloomBits, clientColumn),
			parquet.SplitBlockFilter(bloomBits, answerColumn, "list", "element")),
	}
}

// eraseCut deletes what crashes cut off, where it may be of the time: nothing proves these files, and no search reads them.
func (t *Trail) eraseCut(e *Erasure) error {
	paths, err := filepath.Glob(filepath.Join(t.opts.Dir, walDir, "*"+cutExt))
	if err != nil {
		return err
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || !e.From.IsZero() && info.ModTime().Before(e.From) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		t.opts.Logger.Info("cut file of the query log deleted with what was erased", "file", path)
	}
	return nil
}

// FinishErasures ends what a crash interrupted: of each replacement, noted says whether it was noted as its segment. Then it takes the place, else it is deleted.
func FinishErasures(dir string, noted func(path, aside string) (bool, error)) error {
	left, err := filepath.Glob(filepath.Join(dir, "date=*", "hour=*", ".*"+segmentExt+erasedExt))
	if err != nil {
		return err
	}
	t := &Trail{opts: Options{Dir: dir}}
	for _, aside := range left {
		folder, name := filepath.Split(aside)
		path := filepath.Join(folder, strings.TrimSuffix(strings.TrimPrefix(name, "."), erasedExt))
		is, err := noted(t.relative(path), aside)
		if err == nil && is {
			err = takePlace(aside, path)
		} else if err == nil {
			err = os.Remove(aside)
		}
		if err != nil {
			return fmt.Errorf("finishing an erasure: %w", err)
		}
	}
	return nil
}

// sealNow has the writer end its file, with everything that was handed to it.
func (t *Trail) sealNow(ctx context.Context) error {
	if t.opts.Off {
		return nil
	}
	sealed := make(chan struct{})
	select {
	case t.seals <- sealed:
	case <-ctx.Done():
		return ctx.Err()
	case <-t.done:
		return errors.New("the log is being closed")
	}
	<-sealed
	return nil
}

func within(p netip.Prefix, client string) bool {
	addr, err := netip.ParseAddr(client)
	return err == nil && p.Contains(addr)
}
