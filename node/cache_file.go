package node

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"anyu/serve/cache"
)

// The saved cache: one line that says what it was made under, then what cache.Save writes, which has its own checksum.
const (
	cacheFile  = "cache"
	cacheLine  = "anyu cache 1 "
	saveBuffer = 1 << 20
	// saveTime is how long writing may take when the node stops: service managers kill after half a minute or so.
	saveTime = 15 * time.Second
)

// errOtherSettings: what was saved was learned under settings that do not hold any more.
var errOtherSettings = errors.New("the saved cache was made with other settings of recursion")

// saveCache writes the cache so that a crash leaves either the old file or the new one.
func saveCache(c *cache.Cache, file, minds string) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return fmt.Errorf("saving the cache: %w", err)
	}
	defer os.Remove(f.Name())
	b := bufio.NewWriterSize(&hurried{f, time.Now().Add(saveTime)}, saveBuffer)
	fmt.Fprintf(b, "%s%s\n", cacheLine, minds)
	err = c.Save(b)
	err = errors.Join(err, b.Flush(), f.Chmod(0o640), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("saving the cache: %w", err)
	}
	return syncDir(filepath.Dir(file))
}

// hurried gives up when its time is over.
type hurried struct {
	w     io.Writer
	until time.Time
}

func (h *hurried) Write(b []byte) (int, error) {
	if time.Now().After(h.until) {
		return 0, fmt.Errorf("not written within %v", saveTime)
	}
	return h.w.Write(b)
}

// restoreCache fills a cache from a file, and returns how many entries that gave.
func restoreCache(c *cache.Cache, file, minds string, now int64) (int, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("restoring the cache: %w", err)
	}
	defer f.Close()
	b := bufio.NewReaderSize(f, saveBuffer)
	line, err := b.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, cacheLine) {
		return 0, fmt.Errorf("restoring the cache: %w", cache.ErrFormat)
	}
	if strings.TrimSpace(strings.TrimPrefix(line, cacheLine)) != minds {
		return 0, errOtherSettings
	}
	n, err := c.Restore(b, now)
	if err != nil {
		return 0, fmt.Errorf("restoring the cache: %w", err)
	}
	return n, nil
}
