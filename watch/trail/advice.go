//go:build linux || freebsd

package trail

import "golang.org/x/sys/unix"

// It may be that a file system knows no advice; then reading takes longer.

func adviseRandom(fd int) { _ = unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM) }

func adviseSoon(fd int, at, octets int64) { _ = unix.Fadvise(fd, at, octets, unix.FADV_WILLNEED) }
