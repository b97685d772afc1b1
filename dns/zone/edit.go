package zone

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"anyu/dns/wire"
)

// Edit collects changes to a version and makes the next one. It belongs to one goroutine; the version it came from stays
// as it is.
type Edit struct {
	apex          wire.Name
	class         wire.Class
	names, hashes tree
	open          [2]map[string]*draft // nodes taken apart, by key; 0 of names, 1 of hashes
	key, text     []byte               // room
}

// maxDrafts bounds the nodes taken apart at a time: the edit that fills an empty zone (AXFR) is written to pages in steps,
// so that a million names do not stand in memory as Go objects.
const maxDrafts = 1 << 15

// draft is a node taken apart.
type draft struct {
	owner []byte
	flags byte
	sets  []draftSet
}

type draftSet struct {
	typ, covered wire.Type
	ttl          uint32
	rdatas       [][]byte
}

// Edit begins changes to z.
func (z *Zone) Edit() *Edit {
	e := NewEmpty(z.apex, z.class)
	e.names, e.hashes = z.names, z.hashes
	return e
}

// NewEmpty begins a zone without records.
func NewEmpty(apex wire.Name, class wire.Class) *Edit {
	return &Edit{apex: bytes.Clone(apex), class: class, open: [2]map[string]*draft{{}, {}}}
}

// Add adds one record. A record that is there already is left alone; where TTLs of a set differ the lowest holds
// (RFC 2181, Section 5.2). owner and rdata are copied.
func (e *Edit) Add(owner wire.Name, t wire.Type, ttl uint32, rdata []byte) error {
	covered, err := e.check(owner, t, rdata)
	if err != nil {
		return fmt.Errorf("adding %v %v: %w", owner, t, err)
	}
	if ttl > maxTTL {
		ttl = 0 // RFC 2181, Section 8
	}
	d := e.draft(owner, t, covered)
	i, ok := d.find(t, covered)
	if !ok {
		d.sets = slices.Insert(d.sets, i, draftSet{typ: t, covered: covered, ttl: ttl})
	}
	s := &d.sets[i]
	s.ttl = min(s.ttl, ttl)
	at, there := slices.BinarySearchFunc(s.rdatas, rdata, func(a, b []byte) int { return compareRData(t, a, b) })
	if !there {
		s.rdatas = slices.Insert(s.rdatas, at, bytes.Clone(rdata))
	}
	return nil
}

// Remove removes one record; ErrNotThere says that it is not in the zone.
func (e *Edit) Remove(owner wire.Name, t wire.Type, rdata []byte) error {
	covered, err := e.check(owner, t, rdata)
	if err != nil {
		return fmt.Errorf("removing %v %v: %w", owner, t, err)
	}
	d := e.draft(owner, t, covered)
	i, ok := d.find(t, covered)
	if !ok {
		return ErrNotThere
	}
	s := &d.sets[i]
	at, ok := slices.BinarySearchFunc(s.rdatas, rdata, func(a, b []byte) int { return compareRData(t, a, b) })
	if !ok {
		return ErrNotThere
	}
	if s.rdatas = slices.Delete(s.rdatas, at, at+1); len(s.rdatas) == 0 {
		d.sets = slices.Delete(d.sets, i, i+1)
	}
	return nil
}

// RemoveSet removes all records of a type at a name; of RRSIG all, whatever they cover.
func (e *Edit) RemoveSet(owner wire.Name, t wire.Type) error {
	if !owner.IsSubdomainOf(e.apex) {
		return fmt.Errorf("removing %v %v: %w", owner, t, ErrOutside)
	}
	gone := false
	remove := func(d *draft) {
		before := len(d.sets)
		d.sets = slices.DeleteFunc(d.sets, func(s draftSet) bool { return s.typ == t })
		gone = gone || len(d.sets) < before
	}
	if t != wire.TypeNSEC3 {
		remove(e.draft(owner, t, 0))
	}
	if t == wire.TypeRRSIG || t == wire.TypeNSEC3 {
		remove(e.draft(owner, wire.TypeNSEC3, wire.TypeNSEC3))
	}
	if !gone {
		return ErrNotThere
	}
	return nil
}

