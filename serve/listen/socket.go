package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// explain turns an error of binding into one that names the address and what to do about it.
func explain(p place, at netip.AddrPort, protocol string, err error) error {
	what := fmt.Sprintf("listening on %s/%s for %s", at, protocol, p.service)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: the port is in use by another program (find it with: ss -lnp 'sport = :%d'); stop that program or choose another address: %w",
			what, at.Port(), err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%s: ports below 1024 need the capability CAP_NET_BIND_SERVICE (the systemd unit gives it) or a lower net.ipv4.ip_unprivileged_port_start; or choose a port from 1024 up: %w",
			what, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: no interface of this machine has that address; correct it or use 0.0.0.0 or [::]: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func zoneID(zone string) uint32 {
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	n, _ := strconv.ParseUint(zone, 10, 32)
	return uint32(n)
}

// unwrapDatagram applies the PROXYv2 rules to a datagram: from a listed proxy there must be a header, which replaces the
// addresses in c; from anybody else there must be none.
func unwrapDatagram(query []byte, c *Client, proxies []netip.Prefix) ([]byte, bool) {
	if !contains(proxies, c.Remote.Addr()) {
		return query, !hasProxySignature(query)
	}
	p, err := parseProxy(query)
	if err != nil {
		return nil, false
	}
	if p.known {
		c.Remote, c.Local = p.remote, p.local
	}
	return query[p.size:], true
}

func clientAddr(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
