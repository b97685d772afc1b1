package serve

import (
	"encoding/binary"
	"sync/atomic"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/fast"
	"anyu/serve/filter"
)

// Zone is one zone as it is served.
type Zone struct {
	Name   wire.Name   // lower case
	Zone   *zone.Zone  // nil: not loaded yet or expired
	Why    string      // why Zone is nil, for the client (EDE EXTRA-TEXT)
	Allow  *filter.ACL // who may ask; nil: everybody that Config.Clients allows
	Number uint32      // in observations, see event.Names
	Local  bool        // always there (RFC 6303, RFC 6761), not configured
	// Expires is when a secondary stops to answer, seconds since 1970; nil for a primary.
	Expires *atomic.Int64

	version uint32
}

// Table is all zones at one moment. It is never changed; a new one takes its place.
type Table struct {
	epoch  uint32
	zones  []Zone
	byName map[string]int32 // configured zones
	local  map[string]int32
	// guarded: some zone has a list of who may ask.
	guarded bool
}

// current tells whether an answer made from stamp is still right.
func (t *Table) current(s fast.Stamp) bool {
	return s.Zones == t.epoch && int(s.Zone) < len(t.zones) && t.zones[s.Zone].version == s.Version
}

// find returns the index of the zone to answer from, or -1. A question for DS belongs to the parent's side of the cut, if
// we serve the parent (RFC 4035, Section 3.1.4.1; cases 31, 32). room is scratch for the name in lower case.
//
// Zones that are always there give way to configured ones that hold the name: who serves the root also serves 10.in-addr.arpa.
func (t *Table) find(name wire.Name, typ wire.Type, room []byte) int {
	lower := wire.Name(name.AppendLower(room))
	if typ == wire.TypeDS && !lower.IsRoot() {
		if i := closest(t.byName, lower.Parent()); i >= 0 && t.zones[i].hasCut(lower) {
			return i
		}
	}
	if i := closest(t.byName, lower); i >= 0 {
		return i
	}
	return closest(t.local, lower)
}

// hasCut tells whether a zone delegates name: only then has it anything to say about its DS.
func (z *Zone) hasCut(name wire.Name) bool {
	if z.Zone == nil {
		return false
	}
	var room [2*wire.MaxName + 2]byte
	node, ok := z.Zone.Find(wire.AppendKey(room[:0], name, z.Zone.Apex()))
	return ok && node.IsCut()
}

func closest(zones map[string]int32, n wire.Name) int {
	if len(zones) == 0 {
		return -1
	}
	for {
		if i, ok := zones[string(n)]; ok {
			return int(i)
		}
		if n.IsRoot() {
			return -1
		}
		n = n.Parent()
	}
}

// Get returns the zone with this name.
func (t *Table) Get(name wire.Name) (Zone, bool) {
	var room [wire.MaxName + 1]byte
	if i, ok := t.byName[string(name.AppendLower(room[:0]))]; ok {
		return t.zones[i], true
	}
	return Zone{}, false
}

// All are the configured zones, in no particular order.
func (t *Table) All() []Zone {
	list := make([]Zone, 0, len(t.byName))
	for _, i := range t.byName {
		list = append(list, t.zones[i])
	}
	return list
}

// expire is the EXPIRE option for a question for the SOA of a zone: how long its copy here is good, of a primary the EXPIRE of
// the SOA (RFC 7314, Section 3.2); -1 where there is none to tell.
func (t *Table) expire(name wire.Name, now int64) int64 {
	z, ok := t.Get(name)
	if !ok || z.Zone == nil {
		return -1
	}
	if z.Expires != nil {
		return max(0, z.Expires.Load()-now)
	}
	soa, _ := z.Zone.ApexNode().Set(wire.TypeSOA)
	timers := soa.First()
	return int64(binary.BigEndian.Uint32(timers[len(timers)-8:]))
}

// Change is a set of zones to put or remove at once.
type Change struct {
	Put    []Zone
	Remove []wire.Name
}

// with returns the table after a change. The epoch moves only when the set of zones does, so that an update of one zone
// leaves the compiled answers of the others alone.
func (t *Table) with(c Change) *Table {
	n := &Table{epoch: t.epoch, zones: t.zones, byName: t.byName, local: t.local}
	n.zones = append([]Zone(nil), t.zones...)
	moved := false
	for _, z := range c.Put {
		z.Name = wire.Name(z.Name.AppendLower(nil))
		names := n.byName
		if z.Local {
			names = n.local
		}
		if i, ok := names[string(z.Name)]; ok {
			z.version = n.zones[i].version + 1
			n.zones[i] = z
			continue
		}
		moved = true
		n.zones = append(n.zones, z)
	}
	removed := map[string]bool{}
	for _, name := range c.Remove {
		key := string(name.AppendLower(nil))
		if _, ok := n.byName[key]; ok {
			removed[key], moved = true, true
		}
	}
	if moved {
		n.epoch++
		n.index(removed)
	}
	for i := range n.zones {
		n.guarded = n.guarded || n.zones[i].Allow != nil
	}
	return n
}

// index drops the removed zones and rebuilds the maps.
func (t *Table) index(removed map[string]bool) {
	kept := make([]Zone, 0, len(t.zones))
	byName, local := make(map[string]int32, len(t.zones)), make(map[string]int32, 64)
	for _, z := range t.zones {
		key := string(z.Name)
		if z.Local {
			local[key] = int32(len(kept))
		} else if removed[key] {
			continue
		} else {
			byName[key] = int32(len(kept))
		}
		kept = append(kept, z)
	}
	t.zones, t.byName, t.local = kept, byName, local
}
