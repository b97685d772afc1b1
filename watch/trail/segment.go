package trail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"anyu/event"
)

const (
	segmentExt = ".parquet"
	tempExt    = ".tmp"
	cutExt     = ".cut" // an append-only file that did not end with a whole frame, kept for who wants to look

	// groupRows is the unit that a reader takes into memory, a multiple of DuckDB's vectors.
	groupRows = 122_880
	// nameColumn, clientColumn and answerColumn have bloom filters, so that a trace skips groups without the one looked for; at bloomBits a value one
	// group in a hundred is read in vain.
	nameColumn, clientColumn = "qname", "client"
	answerColumn             = "answer_ips"
	bloomBits                = 10

	schemaVersion = "2" // of Row, for readers; 1 had the columns up to Zone
	// turnRows are packed at a time, about half a millisecond of a core.
	turnRows = 256
	// maxHours bounds the segments written at a time (stops: old captures with times all over that keep thousands of files open).
	maxHours = 8
)

// HourDir is the folder of an hour, relative to the log's: what DuckDB, ClickHouse and Spark call hive partitions.
func HourDir(at time.Time) string {
	at = at.UTC()
	return filepath.Join("date="+at.Format("2006-01-02"), "hour="+at.Format("15"))
}

// keep is the goroutine that makes segments and deletes old ones.
func (t *Trail) keep() {
	clean := time.NewTicker(10 * time.Minute)
	defer clean.Stop()
	again := time.NewTicker(time.Minute)
	defer again.Stop()
	troubled := false
	t.retain(time.Now())
	for {
		_, err := t.convertAll()
		if err != nil && !troubled {
			t.opts.Logger.Error("segments not written, the append-only files stay", "error", err)
			t.report("log-segment", event.Warning, true, event.Fact{Name: "error", Value: err.Error()})
		} else if err == nil && troubled {
			t.report("log-segment", event.Warning, false)
		}
		troubled = err != nil
		select {
		case <-t.done:
			return
		case <-t.wake:
		case <-again.C:
		case now := <-clean.C:
			t.retain(now)
		}
	}
}

// convertAll makes segments of every append-only file that is not written any more, and tells how many.
func (t *Trail) convertAll() (n int, err error) {
	paths, err := t.sealed()
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		if err := t.convert(path); err != nil {
			return n, fmt.Errorf("making segments of %s: %w", filepath.Base(path), err)
		}
		n++
	}
	return n, nil
}

// sealed lists the append-only files that nobody writes, oldest first.
func (t *Trail) sealed() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(t.opts.Dir, walDir, "*"+walExt))
	if err != nil {
		return nil, fmt.Errorf("listing append-only files: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(paths, func(p string) bool { return t.live != nil && p == t.live.path }), nil
}

// convert makes the segments of one append-only file and removes it. It may be repeated after a crash: the same rows give the
// same files.
func (t *Trail) convert(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := hours{dir: t.opts.Dir, stem: safe(t.opts.Node) + "-" + strings.TrimSuffix(filepath.Base(path), walExt), open: map[int64]*segment{}}
	good, err := readLog(file, out.write)
	cut := errors.Is(err, errCut)
	if err != nil && !cut {
		return errors.Join(err, out.discard())
	}
	if err := out.finish(); err != nil {
		return errors.Join(err, out.discard())
	}
	if err := t.witness(&out); err != nil {
		return err
	}
	if !cut {
		return os.Remove(path)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	aside := strings.TrimSuffix(path, walExt) + cutExt
	t.opts.Logger.Warn("query log cut at its last whole frame", "file", aside, "kept", good, "of", info.Size())
	t.report("log-cut", event.Info, false, event.Fact{Name: "file", Value: aside},
		event.Fact{Name: "octets-kept", Value: fmt.Sprint(good)}, event.Fact{Name: "octets-cut", Value: fmt.Sprint(info.Size() - good)})
	return os.Rename(path, aside)
}

// safe makes a node's name fit into a file's.
func safe(node string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}
		return '_'
	}, node)
}

// hours are the segments being made of one append-only file, by hour.
type hours struct {
	dir, stem string
	part      int
	open      map[int64]*segment
	finished  []*segment // whole ones; under their temporary names until finish
}

// segment is one Parquet file being made.
type segment struct {
	path   string
	file   *os.File
	writer *parquet.GenericWriter[Row]
	rows   []Row

	count    int64
	from, to int64 // us since 1970, of the first and last row
}

func (h *hours) write(r Row) error {
	hour := r.Time / 1e6 / 3600
	s := h.open[hour]
	if s == nil {
		if len(h.open) == maxHours {
			if err := h.closeAll(); err != nil {
				return err
			}
			h.part++
		}
		var err error
		if s, err = h.create(time.Unix(hour*3600, 0)); err != nil {
			return err
		}
		h.open[hour] = s
	}
	if s.count == 0 {
		s.from, s.to = r.Time, r.Time
	}
	s.count, s.from, s.to = s.count+1, min(s.from, r.Time), max(s.to, r.Time)
	if s.rows = append(s.rows, r); len(s.rows) == cap(s.rows) {
		return s.flush()
	}
	return nil
}

func (h *hours) create(hour time.Time) (*segment, error) {
	dir := filepath.Join(h.dir, HourDir(hour))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	name := h.stem
	if h.part > 0 {
		name += fmt.Sprintf("-%d", h.part)
	}
	path := filepath.Join(dir, "."+name+segmentExt+tempExt)
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	writer := parquet.NewGenericWriter[Row](file,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}), parquet.MaxRowsPerRowGroup(groupRows),
		parquet.CreatedBy("anyu", "1", ""), parquet.DataPageStatistics(true),
		parquet.BloomFilters(parquet.SplitBlockFilter(bloomBits, nameColumn), parquet.SplitBlockFilter(bloomBits, clientColumn),
			parquet.SplitBlockFilter(bloomBits, answerColumn, "list", "element")),
		parquet.KeyValueMetadata("anyu.schema", schemaVersion))
	return &segment{path: path, file: file, writer: writer, rows: make([]Row, 0, turnRows)}, nil
}

func (s *segment) flush() error {
	_, err := s.writer.Write(s.rows)
	s.rows = s.rows[:0]
	runtime.Gosched() // on one core the answering goroutines must not wait for a whole time slice
	return err
}

func (s *segment) close() error {
	return errors.Join(s.flush(), s.writer.Close(), s.file.Sync(), s.file.Close())
}

func (h *hours) closeAll() error {
	var errs []error
	for hour, s := range h.open {
		errs = append(errs, s.close())
		h.finished = append(h.finished, s)
		delete(h.open, hour)
	}
	return errors.Join(errs...)
}

// finish gives the segments their names. Only now they exist for readers.
func (h *hours) finish() error {
	if err := h.closeAll(); err != nil {
		return err
	}
	for _, s := range h.finished {
		dir, name := filepath.Split(s.path)
		whole := filepath.Join(dir, strings.TrimSuffix(strings.TrimPrefix(name, "."), tempExt))
		if err := os.Rename(s.path, whole); err != nil {
			return err
		}
		s.path = whole
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// discard removes what was not finished.
func (h *hours) discard() error {
	var errs []error
	for _, s := range h.open {
		errs = append(errs, s.file.Close(), os.Remove(s.path))
	}
	for _, s := range h.finished {
		if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
