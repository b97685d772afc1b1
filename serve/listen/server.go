package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"anyu/event"
)

// Server listens on the addresses of a Config. Start, Reload, Drain and Close are for one owner; Statistics and Addresses
// are for anybody.
type Server struct {
	log      *slog.Logger
	streamer Streamer
	udpLanes []*lane // one a worker
	free     lanes   // for streams

	// Read by workers and connections, swapped by Reload.
	settings     atomic.Pointer[settings]
	certificates atomic.Pointer[certificates]
	open         atomic.Pointer[opened]

	// Shared by all connections.
	table     *table
	counters  [event.Transports]counters
	transfers atomic.Int64 // running, against Limits.Transfers
	requests  atomic.Int64 // running, against Limits.Requests
	memory    atomic.Int64 // octets held, against Limits.StreamMemory
	deferred  atomic.Int64 // messages whose reply is to come
	draining  atomic.Bool
	work      sync.WaitGroup // connections and workers

	impatient chan struct{} // closed when replies that come later are waited for no more
	patience  sync.Once

	// The owner's.
	mu     sync.Mutex // guards the rest; taken by Start, Reload, Drain and Close only
	config Config
	stop   context.CancelFunc // ends the certificate watch
}

// opened is what listens. It is never changed, only replaced whole, so that Statistics sees every total once.
type opened struct {
	groups  map[place]*group
	retired []*udpCounters // of sockets that a reload closed
}

// place is one configured address: the identity of its sockets over reloads.
type place struct {
	service service
	at      netip.AddrPort
}

type service string

const (
	servicePlain service = "dns"
	serviceTLS   service = "tls"
	serviceHTTPS service = "https"
	serviceHTTP2 service = "https without http/3"
	serviceQUIC  service = "quic"
	serviceHTTP  service = "plain http"
)

// group is the sockets of one place, all on the same address and port.
type group struct {
	bound     netip.AddrPort
	endpoints []endpoint
}

// endpoint is a listening socket. drain stops taking new work, finishes what was received and closes the socket; it
// returns at the end of ctx even if not finished. close does not wait.
type endpoint interface {
	drain(ctx context.Context)
	close()
}

// ErrStopped is returned by calls after Drain or Close.
var ErrStopped = errors.New("server is stopped")

// New prepares a server. answerer is called here, 2 x Workers times, and never again.
func New(c Config, answerer func() Answerer, streamer Streamer, log *slog.Logger) (*Server, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{log: log, streamer: streamer, table: newTable(), config: c, impatient: make(chan struct{})}
	for range c.Workers {
		s.udpLanes = append(s.udpLanes, &lane{answerer: answerer()})
	}
	s.free = newLanes(c.Workers, answerer)
	s.open.Store(&opened{})
	return s, nil
}

// Start opens every socket and begins to answer. On error nothing is left open.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return errors.New("server is already started")
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if err := s.apply(s.config); err != nil {
		stop()
		s.stop = nil
		return err
	}
	s.work.Add(1)
	go s.watchCertificates(ctx)
	return nil
}

// Reload takes a new configuration. Sockets whose address stays are not touched: no query is lost. Added addresses are opened
// first; if one of them fails, or the certificate does not load, nothing changes. Removed ones answer what they have received.
func (s *Server) Reload(c Config) error {
	c, err := c.complete()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil || s.draining.Load() {
		return ErrStopped
	}
	if c.Workers != s.config.Workers || c.PinCPUs != s.config.PinCPUs {
		return errors.New("workers and CPU binding cannot change while running: restart the server")
	}
	return s.apply(c)
}

// Addresses are the bound addresses of a configured one, with the port that the system chose for port 0.
func (s *Server) Addresses() []Address {
	var all []Address
	for p, g := range s.open.Load().groups {
		all = append(all, Address{Service: string(p.service), Configured: p.at, Bound: g.bound})
	}
	return all
}

// Address is a place where the server listens. Service is dns, tls, https, quic or plain http.
type Address struct {
	Service           string
	Configured, Bound netip.AddrPort
}

// Drain stops accepting, answers what was received, lets transfers end and closes connections as they fall silent. At the end of
// ctx the rest is cut and ctx's error returned.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil {
		return nil
	}
	s.draining.Store(true)
	s.losePatience(laterDrain)
	drainAll(ctx, s.open.Load().groups)
	done := make(chan struct{})
	s.stop()
	go func() { s.work.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("draining: connections were cut: %w", ctx.Err())
	}
	s.end(done)
	return err
}

