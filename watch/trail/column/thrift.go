package column

import (
	"encoding/binary"
	"errors"
)

// cursor reads Thrift's compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md). After its first error it gives
// zeros, and err stays.
type cursor struct {
	b   []byte
	err error
}

var errThrift = errors.New("a structure that ends early or is none")

// Kinds of values, as fields and lists have them.
const (
	kindTrue   = 1
	kindFalse  = 2
	kindByte   = 3
	kindI16    = 4
	kindI32    = 5
	kindI64    = 6
	kindDouble = 7
	kindBinary = 8
	kindList   = 9
	kindSet    = 10
	kindMap    = 11
	kindStruct = 12
)

// maxDepth bounds structures within structures (stops: a footer of opening brackets that exhausts the stack). Parquet needs 6.
const maxDepth = 24

func (c *cursor) fail() {
	if c.err == nil {
		c.err = errThrift
	}
	c.b = nil
}

func (c *cursor) octet() byte {
	if len(c.b) == 0 {
		c.fail()
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

// varint is a number in zigzag.
func (c *cursor) varint() int64 {
	v := c.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// number is a whole number, or a truth, of whatever width.
func (c *cursor) number(kind byte) int64 {
	switch kind {
	case kindTrue:
		return 1
	case kindFalse:
		return 0
	case kindByte:
		return int64(int8(c.octet()))
	case kindI16, kindI32, kindI64:
		return c.varint()
	}
	c.fail()
	return 0
}

// binary is a text; it is part of what is read.
func (c *cursor) binary(kind byte) []byte {
	if kind != kindBinary {
		c.fail()
		return nil
	}
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.fail()
		return nil
	}
	text := c.b[:n]
	c.b = c.b[n:]
	return text
}

// fields hands the fields of a structure to take, which reads the value, or says that it is of no interest.
func (c *cursor) fields(take func(id int64, kind byte) bool) { c.walk(0, take) }

func (c *cursor) walk(depth int, take func(id int64, kind byte) bool) {
	for id := int64(0); c.err == nil; {
		head := c.octet()
		if head == 0 {
			return
		}
		if delta := head >> 4; delta != 0 {
			id += int64(delta)
		} else {
			id = c.varint()
		}
		if kind := head & 15; !take(id, kind) {
			c.skip(kind, depth)
		}
	}
}

// elements calls take for each element of a list.
func (c *cursor) elements(kind byte, take func(kind byte)) {
	if kind != kindList && kind != kindSet {
		c.fail()
		return
	}
	for n, of := c.list(); n > 0 && c.err == nil; n-- {
		take(of)
	}
}

// list is the head of a list. Each element takes an octet, so that a count that is not true ends soon.
func (c *cursor) list() (n uint64, of byte) {
	head := c.octet()
	if n = uint64(head >> 4); n == 15 {
		n = c.uvarint()
	}
	if n > uint64(len(c.b)) {
		c.fail()
		return 0, 0
	}
	return n, head & 15
}

// structure reads a value that is one.
func (c *cursor) structure(kind byte, take func(id int64, kind byte) bool) {
	if kind != kindStruct {
		c.fail()
		return
	}
	c.fields(take)
}

func (c *cursor) skip(kind byte, depth int) {
	if depth > maxDepth {
		c.fail()
		return
	}
	switch kind {
	case kindTrue, kindFalse:
	case kindByte:
		c.octet()
	case kindI16, kindI32, kindI64:
		c.uvarint()
	case kindDouble:
		c.skipOctets(8)
	case kindBinary:
		c.skipOctets(c.uvarint())
	case kindList, kindSet:
		for n, of := c.list(); n > 0 && c.err == nil; n-- {
			c.skipElement(of, depth+1)
		}
	case kindMap:
		c.skipMap(depth + 1)
	case kindStruct:
		c.walk(depth+1, func(int64, byte) bool { return false })
	default:
		c.fail()
	}
}

func (c *cursor) skipOctets(n uint64) {
	if n > uint64(len(c.b)) {
		c.fail()
		return
	}
	c.b = c.b[n:]
}

// skipElement: in lists and maps a truth has an octet of its own.
func (c *cursor) skipElement(kind byte, depth int) {
	if kind == kindTrue || kind == kindFalse {
		c.octet()
		return
	}
	c.skip(kind, depth)
}

func (c *cursor) skipMap(depth int) {
	n := c.uvarint()
	if n == 0 {
		return
	}
	kinds := c.octet()
	if n > uint64(len(c.b)) {
		c.fail()
	}
	for ; n > 0 && c.err == nil; n-- {
		c.skipElement(kinds>>4, depth)
		c.skipElement(kinds&15, depth)
	}
}
