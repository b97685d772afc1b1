package listen

import (
	"container/list"
	"net/netip"
	"sync"
	"sync/atomic"
)

// table knows every open connection and makes room. When it is full, the idlest connection goes, not the new one: a
// client that holds thousands of silent connections cannot keep others out.
//
// Two classes: silent connections have not asked anything yet, the others have proved of use. Silent ones are closed
// first once they take half of the table, so a flood of new connections from many addresses leaves asking clients alone.
//
// Order is kept lazily. A connection in use only stamps its own atomic; a list is put right when somebody looks for
// its idlest entry: the front is the idlest if its stamp has not moved since it was queued, else it is queued again.
type table struct {
	mu      sync.Mutex
	silent  list.List // of *member, in order of queued
	asking  list.List
	clients map[netip.Prefix]*list.List // of *member; closed for a client above its own limit

	evicted atomic.Uint64
}

// member is one connection's place in the table.
type member struct {
	active atomic.Int64 // ns since 1970, the last message received or sent
	kill   func()       // closes the connection from any goroutine, without waiting

	// Guarded by table.mu.
	queued     int64 // active when it was put into its list
	asks       bool
	place      *list.Element
	client     netip.Prefix // invalid: not counted for a client (a trusted proxy)
	ofClient   *list.Element
	clientTime int64 // active when it was put into the client's list
}

func newTable() *table { return &table{clients: make(map[netip.Prefix]*list.List)} }

// clientPrefix is what counts as one client: an IPv4 address, an IPv6 /56, the least that a household gets.
func clientPrefix(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 56
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// add takes a new connection in and closes others where that exceeds a limit.
func (t *table) add(m *member, client netip.Prefix, l *Limits, now int64) {
	m.active.Store(now)
	t.mu.Lock()
	victim := t.overfull(l)
	m.queued = now
	m.place = t.silent.PushBack(m)
	ofClient := t.join(m, client, l)
	t.mu.Unlock()
	t.close(victim)
	t.close(ofClient)
}

// moved puts the connection under another client: the one that a PROXY header named.
func (t *table) moved(m *member, client netip.Prefix, l *Limits) {
	t.mu.Lock()
	var victim *member
	if m.place != nil {
		t.leave(m)
		victim = t.join(m, client, l)
	}
	t.mu.Unlock()
	t.close(victim)
}

// asked says that the connection has sent its first whole message.
func (t *table) asked(m *member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.place == nil || m.asks {
		return
	}
	t.silent.Remove(m.place)
	m.asks = true
	m.queued = m.active.Load()
	m.place = t.asking.PushBack(m)
}

// remove takes a connection out. A second call does nothing.
func (t *table) remove(m *member) {
	t.mu.Lock()
	t.drop(m)
	t.mu.Unlock()
}

// shrink closes the idlest connection. It tells whether there was one.
func (t *table) shrink() bool {
	t.mu.Lock()
	victim := t.idlest()
	if victim != nil {
		t.drop(victim)
	}
	t.mu.Unlock()
	t.close(victim)
	return victim != nil
}

// size is the number of connections in the table.
func (t *table) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.silent.Len() + t.asking.Len()
}

func (t *table) close(victim *member) {
	if victim != nil {
		t.evicted.Add(1)
		victim.kill()
	}
}

// overfull makes room for one more connection and returns whom to close for it.
func (t *table) overfull(l *Limits) *member {
	if t.silent.Len()+t.asking.Len() < l.Connections {
		return nil
	}
	victim := t.idlest()
	if t.silent.Len() > l.Connections/2 {
		victim = front(&t.silent, byQueue)
	}
	if victim != nil {
		t.drop(victim)
	}
	return victim
}

func (t *table) idlest() *member {
	a, b := front(&t.silent, byQueue), front(&t.asking, byQueue)
	if a == nil || b != nil && b.queued < a.queued {
		return b
	}
	return a
}

// join counts m for its client and returns the client's idlest connection if that is one too many.
func (t *table) join(m *member, client netip.Prefix, l *Limits) *member {
	m.client = client
	if !client.IsValid() {
		return nil
	}
	mine := t.clients[client]
	if mine == nil {
		mine = list.New()
		t.clients[client] = mine
	}
	var victim *member
	if mine.Len() >= l.ClientConnections {
		if victim = front(mine, byClient); victim != nil {
			t.drop(victim)
			t.clients[client] = mine // drop may have taken the empty list away
		}
	}
	m.clientTime = m.active.Load()
	m.ofClient = mine.PushBack(m)
	return victim
}

func (t *table) leave(m *member) {
	if m.ofClient == nil {
		return
	}
	mine := t.clients[m.client]
	mine.Remove(m.ofClient)
	m.ofClient = nil
	if mine.Len() == 0 {
		delete(t.clients, m.client)
	}
}

func (t *table) drop(m *member) {
	if m.place == nil {
		return
	}
	if m.asks {
		t.asking.Remove(m.place)
	} else {
		t.silent.Remove(m.place)
	}
	m.place = nil
	t.leave(m)
}

func byQueue(m *member) *int64  { return &m.queued }
func byClient(m *member) *int64 { return &m.clientTime }

// front is the idlest member of a list. Each entry that is queued again has been active since, which pays for it.
func front(l *list.List, stamp func(*member) *int64) *member {
	for {
		e := l.Front()
		if e == nil {
			return nil
		}
		m := e.Value.(*member)
		now := m.active.Load()
		if *stamp(m) == now {
			return m
		}
		*stamp(m) = now
		l.MoveToBack(e)
	}
}
