package zone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"anyu/dns/wire"
)

// Warning is something in a master file that is not as it should be and did not keep it from being loaded.
type Warning struct {
	Code string
	SyntaxError
}

func (w Warning) String() string { return w.Code + ": " + w.Error() }

// Codes of warnings.
const (
	WarnOutside = "outside-zone" // the record is left out
	WarnNoTTL   = "no-ttl"
	WarnTTL     = "ttl-differs" // inside an RRset; the lowest is taken
	WarnMore    = "more"        // warnings not kept
)

// collector takes records as they are read and turns them into runs: leaves in order. Its buffers are used again for each
// block, so that loading leaves no garbage but the text of warnings.
type collector struct {
	arena []byte
	refs  [2][]ref // of names and of hashes
	at    int      // the record being read
	epoch int      // counts the runs: keys of an earlier one are gone

	packer   [2]builder
	rdatas   [][]byte
	runs     []run
	warnings []Warning
	dropped  int
	apex     wire.Name
	emit     func(Record) error // takes records in place of all that, if not nil
}

// run is a part of both trees in order.
type run struct{ leaves [2][]*page }

// ref is a record in the arena: head of its key, then where key and record begin.
type ref struct {
	head     uint64
	key, rec uint32
}

// A record in the arena is type, covered type (2 octets each), TTL (4), RDLENGTH (2), RDATA. A key is its head (8 octets),
// its length (2), flags, length of the spelled owner (1 each), key, owner.
const (
	recordHead = 10
	keyHead    = 12

	// spillSize bounds the arena where one block makes many records ($GENERATE, $INCLUDE).
	spillSize = 8 << 20
)

func newCollector(apex wire.Name) *collector {
	return &collector{arena: make([]byte, 1, 16<<10), apex: apex}
}

