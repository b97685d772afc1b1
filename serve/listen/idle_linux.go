//go:build linux && !386 && !arm && !mips && !mipsle

package listen

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// idler waits for a socket with Go's scheduler, through an epoll descriptor that holds the socket alone: the socket itself stays a blocking one, for
// its replies. A thread that blocked in recvmmsg instead would be cheaper to wake; but each such call that lasts keeps the runtime's
// monitor awake, which took a tenth of a core while there was little to do.
type idler struct {
	file  *os.File
	poll  syscall.RawConn
	ready [1]unix.EpollEvent
	look  func(uintptr) bool
}

func newIdler(fd int) (*idler, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(epoll, true); err != nil {
		unix.Close(epoll)
		return nil, os.NewSyscallError("fcntl", err)
	}
	i := &idler{file: os.NewFile(uintptr(epoll), "epoll")}
	if i.poll, err = i.file.SyscallConn(); err != nil {
		i.file.Close()
		return nil, err
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		i.file.Close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	i.look = func(epoll uintptr) bool {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, epoll, uintptr(unsafe.Pointer(&i.ready[0])), 1, 0, 0, 0)
		return n != 0 || errno != 0
	}
	return i, nil
}

// wait returns when the socket has something to read. False: it cannot be waited for.
func (i *idler) wait() bool {
	if i == nil {
		time.Sleep(time.Millisecond)
		return true
	}
	return i.poll.Read(i.look) == nil
}

func (i *idler) close() {
	if i != nil {
		i.file.Close()
	}
}
