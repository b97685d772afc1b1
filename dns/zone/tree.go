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
		p = p.kids[p.child(key, head)]
	}
	if i, ok := p.leafSearch(key); ok {
		return p.entry(i)
	}
	return nil
}

func (t tree) after(key []byte) []byte {
	if t.root == nil {
		return nil
	}
	return t.root.after(key, headOf(key))
}

// beforeOrLast is the last entry with NSEC or NSEC3 at or before key; there being none, the last of all.
func (t tree) beforeOrLast(key []byte) []byte {
	if t.root == nil {
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
		root = &page{data: []byte{0, 0}}
	}
	out := treeOf(root.apply(changes))
	for out.root != nil && len(out.root.kids) == 1 {
		out.root = out.root.kids[0]
	}
	return out
}

// apply returns the pages that take p's place, of the same depth as p; none if all is gone.
func (p *page) apply(changes []change) []*page {
	if p.isLeaf() {
		return p.applyLeaf(changes)
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
		kids = append(kids, kid.apply(changes[:n])...)
		changes = changes[n:]
	}
	kids = coalesce(kids)
	if len(kids) == 0 {
		return nil
	}
	return group(kids)
}

func (p *page) applyLeaf(changes []change) []*page {
	var b builder
	b.items = make([]byte, 0, len(p.data)+256)
	b.starts = make([]int, 0, tableLen(p.data)+8)
	for i := range tableLen(p.data) {
		e := p.entry(i)
		key := entryKey(e)
		for len(changes) > 0 && bytes.Compare(changes[0].key, key) < 0 {
			if changes[0].entry != nil {
				b.add(changes[0].entry)
			}
			changes = changes[1:]
		}
		if len(changes) > 0 && bytes.Equal(changes[0].key, key) {
			if changes[0].entry != nil {
				b.add(changes[0].entry)
			}
			changes = changes[1:]
			continue
		}
		b.add(e)
	}
	for _, c := range changes {
		if c.entry != nil {
			b.add(c.entry)
		}
	}
	return b.pages()
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
