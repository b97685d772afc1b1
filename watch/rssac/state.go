package rssac

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stateName is a day's file: state-DAY.json.
const stateName = "state-"

func stateFile(dir string, day int64) string {
	return filepath.Join(dir, fmt.Sprintf("%s%d.json", stateName, day))
}

// save writes the state of the open days. The counting waits while they are copied, not while they are written.
func (c *Counter) save() error {
	if err := os.MkdirAll(c.opts.Dir, 0o750); err != nil {
		return fmt.Errorf("saving RSSAC002: %w", err)
	}
	c.mu.Lock()
	open := []*counts{c.before, c.now}
	c.mu.Unlock()
	for _, k := range open {
		if k == nil {
			continue
		}
		c.mu.Lock()
		b, err := json.Marshal(k)
		fresh := k.Sources.fresh
		k.Sources.fresh = nil
		c.mu.Unlock()
		if err == nil {
			err = appendTo(k.Sources.file(c.opts.Dir, k.Day), fresh)
		}
		if err == nil {
			err = replace(stateFile(c.opts.Dir, k.Day), b)
		}
		if err != nil {
			c.mu.Lock()
			k.Sources.fresh = append(fresh, k.Sources.fresh...)
			c.mu.Unlock()
			return fmt.Errorf("saving RSSAC002: %w", err)
		}
	}
	return nil
}

// replace writes a file so that a crash leaves either the old or the new one.
func replace(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o640); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// load reads the days that an earlier run did not finish. A file that cannot be read is moved aside: its day will say what is missing.
func load(dir string) (days []*counts, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, stateName+"*.json"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		k, why := loadOne(dir, path)
		if why != nil {
			if err := os.Rename(path, strings.TrimSuffix(path, ".json")+".unreadable"); err != nil {
				return nil, errors.Join(why, err)
			}
			continue
		}
		days = append(days, k)
	}
	return days, nil
}

func loadOne(dir, path string) (*counts, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	k := &counts{}
	if err := json.Unmarshal(b, k); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if stateFile(dir, k.Day) != path || len(k.Watched) > maxSpans || len(k.Versions) > maxVersions {
		return nil, fmt.Errorf("reading %s: it is not of the day that its name says, or holds too much", path)
	}
	if k.Rcodes == nil {
		k.Rcodes = map[uint16]uint64{}
	}
	return k, k.Sources.load(k.Sources.file(dir, k.Day))
}

// finish writes the files of a day that is over, and forgets its state.
func (c *Counter) finish(k *counts) error {
	c.mu.Lock()
	files := k.files(c.opts.Version, k.Service, c.zones(k), k.end())
	c.mu.Unlock()
	for _, f := range files {
		path := filepath.Join(c.opts.Dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return fmt.Errorf("writing RSSAC002 of %s: %w", k.date().Format(time.DateOnly), err)
		}
		if err := replace(path, []byte(f.Text)); err != nil {
			return fmt.Errorf("writing RSSAC002 of %s: %w", k.date().Format(time.DateOnly), err)
		}
	}
	for _, path := range []string{stateFile(c.opts.Dir, k.Day), k.Sources.file(c.opts.Dir, k.Day)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("forgetting the state of RSSAC002: %w", err)
		}
	}
	return nil
}