// Done makes the next version. The Edit may go on from there.
func (e *Edit) Done() (*Zone, error) {
	e.flush()
	return version(e.apex, e.class, e.names, e.hashes)
}

// check refuses what cannot be in the zone and says what an RRSIG covers.
func (e *Edit) check(owner wire.Name, t wire.Type, rdata []byte) (covered wire.Type, err error) {
	if !owner.IsSubdomainOf(e.apex) {
		return 0, ErrOutside
	}
	if t.IsMeta() && t != wire.TypeNXNAME {
		return 0, ErrType
	}
	if len(rdata) > maxRData {
		return 0, wire.ErrRData
	}
	if e.text, err = checkWire(e.text, t, rdata, e.class); err != nil {
		return 0, err
	}
	return coveredBy(t, rdata), nil
}

// coveredBy is the covered type of an RRSIG, else 0.
func coveredBy(t wire.Type, rdata []byte) wire.Type {
	if t == wire.TypeRRSIG {
		return wire.Type(binary.BigEndian.Uint16(rdata))
	}
	return 0
}

// draft takes the node of a record apart, if that has not happened yet.
func (e *Edit) draft(owner wire.Name, t, covered wire.Type) *draft {
	if t == wire.TypeRRSIG {
		t = covered
	}
	p := locate(e.key[:0], owner, e.apex, t)
	e.key = p.key
	which, in := 0, e.names
	if p.inHash {
		which, in = 1, e.hashes
	}
	if d := e.open[which][string(p.key)]; d != nil {
		if len(d.sets) == 0 {
			d.owner, d.flags = bytes.Clone(p.owner), p.flags
		}
		return d
	}
	if len(e.open[0])+len(e.open[1]) >= maxDrafts {
		e.flush()
		in = e.names
		if p.inHash {
			in = e.hashes
		}
	}
	d := &draft{owner: bytes.Clone(p.owner), flags: p.flags}
	if entry := in.find(p.key); entry != nil {
		d.read(entry)
	}
	e.open[which][string(p.key)] = d
	return d
}

// read takes an entry apart; the RDATA stays in the page.
func (d *draft) read(entry []byte) {
	d.owner, d.flags = nil, entryFlags(entry)&(flagHash|flagUpper)
	if entryFlags(entry)&flagOwner != 0 {
		at := keyEnd(entry) + 1
		d.owner = entry[at+1 : at+1+int(entry[at])]
	}
	for s := range nodeOf(entry).Sets() {
		ds := draftSet{typ: s.typ, covered: s.covered, ttl: s.ttl, rdatas: make([][]byte, 0, s.Len()+1)}
		for it := s.Iter(); it.Next(); {
			ds.rdatas = append(ds.rdatas, it.RData())
		}
		d.sets = append(d.sets, ds)
	}
}

// find is the index of a set, or where it belongs.
func (d *draft) find(t, covered wire.Type) (int, bool) {
	return slices.BinarySearchFunc(d.sets, 0, func(s draftSet, _ int) int {
		if s.typ != t {
			return int(s.typ) - int(t)
		}
		return int(s.covered) - int(covered)
	})
}

// encode writes the entry of a draft, or nil for one without records.
func (d *draft) encode(key string) []byte {
	if len(d.sets) == 0 {
		return nil
	}
	flags := d.flags
	for _, s := range d.sets {
		flags |= setFlags(s.typ, key == "" && d.flags&flagHash == 0)
	}
	out := appendHead(nil, []byte(key), flags, d.owner)
	for _, s := range d.sets {
		out = appendSet(out, s.typ, s.covered, s.ttl, s.rdatas)
	}
	return out
}

// flush writes the drafts to the trees.
func (e *Edit) flush() {
	for which, in := range []*tree{&e.names, &e.hashes} {
		changes := make([]change, 0, len(e.open[which]))
		for key, d := range e.open[which] {
			changes = append(changes, change{key: []byte(key), entry: d.encode(key)})
		}
		sort.Slice(changes, func(i, j int) bool { return bytes.Compare(changes[i].key, changes[j].key) < 0 })
		*in = in.apply(changes)
		clear(e.open[which])
	}
}
