package zone

import (
	"bytes"

	"anyu/dns/wire"
)

// Record is one resource record of a zone. What a callback gets is valid until it returns.
type Record struct {
	Owner wire.Name
	Type  wire.Type
	TTL   uint32
	RData []byte
}

// Diff calls del for each record that only old has and add for each that only new has. Pages that both versions share
// are skipped, so it costs what differs. A set whose TTL changed is deleted and added as a whole. The records of one name come together, in
// canonical order of names; del of a set comes before its add. It ends with the first error of a callback.
func Diff(old, new *Zone, del, add func(Record) error) error {
	d := differ{apex: new.apex, del: del, add: add}
	if err := d.trees(old.names, new.names); err != nil {
		return err
	}
	return d.trees(old.hashes, new.hashes)
}

type differ struct {
	apex     wire.Name
	del, add func(Record) error
	owner    []byte
}

func (d *differ) trees(old, new tree) error {
	a, b := cursorAt(old), cursorAt(new)
	for {
		skipShared(&a, &b)
		x, y := a.entry(), b.entry()
		switch {
		case x == nil && y == nil:
			return nil
		case y == nil || x != nil && bytes.Compare(entryKey(x), entryKey(y)) < 0:
			if err := d.node(x, d.del); err != nil {
				return err
			}
			a.next()
		case x == nil || bytes.Compare(entryKey(x), entryKey(y)) > 0:
			if err := d.node(y, d.add); err != nil {
				return err
			}
			b.next()
		default:
			if !bytes.Equal(x, y) {
				if err := d.nodes(nodeOf(x), nodeOf(y)); err != nil {
					return err
				}
			}
			a.next()
			b.next()
		}
	}
}

// node hands over all records of a node.
func (d *differ) node(entry []byte, emit func(Record) error) error {
	n := nodeOf(entry)
	d.owner = n.AppendOwner(d.owner[:0], d.apex)
	for s := range n.Sets() {
		if err := d.set(s, emit); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) set(s RRset, emit func(Record) error) error {
	for it := s.Iter(); it.Next(); {
		if err := emit(Record{Owner: d.owner, Type: s.typ, TTL: s.ttl, RData: it.RData()}); err != nil {
			return err
		}
	}
	return nil
}

// nodes compares two versions of one name, set by set.
func (d *differ) nodes(old, new Node) error {
	d.owner = new.AppendOwner(d.owner[:0], d.apex)
	x, y := old.entry[old.sets:], new.entry[new.sets:]
	for len(x) > 0 || len(y) > 0 {
		var s, t RRset
		var xs, ys []byte
		order := 0
		switch {
		case len(x) == 0:
			order = 1
		case len(y) == 0:
			order = -1
		default:
			s, xs = nextSet(x)
			t, ys = nextSet(y)
			order = compareSets(s, t)
		}
		var err error
		switch {
		case order < 0:
			s, x = nextSet(x)
			err = d.set(s, d.del)
		case order > 0:
			t, y = nextSet(y)
			err = d.set(t, d.add)
		default:
			x, y = xs, ys
			err = d.sets(s, t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func compareSets(s, t RRset) int {
	if s.typ != t.typ {
		return int(s.typ) - int(t.typ)
	}
	return int(s.covered) - int(t.covered)
}

// sets compares two versions of one RRset.
func (d *differ) sets(old, new RRset) error {
	if old.ttl != new.ttl {
		if err := d.set(old, d.del); err != nil {
			return err
		}
		return d.set(new, d.add)
	}
	if bytes.Equal(old.data, new.data) {
		return nil
	}
	// Both lists are in canonical order. The deletions come first, in a pass of their own.
	if err := d.missing(old, new, d.del); err != nil {
		return err
	}
	return d.missing(new, old, d.add)
}

// missing emits what s has and t has not; a name in RDATA whose case changed counts as changed.
func (d *differ) missing(s, t RRset, emit func(Record) error) error {
	other := t.Iter()
	more := other.Next()
	for it := s.Iter(); it.Next(); {
		for more && compareRData(s.typ, other.RData(), it.RData()) < 0 {
			more = other.Next()
		}
		if more && bytes.Equal(other.RData(), it.RData()) {
			continue
		}
		if err := emit(Record{Owner: d.owner, Type: s.typ, TTL: s.ttl, RData: it.RData()}); err != nil {
			return err
		}
	}
	return nil
}

// cursor is a position in a tree: the path of pages from the root to an entry.
type cursor struct {
	path []step
}

type step struct {
	page *page
	at   int
}

func cursorAt(t tree) cursor {
	var c cursor
	if t.root != nil {
		c.descend(t.root)
	}
	return c
}

// descend adds the path to the first entry below p.
func (c *cursor) descend(p *page) {
	for {
		c.path = append(c.path, step{page: p})
		if p.isLeaf() {
			return
		}
		p = p.kids[0]
	}
}

// entry is the entry at the cursor, nil at the end.
func (c *cursor) entry() []byte {
	if len(c.path) == 0 {
		return nil
	}
	s := c.path[len(c.path)-1]
	return s.page.entry(s.at)
}

func (c *cursor) next() { c.skip(len(c.path)) }

// skip goes past the item at depth-1 of the path, that is past the page at depth.
func (c *cursor) skip(depth int) {
	c.path = c.path[:depth]
	for len(c.path) > 0 {
		s := &c.path[len(c.path)-1]
		if s.at++; s.at < s.page.count() {
			if !s.page.isLeaf() {
				c.descend(s.page.kids[s.at])
			}
			return
		}
		c.path = c.path[:len(c.path)-1]
	}
}

// skipShared moves both cursors past pages that both stand at the beginning of, the largest first.
func skipShared(a, b *cursor) {
	for {
		i, j, ok := sharedPage(a.path, b.path)
		if !ok {
			return
		}
		a.skip(i)
		b.skip(j)
	}
}

// sharedPage finds the highest page that both paths are at the beginning of.
func sharedPage(a, b []step) (i, j int, ok bool) {
	for i = begun(a); i < len(a); i++ {
		for j = begun(b); j < len(b); j++ {
			if a[i].page == b[j].page {
				return i, j, true
			}
		}
	}
	return 0, 0, false
}

// begun is the depth of the highest page whose first entry the path stands at.
func begun(path []step) int {
	i := len(path)
	for i > 0 && path[i-1].at == 0 {
		i--
	}
	return i
}
