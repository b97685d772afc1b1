// Package column reads the segments of the query log column by column: of a file only its end, and of a column only the pages that have the rows wanted.
//
// It promises: what it gives is octet for octet what a Parquet library reads (a test compares them), with a fraction of the work where many files are asked for a few rows
// each; a page whose checksum is wrong is an error; memory and time are bounded by named constants whatever the file says.
// It refuses what anyu does not write: encrypted files, data pages of version 1, files without offset indexes, codecs other than zstd, columns of other types.
// Limits: texts, whole numbers and truths, as scalars or in lists of one level. It only reads; segments are written by parquet-go, in trail.
package column

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Type is how values of a column are stored (Parquet's physical types).
type Type int8

// The types that the log has.
const (
	Bool  Type = 0
	Int32 Type = 1
	Int64 Type = 2
	Text  Type = 6
)

// File is what the footer of a Parquet file says.
type File struct {
	Groups []Group

	from   io.ReaderAt
	size   int64
	tail   []byte // the end of the file, which is read in one go
	tailAt int64
	schema []byte // that leaves are of
	leaves []leaf
	keys   [][2][]byte
}

// Group is a row group.
type Group struct {
	Rows   int64
	chunks []Chunk
}

// leaf is a column of the schema.
type leaf struct {
	path           string // with dots
	typ            Type
	maxDef, maxRep uint8
}

// Chunk is a column of a row group.
type Chunk struct {
	Values int64 // nulls included
	Nulls  int64 // -1: not told
	Min    []byte
	Max    []byte // of all values; nil: not told; texts may be cut

	file                 *File
	leaf                 *leaf
	rows                 int64
	codec                int64
	dictionary, first    int64 // offsets; no dictionary: 0
	octets               int64 // of all pages
	indexAt, indexOctets int64 // the offset index
	bloomAt, bloomOctets int64
	pages                []span
}

const (
	magic = "PAR1"
	// tailOctets are read at once: footer and offset indexes of a segment with some 50,000 rows.
	tailOctets = 16 << 10
	// maxFooter bounds a footer (stops: a length that asks for gigabytes). That of a segment with 1,000,000 rows has some 100 KiB.
	maxFooter = 16 << 20
)

// Open reads the footer of a file of some size. It is read from as long as the File is used, which is until the next one is opened.
func (r *Reader) Open(from io.ReaderAt, size int64) (*File, error) {
	if size < int64(2*len(magic)+4) {
		return nil, fmt.Errorf("%d octets are no Parquet file", size)
	}
	r.Forget()
	f := &r.open
	*f = File{from: from, size: size, tail: f.tail, schema: f.schema, leaves: f.leaves, keys: f.keys[:0], Groups: f.Groups[:0]}
	r.asked = append(r.asked, stretch{size - min(size, lastOctets), size}) // by Expect
	if err := f.readTail(min(size, tailOctets)); err != nil {
		return nil, err
	}
	end := f.tail[len(f.tail)-8:]
	if string(end[4:]) != magic {
		return nil, errors.New("it does not end as a Parquet file does")
	}
	footer := int64(binary.LittleEndian.Uint32(end))
	if footer > maxFooter || footer+8 > size {
		return nil, fmt.Errorf("a footer of %d octets", footer)
	}
	if footer+8 > int64(len(f.tail)) {
		if err := f.readTail(footer + 8); err != nil {
			return nil, err
		}
	}
	c := cursor{b: f.tail[int64(len(f.tail))-8-footer : len(f.tail)-8]}
	f.read(&c)
	if c.err != nil {
		return nil, fmt.Errorf("reading the footer: %w", c.err)
	}
	return f, f.bind()
}

func (f *File) readTail(n int64) error {
	f.tail, f.tailAt = slices.Grow(f.tail[:0], int(n))[:n], f.size-n
	if _, err := f.from.ReadAt(f.tail, f.tailAt); err != nil {
		return fmt.Errorf("reading the end: %w", err)
	}
	return nil
}

// Lookup gives what the footer's key-value metadata has.
func (f *File) Lookup(key string) (value string, ok bool) {
	for _, kv := range f.keys {
		if string(kv[0]) == key {
			return string(kv[1]), true
		}
	}
	return "", false
}

// Chunk gives a column of a group by its path, with dots; nil where there is none that holds such values.
func (g *Group) Chunk(path string, typ Type) *Chunk {
	for i := range g.chunks {
		if c := &g.chunks[i]; c.leaf.path == path {
			if c.leaf.typ != typ {
				return nil
			}
			return c
		}
	}
	return nil
}
