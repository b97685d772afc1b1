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

	"anyu/event"
)

const (
	segmentExt = ".parquet"
	tempExt    = ".tmp"
	cutExt     = ".cut" // an append-only file that did not end with a whole frame, kept for who wants to look

	// groupRows is the unit that a reader takes into memory, a multiple of DuckDB's vectors.
	groupRows = 245_760
	// nameColumn, clientColumn and answerColumn have bloom filters, so that a trace skips groups without the one looked for; at bloomBits a value one
	// group in a hundred is read in vain.
	nameColumn, clientColumn = "qname", "client"
	answerColumn, timeColumn = "answer_ips", "time"
	sampleColumn             = "sample"
	bloomBits                = 10
	// nameBits are for each row, for names are no dictionary: rows of one name follow each other, and zstd makes less of that than a dictionary takes. A name has some three
	// rows in a small group and more in a large one; with none twice, one group in ten is read in vain.
	nameBits = 5
	// pageSize is the unit that is read for a few rows, before compression. With 32 KiB, and answers that are no dictionary, segments are 4 % larger and searches no faster.
	pageSize = 64 << 10

	schemaVersion = "3" // of Row, for readers; 1 had the columns up to Zone, 2 those up to AnswerIPs
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
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	troubled := false
	t.clean(time.Now())
	t.look(time.Now())
	t.keeper.tend = func() {
		select {
		case now := <-look.C:
			t.guard(now)
		case now := <-clean.C:
			t.retain(now)
		default:
		}
	}
	for {
		select {
		case <-t.done:
			return
		default:
		}
		t.keeping.Lock()
		t.keeper.tend() // also while files wait, which may be many
		more, err := t.convertNext()
		t.keeping.Unlock()
		if err != nil && !troubled {
			t.opts.Logger.Error("segments not written, the append-only files stay", "error", err)
			t.report("log-segment", event.Warning, true, event.Fact{Name: "error", Value: err.Error()})
		} else if err == nil && troubled {
			t.report("log-segment", event.Warning, false)
		}
		if troubled = err != nil; more {
			continue
		}
		select {
		case <-t.done:
			return
		case <-t.wake:
		case <-again.C:
		case now := <-clean.C:
			t.clean(now)
		case now := <-look.C:
			t.look(now)
		}
	}
}

// clean deletes what has become too old.
func (t *Trail) clean(now time.Time) {
	t.keeping.Lock()
	defer t.keeping.Unlock()
	t.retain(now)
}

// look looks at the disk.
func (t *Trail) look(now time.Time) {
	t.keeping.Lock()
	defer t.keeping.Unlock()
	t.guard(now)
}

// convertNext makes segments of the oldest append-only file that is not written any more, and tells whether others wait.
func (t *Trail) convertNext() (more bool, err error) {
	paths, err := t.sealed()
	if err != nil || len(paths) == 0 {
		return false, err
	}
	if err := t.convert(paths[0], t.keeper.file(len(paths), t.tight)); err != nil {
		return false, fmt.Errorf("making segments of %s: %w", filepath.Base(paths[0]), err)
	}
	return len(paths) > 1, nil
}

// convertAll makes segments of every append-only file that is not written any more, as fast as it can, and stops where enough says so.
func (t *Trail) convertAll(enough func() bool) error {
	paths, err := t.sealed()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if enough() {
			return nil
		}
		if err := t.convert(path, runtime.Gosched); err != nil {
			return fmt.Errorf("making segments of %s: %w", filepath.Base(path), err)
		}
	}
	return nil
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

// safe makes a node's name fit into a file's.
func safe(node string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}
		return '_'
	}, node)
}

// segments are those that are made of one append-only file. They have temporary names until finish.
type segments struct {
	dir, stem string
	turn      func() // called after each piece of work, about half a millisecond: then others may go on
	fetched   byte   // keeps the compiler from leaving out what is only read
	all       []*segment
}

// segment is one Parquet file being made.
type segment struct {
	path   string
	file   *os.File
	writer *parquet.GenericWriter[Row]

	rows    [turnRows]Row // that are written next, and what they point to
	numbers [turnRows]numbers
	used    int

	count    int64
	from, to int64 // us since 1970, of the first and last row
	marks    marks
}

func (s *segments) create(hour time.Time, left without) (*segment, error) {
	dir := filepath.Join(s.dir, HourDir(hour))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "."+s.stem+segmentExt+tempExt)
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	writer := parquet.NewGenericWriter[Row](file, append(segmentOptions(),
		parquet.KeyValueMetadata("anyu.schema", schemaVersion), parquet.KeyValueMetadata("anyu.without", left.String()))...)
	g := &segment{path: path, file: file, writer: writer}
	s.all = append(s.all, g)
	return g, nil
}

// next is an empty row to fill, of which there are turnRows until flush.
func (g *segment) next() (*Row, *numbers) {
	i := g.used
	g.used++
	g.rows[i], g.numbers[i] = Row{}, numbers{}
	return &g.rows[i], &g.numbers[i]
}

// note counts a row that is filled.
func (g *segment) note(r *Row) {
	if g.count == 0 {
		g.from, g.to = r.Time, r.Time
	}
	g.marks.note(g.count, r.Name)
	g.count, g.from, g.to = g.count+1, min(g.from, r.Time), max(g.to, r.Time)
}

func (g *segment) flush() error {
	_, err := g.writer.Write(g.rows[:g.used])
	g.used = 0
	return err
}

func (g *segment) close() error {
	g.writer.SetKeyValueMetadata(marksKey, string(g.marks))
	return errors.Join(g.writer.Close(), g.file.Sync(), g.file.Close())
}

// finish gives the segments their names. Only now they exist for readers.
func (s *segments) finish() error {
	for _, g := range s.all {
		dir, name := filepath.Split(g.path)
		whole := filepath.Join(dir, strings.TrimSuffix(strings.TrimPrefix(name, "."), tempExt))
		if err := os.Rename(g.path, whole); err != nil {
			return err
		}
		g.path = whole
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// discard removes what was not finished.
func (s *segments) discard() error {
	var errs []error
	for _, g := range s.all {
		g.file.Close() // it may be closed
		if err := os.Remove(g.path); err != nil && !errors.Is(err, os.ErrNotExist) {
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
