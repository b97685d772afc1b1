package column

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	// maxColumns bounds a schema (stops: a footer of millions of columns); the log has 35.
	maxColumns = 1000
	// maxGroup bounds the rows of a group (stops: a footer that says more than memory holds).
	maxGroup = 64 << 20
)

// read reads FileMetaData of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, whose numbers are those of the fields here.
func (f *File) read(c *cursor) {
	c.fields(func(id int64, kind byte) bool {
		switch id {
		case 2:
			f.readSchema(c, kind)
		case 4:
			c.elements(kind, func(kind byte) {
				if len(f.Groups) < cap(f.Groups) {
					f.Groups = f.Groups[:len(f.Groups)+1] // its room is used again
				} else {
					f.Groups = append(f.Groups, Group{})
				}
				f.Groups[len(f.Groups)-1].read(c, kind)
			})
		case 5:
			c.elements(kind, func(kind byte) {
				var kv [2][]byte
				c.structure(kind, func(id int64, kind byte) bool {
					if id != 1 && id != 2 {
						return false
					}
					kv[id-1] = c.binary(kind)
					return true
				})
				f.keys = append(f.keys, kv)
			})
		default:
			return false
		}
		return true
	})
}

// readSchema reads the schema; mostly it is that of the file before.
func (f *File) readSchema(c *cursor, kind byte) {
	if n := len(f.schema); n > 0 && len(c.b) > n && bytes.Equal(c.b[:n], f.schema) {
		c.b = c.b[n:]
		return
	}
	all := c.b
	var tree []node
	c.elements(kind, func(kind byte) { tree = append(tree, readNode(c, kind)) })
	f.schema, f.leaves = nil, nil
	if c.err != nil {
		return
	}
	if !f.plant(tree) {
		c.err = errors.New("a schema that is no tree")
		return
	}
	f.schema = bytes.Clone(all[:len(all)-len(c.b)])
}

// node is a SchemaElement.
type node struct {
	typ, repetition, children int64
	name                      []byte
}

const (
	optional = 1 // of FieldRepetitionType
	repeated = 2
)

func readNode(c *cursor, kind byte) (n node) {
	n.typ = -1
	c.structure(kind, func(id int64, kind byte) bool {
		switch id {
		case 1:
			n.typ = c.number(kind)
		case 3:
			n.repetition = c.number(kind)
		case 4:
			n.name = c.binary(kind)
		case 5:
			n.children = c.number(kind)
		default:
			return false
		}
		return true
	})
	return n
}

// plant finds the leaves of a schema, which is a tree whose nodes are told before what is below them.
func (f *File) plant(tree []node) bool {
	if len(tree) == 0 || len(tree) > maxColumns {
		return false
	}
	type level struct {
		left     int64
		path     string
		def, rep uint8
	}
	open := []level{{left: tree[0].children}}
	for _, n := range tree[1:] {
		for len(open) > 0 && open[len(open)-1].left == 0 {
			open = open[:len(open)-1]
		}
		if len(open) == 0 || len(open) > maxDepth {
			return false
		}
		up := &open[len(open)-1]
		up.left--
		below := level{left: n.children, path: string(n.name), def: up.def, rep: up.rep}
		if up.path != "" {
			below.path = up.path + "." + below.path
		}
		switch n.repetition {
		case optional:
			below.def++
		case repeated:
			below.def, below.rep = below.def+1, below.rep+1
		}
		if n.children > 0 {
			open = append(open, below)
			continue
		}
		f.leaves = append(f.leaves, leaf{path: below.path, typ: Type(n.typ), maxDef: below.def, maxRep: below.rep})
	}
	return true
}

func (g *Group) read(c *cursor, kind byte) {
	*g = Group{chunks: g.chunks[:0]}
	c.structure(kind, func(id int64, kind byte) bool {
		switch id {
		case 1:
			c.elements(kind, func(kind byte) {
				g.chunks = append(g.chunks, Chunk{Nulls: -1})
				g.chunks[len(g.chunks)-1].read(c, kind)
			})
		case 3:
			g.Rows = c.number(kind)
		default:
			return false
		}
		return true
	})
}

func (k *Chunk) read(c *cursor, kind byte) {
	c.structure(kind, func(id int64, kind byte) bool {
		switch id {
		case 3:
			k.readMeta(c, kind)
		case 4:
			k.indexAt = c.number(kind)
		case 5:
			k.indexOctets = c.number(kind)
		default:
			return false
		}
		return true
	})
}

// readMeta reads ColumnMetaData.
func (k *Chunk) readMeta(c *cursor, kind byte) {
	c.structure(kind, func(id int64, kind byte) bool {
		switch id {
		case 4:
			k.codec = c.number(kind)
		case 5:
			k.Values = c.number(kind)
		case 7:
			k.octets = c.number(kind)
		case 9:
			k.first = c.number(kind)
		case 11:
			k.dictionary = c.number(kind)
		case 12:
			k.readStatistics(c, kind)
		case 14:
			k.bloomAt = c.number(kind)
		case 15:
			k.bloomOctets = c.number(kind)
		default:
			return false
		}
		return true
	})
}

func (k *Chunk) readStatistics(c *cursor, kind byte) {
	c.structure(kind, func(id int64, kind byte) bool {
		switch id {
		case 3:
			k.Nulls = c.number(kind)
		case 5:
			k.Max = c.binary(kind)
		case 6:
			k.Min = c.binary(kind)
		default:
			return false
		}
		return true
	})
}

// bind ties the columns of groups to the schema, and checks what later is relied on.
func (f *File) bind() error {
	for i := range f.Groups {
		g := &f.Groups[i]
		if g.Rows < 0 || g.Rows > maxGroup {
			return fmt.Errorf("a row group of %d rows", g.Rows)
		}
		if len(g.chunks) != len(f.leaves) {
			return fmt.Errorf("%d columns in a row group, %d in the schema", len(g.chunks), len(f.leaves))
		}
		for j := range g.chunks {
			g.chunks[j].file, g.chunks[j].leaf, g.chunks[j].rows = f, &f.leaves[j], g.Rows
		}
	}
	return nil
}
