package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// View is what a ledger says today, kept for who looks often: each look reads only what was added since the last one.
type View struct {
	shown int // entries to remember

	mu      sync.Mutex // guards the rest
	key     string
	offset  int64 // of the entry next
	next    int64
	live    map[string]int64 // octets of the segments that are there
	recent  []Entry
	backup  *Entry
	started bool
}

// ActBackup is the subject of the act that made a backup; its fact "to" says where.
const ActBackup = "backup"

// ActRestore is that of the act that put a data folder back; its fact "from" says from where.
const ActRestore = "restore"

// Seen is a view at a time.
type Seen struct {
	Entries  int64
	Segments int
	Octets   int64   // of the segments
	Backup   *Entry  // the last one; nil: none is known
	Recent   []Entry // acts, traces, rules, losses and what was erased; the newest first
}

// NewView makes a view that remembers that many entries for people.
func NewView(shown int) *View { return &View{shown: shown} }

// Look reads on in a ledger's folder. Another ledger there, or one that became shorter, is read from its beginning.
func (v *View) Look(dir string) (Seen, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.look(dir); err != nil {
		v.started = false
		return Seen{}, fmt.Errorf("looking at the ledger: %w", err)
	}
	s := Seen{Entries: v.next, Segments: len(v.live), Recent: slices.Clone(v.recent), Backup: v.backup}
	for _, octets := range v.live {
		s.Octets += octets
	}
	slices.Reverse(s.Recent)
	return s, nil
}

func (v *View) look(dir string) error {
	public, err := os.ReadFile(filepath.Join(dir, publicFile))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, headFile))
	if errors.Is(err, os.ErrNotExist) {
		v.offset, v.next, v.live, v.recent, v.backup, v.started = 0, 0, nil, nil, nil, false
		return nil
	}
	if err != nil {
		return err
	}
	key := strings.TrimSpace(string(public))
	head, err := OpenCheckpoint(text, key)
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(dir, entriesFile))
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !v.started || v.key != key || head.Size < v.next || info.Size() < v.offset {
		v.key, v.offset, v.next, v.live, v.recent, v.backup, v.started = key, 0, 0, map[string]int64{}, nil, nil, true
	}
	enough := errors.New("enough")
	_, err = eachLine(io.NewSectionReader(file, v.offset, info.Size()-v.offset), func(line []byte) error {
		if v.next >= head.Size {
			return enough // not signed yet: it may still be cut off
		}
		e, err := parseEntry(line)
		if err != nil {
			return err
		}
		v.offset, v.next = v.offset+int64(len(line))+1, v.next+1
		v.take(e)
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		return err
	}
	return nil
}

func (v *View) take(e Entry) {
	switch e.Kind {
	case Segment, Erased:
		v.live[e.Subject] = e.Octets
	case Removed:
		delete(v.live, e.Subject)
	}
	if e.Kind == Audit && e.Subject == ActBackup {
		v.backup = &e
	}
	if e.Kind == Segment || e.Kind == Removed || e.Kind == Finding {
		return
	}
	if v.recent = append(v.recent, e); len(v.recent) > v.shown {
		v.recent = slices.Delete(v.recent, 0, len(v.recent)-v.shown)
	}
}
