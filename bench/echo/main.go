// Command echo is the ceiling of the socket path: the smallest program in Go that answers DNS questions over UDP. Each
// thread has its own SO_REUSEPORT socket and does nothing but a blocking recvmmsg, two bit changes in each header and a
// sendmmsg. What a name server reaches less than this is its own doing.
//
// It shares no code with the server, so that a mistake there does not lower the mark. It is for measuring only: it answers
// REFUSED to everything that is long enough, replies included, and must not be reachable from a network.
package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batch  = 64
	stride = 2048 + 64 // not a power of two: the buffers' first lines would share one set of the cache
)

type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   uint32
}

func main() {
	at := flag.String("listen", "127.0.0.1:5399", "address and port")
	workers := flag.Int("workers", runtime.NumCPU(), "sockets and threads")
	pin := flag.Int("pin", -1, "bind thread n to CPU pin+n; -1 leaves them alone")
	flag.Parse()
	addr, err := netip.ParseAddrPort(*at)
	if err != nil {
		fail("reading -listen: %v", err)
	}
	var answered atomic.Uint64
	for n := range *workers {
		fd, err := open(addr)
		if err != nil {
			fail("opening %s: %v", addr, err)
		}
		cpu := -1
		if *pin >= 0 {
			cpu = *pin + n
		}
		go serve(fd, cpu, &answered)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	var use unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &use)
	user, system := time.Duration(use.Utime.Nano()), time.Duration(use.Stime.Nano())
	total := max(answered.Load(), 1)
	fmt.Printf("answered %d user %.3f us system %.3f us an answer\n", answered.Load(),
		float64(user.Nanoseconds())/float64(total)/1e3, float64(system.Nanoseconds())/float64(total)/1e3)
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "echo: "+format+"\n", args...)
	os.Exit(2)
}

func open(addr netip.AddrPort) (int, error) {
	family, name := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	if addr.Addr().Is6() {
		family, name = unix.AF_INET6, &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	return fd, unix.Bind(fd, name)
}

func serve(fd, cpu int, answered *atomic.Uint64) {
	runtime.LockOSThread()
	if cpu >= 0 {
		var set unix.CPUSet
		set.Set(cpu)
		_ = unix.SchedSetaffinity(0, &set)
	}
	var (
		msgs  [batch]mmsghdr
		iovs  [batch]unix.Iovec
		names [batch]unix.RawSockaddrInet6
		bufs  = make([]byte, batch*stride)
	)
	for i := range msgs {
		iovs[i].Base = &bufs[i*stride]
		msgs[i].hdr.Iov, msgs[i].hdr.Iovlen = &iovs[i], 1
		msgs[i].hdr.Name = (*byte)(unsafe.Pointer(&names[i]))
	}
	for {
		for i := range msgs {
			msgs[i].hdr.Namelen = unix.SizeofSockaddrInet6
			iovs[i].SetLen(stride)
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), batch, unix.MSG_WAITFORONE, 0, 0)
		if errno != 0 {
			continue
		}
		for i := range int(n) {
			if b := bufs[i*stride:]; msgs[i].n >= 12 {
				b[2] |= 0x80         // QR
				b[3] = b[3]&0xF0 | 5 // REFUSED
			}
			iovs[i].SetLen(int(msgs[i].n))
		}
		sent, _, _ := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), n, 0, 0, 0)
		answered.Add(uint64(sent))
	}
}
