package column

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxPageOctets and maxDictionary bound a page before compression (stop: a page that unfolds to what memory does not hold). Pages are cut at 64 KiB, after the row that
	// crosses it; a dictionary has every text of a group once.
	maxPageOctets = 16 << 20
	maxDictionary = 256 << 20
	// maxPageValues bounds the values of a page (stops: a run of 2^31 equal numbers in five octets).
	maxPageValues = 4 << 20
	// window is what is read of a file at least, for a system reads as much in any case. A column of smallChunk is read at once, and so are pages with no more than that between
	// them, up to maxFetch: a disk counts questions more than octets.
	window     = 4 << 10
	smallChunk = 32 << 10
	maxFetch   = 512 << 10
	// slack is room behind a page, without which zstd decodes with more care, and slower.
	slack = 64
	// heavy is from where few may have a dictionary at a time, and forget it afterwards: those who read side by side must not have large ones each.
	heavy = 4 << 20
)

// Reader reads pages, into buffers that it keeps. One goroutine uses it at a time.
type Reader struct {
	zstd *zstd.Decoder

	open   File
	wanted []stretch // noted, not yet asked for
	asked  []stretch // of the file
	plan   []stretch // of the column that is read: what is read at once

	at    int64
	raw   []byte // octets of the file, from at on
	plain []byte // the page after compression
	words []byte // the dictionary after compression
	page  page
	dict  dictionary
	holds bool // one of few
}

// NewReader makes one.
func NewReader() (*Reader, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(maxDictionary))
	if err != nil {
		return nil, fmt.Errorf("preparing zstd: %w", err)
	}
	return &Reader{zstd: d}, nil
}

// Forget lets go of the file that was read last, and of buffers that are larger than most.
func (r *Reader) Forget() {
	r.release()
	r.raw, r.page, r.dict = r.raw[:0], r.page.empty(), dictionary{ends: r.dict.ends}
	r.wanted, r.asked, r.plan = r.wanted[:0], r.asked[:0], r.plan[:0]
	r.open.from = nil
	if cap(r.words) > heavy {
		r.words, r.dict.ends = nil, nil
	}
	if cap(r.plain)+cap(r.raw) > heavy {
		r.plain, r.raw = nil, nil
	}
}

// head is a PageHeader.
type head struct {
	typ, plain, octets, sum      int64
	values, nulls, rows          int64
	encoding, defOctets, repOcts int64
	uncompressed                 bool
}

const (
	dictionaryPage = 2 // of PageType
	dataPage2      = 3

	zstdCodec = 6 // of CompressionCodec
)

func readHead(c *cursor) (h head) {
	c.fields(func(id int64, kind byte) bool {
		switch id {
		case 1:
			h.typ = c.number(kind)
		case 2:
			h.plain = c.number(kind)
		case 3:
			h.octets = c.number(kind)
		case 4:
			h.sum = c.number(kind)
		case 7:
			c.structure(kind, func(id int64, kind byte) bool { return h.dictionary(c, id, kind) })
		case 8:
			c.structure(kind, func(id int64, kind byte) bool { return h.data(c, id, kind) })
		default:
			return false
		}
		return true
	})
	return h
}

// dictionary reads a field of DictionaryPageHeader.
func (h *head) dictionary(c *cursor, id int64, kind byte) bool {
	switch id {
	case 1:
		h.values = c.number(kind)
	case 2:
		h.encoding = c.number(kind)
	default:
		return false
	}
	return true
}

// data reads a field of DataPageHeaderV2.
func (h *head) data(c *cursor, id int64, kind byte) bool {
	switch id {
	case 1:
		h.values = c.number(kind)
	case 2:
		h.nulls = c.number(kind)
	case 3:
		h.rows = c.number(kind)
	case 4:
		h.encoding = c.number(kind)
	case 5:
		h.defOctets = c.number(kind)
	case 6:
		h.repOcts = c.number(kind)
	case 7:
		h.uncompressed = c.number(kind) == 0
	default:
		return false
	}
	return true
}

var errPage = errors.New("a page that does not fit its column")

