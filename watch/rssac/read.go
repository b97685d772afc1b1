package rssac

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Today is the day so far.
type Today struct {
	Service string            `json:"service"`
	Version string            `json:"version"`
	Start   time.Time         `json:"start"`
	To      time.Time         `json:"counted_to"`
	Missing float64           `json:"missing_seconds"` // of the day so far
	Dropped uint64            `json:"dropped"`
	Queries uint64            `json:"queries"`
	Answers uint64            `json:"responses"`
	Unique  map[string]uint64 `json:"unique_sources"`
	Exact   bool              `json:"unique_sources_exact"`
	Error   string            `json:"error,omitempty"` // why the last save or file failed
	Files   []File            `json:"files"`           // as they would be if the day were over now
	Kept    []string          `json:"kept"`            // files of days that are over, the newest first
}

// maxKept bounds the list of files; the folder has them all.
const maxKept = 200

// Today tells the day so far, and which files there are.
func (c *Counter) Today(now time.Time) Today {
	c.mu.Lock()
	k := c.now
	t := Today{
		Service: c.opts.Service, Version: c.opts.Version, Start: k.date(), To: now.UTC(), Missing: k.missing(now).Seconds(), Dropped: k.Dropped,
		Unique: map[string]uint64{}, Exact: true, Files: k.files(c.opts.Version, c.opts.Service, c.opts.Zones, now),
	}
	for kind, name := range [kinds]string{"ipv4", "ipv6", "ipv6_64"} {
		n, exact := k.Sources.count(kind)
		t.Unique[name], t.Exact = n, t.Exact && exact
	}
	for transport := range k.Queries {
		for family := range k.Queries[transport] {
			t.Queries += k.Queries[transport][family]
			t.Answers += k.Responses[transport][family]
		}
	}
	if c.failed != nil {
		t.Error = c.failed.Error()
	}
	c.mu.Unlock()
	t.Kept = kept(c.opts.Dir)
	return t
}

var filePath = regexp.MustCompile(`^[0-9]{4}/[0-9]{2}/[a-z-]+/[^/]+\.yaml$`)

func kept(dir string) []string {
	all, err := filepath.Glob(filepath.Join(dir, "[0-9][0-9][0-9][0-9]", "[0-9][0-9]", "*", "*.yaml"))
	if err != nil {
		return nil
	}
	for i := range all {
		all[i] = strings.TrimPrefix(filepath.ToSlash(all[i]), filepath.ToSlash(dir)+"/")
	}
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(dated(b), dated(a)) })
	return all[:min(len(all), maxKept)]
}

var dateIn = regexp.MustCompile(`-([0-9]{8})-`)

// dated puts the day first.
func dated(path string) string {
	if m := dateIn.FindStringSubmatch(path); m != nil {
		return m[1] + path
	}
	return path
}

// File reads a kept one by the path that Today told. No other file of the folder, nor one beside it, is given out.
func (c *Counter) File(path string) ([]byte, error) {
	if !filePath.MatchString(path) || !filepath.IsLocal(path) {
		return nil, fmt.Errorf("RSSAC002 has no file %q: %w", path, fs.ErrNotExist)
	}
	root, err := os.OpenRoot(c.opts.Dir)
	if err != nil {
		return nil, err
	}
	b, err := root.ReadFile(path)
	return b, errors.Join(err, root.Close())
}
