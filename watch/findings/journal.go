package findings

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// journal writes changed findings as JSON lines; the last line of an ID counts. It is one goroutine.
type journal struct {
	store  *Store
	lines  int // in the file
	failed bool
}

const (
	// rewriteAt: a file of so many more lines than findings is written anew.
	rewriteAt = 4096
	// maxLine bounds a line (stops: a damaged file without line ends).
	maxLine = 1 << 20
	// gather is how long changes are gathered before they are written: a detector reports its open findings together.
	gather = 50 * time.Millisecond
	retry  = 10 * time.Second
)

func (j *journal) run() {
	timer := time.NewTicker(retry)
	defer timer.Stop()
	for {
		select {
		case <-j.store.done:
			j.write()
			return
		case <-j.store.wake:
			time.Sleep(gather)
			j.write()
		case now := <-timer.C:
			j.store.expire(now)
			j.write()
		}
	}
}

// write appends what changed. When the disk refuses, the changes stay to be written later.
func (j *journal) write() {
	s := j.store
	s.mu.Lock()
	changed := make([]Record, 0, len(s.dirty))
	for id := range s.dirty {
		if r := s.byID[id]; r != nil {
			changed = append(changed, *r)
		}
	}
	clear(s.dirty)
	held := len(s.byID)
	s.mu.Unlock()
	if len(changed) == 0 {
		return
	}
	var err error
	if j.lines+len(changed) > held+rewriteAt {
		err = j.rewrite()
	} else {
		err = j.append(changed)
	}
	if err == nil {
		j.failed = false
		return
	}
	if !j.failed {
		s.logger.Error("findings not written, they stay in memory", "file", s.path, "error", err)
	}
	j.failed = true
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range changed {
		s.dirty[r.ID] = true
	}
}

func (j *journal) append(changed []Record) error {
	slices.SortFunc(changed, func(a, b Record) int { return a.Updated.Compare(b.Updated) })
	file, err := os.OpenFile(j.store.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	text := []byte("\n") // ends a line that a crash or a full disk cut
	if info, err := file.Stat(); err == nil && info.Size() == 0 {
		text = text[:0]
	}
	if text, err = appendLines(text, changed); err != nil {
		return errors.Join(err, file.Close())
	}
	if _, err := file.Write(text); err != nil {
		return errors.Join(err, file.Close())
	}
	j.lines += len(changed)
	return errors.Join(file.Sync(), file.Close())
}

// rewrite replaces the file by one with a line for each finding held.
func (j *journal) rewrite() error {
	s := j.store
	s.mu.Lock()
	all := make([]Record, 0, len(s.byID))
	for _, r := range s.byID {
		all = append(all, *r)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b Record) int { return a.Opened.Compare(b.Opened) })
	text, err := appendLines(nil, all)
	if err != nil {
		return err
	}
	temp := s.path + ".tmp"
	file, err := os.Create(temp)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, s.path); err != nil {
		return err
	}
	j.lines = len(all)
	dir, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func appendLines(text []byte, records []Record) ([]byte, error) {
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("writing finding %s: %w", r.ID, err)
		}
		text = append(append(text, line...), '\n')
	}
	return text, nil
}

// load reads the file. Lines that cannot be read are counted and passed over.
func (s *Store) load() (lines int, err error) {
	file, err := os.Open(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("opening findings: %w", err)
	}
	defer file.Close()
	damaged := 0
	text := bufio.NewScanner(file)
	text.Buffer(nil, maxLine)
	for text.Scan() {
		if len(text.Bytes()) == 0 {
			continue
		}
		lines++
		r := new(Record)
		if json.Unmarshal(text.Bytes(), r) != nil || r.ID == "" {
			damaged++
			continue
		}
		s.byID[r.ID] = r
	}
	if err := text.Err(); err != nil {
		s.logger.Warn("findings read in part", "file", s.path, "error", err)
	}
	if damaged > 0 {
		s.logger.Warn("lines of the findings not understood, passed over", "file", s.path, "lines", damaged)
	}
	for len(s.byID) > maxFindings && s.makeRoom() {
	}
	for _, r := range s.byID {
		if r.Open() {
			key := subject{r.Kind, r.Subject}
			s.open[key], s.inherited[key] = r, true
		}
	}
	return lines, nil
}
