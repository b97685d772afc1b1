package zone

import "encoding/binary"

// builder packs entries, which must come in order, into leaves.
type builder struct {
	items  []byte
	starts []int
	total  totals
	out    []*page
	spare  [][]byte // blocks of pageSize to use again
}

// add appends a finished entry.
func (b *builder) add(entry []byte) {
	if b.full(len(entry)) {
		b.flush()
	}
	b.starts = append(b.starts, len(b.items))
	b.items = append(b.items, entry...)
	b.total.add(entryTotals(entry))
}

// full tells whether n more octets need another page.
func (b *builder) full(n int) bool {
	return len(b.starts) > 0 && 2+2*(len(b.starts)+1)+len(b.items)+n > pageSize
}

// seal ends an entry that the caller appended to b.items from start on.
func (b *builder) seal(start int, t totals) {
	n := len(b.items) - start
	if len(b.starts) > 0 && 2+2*(len(b.starts)+1)+len(b.items) > pageSize {
		b.items = b.items[:start]
		b.flush()
		b.items = append(b.items, b.items[start:start+n]...)
		start = 0
	}
	b.starts = append(b.starts, start)
	t.names, t.bytes = 1, int64(n+2)
	b.total.add(t)
}

// flush makes a page of what is waiting.
func (b *builder) flush() {
	if len(b.starts) == 0 {
		return
	}
	b.out = append(b.out, &page{data: b.block(), total: b.total})
	b.items, b.starts, b.total = b.items[:0], b.starts[:0], totals{}
}

// block is the data of the page: table and items.
func (b *builder) block() []byte {
	head := 2 + 2*len(b.starts)
	size := head + len(b.items)
	var d []byte
	if n := len(b.spare); n > 0 && size <= pageSize && size > pageSize/2 {
		d, b.spare = b.spare[n-1][:size], b.spare[:n-1]
	} else if size > pageSize-pageSize/8 && size <= pageSize {
		d = make([]byte, size, pageSize)
	} else {
		d = make([]byte, size)
	}
	binary.LittleEndian.PutUint16(d, uint16(len(b.starts)))
	for i, s := range b.starts {
		binary.LittleEndian.PutUint16(d[2+2*i:], uint16(head+s))
	}
	copy(d[head:], b.items)
	return d
}

// pages flushes and hands over the pages.
func (b *builder) pages() []*page {
	b.flush()
	out := b.out
	b.out = nil
	return out
}
