package zone

import (
	"bytes"
	"encoding/binary"
)

// page is a node of a tree. A leaf holds entries, an inner page its children and what separates them. A page never changes
// once a tree holds it.
//
// data is a table and what it points to: the number of items (2 octets), in a leaf how many octets all its keys begin with
// (2 octets), the offset of each item (2 octets each), in a leaf a hint for each item (4 octets each), the items. In a leaf
// the items are entries, and the hint of one is what its key goes on with after the common octets; in an inner page they
// are the separators: item i is at most the first key below kids[i] and above every key below kids[i-1]. An entry that
// does not fit a page stands alone in one of its own size.
type page struct {
	kids   []*page
	heads  []uint64 // inner: the first 8 octets of each separator, so that most steps of a search are one comparison
	leaves [][]byte // above leaves: their data, so that a look-up need not fetch the leaf's own page struct
	data   []byte
	total  totals
}

// totals are sums over the entries at or below a page.
type totals struct {
	names, records int
	nsecs          int // names with NSEC, hashes with NSEC3
	aliases        int // names with CNAME or DNAME
	bytes          int64
}

func (t *totals) sub(o totals) {
	t.names -= o.names
	t.records -= o.records
	t.nsecs -= o.nsecs
	t.aliases -= o.aliases
	t.bytes -= o.bytes
}

// flags counts one entry with these flags.
func (t *totals) flags(f byte) {
	if f&flagNSEC != 0 {
		t.nsecs = 1
	}
	if f&(flagCNAME|flagDNAME) != 0 {
		t.aliases = 1
	}
}

func (t *totals) add(o totals) {
	t.names += o.names
	t.records += o.records
	t.nsecs += o.nsecs
	t.aliases += o.aliases
	t.bytes += o.bytes
}

const (
	// pageSize is a trade: an edit copies a page, a search steps down once per page. 8 KiB is also a size class of the
	// allocator.
	pageSize = 8 << 10
	maxKids  = 128

	tableHead = 4 // count and common octets
	innerItem = 2 // offset
	leafItem  = 6 // offset and hint
)

func tableLen(d []byte) int           { return int(binary.LittleEndian.Uint16(d)) }
func tableOffset(d []byte, i int) int { return int(binary.LittleEndian.Uint16(d[tableHead+2*i:])) }

// item is item i of the table d.
func item(d []byte, i int) []byte {
	from, to := tableOffset(d, i), len(d)
	if i+1 < tableLen(d) {
		to = tableOffset(d, i+1)
	}
	return d[from:to:to]
}

func (p *page) isLeaf() bool { return p.kids == nil }

func (p *page) entry(i int) []byte { return item(p.data, i) }