// Close stops at once.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil {
		return
	}
	s.draining.Store(true)
	s.stop()
	done := make(chan struct{})
	go func() { s.work.Wait(); close(done) }()
	s.end(done)
}

// end closes what is open and waits for its goroutines. A Streamer that does not return is left behind after a second.
func (s *Server) end(done <-chan struct{}) {
	s.losePatience(0)
	for _, g := range s.open.Load().groups {
		for _, e := range g.endpoints {
			e.close()
		}
	}
	for s.table.shrink() {
	}
	select {
	case <-done:
	case <-time.After(time.Second):
	}
	s.stop = nil
	last := s.open.Load()
	s.open.Store(&opened{retired: retire(last.retired, last.groups)})
}

// apply makes the running state what c says.
func (s *Server) apply(c Config) error {
	certs, err := s.certificatesFor(c)
	if err != nil {
		return err
	}
	now := s.open.Load()
	// Connections on a new socket must find the new settings and certificate.
	before, certsBefore := s.settings.Load(), s.certificates.Load()
	s.settings.Store(c.settings())
	s.certificates.Store(certs)
	next, err := s.openAll(c, now.groups)
	if err != nil {
		s.settings.Store(before)
		s.certificates.Store(certsBefore)
		return err
	}
	removed := make(map[place]*group)
	for p, g := range now.groups {
		if next[p] == nil {
			removed[p] = g
		}
	}
	s.config = c
	s.open.Store(&opened{groups: next, retired: retire(now.retired, removed)})
	if len(removed) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), c.Limits.Idle)
		defer cancel()
		drainAll(ctx, removed)
	}
	return nil
}

// openAll returns the groups that c wants: those of old that stay, and new ones. On error the new ones are closed again.
func (s *Server) openAll(c Config, old map[place]*group) (map[place]*group, error) {
	next := make(map[place]*group)
	for _, p := range c.places() {
		if next[p] != nil {
			continue // named twice
		}
		if next[p] = old[p]; next[p] != nil {
			continue
		}
		g, err := s.openGroup(p, c, old)
		if err != nil {
			delete(next, p)
			giveUp(next, old)
			return nil, err
		}
		next[p] = g
	}
	return next, nil
}

// retire adds the counters of removed UDP sockets to a list, so that totals never go back.
func retire(list []*udpCounters, removed map[place]*group) []*udpCounters {
	list = slices.Clone(list)
	for _, g := range removed {
		for _, e := range g.endpoints {
			if u, ok := e.(*udpSocket); ok {
				list = append(list, &u.counters)
			}
		}
	}
	return list
}

func (c Config) places() []place {
	var all []place
	add := func(service service, list []netip.AddrPort) {
		for _, a := range list {
			all = append(all, place{service, netip.AddrPortFrom(a.Addr().Unmap(), a.Port())})
		}
	}
	https := serviceHTTPS
	if c.NoHTTP3 {
		https = serviceHTTP2
	}
	add(servicePlain, c.Plain)
	add(serviceTLS, c.TLS)
	add(https, c.HTTPS)
	add(serviceQUIC, c.QUIC)
	add(serviceHTTP, c.PlainHTTP)
	return all
}

func (c Config) settings() *settings {
	l := c.Limits
	if most := descriptorLimit() - reservedDescriptors; l.Connections > most {
		l.Connections = max(most, 16)
	}
	return &settings{limits: l, proxies: c.Proxies, httpProxies: c.HTTPProxies, httpPath: c.HTTPPath}
}

// reservedDescriptors are left to zone files, logs and outgoing connections when RLIMIT_NOFILE is the bound.
const reservedDescriptors = 256

// giveUp closes the groups that are not in old. They may have received queries already, which are answered.
func giveUp(groups, old map[place]*group) {
	fresh := make(map[place]*group)
	for p, g := range groups {
		if old[p] != g {
			fresh[p] = g
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	drainAll(ctx, fresh)
}

func drainAll(ctx context.Context, groups map[place]*group) {
	var all sync.WaitGroup
	for _, g := range groups {
		for _, e := range g.endpoints {
			all.Go(func() { e.drain(ctx) })
		}
	}
	all.Wait()
}
