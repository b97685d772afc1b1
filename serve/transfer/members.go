package transfer

import (
	"fmt"
	"slices"
	"strings"

	"anyu/dns/wire"
	"anyu/event"
)

// member says which catalog brought a zone. It is never changed.
type member struct {
	catalog wire.Name // lower case
	id      string
	owner   wire.Name // the catalog that may take it over
}

func (m *member) catalogText() string {
	if m == nil {
		return ""
	}
	return m.catalog.String()
}

// Catalogs tells of each member of a catalog, by its name in lower-case wire form, which catalog it belongs to.
func (r *Room) Catalogs() map[string]string {
	list := map[string]string{}
	for _, e := range r.all() {
		if m := e.member.Load(); m != nil {
			list[string(e.name)] = m.catalogText()
		}
	}
	return list
}

// applyCatalog makes the members of a catalog's version in service the zones we serve. A broken catalog changes nothing: its members
// stay (RFC 9432, Section 5.1). With wait it returns when copies on disk are served.
func (r *Room) applyCatalog(e *entry, wait bool) {
	r.catalogs.Lock()
	defer r.catalogs.Unlock()
	z := e.zone.Load()
	if z == nil || r.find(e.name) != e {
		return
	}
	list, err := readCatalog(z, r.limits.Members)
	if err != nil {
		r.troubled(e, kindCatalog, err, event.Fact{Name: "serial", Value: fmt.Sprint(z.Serial())})
		return
	}
	gone, conflicts := r.leave(e, list)
	for _, old := range gone {
		r.log.Info("zone left its catalog", "zone", old.text, "catalog", e.text)
		r.retire(old, true)
	}
	loaded := r.join(e, list)
	e.note(func(s *State) { s.Members = len(list) - len(conflicts) })
	if len(conflicts) > 0 {
		slices.Sort(conflicts)
		r.troubled(e, kindCatalog, fmt.Errorf("%d members are served from elsewhere, such as %s", len(conflicts), conflicts[0]))
	} else {
		r.settled(e, kindCatalog)
	}
	if wait {
		for _, c := range loaded {
			select {
			case <-c:
			case <-r.started.Done():
				return
			}
		}
	}
}

// leave takes out of the map the members that the catalog no longer has, or has under another id, which means that they begin anew
// (RFC 9432, Section 5.4). Names that it lists and that are not its own it drops from list and returns.
func (r *Room) leave(e *entry, list map[string]*listed) (gone []*entry, conflicts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, old := range r.zones {
		m, was := list[key], old.member.Load()
		if was == nil || !was.catalog.Equal(e.name) {
			if m == nil {
				continue
			}
			// RFC 9432, Section 4.3.1: a member changes its catalog only if the one it is in agrees.
			if was == nil || !was.owner.Equal(e.name) {
				conflicts = append(conflicts, old.text)
				delete(list, key)
				continue
			}
		}
		if m != nil && m.id == was.id {
			old.member.Store(&member{catalog: e.name, id: m.id, owner: m.owner})
			old.note(func(s *State) { s.Catalog = e.text })
			continue
		}
		delete(r.zones, key)
		gone = append(gone, old)
	}
	return gone, conflicts
}

// join puts the members in: new ones are fetched, old ones get the settings of their catalog.
func (r *Room) join(e *entry, list map[string]*listed) (loaded []chan struct{}) {
	conf := e.conf.Load()
	var fresh []*entry
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, m := range list {
		z := &Zone{
			Name: m.name, Primaries: conf.Primaries, Secondaries: conf.Secondaries, AllowTransfer: conf.AllowTransfer,
			AllowNotify: conf.AllowNotify, Accept: conf.Accept,
		}
		if old := r.zones[key]; old != nil {
			r.adjust(old, z)
			continue
		}
		fresh = append(fresh, r.put(z, &member{catalog: e.name, id: m.id, owner: m.owner}))
	}
	return r.begin(fresh)
}

// Members lists the zones of a catalog.
func (r *Room) Members(catalog wire.Name) []string {
	var names []string
	for _, e := range r.all() {
		if m := e.member.Load(); m != nil && m.catalog.Equal(catalog) {
			names = append(names, e.text)
		}
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
