package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"anyu/dns/tsig"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
)

// Options are what a Room needs from outside.
type Options struct {
	// Dir is the folder of the journals.
	Dir string
	// Publish puts versions of secondaries into service, Withdraw takes zones out of it.
	Publish  func([]Served)
	Withdraw func([]wire.Name)
	// Findings takes what people should know; nil: nobody.
	Findings event.Sink
	Node     string
	Log      *slog.Logger
	Limits   Limits
	// Now, Dial and Random are the clock, the network and the source of message IDs. nil: the system's.
	Now    func() time.Time
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Random func() uint32
}

// Served is a secondary as it is to be served; where Zone is nil, Why says why there is none. Expires is kept up to date: when the
// zone expires, seconds since 1970. Catalog is the catalog zone that a member belongs to, in lower case; "" for others.
type Served struct {
	Name    wire.Name
	Catalog string
	Zone    *zone.Zone
	Why     string
	Expires *atomic.Int64
	Heard   time.Time // when this version was first heard of, by NOTIFY or from a primary; zero: it is a copy that was here
}

// Room holds all zones that are moved.
type Room struct {
	opts   Options
	limits Limits
	log    *slog.Logger

	mu      sync.RWMutex
	zones   map[string]*entry // by lower-case wire name
	keys    map[string]*tsig.Key
	started context.Context

	catalogs sync.Mutex // one change of the set of zones at a time; taken before mu

	fetching chan struct{} // Limits.Transfers
	asking   chan struct{} // questions for a SOA at a time
	telling  chan struct{} // NOTIFY exchanges at a time
	loading  chan struct{}
	running  sync.WaitGroup

	// refusedAt is the second of the last NOTIFY from a stranger. One a second is logged: they come from made-up addresses, and the
	// worker that writes the line answers nobody meanwhile.
	refusedAt atomic.Int64
}

// maxAsking bounds the questions for a SOA at a time: after a long stop all secondaries want to ask at once, a socket each.
const maxAsking = 256

// maxTelling bounds the NOTIFY exchanges at a time: a reload of 100,000 zones must not open as many sockets.
const maxTelling = 64

// entry is one zone.
type entry struct {
	name    wire.Name // lower case
	text    string
	conf    atomic.Pointer[Zone]
	zone    atomic.Pointer[zone.Zone] // nil: not loaded, or expired
	expires atomic.Int64              // secondary: seconds since 1970, 0 unknown
	journal *journal
	member  atomic.Pointer[member] // nil for a configured zone

	poke   chan notice // to the keeper of a secondary
	stop   context.CancelFunc
	ended  chan struct{}
	change sync.Mutex // one version at a time

	mu      sync.Mutex
	state   State
	telling context.CancelFunc
}

// notice is why a keeper wakes up before its time.
type notice struct {
	from   netip.Addr
	serial uint32
	known  bool // serial was told
	force  bool // a person asks: fetch the whole zone
}

// New returns a Room without zones.
func New(o Options) *Room {
	r := &Room{opts: o, limits: o.Limits.withDefaults(), log: o.Log, zones: map[string]*entry{}, keys: map[string]*tsig.Key{}}
	if r.opts.Now == nil {
		r.opts.Now = time.Now
	}
	if r.opts.Dial == nil {
		r.opts.Dial = (&net.Dialer{}).DialContext
	}
	if r.opts.Random == nil {
		r.opts.Random = randomID
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.fetching = make(chan struct{}, r.limits.Transfers)
	r.asking = make(chan struct{}, maxAsking)
	r.telling = make(chan struct{}, maxTelling)
	r.loading = make(chan struct{}, runtime.GOMAXPROCS(0))
	return r
}

func (r *Room) now() time.Time { return r.opts.Now() }

// key finds a TSIG key by its name in lower-case wire form.
func (r *Room) key(name string) *tsig.Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[name]
}

// find returns the zone with exactly this name.
func (r *Room) find(name wire.Name) *entry {
	var room [wire.MaxName + 1]byte
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.zones[string(name.AppendLower(room[:0]))]
}

func (r *Room) all() []*entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]*entry, 0, len(r.zones))
	for _, e := range r.zones {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int { return strings.Compare(a.text, b.text) })
	return list
}