// begin returns the arena to append RDATA to.
func (c *collector) begin() []byte {
	c.at = len(c.arena)
	return append(c.arena, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

func (c *collector) rdata() []byte { return c.arena[c.at+recordHead:] }

// abandon takes the record being read back.
func (c *collector) abandon() { c.arena = c.arena[:c.at] }

// end fills in the head of the record.
func (c *collector) end(t, covered wire.Type, ttl uint32) {
	h := c.arena[c.at:]
	n := len(h) - recordHead
	binary.LittleEndian.PutUint16(h, uint16(t))
	binary.LittleEndian.PutUint16(h[2:], uint16(covered))
	binary.LittleEndian.PutUint32(h[4:], ttl)
	binary.LittleEndian.PutUint16(h[8:], uint16(n))
}

// addKey appends the key of a name and returns its place.
func (c *collector) addKey(name, apex wire.Name, placed wire.Type) uint32 {
	at := len(c.arena)
	c.arena = append(c.arena, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	p := locate(c.arena, name, apex, placed)
	c.arena = p.key
	key := c.arena[at+keyHead:]
	h := c.arena[at:]
	binary.LittleEndian.PutUint64(h, headOf(key))
	binary.LittleEndian.PutUint16(h[8:], uint16(len(key)))
	h[10], h[11] = p.flags, uint8(len(p.owner))
	c.arena = append(c.arena, p.owner...)
	return uint32(at)
}

// file notes the record that ended last under a key.
func (c *collector) file(key uint32) {
	which := 0
	if c.arena[key+10]&flagHash != 0 {
		which = 1
	}
	c.refs[which] = append(c.refs[which], ref{binary.LittleEndian.Uint64(c.arena[key:]), key, uint32(c.at)})
}

func (c *collector) keyOf(r ref) []byte {
	n := uint32(binary.LittleEndian.Uint16(c.arena[r.key+8:]))
	return c.arena[r.key+keyHead : r.key+keyHead+n]
}

// ownerOf is the spelled owner, nil for none.
func (c *collector) ownerOf(r ref) []byte {
	n := uint32(c.arena[r.key+11])
	if n == 0 {
		return nil
	}
	at := r.key + keyHead + uint32(binary.LittleEndian.Uint16(c.arena[r.key+8:]))
	return c.arena[at : at+n]
}

// kindOf is type and covered type as one number to sort by.
func (c *collector) kindOf(r ref) uint32 {
	return uint32(binary.LittleEndian.Uint16(c.arena[r.rec:]))<<16 | uint32(binary.LittleEndian.Uint16(c.arena[r.rec+2:]))
}

func (c *collector) ttlOf(r ref) uint32 { return binary.LittleEndian.Uint32(c.arena[r.rec+4:]) }

func (c *collector) rdataOf(r ref) []byte {
	n := uint32(binary.LittleEndian.Uint16(c.arena[r.rec+8:]))
	return c.arena[r.rec+recordHead : r.rec+recordHead+n : r.rec+recordHead+n]
}

// compare orders records by name, then as read.
func (c *collector) compare(a, b ref) int {
	if a.head != b.head {
		return cmp.Compare(a.head, b.head)
	}
	if a.key != b.key {
		if d := bytes.Compare(c.keyOf(a), c.keyOf(b)); d != 0 {
			return d
		}
	}
	return cmp.Compare(a.rec, b.rec)
}

// spill makes a run of what has come when it is much.
func (c *collector) spill() {
	if len(c.arena) > spillSize {
		c.flush()
	}
}

// flush makes a run of what has come and forgets it.
func (c *collector) flush() {
	var r run
	for which, refs := range c.refs {
		if len(refs) == 0 {
			continue
		}
		if !slices.IsSortedFunc(refs, c.compare) {
			slices.SortFunc(refs, c.compare)
		}
		c.pack(refs, &c.packer[which])
		r.leaves[which] = c.packer[which].pages()
		c.refs[which] = refs[:0]
	}
	if r.leaves[0] != nil || r.leaves[1] != nil {
		c.runs = append(c.runs, r)
	}
	c.arena = c.arena[:1]
	c.epoch++
}

// pack writes sorted records to leaves.
func (c *collector) pack(refs []ref, b *builder) {
	for len(refs) > 0 {
		n := 1
		for n < len(refs) && refs[n].head == refs[0].head &&
			(refs[n].key == refs[0].key || bytes.Equal(c.keyOf(refs[n]), c.keyOf(refs[0]))) {
			n++
		}
		c.packNode(refs[:n], b)
		refs = refs[n:]
	}
}

// packNode writes the records of one name as an entry.
func (c *collector) packNode(refs []ref, b *builder) {
	key, flags := c.keyOf(refs[0]), c.arena[refs[0].key+10]
	apex := len(key) == 0
	if len(refs) > 1 {
		slices.SortStableFunc(refs, func(x, y ref) int { return cmp.Compare(c.kindOf(x), c.kindOf(y)) })
	}
	start := len(b.items)
	b.items = appendHead(b.items, key, flags, c.ownerOf(refs[0]))
	var t totals
	for len(refs) > 0 {
		kind, ttl := c.kindOf(refs[0]), c.ttlOf(refs[0])
		c.rdatas = c.rdatas[:0]
		differs := false
		n := 0
		for ; n < len(refs) && c.kindOf(refs[n]) == kind; n++ {
			// RFC 2181, Section 5.2: one TTL for the set; the lowest is the safe choice. (servers.md 5.1, case 73)
			if v := c.ttlOf(refs[n]); v != ttl {
				ttl, differs = min(ttl, v), true
			}
			c.rdatas = append(c.rdatas, c.rdataOf(refs[n]))
		}
		typ := wire.Type(kind >> 16)
		if differs && typ != wire.TypeRRSIG && len(c.warnings) < maxWarnings {
			c.note(ttlWarning(key, flags&flagHash != 0, c.apex, typ, ttl))
		}
		flags |= setFlags(typ, apex)
		set := sortRData(typ, c.rdatas)
		t.records += len(set)
		b.items = appendSet(b.items, typ, wire.Type(kind&0xFFFF), ttl, set)
		refs = refs[n:]
	}
	at := start + keyEnd(b.items[start:])
	b.items[at] |= flags
	t.flags(flags)
	b.seal(start, t)
}

// ttlWarning is the warning about the TTLs of the set at a key.
func ttlWarning(key []byte, hash bool, apex wire.Name, t wire.Type, ttl uint32) Warning {
	owner := "an NSEC3 record"
	if !hash {
		owner = wire.Name(wire.AppendNameOfKey(nil, key, apex)).String()
	}
	return Warning{WarnTTL, SyntaxError{Text: fmt.Sprintf("the TTLs of %s %v differ: %d, the lowest, is taken", owner, t, ttl)}}
}

// note keeps a warning, or counts it.
func (c *collector) note(w Warning) {
	if len(c.warnings) >= maxWarnings {
		c.dropped++
		return
	}
	c.warnings = append(c.warnings, w)
}