// octets gives n octets of a file from at on; mostly they are read with others, as it was planned.
func (r *Reader) octets(at, n int64) ([]byte, error) {
	f := &r.open
	if at >= r.at && at+n <= r.at+int64(len(r.raw)) {
		return r.raw[at-r.at : at-r.at+n], nil
	}
	if at < 0 || n < 0 || at > f.size-n {
		return nil, errPage
	}
	from, until := at, at+max(n, window)
	for _, s := range r.plan {
		if at >= s.from && at+n <= s.until && s.until-s.from <= max(maxFetch, n) {
			from, until = s.from, s.until
		}
	}
	until = min(until, f.size)
	r.at, r.raw = from, slices.Grow(r.raw[:0], int(until-from))[:until-from]
	if _, err := f.from.ReadAt(r.raw, from); err != nil {
		r.raw = r.raw[:0]
		return nil, err
	}
	return r.raw[at-from : at-from+n], nil
}

// unfold gives a page's octets after its header, as they are in the file, and the header.
func (r *Reader) unfold(text []byte, limit int64) (h head, body []byte, err error) {
	c := cursor{b: text}
	h = readHead(&c)
	switch {
	case c.err != nil:
		return h, nil, fmt.Errorf("reading a page's header: %w", c.err)
	case h.octets < 0 || h.octets > int64(len(c.b)) || h.plain < 0 || h.plain > limit || h.values < 0 || h.values > maxPageValues:
		return h, nil, errPage
	}
	body = c.b[:h.octets]
	if h.sum != 0 && crc32.ChecksumIEEE(body) != uint32(h.sum) {
		return h, nil, errors.New("a page whose checksum is wrong")
	}
	return h, body, nil
}

// unpack undoes compression, into room.
func (r *Reader) unpack(k *Chunk, room, text []byte, plain int64) ([]byte, error) {
	switch k.codec {
	case 0:
		return append(room[:0], text...), nil
	case zstdCodec:
		if int64(cap(room)) < plain+slack {
			room = make([]byte, 0, plain+plain/4+slack)
		}
		all, err := r.zstd.DecodeAll(text, room[:0:plain+slack])
		return room[:len(all)], err // it is there: where room ends is an error
	}
	return nil, fmt.Errorf("codec %d", k.codec)
}

// turn reads a page of a column; its dictionary comes along where it has one. All its values are to be looked at, or few.
func (r *Reader) turn(k *Chunk, number int, all bool) (*page, error) {
	s := k.pages[number]
	if k.dictionary > 0 && r.dict.of != k {
		if err := r.openDictionary(k); err != nil {
			return nil, err
		}
	}
	text, err := r.octets(s.at, s.octets)
	if err != nil {
		return nil, err
	}
	h, body, err := r.unfold(text, maxPageOctets)
	if err != nil {
		return nil, err
	}
	p := &r.page
	*p = p.empty()
	p.first, p.rows, p.leaf = s.row, k.end(number)-s.row, k.leaf
	levels := h.defOctets + h.repOcts
	if h.typ != dataPage2 || h.rows != p.rows || h.nulls < 0 || h.nulls > h.values || h.defOctets < 0 || h.repOcts < 0 || levels > int64(len(body)) ||
		k.leaf.maxRep == 0 && h.values != h.rows || k.leaf.maxDef == 0 && h.nulls != 0 {
		return nil, errPage
	}
	p.values, p.present = int(h.values), int(h.values-h.nulls)
	if err := p.levels(body[:h.repOcts], body[h.repOcts:levels]); err != nil {
		return nil, err
	}
	if p.present == 0 {
		return p, nil
	}
	plain := body[levels:]
	if !h.uncompressed {
		if r.plain, err = r.unpack(k, r.plain, plain, h.plain); err != nil {
			return nil, fmt.Errorf("decompressing a page: %w", err)
		}
		plain = r.plain
	}
	if err := p.decode(plain, h.encoding); err != nil {
		return nil, err
	}
	if !p.coded {
		return p, nil
	}
	p.dict = &r.dict
	if all {
		return p, p.decodeIndex()
	}
	return p, nil
}
