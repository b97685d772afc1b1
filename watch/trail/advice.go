//go:build linux || freebsd

package trail

import (
	"os"

	"golang.org/x/sys/unix"
)

// It may be that a file system knows no advice; then reading takes longer.

func adviseRandom(f *os.File) { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM) }

func adviseSoon(f *os.File, at, octets int64) {
	_ = unix.Fadvise(int(f.Fd()), at, octets, unix.FADV_WILLNEED)
}
