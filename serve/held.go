package serve

import (
	"sync"
	"sync/atomic"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/authority"
	"anyu/serve/listen"
)

// Held is the zones that resolving asks here instead of at their servers: those that the server answers from, and some that clients do not
// see, as the local root (RFC 8806). It implements resolve.Local and is safe for concurrent use.
type Held struct {
	server *Server // may be nil
	change sync.Mutex
	hidden atomic.Pointer[map[string]*zone.Zone]
	rooms  sync.Pool
}

// NewHeld returns a Held with the zones of a server, which may be nil.
func NewHeld(s *Server) *Held {
	h := &Held{server: s}
	h.hidden.Store(&map[string]*zone.Zone{})
	h.rooms.New = func() any { return new(heldRoom) }
	return h
}

// heldRoom is what making one answer takes.
type heldRoom struct {
	responder authority.Responder
	builder   wire.Builder
	out       [listen.MaxMessage]byte
}

// Put holds a zone; nil means that it is to be asked nowhere else and cannot be asked here now.
func (h *Held) Put(name wire.Name, z *zone.Zone) {
	h.swap(func(m map[string]*zone.Zone) { m[string(name.AppendLower(nil))] = z })
}

// Remove lets a zone be asked at its servers again.
func (h *Held) Remove(name wire.Name) {
	h.swap(func(m map[string]*zone.Zone) { delete(m, string(name.AppendLower(nil))) })
}

func (h *Held) swap(edit func(map[string]*zone.Zone)) {
	h.change.Lock()
	defer h.change.Unlock()
	m := make(map[string]*zone.Zone)
	for k, v := range *h.hidden.Load() {
		m[k] = v
	}
	edit(m)
	h.hidden.Store(&m)
}

// find returns the zone with a name; ok tells whether it is held.
func (h *Held) find(lower wire.Name) (z *zone.Zone, ok bool) {
	if z, ok := (*h.hidden.Load())[string(lower)]; ok {
		return z, true
	}
	if h.server == nil {
		return nil, false
	}
	t := h.server.table.Load()
	if i, ok := t.byName[string(lower)]; ok && t.zones[i].Allow == nil { // one that not everybody may see is no help for everybody
		return t.zones[i].Zone, true
	}
	return nil, false
}

// Closest implements resolve.Local.
func (h *Held) Closest(name wire.Name) (apex wire.Name, ok bool) {
	for n := wire.Name(name.AppendLower(nil)); ; n = n.Parent() {
		if _, ok := h.find(n); ok {
			return n, true
		}
		if n.IsRoot() {
			return nil, false
		}
	}
}

// Own implements resolve.Local.
func (h *Held) Own(name wire.Name) bool {
	apex, ok := h.Closest(name)
	if !ok {
		return false
	}
	_, hidden := (*h.hidden.Load())[string(apex)]
	return !hidden
}

// Ask implements resolve.Local.
func (h *Held) Ask(apex wire.Name, q message.Question) *message.Message {
	z, ok := h.find(wire.Name(apex.AppendLower(nil)))
	if !ok || z == nil {
		return nil
	}
	room := h.rooms.Get().(*heldRoom)
	defer h.rooms.Put(room)
	b := &room.builder
	b.Reset(room.out[:])
	b.Question(q.Name, q.Type, q.Class)
	r := room.responder.Respond(z, q.Name, q.Type, true, true, b)
	flags := wire.FlagQR | uint16(r.Rcode&15)
	if r.AA {
		flags |= wire.FlagAA
	}
	m, err := message.Parse(b.Finish(0, flags))
	if err != nil {
		return nil
	}
	return m
}
