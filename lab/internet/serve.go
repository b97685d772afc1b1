package internet

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"anyu/event"
	"anyu/serve/listen"
)

// ServeConfig says where a world is served.
type ServeConfig struct {
	// Port of all servers. Default 53. With 0 and AnyPort a free one is taken.
	Port    uint16
	AnyPort bool
	// Workers are the sockets and threads. Default 2.
	Workers int
	// Fast leaves delays out: slow servers reply at once. For measurements of work and not of time.
	Fast bool
	Log  *slog.Logger
}

// Service is a world on real sockets.
type Service struct {
	Port   uint16
	server *listen.Server
}

// Serve binds one wildcard socket a worker, which sees what is sent to any server of the world, and answers from the server that was asked. What
// is sent to any other address is dropped. It returns when the sockets are bound; Close ends the service.
//
// For IPv4 addresses outside of 127.0.0.0/8, and for IPv6, the system must take them for its own: `ip route add local PREFIX dev lo`.
func (w *World) Serve(_ context.Context, c ServeConfig) (*Service, error) {
	if c.Port == 0 && !c.AnyPort {
		c.Port = 53
	}
	if c.Workers == 0 {
		c.Workers = 2
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	addresses := []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), c.Port)}
	if w.conf.Prefix6.IsValid() {
		addresses = append(addresses, netip.AddrPortFrom(netip.IPv6Unspecified(), c.Port))
	}
	s, err := listen.New(listen.Config{Plain: addresses, Workers: c.Workers}, func() listen.Answerer { return &door{w: w, fast: c.Fast} }, nil, c.Log)
	if err != nil {
		return nil, fmt.Errorf("serving the simulated Internet: %w", err)
	}
	if err := s.Start(); err != nil {
		return nil, fmt.Errorf("serving the simulated Internet: %w (port %d needs root or a namespace; another resolver may hold it)", err, c.Port)
	}
	return &Service{Port: s.Addresses()[0].Bound.Port(), server: s}, nil
}

// Close ends the service at once.
func (s *Service) Close() { s.server.Close() }

// Statistics are those of the sockets.
func (s *Service) Statistics() listen.Statistics { return s.server.Statistics() }

// door answers for all servers of a world.
type door struct {
	w    *World
	fast bool
}

// Answer implements listen.Answerer.
func (d *door) Answer(query []byte, from *listen.Client, out []byte) int {
	stream := from.Transport != event.UDP
	n, delay := d.w.answer(from.Local.Addr(), query, stream, out[:streamRoom])
	if n == 0 {
		return listen.Drop
	}
	if delay == 0 || d.fast {
		return n
	}
	reply, later := append([]byte(nil), out[:n]...), from.Later()
	time.AfterFunc(delay, func() { later.Reply(reply) })
	return listen.Deferred
}
