package zone

import "bytes"

// tree is a persistent B+tree: all leaves at one depth. The zero tree is empty.
type tree struct {
	root *page
}

// treeOf builds a tree over pages of one depth in order.
func treeOf(pages []*page) tree {
	for len(pages) > 1 {
		pages = group(pages)
	}
	if len(pages) == 0 {
		return tree{}
	}
	return tree{root: pages[0]}
}

// group puts an inner page over each run of at most maxKids pages, evenly filled.
func group(pages []*page) []*page {
	parents := (len(pages) + maxKids - 1) / maxKids
	out := make([]*page, 0, parents)
	for i := range parents {
		from, to := i*len(pages)/parents, (i+1)*len(pages)/parents
		out = append(out, newInner(append([]*page(nil), pages[from:to]...)))
	}
	return out
}

func (t tree) find(key []byte) []byte {
	p := t.root
	if p == nil {
		return nil
	}
	for head := headOf(key); !p.isLeaf(); {
		i := p.child(key, head)
		if p.leaves != nil {
			return leafFind(p.leaves[i], key)
		}
		p = p.kids[i]
	}
	return leafFind(p.data, key)
}

func (t tree) after(key []byte) []byte {
	if t.root == nil {
		return nil
	}
	return t.root.after(key, headOf(key))
}

// beforeOrLast is the last entry with NSEC or NSEC3 at or before key; there being none, the last of all.
func (t tree) beforeOrLast(key []byte) []byte {
	if t.root == nil || t.root.total.nsecs == 0 {
		return nil
	}
	if e := t.root.before(key, headOf(key)); e != nil {
		return e
	}
	return t.root.lastNSEC(t.root.count())
}

func (t tree) walk(yield func(entry []byte) bool) bool {
	return t.root == nil || t.root.walk(yield)
}

func (t tree) totals() totals {
	if t.root == nil {
		return totals{}
	}
	return t.root.total
}

// change replaces the entry at key by entry, or removes it where entry is nil.
type change struct{ key, entry []byte }

// apply returns the tree with changes, which must be in order of their keys, each key once. The pages that hold no
// changed key are shared with t.
func (t tree) apply(changes []change) tree {
	if len(changes) == 0 {
		return t
	}
	root := t.root
	if root == nil {
		root = &page{data: make([]byte, tableHead)}
	}
	out := treeOf(root.apply(changes, new(builder)))
	for out.root != nil && len(out.root.kids) == 1 {
		out.root = out.root.kids[0]
	}
	return out
}

// apply returns the pages that take p's place, of the same depth as p; none if all is gone. b lends its buffers.
func (p *page) apply(changes []change, b *builder) []*page {
	if p.isLeaf() {
		return p.applyLeaf(changes, b)
	}
	kids := make([]*page, 0, len(p.kids)+1)
	for i, kid := range p.kids {
		n := len(changes)
		if i+1 < len(p.kids) {
			sep := item(p.data, i+1)
			for n = 0; n < len(changes) && bytes.Compare(changes[n].key, sep) < 0; n++ {
			}
		}
		if n == 0 {
			kids = append(kids, kid)
			continue
		}
		kids = append(kids, kid.apply(changes[:n], b)...)
		changes = changes[n:]
	}
	kids = coalesce(kids)
	if len(kids) == 0 {
		return nil
	}
	return group(kids)
}

// applyLeaf copies what stays in stretches. What no longer fits one page is cut in two halves, so that the next change finds
// room; where that is not enough the pages are packed anew.
func (p *page) applyLeaf(changes []change, b *builder) []*page {
	b.items, b.starts = b.items[:0], b.starts[:0]
	total := p.total
	at := 0
	for _, c := range changes {
		i, exact := p.leafSearch(c.key)
		b.addRange(p, at, i)
		if at = i; exact {
			total.sub(entryTotals(p.entry(i)))
			at++
		}
		if c.entry != nil {
			b.starts = append(b.starts, len(b.items))
			b.items = append(b.items, c.entry...)
			total.add(entryTotals(c.entry))
		}
	}
	b.addRange(p, at, p.count())
	switch size := tableHead + leafItem*len(b.starts) + len(b.items); {
	case len(b.starts) == 0:
		return nil
	case size <= pageSize || len(b.starts) == 1:
		return []*page{{data: leafData(b.items, b.starts), total: total}}
	case size <= 2*pageSize-pageSize/8:
		if halves := b.halves(total); halves != nil {
			return halves
		}
	}
	return b.repack()
}

// halves makes two pages of what is in b, or nil where one would be too large.
func (b *builder) halves(total totals) []*page {
	n := 1
	for n < len(b.starts)-1 && leafItem*n+b.starts[n] < (leafItem*len(b.starts)+len(b.items))/2 {
		n++
	}
	cut := b.starts[n]
	left, right := b.starts[:n], b.starts[n:]
	if tableHead+leafItem*n+cut > pageSize || tableHead+leafItem*len(right)+len(b.items)-cut > pageSize {
		return nil
	}
	var first totals
	for i, s := range left {
		end := cut
		if i+1 < n {
			end = left[i+1]
		}
		first.add(entryTotals(b.items[s:end]))
	}
	total.sub(first)
	low := &page{data: leafData(b.items[:cut], left), total: first}
	for i := range right {
		right[i] -= cut
	}
	return []*page{low, {data: leafData(b.items[cut:], right), total: total}}
}

// repack makes as many pages of what is in b as it takes.
func (b *builder) repack() []*page {
	var out builder
	for i, s := range b.starts {
		end := len(b.items)
		if i+1 < len(b.starts) {
			end = b.starts[i+1]
		}
		out.add(b.items[s:end])
	}
	return out.pages()
}

// coalesce joins neighbours that fill half a page between them, so that removals do not leave a tree of crumbs.
func coalesce(pages []*page) []*page {
	out := pages[:0]
	for _, p := range pages {
		if n := len(out); n > 0 {
			if joined := join(out[n-1], p); joined != nil {
				out[n-1] = joined
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

// join makes one page of two small ones, or returns nil.
func join(p, q *page) *page {
	if !p.isLeaf() {
		if len(p.kids)+len(q.kids) > maxKids/2 {
			return nil
		}
		return newInner(append(append([]*page(nil), p.kids...), q.kids...))
	}
	if len(p.data)+len(q.data) > pageSize/2 {
		return nil
	}
	var b builder
	for _, half := range []*page{p, q} {
		for i := range tableLen(half.data) {
			b.add(half.entry(i))
		}
	}
	return b.pages()[0]
}
