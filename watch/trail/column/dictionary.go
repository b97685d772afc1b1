package column

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// few may have heavy dictionaries at a time.
var few = make(chan struct{}, 2)

func (r *Reader) release() {
	if r.holds {
		<-few
		r.holds = false
	}
}

// dictionary is what a column's pages refer to.
type dictionary struct {
	of    *Chunk
	plain []byte
	ends  []uint32 // of texts, in plain; each begins 4 octets behind the one before it
	width int      // of numbers
	count int
}

func (d *dictionary) text(i int32) []byte {
	begin := uint32(0)
	if i > 0 {
		begin = d.ends[i-1]
	}
	return d.plain[begin+4 : d.ends[i]]
}

func (d *dictionary) number(i int32) int64 {
	if d.width == 4 {
		return int64(int32(binary.LittleEndian.Uint32(d.plain[4*i:])))
	}
	return int64(binary.LittleEndian.Uint64(d.plain[8*i:]))
}

// openDictionary reads the dictionary of a column, which stands before its first page.
func (r *Reader) openDictionary(k *Chunk) error {
	r.dict.of = nil
	r.release()
	octets := k.pages[0].at - k.dictionary
	if octets <= 0 || octets > maxDictionary {
		return errPage
	}
	text, err := r.octets(k.dictionary, octets)
	if err != nil {
		return err
	}
	h, body, err := r.unfold(text, maxDictionary)
	if err != nil {
		return err
	}
	if h.typ != dictionaryPage || h.encoding != plainEncoding && h.encoding != plainDictionary {
		return errPage
	}
	if h.plain > heavy {
		few <- struct{}{}
		r.holds = true
	}
	if r.words, err = r.unpack(k, r.words, body, h.plain); err != nil {
		return fmt.Errorf("decompressing the dictionary: %w", err)
	}
	r.dict = dictionary{plain: r.words, ends: r.dict.ends[:0], count: int(h.values)}
	if err := r.dict.split(k.leaf.typ); err != nil {
		return err
	}
	r.dict.of = k
	return nil
}

func (d *dictionary) split(typ Type) error {
	switch typ {
	case Int32, Int64:
		d.width = 4
		if typ == Int64 {
			d.width = 8
		}
		if len(d.plain) != d.width*d.count {
			return errPage
		}
	case Text:
		var ok bool
		if d.ends, ok = textEnds(d.ends, d.plain, d.count); !ok || len(d.ends) > 0 && int(d.ends[len(d.ends)-1]) != len(d.plain) {
			return errPage
		}
	default:
		return fmt.Errorf("a dictionary of type %d", typ)
	}
	return nil
}

// textEnds finds the ends of texts that each have their length (4 octets, little endian) before them.
func textEnds(ends []uint32, plain []byte, count int) ([]uint32, bool) {
	if count > len(plain)/4 || uint64(len(plain)) > math.MaxUint32 {
		return nil, false
	}
	ends = slices.Grow(ends, count)
	for at := 0; count > 0; count-- {
		if len(plain)-at < 4 {
			return nil, false
		}
		n := binary.LittleEndian.Uint32(plain[at:])
		if at += 4; uint64(n) > uint64(len(plain)-at) {
			return nil, false
		}
		at += int(n)
		ends = append(ends, uint32(at))
	}
	return ends, true
}
