//go:build linux && !386 && !arm && !mips && !mipsle

package listen

import (
	"context"
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyu/event"
)

// udpSocket is one SO_REUSEPORT socket of an address and the goroutine that serves it.
//
// A thread that waits in recvmmsg cannot be woken by a channel; shutdown(SHUT_RD) wakes it, also on an unconnected socket
// (Linux udp(7) says ENOTCONN and wakes it nevertheless).
type udpSocket struct {
	server   *Server
	worker   int
	local    netip.AddrPort
	wildcard bool
	pin      bool
	counters udpCounters
	turn     int64        // when the worker last paused
	waiting  atomic.Int64 // replies that are to come
	stopping atomic.Int32 // 0, stopDrain, stopNow
	done     chan struct{}

	mu   sync.RWMutex // guards open against state, wake and replies that come later; the worker takes it only to close
	open bool
	fd   int
}

const (
	stopDrain = 1 // answer what has been received, then close
	stopNow   = 2
)

const (
	// batchSize is the number of datagrams a system call moves. 16, 32, 64 and 128 could not be told apart on a shared machine (4.1 to
	// 4.5 us of system time an answer each); 64 spreads a wake-up over many answers and keeps the buffers in the second-level cache.
	batchSize = 64
	// worthAhead is the smallest batch whose queries are told ahead.
	worthAhead = 4
	// queryRoom is the longest UDP message taken: nothing legitimate comes near (UPDATE and TSIG included). Longer ones are
	// counted as refused. The 192 octets more spread the buffers over the cache's sets: at a stride of exactly one
	// page all would share one.
	queryRoom   = 4096
	queryStride = queryRoom + 192
	// replyRoom holds a batch of replies, each beginning on a cache line; a batch that needs more is sent in parts.
	replyRoom = MaxMessage + batchSize*1472
	// controlRoom fits one IPV6_PKTINFO (40) or IP_PKTINFO (32) message.
	controlRoom = 48
	nameRoom    = unix.SizeofSockaddrInet6
	// turnTime is how long a worker goes without telling Go's scheduler that it does.
	turnTime = 5 * time.Millisecond
)

// mmsghdr is struct mmsghdr of Linux on 64-bit machines.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   uint32
}

// The kernel walks arrays of mmsghdr with this stride.
var _ [64 - unsafe.Sizeof(mmsghdr{})]byte
var _ [unsafe.Sizeof(mmsghdr{}) - 64]byte

// batch is everything one thread needs for its system calls, allocated once. Message i of recv uses entry i of names and
// controls; its reply reuses both, so that the answer goes back to where the query came from, from where it went to.
type batch struct {
	recv, send       [batchSize]mmsghdr
	recvIov, sendIov [batchSize]unix.Iovec
	names            [batchSize][nameRoom]byte
	controls         [batchSize][controlRoom]byte
	in               []byte
	ahead            [batchSize][]byte // into in
	out              []byte
	client           Client
	current          int // the message in hand
}

func (u *udpSocket) newBatch() *batch {
	b := &batch{in: make([]byte, batchSize*queryStride), out: make([]byte, replyRoom)}
	b.client = Client{Local: u.local, Transport: event.UDP, Later: func() Replier { return u.later(b) }}
	for i := range b.recv {
		b.recvIov[i].Base = &b.in[i*queryStride]
		b.recvIov[i].SetLen(queryRoom)
		h := &b.recv[i].hdr
		h.Name, h.Namelen = &b.names[i][0], nameRoom
		h.Iov, h.Iovlen = &b.recvIov[i], 1
		if u.wildcard {
			h.Control = &b.controls[i][0]
			h.SetControllen(controlRoom)
		}
		b.send[i].hdr.Iov, b.send[i].hdr.Iovlen = &b.sendIov[i], 1
	}
	return b
}

