package transfer

import (
	"path/filepath"
	"slices"

	"anyu/dns/tsig"
	"anyu/dns/wire"
)

// Configure takes the zones and keys of a configuration. Zones that stay keep their data and their timers; secondaries that are new
// are loaded from disk and fetched once Start was called.
func (r *Room) Configure(zones []Zone, keys []*tsig.Key) {
	r.catalogs.Lock()
	defer r.catalogs.Unlock()
	wanted := make(map[string]*Zone, len(zones))
	for i := range zones {
		wanted[string(lowerName(zones[i].Name))] = &zones[i]
	}
	for _, e := range r.drop(wanted, keys) {
		r.retire(e, false)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var fresh []*entry
	for key, z := range wanted {
		if e := r.zones[key]; e != nil {
			r.adjust(e, z)
			continue
		}
		fresh = append(fresh, r.put(z, nil))
	}
	r.begin(fresh)
}

// drop takes the keys, and out of the map what is no longer wanted or changes its role. Members go with their catalog.
func (r *Room) drop(wanted map[string]*Zone, keys []*tsig.Key) (gone []*entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = make(map[string]*tsig.Key, len(keys))
	for _, k := range keys {
		r.keys[string(lowerName(k.Name))] = k
	}
	for key, e := range r.zones {
		z := wanted[key]
		if m := e.member.Load(); m != nil {
			if c := wanted[string(m.catalog)]; z == nil && c != nil && c.Catalog {
				continue
			}
		} else if z != nil && e.secondary() == (len(z.Primaries) > 0) {
			continue
		}
		delete(r.zones, key)
		gone = append(gone, e)
	}
	return gone
}

// put makes a new entry. r.mu is held.
func (r *Room) put(z *Zone, of *member) *entry {
	e := &entry{name: lowerName(z.Name), poke: make(chan notice, 1), ended: make(chan struct{})}
	e.text = e.name.String()
	e.conf.Store(z)
	e.member.Store(of)
	e.state = State{Name: e.text, Role: rolePrimary, Catalog: of.catalogText()}
	if e.secondary() {
		e.state.Role = roleSecondary
	}
	var err error
	if e.journal, err = openJournal(filepath.Join(r.opts.Dir, folder(e.name)), r.limits.Journal); err != nil {
		r.troubled(e, kindJournal, err)
	}
	if of != nil {
		if m := e.journal.recall(); m.ID != "" && m.ID != of.id {
			// RFC 9432, Section 5.4: the id changed while we were away.
			if err := e.journal.remove(); err != nil {
				r.troubled(e, kindJournal, err)
			}
		}
	}
	r.zones[string(e.name)] = e
	return e
}

// begin serves new secondaries as not loaded, and runs them once Start was called. The channels are closed when copies on disk are
// served. r.mu is held.
func (r *Room) begin(fresh []*entry) (loaded []chan struct{}) {
	var list []Served
	for _, e := range fresh {
		if e.secondary() {
			list = append(list, Served{Name: e.name, Catalog: e.member.Load().catalogText(), Why: "zone is not loaded yet"})
		}
	}
	if len(list) > 0 {
		r.opts.Publish(list)
	}
	for _, e := range fresh {
		if e.secondary() && r.started != nil {
			loaded = append(loaded, r.keep(e))
		}
	}
	return loaded
}

// adjust gives an entry its new settings. A secondary whose primaries changed asks them at once.
func (r *Room) adjust(e *entry, z *Zone) {
	old := e.conf.Swap(z)
	sameRemote := func(a, b Remote) bool { return a.same(&b) }
	if e.secondary() && !slices.EqualFunc(old.Primaries, z.Primaries, sameRemote) {
		e.wake(notice{})
	}
}

// retire stops what runs for an entry that is no longer in the map. purge deletes its data on disk.
func (r *Room) retire(e *entry, purge bool) {
	e.mu.Lock()
	stop, telling := e.stop, e.telling
	e.mu.Unlock()
	if telling != nil {
		telling()
	}
	if stop != nil {
		stop()
		<-e.ended
	}
	if e.secondary() {
		r.opts.Withdraw([]wire.Name{e.name})
		r.settled(e, kindTransfer)
		r.settled(e, kindExpired)
		r.settled(e, kindCatalog)
	}
	if purge {
		if err := e.journal.remove(); err != nil {
			r.log.Warn("journal left behind", "zone", e.text, "error", err)
		}
	}
}
