package trail

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// Column is one column of the query log. Row's tags are the only description of them: segments and other stores take theirs from there.
type Column struct {
	Name     string
	Optional bool // text that may be unknown, which is empty
	Field    int  // of Row
	Type     reflect.Type
}

// Columns are those of a Row, in its order.
func Columns() (all []Column) {
	t := reflect.TypeFor[Row]()
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("parquet"), ",")
		if name == "" || name == "-" {
			continue
		}
		all = append(all, Column{Name: name, Optional: strings.Contains(","+options+",", ",optional,"), Field: i, Type: t.Field(i).Type})
	}
	return all
}

// Stored is a whole segment on disk.
type Stored struct {
	Path   string // relative to the log's folder, with slashes
	Octets int64
}

// Segments lists the whole segments of a log's folder, the oldest hour first.
func Segments(dir string) (list []Stored, err error) {
	hours, _, err := (&Trail{opts: Options{Dir: dir}}).folders()
	if err != nil {
		return nil, err
	}
	for _, h := range hours {
		paths, err := h.segments()
		if errors.Is(err, os.ErrNotExist) {
			continue // grown too old meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("listing segments: %w", err)
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil {
				continue
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return nil, fmt.Errorf("listing segments: %w", err)
			}
			list = append(list, Stored{Path: filepath.ToSlash(rel), Octets: info.Size()})
		}
	}
	return list, nil
}

// CountRows tells how many rows a segment has, from its footer.
func CountRows(path string) (int64, error) {
	f, file, err := openSegment(path)
	if err != nil {
		return 0, err
	}
	return f.NumRows(), file.Close()
}

// EachBlock hands the rows of a segment to see, from row number from on, at most size at a time, in the segment's own order. The rows are
// see's until it returns.
func EachBlock(path string, from int64, size int, see func(rows []Row) error) error {
	f, file, err := openSegment(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r := parquet.NewGenericReader[Row](f)
	defer r.Close()
	if err := r.SeekToRow(from); err != nil {
		return fmt.Errorf("segment %s: row %d: %w", path, from, err)
	}
	rows := make([]Row, min(int64(size), max(f.NumRows()-from, 0)))
	for left := f.NumRows() - from; left > 0; {
		block := rows[:min(int64(len(rows)), left)]
		clear(block)
		n := 0
		for n < len(block) {
			k, err := r.Read(block[n:])
			n += k
			if err == io.EOF && n < len(block) {
				return fmt.Errorf("segment %s: it ends %d rows before its footer says", path, left-int64(n))
			}
			if err != nil && err != io.EOF {
				return fmt.Errorf("segment %s: %w", path, err)
			}
		}
		if err := see(block); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

func openSegment(path string) (*parquet.File, *os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	f, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("segment %s: %w", path, err), file.Close())
	}
	return f, file, nil
}