// run serves the socket until it is stopped. It owns its thread where it is bound to a CPU.
func (u *udpSocket) run() {
	defer u.server.work.Done()
	defer close(u.done)
	if u.pin {
		runtime.LockOSThread() // without unlock: the thread ends with the goroutine, its CPU mask with it
		pinThread(u.worker)
	}
	b := u.newBatch()
	l := u.server.udpLanes[u.worker]
	for {
		stopping := u.stopping.Load()
		if stopping == stopNow {
			break
		}
		n, errno := b.receive(u.fd, stopping == stopDrain)
		if n > 0 {
			l.mu.Lock()
			u.answer(b, n, l.answerer)
			l.mu.Unlock()
			u.pause(b.client.Arrived)
			continue
		}
		if stopping == stopDrain {
			break
		}
		if errno != 0 && errno != unix.EINTR && errno != unix.EAGAIN {
			if errno == unix.EBADF {
				u.server.log.Error("udp socket is gone", "address", u.local)
				break
			}
			time.Sleep(time.Millisecond) // ENOMEM, ENOBUFS: let the kernel recover
		}
	}
	u.settle()
	u.mu.Lock()
	u.open = false
	unix.Close(u.fd)
	u.mu.Unlock()
}

// pause gives the scheduler a turn now and then. A goroutine that goes from one system call to the next for 10 ms counts as a hog: the
// runtime's monitor takes its processor while it waits for queries, and after each such theft wakes every 20 us for some milliseconds,
// for which a worker under a middling load paid 8 % of its core.
func (u *udpSocket) pause(now int64) {
	if now-u.turn >= int64(turnTime) {
		u.turn = now
		runtime.Gosched()
	}
}

// receive fills recv, waiting for the first message unless the socket is being stopped.
//
// How to wait was measured on one core, GOMAXPROCS=1, with kxdpgun at 400,000 q/s over veth on a machine that others use too. Best of
// many rounds, answers a second: blocking calls, as here, 250,000; a RawSyscall6 that does not wait first and a blocking call
// only when there is nothing, 251,000; parking on Go's netpoller, 247,000; bench/echo, which blocks, 256,000. With other
// programs on the core the order turns round: the kernel's scheduler takes a thread that never sleeps for a hog, and the two
// that poll got about half of the answers of the ones that block. Blocking also lets Go hand the processor over: a timer of
// 5 ms fired within 23 ms at full load, within 40 ms with the others.
func (b *batch) receive(fd int, stopping bool) (int, unix.Errno) {
	flags := uintptr(unix.MSG_WAITFORONE)
	if stopping {
		flags = unix.MSG_DONTWAIT
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.recv[0])), batchSize, flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// answer has n received messages answered and sends the replies.
func (u *udpSocket) answer(b *batch, n int, a Answerer) {
	b.client.Arrived = time.Now().UnixNano()
	set := u.server.settings.Load()
	if f, ok := a.(Foreseer); ok && n >= worthAhead && len(set.proxies) == 0 {
		f.Ahead(b.queries(n))
	}
	received, replies, used := 0, 0, 0
	for i := range n {
		r := &b.recv[i]
		query, ok := u.take(b, i, set)
		if ok {
			if len(b.out)-used < MaxMessage {
				u.send(b, replies)
				replies, used = 0, 0
			}
			received++
			out := b.out[used : used+MaxMessage : used+MaxMessage]
			b.current = i
			if size := a.Answer(query, &b.client, out); size > 0 {
				s := &b.send[replies].hdr
				s.Name, s.Namelen = r.hdr.Name, r.hdr.Namelen
				if u.wildcard {
					s.Control = r.hdr.Control
					s.SetControllen(int(r.hdr.Controllen))
				}
				b.sendIov[replies].Base = &out[0]
				b.sendIov[replies].SetLen(size)
				replies++
				used += (size + 63) &^ 63
			}
		} else if r.hdr.Namelen != 0 {
			u.counters.refused.Add(1)
		}
	}
	u.send(b, replies)
	u.counters.received.Add(uint64(received))
	for i := range n { // the kernel wrote the lengths it used
		h := &b.recv[i].hdr
		h.Namelen = nameRoom
		if u.wildcard {
			h.SetControllen(controlRoom)
		}
	}
}

// queries are the first n messages received.
func (b *batch) queries(n int) [][]byte {
	for i := range n {
		b.ahead[i] = b.in[i*queryStride:][:b.recv[i].n]
	}
	return b.ahead[:n]
}

