package listen

import (
	"errors"
	"net"
)

var errStub = errors.New("not written yet")

func (s *Server) serveHTTPS(bool) func(net.Listener) endpoint { return nil }
func (s *Server) servePlainHTTP(net.Listener) endpoint        { return nil }
func (s *Server) serveHTTP3(net.PacketConn) (endpoint, error) { return nil, errStub }
func (s *Server) serveQUIC(net.PacketConn) (endpoint, error)  { return nil, errStub }
