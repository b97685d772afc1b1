package column

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
)

// Encodings, of Parquet's Encoding.
const (
	plainEncoding    = 0
	plainDictionary  = 2 // an old name of rleDictionary
	deltaPacked      = 5
	deltaLengthTexts = 6
	rleDictionary    = 8
)

// page is a decoded page.
type page struct {
	first, rows     int64
	values, present int // present: values that are not null
	leaf            *leaf
	defs, reps      []byte // levels of values; empty: all are there
	allDefs         bool   // defs say something

	dict    *dictionary
	coded   bool
	runs    runs    // numbers of entries in the dictionary
	index   []int32 // the same, decoded
	ints    []int32
	longs   []int64
	data    []byte // texts
	offsets []uint32
	read    func(i int) Value
}

// empty is a page with the room of this one.
func (p *page) empty() page {
	return page{index: p.index, ints: p.ints, longs: p.longs, data: p.data, offsets: p.offsets, defs: p.defs, reps: p.reps}
}

// Value is one that is not null.
type Value struct {
	Text   []byte // until the next page is read
	Number int64  // of whole numbers; of truths 0 or 1
	Entry  int32  // in the column's dictionary; -1: it stands for itself
}

// levels decodes the levels of a page (Parquet, Nested Encoding): of a scalar whether it is null; of lists also which values are of a new row.
func (p *page) levels(reps, defs []byte) (err error) {
	p.reps, p.defs, p.allDefs = p.reps[:0], p.defs[:0], false
	if p.leaf.maxRep > 1 || p.leaf.maxDef > 3 {
		return fmt.Errorf("lists of lists")
	}
	if p.leaf.maxRep > 0 {
		if p.reps, err = readLevels(p.reps, reps, 1, p.values); err != nil {
			return err
		}
		rows := int64(bytes.Count(p.reps, []byte{0}))
		if rows != p.rows || p.values > 0 && p.reps[0] != 0 {
			return errPage
		}
	}
	if p.present == p.values {
		return nil
	}
	bits := 1
	if p.leaf.maxDef > 1 {
		bits = 2
	}
	if p.defs, err = readLevels(p.defs, defs, bits, p.values); err != nil {
		return err
	}
	if p.allDefs = true; bytes.Count(p.defs, []byte{p.leaf.maxDef}) != p.present {
		return errPage
	}
	return nil
}

func readLevels(room, text []byte, bits, count int) ([]byte, error) {
	if !runsFit(text, bits, count) {
		return nil, errPage
	}
	d := rle.Encoding{BitWidth: bits}
	levels, err := d.DecodeLevels(room[:0], text)
	if err != nil {
		return nil, fmt.Errorf("levels: %w", err)
	}
	if len(levels) < count {
		return nil, errPage
	}
	return levels[:count], nil
}

// runsFit tells whether the runs of Parquet's RLE/bit-packing hybrid are about as many values as there are to be: a decoder believes them.
func runsFit(text []byte, bits, count int) bool {
	left := int64(count) + 7 // bit-packed runs are of eight
	for len(text) > 0 {
		head, n := binary.Uvarint(text)
		if n <= 0 || head>>1 > maxPageValues {
			return false
		}
		text = text[n:]
		octets := (bits + 7) / 8
		if head&1 == 1 {
			left -= 8 * int64(head>>1)
			octets = int(head>>1) * bits
		} else {
			left -= int64(head >> 1)
		}
		if left < 0 || octets > len(text) {
			return false
		}
		text = text[octets:]
	}
	return true
}

// decode prepares the values that are not null, which text has.
func (p *page) decode(text []byte, encoding int64) (err error) {
	p.coded = false
	switch {
	case encoding == rleDictionary || encoding == plainDictionary:
		if len(text) == 0 || text[0] > 32 || !runsFit(text[1:], int(text[0]), p.present) {
			return errPage
		}
		p.coded, p.runs = true, runs{text: text, bits: int(text[0]), rest: text[1:]}
		return nil
	case encoding == plainEncoding:
		return p.decodePlain(text)
	case encoding == deltaPacked && p.leaf.typ == Int32 && packedFits(text, p.present):
		var d delta.BinaryPackedEncoding
		if p.ints, err = d.DecodeInt32(p.ints[:0], text); err == nil && len(p.ints) < p.present {
			err = errPage
		}
		p.read = func(i int) Value { return Value{Number: int64(p.ints[i]), Entry: -1} }
		return err
	case encoding == deltaPacked && p.leaf.typ == Int64 && packedFits(text, p.present):
		var d delta.BinaryPackedEncoding
		if p.longs, err = d.DecodeInt64(p.longs[:0], text); err == nil && len(p.longs) < p.present {
			err = errPage
		}
		p.read = func(i int) Value { return Value{Number: p.longs[i], Entry: -1} }
		return err
	case encoding == deltaLengthTexts && p.leaf.typ == Text && packedFits(text, p.present):
		var d delta.LengthByteArrayEncoding
		if p.data, p.offsets, err = d.DecodeByteArray(p.data[:0], text, p.offsets[:0]); err == nil && len(p.offsets) <= p.present {
			err = errPage
		}
		p.read = func(i int) Value { return Value{Text: p.data[p.offsets[i]:p.offsets[i+1]], Entry: -1} }
		return err
	}
	return fmt.Errorf("values of type %d in encoding %d", p.leaf.typ, encoding)
}