// leafSearch returns the first entry whose key is not below key, and whether it is key. Most steps look at the hints, which
// lie together; only entries with the hint of key are looked at themselves.
func (p *page) leafSearch(key []byte) (int, bool) {
	d := p.data
	n, common := tableLen(d), int(binary.LittleEndian.Uint16(d[2:]))
	if common > 0 {
		begin := entryKey(d[tableOffset(d, 0):])[:common]
		if len(key) < common {
			if bytes.Compare(key, begin) > 0 {
				return n, false
			}
			return 0, false
		}
		if c := bytes.Compare(key[:common], begin); c < 0 {
			return 0, false
		} else if c > 0 {
			return n, false
		}
	}
	hint, hints := hintOf(key[common:]), d[tableHead+2*n:]
	lo, hi := 0, n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if binary.LittleEndian.Uint32(hints[4*mid:]) < hint {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for hi = lo; hi < n && binary.LittleEndian.Uint32(hints[4*hi:]) == hint; hi++ {
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch bytes.Compare(entryKey(d[tableOffset(d, mid):]), key) {
		case -1:
			lo = mid + 1
		case 0:
			return mid, true
		default:
			hi = mid
		}
	}
	return lo, false
}

// leafFind returns the entry with key in the leaf d, or nil. It need not look whether key begins as all keys here do: only the
// whole key is compared.
func leafFind(d, key []byte) []byte {
	n, common := tableLen(d), int(binary.LittleEndian.Uint16(d[2:]))
	if len(key) < common {
		return nil
	}
	hint, hints := hintOf(key[common:]), d[tableHead+2*n:]
	lo, hi := 0, n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if binary.LittleEndian.Uint32(hints[4*mid:]) < hint {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for ; lo < n && binary.LittleEndian.Uint32(hints[4*lo:]) == hint; lo++ {
		switch e := item(d, lo); bytes.Compare(entryKey(e), key) {
		case 0:
			return e
		case 1:
			return nil
		}
	}
	return nil
}

// hintOf is the first 4 octets of b as a number. Where hints differ what they were made of differs the same way.
func hintOf(b []byte) uint32 {
	if len(b) >= 4 {
		return binary.BigEndian.Uint32(b)
	}
	var h uint32
	for i, c := range b {
		h |= uint32(c) << (24 - 8*i)
	}
	return h
}

// child is the index of the kid that key belongs under; head is the key's headOf.
func (p *page) child(key []byte, head uint64) int {
	lo, hi := 1, len(p.heads)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if h := p.heads[mid]; h > head || h == head && bytes.Compare(item(p.data, mid), key) > 0 {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo - 1
}

// headOf is the first 8 octets of key as a number. Where heads differ the keys differ the same way.
func headOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var h uint64
	for i, c := range key {
		h |= uint64(c) << (56 - 8*i)
	}
	return h
}

func (p *page) firstEntry() []byte {
	for !p.isLeaf() {
		p = p.kids[0]
	}
	return p.entry(0)
}

func (p *page) lastEntry() []byte {
	for !p.isLeaf() {
		p = p.kids[len(p.kids)-1]
	}
	return p.entry(tableLen(p.data) - 1)
}

// after returns the first entry whose key is above key, or nil.
func (p *page) after(key []byte, head uint64) []byte {
	if p.isLeaf() {
		i, exact := p.leafSearch(key)
		if exact {
			i++
		}
		if i < tableLen(p.data) {
			return p.entry(i)
		}
		return nil
	}
	i := p.child(key, head)
	if e := p.kids[i].after(key, head); e != nil {
		return e
	}
	if i+1 < len(p.kids) {
		return p.kids[i+1].firstEntry()
	}
	return nil
}

// before returns the last entry with an NSEC or NSEC3 record whose key is at most key, or nil. Subtrees without one are
// not entered: a query in an unsigned zone must not walk it.
func (p *page) before(key []byte, head uint64) []byte {
	if p.total.nsecs == 0 {
		return nil
	}
	if p.isLeaf() {
		i, exact := p.leafSearch(key)
		if exact {
			i++
		}
		return p.lastNSEC(i)
	}
	i := p.child(key, head)
	if e := p.kids[i].before(key, head); e != nil {
		return e
	}
	return p.lastNSEC(i)
}

// lastNSEC is the last entry with NSEC or NSEC3 below the first n items of p, or nil.
func (p *page) lastNSEC(n int) []byte {
	if p.isLeaf() {
		for n--; n >= 0; n-- {
			if e := p.entry(n); entryFlags(e)&flagNSEC != 0 {
				return e
			}
		}
		return nil
	}
	for n--; n >= 0; n-- {
		if kid := p.kids[n]; kid.total.nsecs > 0 {
			return kid.lastNSEC(kid.count())
		}
	}
	return nil
}

func (p *page) count() int { return tableLen(p.data) }

// walk calls yield for each entry in order until it says no.
func (p *page) walk(yield func(entry []byte) bool) bool {
	if p.isLeaf() {
		for i := range tableLen(p.data) {
			if !yield(p.entry(i)) {
				return false
			}
		}
		return true
	}
	for _, kid := range p.kids {
		if !kid.walk(yield) {
			return false
		}
	}
	return true
}

// newInner makes an inner page of kids, which must not be empty.
func newInner(kids []*page) *page {
	p := &page{kids: kids, heads: make([]uint64, len(kids))}
	if kids[0].isLeaf() {
		p.leaves = make([][]byte, len(kids))
		for i, kid := range kids {
			p.leaves[i] = kid.data
		}
	}
	size := tableHead + innerItem*len(kids)
	seps := make([][]byte, len(kids))
	for i, kid := range kids {
		p.total.add(kid.total)
		if i > 0 {
			seps[i] = separator(entryKey(kids[i-1].lastEntry()), entryKey(kid.firstEntry()))
			p.heads[i] = headOf(seps[i])
			size += len(seps[i])
		}
	}
	p.data = make([]byte, tableHead+innerItem*len(kids), size)
	binary.LittleEndian.PutUint16(p.data, uint16(len(kids)))
	for i, sep := range seps {
		binary.LittleEndian.PutUint16(p.data[tableHead+2*i:], uint16(len(p.data)))
		p.data = append(p.data, sep...)
	}
	return p
}

// separator is the shortest prefix of high that is above low.
func separator(low, high []byte) []byte {
	i := 0
	for i < len(low) && i < len(high) && low[i] == high[i] {
		i++
	}
	return high[:min(i+1, len(high))]
}