func lowerName(n wire.Name) wire.Name { return n.AppendLower(nil) }

func (e *entry) secondary() bool { return len(e.conf.Load().Primaries) > 0 }

// wake hands a notice to the keeper. One waits at a time, and says what all that came meanwhile say: of two serials the newer one
// (RFC 1996, Section 4.4: what comes while a version is fetched may be about the next), and a person's wish.
func (e *entry) wake(n notice) {
	for {
		select {
		case e.poke <- n:
			return
		default:
		}
		select {
		case waiting := <-e.poke:
			n = n.and(waiting)
		default:
		}
	}
}

// and makes one notice of two.
func (n notice) and(before notice) notice {
	if n.known && before.known && !newer(n.serial, before.serial) {
		n.from, n.serial = before.from, before.serial
	}
	n.known = n.known && before.known
	n.force = n.force || before.force
	return n
}

// Start runs the secondaries until ctx ends. It returns when all that have a copy on disk serve it; what has none is fetched in
// the background.
func (r *Room) Start(ctx context.Context) {
	r.mu.Lock()
	r.started = ctx
	var loaded []chan struct{}
	for _, e := range r.zones {
		if e.secondary() {
			loaded = append(loaded, r.keep(e))
		}
	}
	r.mu.Unlock()
	for _, c := range loaded {
		select {
		case <-c:
		case <-ctx.Done():
			return
		}
	}
}

// Wait returns when everything that Start began has ended, after its context.
func (r *Room) Wait() { r.running.Wait() }

// Published takes note of a new version of a primary zone: its history grows, its secondaries are told.
func (r *Room) Published(name wire.Name, old, fresh *zone.Zone) {
	e := r.find(name)
	if e == nil || e.secondary() {
		return
	}
	e.change.Lock()
	defer e.change.Unlock()
	var err error
	switch {
	case old != nil && newer(fresh.Serial(), old.Serial()):
		if err = e.journal.append(old, fresh); errors.Is(err, errTooLong) {
			r.log.Info("change is too large for the history, secondaries will fetch the whole zone", "zone", e.text)
			err = nil
		}
	case !e.journal.fits(fresh) || old != nil && old != fresh:
		// The file was changed while we were away, or its serial did not rise: the history leads elsewhere.
		err = e.journal.clear()
	}
	if err != nil {
		r.troubled(e, kindJournal, err)
	} else {
		r.settled(e, kindJournal)
	}
	e.zone.Store(fresh)
	e.note(func(s *State) { s.Serial, s.Steps = fresh.Serial(), e.journal.depth() })
	if old == nil || old.Serial() != fresh.Serial() {
		r.tell(e, fresh.Serial())
	}
}

// since returns the steps of the history from a serial to the version in service.
func (e *entry) since(from, to uint32) *history { return e.journal.read(from, to) }

// expireOption is the EXPIRE a client is told: our own remaining time, or of a primary the SOA's (RFC 7314, Section 3.2).
func (e *entry) expireOption(q *wire.Query, z *zone.Zone, now time.Time) int64 {
	if q.Wants&wire.WantsExpire == 0 {
		return -1
	}
	if e.secondary() {
		return max(0, e.expires.Load()-now.Unix())
	}
	_, soa := soaOf(z)
	return int64(timersOf(soa).expire / time.Second)
}

// Transfer makes a secondary fetch its zone whole, now.
func (r *Room) Transfer(name wire.Name) error {
	e := r.find(name)
	if e == nil || !e.secondary() {
		return fmt.Errorf("%v is no secondary zone of this node", name)
	}
	e.wake(notice{force: true})
	return nil
}

// Notify tells the secondaries of a zone about its version again.
func (r *Room) Notify(name wire.Name) error {
	e := r.find(name)
	if e == nil {
		return fmt.Errorf("%v is no zone of this node", name)
	}
	z := e.zone.Load()
	if z == nil || len(e.conf.Load().Secondaries) == 0 {
		return fmt.Errorf("%v is not loaded or has no secondaries to tell", name)
	}
	r.tell(e, z.Serial())
	return nil
}