// take finds out who sent message i, and whether it is one to answer.
func (u *udpSocket) take(b *batch, i int, set *settings) ([]byte, bool) {
	r := &b.recv[i]
	if r.hdr.Flags&unix.MSG_TRUNC != 0 {
		return nil, false
	}
	remote := parseSockaddr(&b.names[i], r.hdr.Namelen)
	if remote.Port() == 0 { // cannot be answered; no name at all after shutdown
		return nil, false
	}
	query := b.in[i*queryStride:][:r.n:r.n]
	c := &b.client
	c.Remote = remote
	if u.wildcard {
		if addr := replyFrom(&b.controls[i], int(r.hdr.Controllen)); addr.IsValid() {
			c.Local = netip.AddrPortFrom(addr, u.local.Port())
		}
	}
	if len(set.proxies) == 0 && !hasProxySignature(query) {
		return query, true
	}
	if !u.wildcard {
		c.Local = u.local
	}
	return unwrapDatagram(query, c, set.proxies)
}

// send sends the first n replies. One that the kernel refuses (no route, host gone) is counted and skipped.
func (u *udpSocket) send(b *batch, n int) {
	sent := 0
	for done := 0; done < n; {
		k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(u.fd), uintptr(unsafe.Pointer(&b.send[done])), uintptr(n-done), 0, 0, 0)
		switch errno {
		case 0:
			sent += int(k)
			done += int(k)
		case unix.EINTR:
		case unix.EAGAIN: // full for all of SO_SNDTIMEO: the queries that wait are worth more than these
			u.counters.sendErrors.Add(uint64(n - done))
			done = n
		default:
			u.counters.sendErrors.Add(1)
			done++
		}
	}
	if sent > 0 {
		u.counters.sent.Add(uint64(sent))
	}
}

func parseSockaddr(b *[nameRoom]byte, size uint32) netip.AddrPort {
	if size < unix.SizeofSockaddrInet4 {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(b[2:])
	switch binary.NativeEndian.Uint16(b[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port)
	case unix.AF_INET6: // the zone of a link-local address stays in the octets that are echoed; in an Addr it would allocate
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])), port)
	}
	return netip.AddrPort{}
}

// replyFrom returns the address that was asked and makes the control message one to send with: the same address, over whatever
// interface the route says (the interface is kept for link-local addresses only, which mean nothing without).
func replyFrom(c *[controlRoom]byte, size int) netip.Addr {
	const head = unix.SizeofCmsghdr
	level := int32(binary.NativeEndian.Uint32(c[8:]))
	kind := int32(binary.NativeEndian.Uint32(c[12:]))
	switch {
	case size >= head+unix.SizeofInet4Pktinfo && level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO:
		clear(c[head : head+4])
		return netip.AddrFrom4([4]byte(c[head+4 : head+8])) // ipi_spec_dst
	case size >= head+unix.SizeofInet6Pktinfo && level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO:
		addr := netip.AddrFrom16([16]byte(c[head : head+16]))
		if !addr.IsLinkLocalUnicast() {
			clear(c[head+16 : head+20])
		}
		return addr
	}
	return netip.Addr{}
}

func (u *udpSocket) drain(ctx context.Context) {
	u.wake(stopDrain)
	select {
	case <-u.done:
	case <-ctx.Done():
		u.wake(stopNow)
	}
}

func (u *udpSocket) close() { u.wake(stopNow) }

func (u *udpSocket) wake(how int32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open {
		u.stopping.Store(how)
		unix.Shutdown(u.fd, unix.SHUT_RD)
	}
}

// state asks the kernel how full the socket is (sock_diag's SK_MEMINFO), so that nothing is paid for it per datagram.
func (u *udpSocket) state() SocketStatistics {
	r := SocketStatistics{Local: u.local, Worker: u.worker}
	u.mu.RLock()
	defer u.mu.RUnlock()
	if !u.open {
		return r
	}
	const queued, room, drops, fields = 0, 1, 8, 9 // SK_MEMINFO_RMEM_ALLOC, _RCVBUF, _DROPS, _VARS
	var info [fields]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(u.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno == 0 {
		r.Queued, r.Room, r.Overflow = uint64(info[queued]), uint64(info[room]), uint64(info[drops])
	}
	return r
}
