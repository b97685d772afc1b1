package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"anyu/config"
	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/lab"
	"anyu/lab/internet"
	"anyu/serve"
	"anyu/serve/resolve"
	"anyu/serve/validate"
)

const (
	// labSeed makes every demonstration the same one.
	labSeed = 20261123
	// labZones are the registered names of the simulated Internet.
	labZones = 100_000
	// labNames are the names that its users know, labRate how many questions a second they ask, labUsers how many they are.
	labNames = 5_000
	labRate  = 40
	labUsers = 20
)

// simulation is the simulated Internet that a node with --lab lives in: its servers, on one port of loopback that is not 53, so that no root is
// needed.
type simulation struct {
	world   *internet.World
	service *internet.Service
}

// openSimulation starts the servers.
func (n *Node) openSimulation(ctx context.Context) error {
	if !n.opts.Lab {
		return nil
	}
	w, err := internet.New(labSeed, labZones)
	if err != nil {
		return fmt.Errorf("opening the lab: %w", err)
	}
	s, err := w.Serve(ctx, internet.ServeConfig{AnyPort: true, Workers: 1, Log: n.opts.Log})
	if err != nil {
		return fmt.Errorf("opening the lab: %w", err)
	}
	n.simulation = &simulation{w, s}
	return nil
}

// planRecursion reads the configuration of the resolver. In the lab, the root is the simulated one, and its servers' addresses are let through the
// guards against loopback and private addresses.
func (n *Node) planRecursion(c *config.Config) (*recursionPlan, error) {
	if n.simulation == nil {
		return planRecursion(c, time.Now())
	}
	return n.simulation.plan(c)
}

func (s *simulation) plan(c *config.Config) (*recursionPlan, error) {
	here, no := *c, false
	r := &here.Recursion
	prefix := s.world.Config().Prefix
	r.Permitted = append(append([]netip.Prefix(nil), r.Permitted...), prefix)
	r.IPv6 = &no
	r.Validation.Update = &no // its keys do not change, and must not be kept among the real ones
	r.Validation.Anchors, r.Hints, r.LocalRoot = nil, "", config.LocalRoot{}
	p, err := planRecursion(&here, time.Now())
	if err != nil || p.conf.Off {
		return p, err
	}
	p.resolve.Port, p.resolve.Hints = s.service.Port, nil
	for _, h := range s.world.Hints() {
		host := resolve.Host{Name: h.Name}
		for _, a := range h.Addresses {
			host.Addresses = append(host.Addresses, netip.AddrPortFrom(a, s.service.Port))
		}
		p.resolve.Hints = append(p.resolve.Hints, host)
	}
	p.resolve.Forbidden = func(a netip.Addr) bool { return !prefix.Contains(a) } // nothing leaves the lab
	p.anchors = map[string][]validate.Anchor{}
	for _, ds := range s.world.Anchors() {
		p.anchors["."] = append(p.anchors["."], validate.Anchor{Zone: wire.Root(), Type: wire.TypeDS, Data: ds})
	}
	p.digest()
	return p, nil
}

func (s *simulation) close() {
	if s != nil {
		s.service.Close()
	}
}

// openLab serves the zones of the lab and returns what starts its clients.
func (n *Node) openLab(ctx context.Context) (clients func(context.Context), err error) {
	list := lab.Zones(labSeed)
	for i := range list {
		start := time.Now()
		z, err := list[i].Load(ctx)
		if err != nil {
			return nil, err
		}
		name, _ := wire.ParseName(list[i].Name)
		p := &primary{name: name, zone: z, state: ZoneState{Name: canonical(name), Role: "lab", State: "ok"}}
		p.measure(z, time.Since(start))
		n.zones.fixed = append(n.zones.fixed, p.state)
		n.server.Change(serve.Change{Put: []serve.Zone{p.served()}})
	}
	fmt.Fprintf(n.opts.Out, "lab          %d zones under lab. and simulated clients; try: dig @%s -p %d www.shop.lab\n", len(list), n.door().Addr(), n.door().Port())
	users, err := n.openUsers()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		if users != nil {
			n.work.Go(func() { users.run(ctx) })
		}
		// The first zone delegates to servers that are not there: who resolves fails.
		if err := lab.Clients(ctx, labSeed, list[1:], n.door()); err != nil {
			n.opts.Log.Error("the lab's clients stopped", "error", err)
		}
	}, nil
}

// users ask for names of the simulated Internet: a few names often, most rarely.
type users struct {
	r     *rand.Rand
	names []internet.Question
	conns []net.Conn
}

// openUsers is nil where nothing is resolved.
func (n *Node) openUsers() (*users, error) {
	if n.resolver() == nil {
		return nil, nil
	}
	u := &users{r: rand.New(rand.NewPCG(labSeed, 3))}
	for q := range n.simulation.world.Questions(labNames) {
		u.names = append(u.names, q)
	}
	for i := range labUsers {
		d := net.Dialer{}
		if n.door().Addr().Is4() && n.door().Addr().IsLoopback() {
			d.LocalAddr = &net.UDPAddr{IP: net.IPv4(127, 1, 1, byte(i+1))}
		}
		conn, err := d.Dial("udp", n.door().String())
		if err != nil {
			return nil, fmt.Errorf("starting the lab's users: %w", err)
		}
		u.conns = append(u.conns, conn)
		go func() { // what comes back is of no interest, but must not fill the socket
			var b [4096]byte
			for {
				if _, err := conn.Read(b[:]); errors.Is(err, net.ErrClosed) {
					return
				}
			}
		}()
	}
	good, bad := u.examples(n.simulation.world)
	fmt.Fprintf(n.opts.Out, "lab          an Internet of %d zones to resolve in; try: dig @%s -p %d +dnssec %s; bogus: %s\n", n.simulation.world.Size(), n.door().Addr(), n.door().Port(), good, bad)
	return u, nil
}

// examples are a signed name that is there, and one that does not validate.
func (u *users) examples(w *internet.World) (good, bad wire.Name) {
	every := func(dnssec.Algorithm) bool { return true }
	for _, q := range u.names {
		if q.Type != wire.TypeA {
			continue
		}
		switch t := w.Truth(q.Name, q.Type, every); {
		case good == nil && t.Security == dnssec.Secure && t.Rcode == wire.NoError && !t.Either:
			good = q.Name
		case bad == nil && t.Security == dnssec.Bogus && !t.Either:
			bad = q.Name
		}
		if good != nil && bad != nil {
			break
		}
	}
	return good, bad
}

func (u *users) run(ctx context.Context) {
	tick := time.NewTicker(time.Second / labRate)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			q := u.names[int(math.Pow(float64(len(u.names)+1), u.r.Float64()))-1]
			// A client that has gone away is no concern of the others.
			u.conns[u.r.IntN(len(u.conns))].Write(userQuestion(uint16(u.r.Uint32()), q))
		case <-ctx.Done():
			for _, c := range u.conns {
				c.Close()
			}
			return
		}
	}
}

// userQuestion asks for recursion, with EDNS and DO.
func userQuestion(id uint16, q internet.Question) []byte {
	m := binary.BigEndian.AppendUint16(nil, id)
	m = append(m, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1)
	m = append(m, q.Name...)
	m = binary.BigEndian.AppendUint16(m, uint16(q.Type))
	m = append(m, 0, 1)
	return append(m, 0, 0, byte(wire.TypeOPT), 4, 0xD0, 0, 0, 0x80, 0, 0, 0)
}
