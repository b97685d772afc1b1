//go:build linux && !386 && !arm && !mips && !mipsle

package outbound

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockets are the UDP sockets of one loop: one a query, waited for with epoll. All calls are made without telling Go's scheduler
// (RawSyscall): none of them waits, and a query takes seven. The epoll descriptor itself is waited for by the scheduler's own epoll: a loop that
// blocked in a call instead kept the runtime's monitor awake, which took a tenth of a core.
//
// IP_MTU_DISCOVER is left alone: a query has at most 350 octets, and Linux takes no path MTU below 552 from anybody, so forged ICMP
// cannot make it leave in fragments.
type sockets struct {
	source  Source
	random  *random
	epoll   int
	event   int       // eventfd that ends a wait
	flights []*flight // by descriptor
	serial  int32     // of the last socket opened, so that an event of one that is closed is known
	ready   [256]unix.EpollEvent
	in      [maxReply]byte

	file  *os.File // epoll as Go's scheduler waits for it
	poll  syscall.RawConn
	look  func(uintptr) bool
	n     int // of look
	errno unix.Errno

	mu   sync.Mutex // guards open against wake
	open bool
}

// socket of a flight.
type socket struct{ fd, serial int32 }

var noSocket = socket{fd: -1}

func newSockets(source Source, r *random) (*sockets, error) {
	s := &sockets{source: source, random: r}
	var err error
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if s.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(s.epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	// Edge-triggered: each write is news, and nobody needs to read it.
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(s.event)}
	if err = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, s.event, &e); err != nil {
		s.end()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	if err = unix.SetNonblock(s.epoll, true); err != nil {
		s.end()
		return nil, os.NewSyscallError("fcntl", err)
	}
	s.file = os.NewFile(uintptr(s.epoll), "epoll")
	if s.poll, err = s.file.SyscallConn(); err != nil {
		s.end()
		return nil, err
	}
	s.look = func(uintptr) bool {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.epoll), uintptr(unsafe.Pointer(&s.ready[0])), uintptr(len(s.ready)), 0, 0, 0)
		s.n, s.errno = int(n), errno
		return n != 0 || errno != 0
	}
	s.open = true
	return s, nil
}

// end closes everything.
func (s *sockets) end() {
	for _, f := range s.flights {
		if f != nil {
			s.close(f)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = false
	if s.file != nil {
		s.file.Close()
	} else {
		unix.Close(s.epoll)
	}
	unix.Close(s.event)
}

// wake ends the wait of now, or else the next. It may be called from any goroutine.
func (s *sockets) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return
	}
	one := uint64(1)
	unix.RawSyscall(unix.SYS_WRITE, uintptr(s.event), uintptr(unsafe.Pointer(&one)), 8)
}

// wait returns how many sockets have news; heard tells what each has.
func (s *sockets) wait(timeout time.Duration) (int, error) {
	if timeout <= 0 {
		s.look(0)
	} else {
		err := s.file.SetReadDeadline(time.Now().Add(timeout))
		if err == nil {
			err = s.poll.Read(s.look)
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return 0, nil
		case err != nil:
			return 0, fmt.Errorf("waiting for replies: %w", err)
		}
	}
	switch s.errno {
	case 0:
		return s.n, nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("waiting for replies: %w", s.errno)
}

// yieldThread lets the kernel run who else is ready on this CPU. Without Go's scheduler knowing: it does not wait.
func yieldThread() { unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// heard returns the news of socket i of the last wait. The message is valid until the next call. No flight: it was not for one.
func (s *sockets) heard(i int) (*flight, []byte, result) {
	e := &s.ready[i]
	if e.Fd == int32(s.event) || int(e.Fd) >= len(s.flights) {
		return nil, nil, fine
	}
	f := s.flights[e.Fd]
	if f == nil || f.socket.serial != e.Pad {
		return nil, nil, fine
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(e.Fd), uintptr(unsafe.Pointer(&s.in[0])), maxReply, 0, 0, 0)
	switch errno {
	case 0:
		return f, s.in[:n], fine
	case unix.EAGAIN, unix.EINTR: // a wrong checksum
		return nil, nil, fine
	case unix.ECONNREFUSED:
		return f, nil, refused
	}
	return f, nil, unreachable
}

// send opens a socket for a flight and sends its message.
func (s *sockets) send(f *flight, to netip.AddrPort, msg []byte) result {
	var name sockname
	family := name.set(to)
	fd, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errno != 0 {
		return verdict(errno)
	}
	s.own(f, int32(fd))
	if errno = s.bind(fd, to.Addr()); errno == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&name.b)), name.size)
	}
	if errno == 0 {
		e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: f.socket.fd, Pad: f.socket.serial}
		_, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(s.epoll), unix.EPOLL_CTL_ADD, fd, uintptr(unsafe.Pointer(&e)), 0, 0)
	}
	if errno == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&msg[0])), uintptr(len(msg)))
	}
	if errno != 0 {
		s.close(f)
		return verdict(errno)
	}
	return fine
}

// verdict says whose fault an error is.
func verdict(errno unix.Errno) result {
	switch errno {
	case unix.ECONNREFUSED:
		return refused
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EADDRINUSE, unix.EAGAIN, unix.ENOSPC:
		return exhausted
	}
	return unreachable
}

// own notes whose the descriptor is.
func (s *sockets) own(f *flight, fd int32) {
	for int(fd) >= len(s.flights) {
		s.flights = append(s.flights, make([]*flight, max(64, len(s.flights)))...)
	}
	s.serial++
	f.socket = socket{fd, s.serial}
	s.flights[fd] = f
}

// bind gives the socket a random port.
func (s *sockets) bind(fd uintptr, server netip.Addr) unix.Errno {
	from := s.source.of(server)
	if !from.IsValid() {
		from = netip.IPv4Unspecified()
		if server.Is6() {
			from = netip.IPv6Unspecified()
		}
	}
	var name sockname
	for try := 0; ; try++ {
		port := uint16(firstPort + s.random.next()%(lastPort-firstPort+1))
		if try == portTries {
			port = 0
		}
		name.set(netip.AddrPortFrom(from, port))
		_, _, errno := unix.RawSyscall(unix.SYS_BIND, fd, uintptr(unsafe.Pointer(&name.b)), name.size)
		if !errors.Is(errno, unix.EADDRINUSE) && errno != unix.EACCES || try == portTries {
			return errno
		}
	}
}

// close closes the socket of a flight, if it has one; that takes it out of epoll, too.
func (s *sockets) close(f *flight) {
	fd := f.socket.fd
	if fd < 0 {
		return
	}
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	s.flights[fd] = nil
	f.socket = noSocket
}

// sockname is a struct sockaddr_in or sockaddr_in6.
type sockname struct {
	b    [unix.SizeofSockaddrInet6]byte
	size uintptr
}

func (n *sockname) set(at netip.AddrPort) (family int) {
	binary.BigEndian.PutUint16(n.b[2:], at.Port())
	if at.Addr().Is4() {
		binary.NativeEndian.PutUint16(n.b[:], unix.AF_INET)
		ip := at.Addr().As4()
		copy(n.b[4:], ip[:])
		n.size = unix.SizeofSockaddrInet4
		return unix.AF_INET
	}
	binary.NativeEndian.PutUint16(n.b[:], unix.AF_INET6)
	ip := at.Addr().As16()
	copy(n.b[8:], ip[:])
	n.size = unix.SizeofSockaddrInet6
	return unix.AF_INET6
}
