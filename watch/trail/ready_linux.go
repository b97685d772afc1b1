package trail

import "golang.org/x/sys/unix"

// readReady reads what the system has at hand; ok is false where it would wait for the disk, which it then asks for it, or cannot tell (RWF_NOWAIT, Linux 4.14).
func readReady(fd int, b []byte, at int64) (ok bool) {
	n, err := unix.Preadv2(fd, [][]byte{b}, at, unix.RWF_NOWAIT)
	return err == nil && n == len(b)
}
