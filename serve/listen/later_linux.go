//go:build linux && !386 && !arm && !mips && !mipsle

package listen

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udpReplier sends one reply from the socket that was asked, to where the query came from, from the address that it went to. A thread
// that waits in recvmmsg cannot be woken to do it.
type udpReplier struct {
	socket      *udpSocket
	used        atomic.Bool
	nameSize    uint32
	controlSize int
	name        [nameRoom]byte
	control     [controlRoom]byte // as replyFrom made it
}

// later is Client.Later of the message in hand.
func (u *udpSocket) later(b *batch) Replier {
	h := &b.recv[b.current].hdr
	r := &udpReplier{socket: u, nameSize: h.Namelen, name: b.names[b.current]}
	if u.wildcard {
		r.controlSize, r.control = int(h.Controllen), b.controls[b.current]
	}
	u.waiting.Add(1)
	u.server.deferred.Add(1)
	return r
}

// Reply never waits: a reply that finds the socket's send buffer full is lost, as UDP may be.
func (r *udpReplier) Reply(msg []byte) {
	if r.used.Swap(true) {
		return
	}
	u := r.socket
	u.server.deferred.Add(-1)
	defer u.waiting.Add(-1)
	if len(msg) == 0 || len(msg) > MaxMessage {
		return
	}
	iov := unix.Iovec{Base: &msg[0]}
	iov.SetLen(len(msg))
	hdr := unix.Msghdr{Name: &r.name[0], Namelen: r.nameSize, Iov: &iov, Iovlen: 1}
	if r.controlSize > 0 {
		hdr.Control = &r.control[0]
		hdr.SetControllen(r.controlSize)
	}
	u.mu.RLock() // run closes the descriptor with the lock held
	defer u.mu.RUnlock()
	if !u.open {
		return
	}
	errno := unix.EINTR
	for errno == unix.EINTR {
		_, _, errno = unix.RawSyscall6(unix.SYS_SENDMSG, uintptr(u.fd), uintptr(unsafe.Pointer(&hdr)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0, 0)
	}
	runtime.KeepAlive(&iov)
	if errno != 0 {
		u.counters.sendErrors.Add(1)
		return
	}
	u.counters.sent.Add(1)
}

// settle waits for the replies that are still to come.
func (u *udpSocket) settle() {
	for end := time.Now().Add(laterDrain); u.waiting.Load() > 0 && u.stopping.Load() != stopNow && time.Now().Before(end); {
		time.Sleep(laterPoll)
	}
}
