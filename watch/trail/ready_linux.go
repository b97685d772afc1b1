package trail

import "golang.org/x/sys/unix"

// readReady reads what the system has at hand. Where it would wait for the disk, which it then asks for it, read is false; where it cannot tell (RWF_NOWAIT: Linux 4.14, not every file
// system), tells is.
func readReady(fd int, b []byte, at int64) (read, tells bool) {
	n, err := unix.Preadv2(fd, [][]byte{b}, at, unix.RWF_NOWAIT)
	return err == nil && n == len(b), err == nil || err == unix.EAGAIN || err == unix.EINTR
}
