package node

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of the cache where the configuration names no size.
const (
	cacheShare   = 8 // the cache takes an eighth of the memory
	minCacheSize = 64 << 20
	maxCacheSize = 2 << 30
)

// memory is how much the process may use: what the machine has, or what its control group allows. 0: not known.
func memory() int64 {
	var info unix.Sysinfo_t
	total := int64(0)
	if unix.Sysinfo(&info) == nil {
		total = int64(info.Totalram) * int64(info.Unit)
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 && (total == 0 || n < total) {
			total = n
		}
	}
	return total
}

// cacheSize is the size of the cache: as configured, or a share of the memory.
func cacheSize(configured int64) int64 {
	if configured > 0 {
		return configured
	}
	return min(max(memory()/cacheShare, minCacheSize), maxCacheSize)
}

// Tuning of the garbage collector. The cache is most of the heap and holds no pointers, so that a collection is cheap; but its
// dropped segments are garbage until one comes, and with Go's usual 100 % that would double the process.
const (
	gcPercent   = 50
	memoryShare = 9 // tenths of the memory, from where on the collector works harder instead of having the process killed
)

// tuneCollector sets the garbage collector, unless the environment says how it is to be.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if total := memory(); os.Getenv("GOMEMLIMIT") == "" && total > 0 {
		debug.SetMemoryLimit(total / 10 * memoryShare)
	}
}
