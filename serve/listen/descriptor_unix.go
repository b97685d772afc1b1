//go:build unix

package listen

import "syscall"

// descriptorLimit is how many files and sockets the process may have open. The Go runtime has raised it to the hard limit.
func descriptorLimit() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || uint64(l.Cur) > 1<<30 {
		return 1 << 30
	}
	return int(l.Cur)
}
