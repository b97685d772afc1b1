package zone

import (
	"encoding/binary"
)

// builder packs entries, which must come in order, into leaves.
type builder struct {
	items  []byte
	starts []int
	total  totals
	out    []*page
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
	return len(b.starts) > 0 && tableHead+leafItem*(len(b.starts)+1)+len(b.items)+n > pageSize
}

// seal ends an entry that the caller appended to b.items from start on.
func (b *builder) seal(start int, t totals) {
	n := len(b.items) - start
	if b.full(0) {
		b.items = b.items[:start]
		b.flush()
		b.items = append(b.items, b.items[start:start+n]...)
		start = 0
	}
	b.starts = append(b.starts, start)
	t.names, t.bytes = 1, int64(n+leafItem)
	b.total.add(t)
}

// addRange appends the entries from up to to of a leaf as they are; the caller sees to b.total and to their fitting.
func (b *builder) addRange(p *page, from, to int) {
	if from >= to {
		return
	}
	begin, end := tableOffset(p.data, from), len(p.data)
	if to < p.count() {
		end = tableOffset(p.data, to)
	}
	shift := len(b.items) - begin
	for i := from; i < to; i++ {
		b.starts = append(b.starts, tableOffset(p.data, i)+shift)
	}
	b.items = append(b.items, p.data[begin:end]...)
}

// flush makes a page of what is waiting.
func (b *builder) flush() {
	if len(b.starts) == 0 {
		return
	}
	b.out = append(b.out, &page{data: leafData(b.items, b.starts), total: b.total})
	b.items, b.starts, b.total = b.items[:0], b.starts[:0], totals{}
}

// leafData is the data of a leaf: table and items.
func leafData(items []byte, starts []int) []byte {
	n := len(starts)
	head := tableHead + leafItem*n
	d := make([]byte, head+len(items))
	copy(d[head:], items)
	first, last := entryKey(items[starts[0]:]), entryKey(items[starts[n-1]:])
	common := 0
	if n > 1 {
		for common < len(first) && first[common] == last[common] {
			common++
		}
	}
	binary.LittleEndian.PutUint16(d, uint16(n))
	binary.LittleEndian.PutUint16(d[2:], uint16(common))
	for i, s := range starts {
		binary.LittleEndian.PutUint16(d[tableHead+2*i:], uint16(head+s))
		binary.LittleEndian.PutUint32(d[tableHead+2*n+4*i:], hintOf(entryKey(items[s:])[common:]))
	}
	return d
}

// pages flushes and hands over the pages.
func (b *builder) pages() []*page {
	b.flush()
	out := b.out
	b.out = nil
	return out
}
