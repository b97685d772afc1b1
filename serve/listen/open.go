package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"anyu/event"
)

// portTries is how often a port that the system chose for one protocol is tried for the other.
const portTries = 16

// openGroup binds all sockets of a place. old is what is open already: sharing a port with ourselves is not a conflict.
func (s *Server) openGroup(p place, c Config, old map[place]*group) (*group, error) {
	for try := 1; ; try++ {
		g, err := s.openOnce(p, c, old)
		if err == nil || p.at.Port() != 0 || try == portTries || !errors.Is(err, syscall.EADDRINUSE) {
			return g, err
		}
	}
}

func (s *Server) openOnce(p place, c Config, old map[place]*group) (*group, error) {
	g := &group{bound: p.at}
	var err error
	switch p.service {
	case servicePlain:
		if err = s.openPlain(g, p, c, old); err == nil {
			err = s.addStream(g, p, old, s.serveTCP)
		}
	case serviceTLS:
		err = s.addStream(g, p, old, s.serveTLS)
	case serviceHTTPS, serviceHTTP2:
		err = s.addStream(g, p, old, s.serveHTTPS(p.service == serviceHTTPS))
		if err == nil && p.service == serviceHTTPS {
			err = s.addPackets(g, p, old, s.serveHTTP3)
		}
	case serviceQUIC:
		err = s.addPackets(g, p, old, s.serveQUIC)
	case serviceHTTP:
		err = s.addStream(g, p, old, s.servePlainHTTP)
	}
	if err != nil {
		for _, e := range g.endpoints {
			e.close()
		}
		return nil, err
	}
	return g, nil
}

func (s *Server) openPlain(g *group, p place, c Config, old map[place]*group) error {
	if !sharesPort(old, p.at.Port(), servicePlain, serviceQUIC, serviceHTTPS) {
		if err := probeUDP(g.bound); err != nil {
			return explain(p, g.bound, "udp", err)
		}
	}
	sockets, bound, err := s.openUDP(g.bound, c.Limits.ReceiveBuffer)
	if err != nil {
		return explain(p, g.bound, "udp", err)
	}
	g.bound, g.endpoints = bound, sockets
	return nil
}

// addStream opens the TCP listener of a group and has serve accept on it.
func (s *Server) addStream(g *group, p place, old map[place]*group, serve func(net.Listener) endpoint) error {
	if !sharesPort(old, g.bound.Port(), servicePlain, serviceTLS, serviceHTTPS, serviceHTTP2, serviceHTTP) {
		if err := probeTCP(g.bound); err != nil {
			return explain(p, g.bound, "tcp", err)
		}
	}
	network := "tcp6"
	if g.bound.Addr().Is4() {
		network = "tcp4"
	}
	lc := net.ListenConfig{KeepAlive: -1, Control: control} // idle connections are closed long before a keep-alive
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), network, g.bound.String())
	if err != nil {
		return explain(p, g.bound, "tcp", err)
	}
	g.bound = netip.AddrPortFrom(g.bound.Addr(), clientAddr(l.Addr()).Port())
	g.endpoints = append(g.endpoints, serve(l))
	return nil
}

// addPackets opens the UDP socket of a group for a QUIC transport.
func (s *Server) addPackets(g *group, p place, old map[place]*group, serve func(net.PacketConn) (endpoint, error)) error {
	if !sharesPort(old, g.bound.Port(), servicePlain, serviceQUIC, serviceHTTPS) {
		if err := probeUDP(g.bound); err != nil {
			return explain(p, g.bound, "udp", err)
		}
	}
	network := "udp6"
	if g.bound.Addr().Is4() {
		network = "udp4"
	}
	lc := net.ListenConfig{Control: control}
	c, err := lc.ListenPacket(context.Background(), network, g.bound.String())
	if err != nil {
		return explain(p, g.bound, "udp", err)
	}
	e, err := serve(c)
	if err != nil {
		c.Close()
		return explain(p, g.bound, "udp", err)
	}
	g.bound = netip.AddrPortFrom(g.bound.Addr(), clientAddr(c.LocalAddr()).Port())
	g.endpoints = append(g.endpoints, e)
	return nil
}

func sharesPort(old map[place]*group, port uint16, services ...service) bool {
	for p, g := range old {
		for _, one := range services {
			if p.service == one && g.bound.Port() == port {
				return true
			}
		}
	}
	return false
}

func control(_, _ string, c syscall.RawConn) error {
	var set error
	if err := c.Control(func(fd uintptr) { set = shareAddress(fd) }); err != nil {
		return err
	}
	return set
}

func (s *Server) serveTCP(l net.Listener) endpoint {
	return s.acceptStreams(l, event.TCP, nil)
}
