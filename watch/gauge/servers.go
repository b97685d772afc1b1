package gauge

import (
	"net/netip"
)

// maxServers bounds the addresses that were asked and are counted by name, of all sources together (stops: series without end from
// a capture in front of many servers). More are "other".
const maxServers = 256

// servers counts what was asked of each address.
type servers struct {
	index map[serverKey]int
	all   []server
	last  int // used last: mostly it is the same
}

type serverKey struct {
	source int
	addr   [16]byte
}

type server struct {
	serverKey
	other    bool
	outcomes [outcomes]uint64
}

func (t *servers) add(source int, addr *[16]byte, o Outcome) {
	if t.last < len(t.all) {
		if s := &t.all[t.last]; s.source == source && s.addr == *addr && !s.other {
			s.outcomes[o]++
			return
		}
	}
	key := serverKey{source, *addr}
	i, ok := t.index[key]
	if !ok {
		i = t.open(key)
	}
	t.last = i
	t.all[i].outcomes[o]++
}

// open gives an address its place, or that of the others of its source.
func (t *servers) open(key serverKey) int {
	if t.index == nil {
		t.index = map[serverKey]int{}
	}
	s := server{serverKey: key}
	if len(t.index) >= maxServers {
		for i := range t.all {
			if t.all[i].other && t.all[i].source == key.source {
				return i
			}
		}
		s.other, s.addr = true, [16]byte{}
	} else {
		t.index[key] = len(t.all)
	}
	t.all = append(t.all, s)
	return len(t.all) - 1
}

// Server is what was asked of one address since the start.
type Server struct {
	Source, Node, Address string

	Outcomes [4]uint64
}

// Servers are the addresses that were asked.
func (g *Gauge) Servers() []Server {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]Server, 0, len(g.servers.all))
	for _, s := range g.servers.all {
		one := Server{Source: g.sources[s.source].name, Node: g.sources[s.source].node, Address: other, Outcomes: s.outcomes}
		if !s.other {
			one.Address = netip.AddrFrom16(s.addr).Unmap().String()
		}
		list = append(list, one)
	}
	return list
}
