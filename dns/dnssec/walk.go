package dnssec

import (
	"bytes"
	"slices"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// kind of a name.
type kind uint8

const (
	authoritative kind = iota
	cut                // NS below the apex: of its data only DS and NSEC are ours (RFC 4035, Section 2.2)
	occluded           // below a cut or a DNAME: glue, or data nobody asks for
	empty              // an empty non-terminal
	hashed             // of the NSEC3 tree
)

// item is a name to look at.
type item struct {
	node zone.Node
	next zone.Node // in the chain of NSEC; the zero Node is the apex
	key  []byte    // of an empty name
	kind kind
	bare bool // has nothing but NSEC and RRSIG
	must bool // an empty name that is above more than insecure delegations
}

// batch is a run of items; seq counts them.
type batch struct {
	seq   int
	items []item
}

// found is what came of a batch.
type found struct {
	seq      int
	problems []zone.Problem
	stopped  bool
}

// collect lets walk fill jobs while it takes in what the workers find. walk is stopped when enough was found: as batches are
// handed out in order, the first problems of the zone are then among them.
func collect(done chan found, jobs chan batch, walk func(put func(batch) bool)) []found {
	var all []found
	count, warnings, open := 0, 0, 0
	take := func(f found) {
		open--
		errors := countErrors(f.problems)
		if warnings += len(f.problems) - errors; warnings > maxProblems {
			f.problems = slices.DeleteFunc(f.problems, func(p zone.Problem) bool { return p.Severity == zone.Warn })
		}
		count += errors
		if len(f.problems) > 0 || f.stopped {
			all = append(all, f)
		}
	}
	walk(func(b batch) bool {
		for {
			select {
			case f := <-done:
				take(f)
			case jobs <- b:
				open++
				if count >= maxProblems {
					all = append(all, found{seq: b.seq + 1, stopped: true})
					return false
				}
				return true
			}
		}
	})
	close(jobs)
	for open > 0 {
		take(<-done)
	}
	return all
}

func countErrors(problems []zone.Problem) (n int) {
	for _, p := range problems {
		if p.Severity == zone.Error {
			n++
		}
	}
	return n
}

// walker goes over the names in canonical order and sorts them into kinds.
type walker struct {
	c    *check
	put  func(batch) bool
	next batch
	ok   bool
	done int

	above   []byte // key of the cut or DNAME that hides what is below
	hidden  bool
	pending item // waits for the next name of the chain
	waits   bool

	path  []byte // key of the last name that is not hidden
	empty []void // above path, outermost first
}

// void is an empty non-terminal: the first size octets of walker.path.
type void struct {
	size int
	must bool
}

// walk hands the names of the zone to put in batches.
func (c *check) walk(put func(batch) bool) {
	w := &walker{c: c, put: put, ok: true}
	total, _, _ := c.z.Size()
	ended := false
	for n := range c.z.All() {
		if n.IsNSEC3() && !ended {
			ended = true
			w.end()
		}
		w.name(n)
		w.done++
		if w.done%(16*batchSize) == 0 && c.opts.Progress != nil {
			c.opts.Progress(w.done, total)
		}
		if !w.ok {
			return
		}
	}
	if !ended {
		w.end()
	}
	w.flush()
	if c.opts.Progress != nil {
		c.opts.Progress(total, total)
	}
}

func (w *walker) name(n zone.Node) {
	if n.IsNSEC3() {
		w.add(item{node: n, kind: hashed})
		return
	}
	it := item{node: n, bare: bare(n)}
	key := n.Key()
	if w.hidden && len(key) > len(w.above) && bytes.HasPrefix(key, w.above) {
		it.kind = occluded
		w.add(it)
		return
	}
	if n.IsCut() || n.HasDNAME() {
		w.above, w.hidden = append(w.above[:0], key...), true
	}
	if n.IsCut() {
		it.kind = cut
	}
	if it.bare { // not a name of the chain
		w.add(it)
		return
	}
	w.voids(key, it)
	if w.waits {
		w.pending.next = n
		w.add(w.pending)
	}
	w.pending, w.waits = it, true
}

// bare tells whether a name holds nothing of its own (RFC 4035, Section 2.3: such a name must not be).
func bare(n zone.Node) bool {
	for s := range n.Sets() {
		if t := s.Type(); t != wire.TypeRRSIG && t != wire.TypeNSEC {
			return false
		}
	}
	return true
}

// insecure tells whether a name is a delegation without DS, which opt-out lets go without NSEC3 (RFC 5155, Section 6).
func insecure(it item) bool {
	if it.kind != cut {
		return false
	}
	_, ds := it.node.Set(wire.TypeDS)
	return !ds
}

// voids finds the empty non-terminals between the name before and this one. Those that are not above key are complete.
func (w *walker) voids(key []byte, it item) {
	if len(w.c.chains) == 0 {
		return
	}
	common := commonLabels(w.path, key)
	w.close(common)
	w.path = append(w.path[:0], key...)
	for i := common; i < len(key)-1; i++ {
		if key[i] == 0 {
			w.empty = append(w.empty, void{size: i + 1})
		}
	}
	if insecure(it) {
		return
	}
	for i := len(w.empty) - 1; i >= 0 && !w.empty[i].must; i-- {
		w.empty[i].must = true
	}
}

// close hands out the empty non-terminals that are deeper than size.
func (w *walker) close(size int) {
	for i := len(w.empty) - 1; i >= 0 && w.empty[i].size > size; i-- {
		w.add(item{kind: empty, key: bytes.Clone(w.path[:w.empty[i].size]), must: w.empty[i].must})
		w.empty = w.empty[:i]
	}
}

// commonLabels is the length of what two keys have in common in whole labels.
func commonLabels(a, b []byte) int {
	n := 0
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			break
		}
		if a[i] == 0 {
			n = i + 1
		}
	}
	return n
}

// end closes the ring of the names.
func (w *walker) end() {
	if w.waits {
		w.add(w.pending)
	}
	w.close(0)
}

func (w *walker) add(it item) {
	w.next.items = append(w.next.items, it)
	if len(w.next.items) == batchSize {
		w.flush()
	}
}

func (w *walker) flush() {
	if len(w.next.items) > 0 && w.ok {
		w.ok = w.put(w.next)
	}
	w.next = batch{seq: w.next.seq + 1, items: make([]item, 0, batchSize)}
}
