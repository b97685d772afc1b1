//go:build linux && !386 && !arm && !mips && !mipsle

package listen

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// openUDP opens the sockets of one address, one a worker, and starts their threads.
func (s *Server) openUDP(at netip.AddrPort, receiveBuffer int) ([]endpoint, netip.AddrPort, error) {
	var sockets []*udpSocket
	for n := range s.config.Workers {
		fd, bound, err := bindUDP(at, receiveBuffer)
		if err != nil {
			for _, u := range sockets {
				unix.Close(u.fd)
			}
			return nil, at, err
		}
		at = bound // port 0 is chosen once
		sockets = append(sockets, &udpSocket{server: s, worker: n, local: at, wildcard: at.Addr().IsUnspecified(), pin: s.config.PinCPUs,
			done: make(chan struct{}), open: true, fd: fd})
	}
	var all []endpoint
	for _, u := range sockets {
		s.work.Add(1)
		go u.run()
		all = append(all, u)
	}
	return all, at, nil
}

// option is a socket option to set; the ones that are only better than nothing may fail.
type option struct {
	level, name, value int
	must               bool
}

func bindUDP(at netip.AddrPort, receiveBuffer int) (fd int, bound netip.AddrPort, err error) {
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, at, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	for _, o := range udpOptions(at.Addr(), receiveBuffer) {
		if e := unix.SetsockoptInt(fd, o.level, o.name, o.value); e != nil && o.must {
			return fd, at, fmt.Errorf("setting socket option %d/%d: %w", o.level, o.name, e)
		}
	}
	// A reply that finds the send buffer full waits this long at most; then it is lost as UDP may be.
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Usec: 20_000}); err != nil {
		return fd, at, os.NewSyscallError("setsockopt", err)
	}
	if err = unix.Bind(fd, sockaddr(at)); err != nil {
		return fd, at, os.NewSyscallError("bind", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return fd, at, os.NewSyscallError("getsockname", err)
	}
	switch n := name.(type) {
	case *unix.SockaddrInet4:
		at = netip.AddrPortFrom(at.Addr(), uint16(n.Port))
	case *unix.SockaddrInet6:
		at = netip.AddrPortFrom(at.Addr(), uint16(n.Port))
	}
	return fd, at, nil
}

func udpOptions(addr netip.Addr, receiveBuffer int) []option {
	all := []option{
		{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1, true},
		{unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer, false},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer, false}, // with CAP_NET_ADMIN, beyond rmem_max
		{unix.SOL_SOCKET, unix.SO_SNDBUF, 1 << 20, false},
	}
	wildcard := addr.IsUnspecified()
	if addr.Is4() {
		// Forged ICMP "fragmentation needed" cannot make us send fragments, whose second half can be forged.
		all = append(all, option{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT, false})
		if wildcard {
			all = append(all, option{unix.IPPROTO_IP, unix.IP_PKTINFO, 1, true})
		}
		return all
	}
	all = append(all, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1, true},
		option{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT, false})
	if wildcard {
		all = append(all, option{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1, true})
	}
	return all
}

// probe tells whether something else holds the address. The sockets proper have SO_REUSEPORT set and would quietly share it with
// a second server of the same user.
func probe(at netip.AddrPort, kind int) error {
	if at.Port() == 0 {
		return nil
	}
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if family == unix.AF_INET6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if kind == unix.SOCK_STREAM { // connections of the past in TIME_WAIT are no obstacle
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sockaddr(at)))
}

func probeUDP(at netip.AddrPort) error { return probe(at, unix.SOCK_DGRAM) }
func probeTCP(at netip.AddrPort) error { return probe(at, unix.SOCK_STREAM) }

func sockaddr(at netip.AddrPort) unix.Sockaddr {
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if zone := at.Addr().Zone(); zone != "" {
		sa.ZoneId = zoneID(zone)
	}
	return sa
}

// shareAddress lets a reload replace a wildcard address by a specific one, and the other way, without a gap.
func shareAddress(fd uintptr) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// pinThread binds the calling thread to the n-th CPU that the process may use. An error leaves it unbound.
func pinThread(n int) {
	var may, one unix.CPUSet
	if unix.SchedGetaffinity(0, &may) != nil || may.Count() == 0 {
		return
	}
	n %= may.Count()
	for cpu := 0; ; cpu++ {
		if !may.IsSet(cpu) {
			continue
		}
		if n == 0 {
			one.Set(cpu)
			_ = unix.SchedSetaffinity(0, &one)
			return
		}
		n--
	}
}
