package event

import "sync"

// Names numbers the zones an observation may point at, so that the hot path writes four octets and not a name.
// Numbers are never reused in one run: a late observation of a removed zone still finds its name.
type Names struct {
	mu    sync.RWMutex
	ids   map[string]uint32
	names []string
}

// NewNames returns a numbering in which 0 means "no zone".
func NewNames() *Names { return &Names{ids: map[string]uint32{}, names: []string{""}} }

// ID numbers a name, in lower-case presentation form with the trailing dot.
func (n *Names) ID(name string) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	id, ok := n.ids[name]
	if !ok {
		id = uint32(len(n.names))
		n.ids[name], n.names = id, append(n.names, name)
	}
	return id
}

// Name is the name behind a number; "" for 0 and for numbers never given.
func (n *Names) Name(id uint32) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if int(id) < len(n.names) {
		return n.names[id]
	}
	return ""
}