// decodeIndex decodes the numbers of all entries.
func (p *page) decodeIndex() (err error) {
	var d rle.DictionaryEncoding
	if p.index, err = d.DecodeInt32(p.index[:0], p.runs.text); err != nil {
		return err
	}
	if len(p.index) < p.present {
		return errPage
	}
	p.index = p.index[:p.present]
	return nil
}

// runs gives some of the numbers of Parquet's RLE/bit-packing hybrid, which rise, without decoding the others. runsFit has looked at them.
type runs struct {
	text []byte // bits, then the runs
	bits int

	rest       []byte // behind the run
	begin, end int    // numbers that the run is
	packed     []byte // nil: it is one number again and again
	same       int32
}

func (r *runs) at(i int) (int32, bool) {
	for i >= r.end {
		head, n := binary.Uvarint(r.rest)
		if n <= 0 {
			return 0, false
		}
		r.rest, r.begin = r.rest[n:], r.end
		octets := (r.bits + 7) / 8
		if head&1 == 1 {
			octets = int(head>>1) * r.bits
			r.end, r.packed = r.end+8*int(head>>1), r.rest[:octets]
		} else {
			r.end, r.packed, r.same = r.end+int(head>>1), nil, int32(bitsAt(r.rest[:octets], 0, 8*octets))
		}
		r.rest = r.rest[octets:]
	}
	if r.packed != nil {
		return int32(bitsAt(r.packed, (i-r.begin)*r.bits, r.bits)), true
	}
	return r.same, true
}

// bitsAt is a number of up to 32 bits, the lowest first, from a bit on.
func bitsAt(text []byte, from, bits int) (n uint32) {
	var octets [8]byte
	copy(octets[:], text[from/8:])
	return uint32(binary.LittleEndian.Uint64(octets[:]) >> (from % 8) & (1<<bits - 1))
}

// decodePlain takes values as they stand (PLAIN): numbers little endian, truths a bit each, texts with their length before them.
func (p *page) decodePlain(text []byte) error {
	switch p.leaf.typ {
	case Bool:
		p.read = func(i int) Value { return Value{Number: int64(text[i/8] >> (i % 8) & 1), Entry: -1} }
		if len(text) < (p.present+7)/8 {
			return errPage
		}
	case Int32:
		p.read = func(i int) Value {
			return Value{Number: int64(int32(binary.LittleEndian.Uint32(text[4*i:]))), Entry: -1}
		}
		if len(text) < 4*p.present {
			return errPage
		}
	case Int64:
		p.read = func(i int) Value { return Value{Number: int64(binary.LittleEndian.Uint64(text[8*i:])), Entry: -1} }
		if len(text) < 8*p.present {
			return errPage
		}
	case Text:
		var ok bool
		if p.offsets, ok = textEnds(p.offsets[:0], text, p.present); !ok {
			return errPage
		}
		p.read = func(i int) Value {
			begin := uint32(4)
			if i > 0 {
				begin += p.offsets[i-1]
			}
			return Value{Text: text[begin:p.offsets[i]], Entry: -1}
		}
	default:
		return fmt.Errorf("values of type %d", p.leaf.typ)
	}
	return nil
}

// packedFits tells whether the head of DELTA_BINARY_PACKED (block size, miniblocks, values, first value) says as many values as there are to be.
func packedFits(text []byte, count int) bool {
	var head [3]uint64
	for i := range head {
		v, n := binary.Uvarint(text)
		if n <= 0 {
			return false
		}
		head[i], text = v, text[n:]
	}
	return head[0] <= maxPageValues && head[1] <= head[0] && head[2] == uint64(count)
}

// value is the i-th that is not null.
func (p *page) value(i int) (Value, error) {
	if !p.coded {
		return p.read(i), nil
	}
	entry, ok := p.runs.at(i)
	if !ok {
		return Value{}, errPage
	}
	if p.dict == nil || entry < 0 || int(entry) >= p.dict.count {
		return Value{}, errDictionary
	}
	if p.leaf.typ == Text {
		return Value{Text: p.dict.text(entry), Entry: entry}, nil
	}
	return Value{Number: p.dict.number(entry), Entry: entry}, nil
}

var errDictionary = fmt.Errorf("values that are not in the dictionary")
