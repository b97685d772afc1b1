package trail

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// openedLog is an append-only file and how to read it.
type openedLog struct {
	file    *os.File
	regions []region    // of the file being written
	words   *translator // for it
}

// openLogs opens the append-only files, newest first, and tells their ids: segments of the same rows are to be left out. An open file
// stays readable when the keeper removes it.
func (t *Trail) openLogs() (logs []openedLog, ids []string, err error) {
	t.mu.Lock()
	var live openedLog
	livePath := ""
	if t.live != nil {
		livePath = t.live.path
		live = openedLog{regions: slices.Clone(t.live.regions), words: newTranslator(t.opts.Names.Name, t.opts.Source)}
		live.words.without, live.words.key = leaveOut(t.opts.Without), t.live.key
		live.file, err = os.Open(livePath)
	}
	t.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	if live.file != nil {
		logs, ids = append(logs, live), append(ids, strings.TrimSuffix(filepath.Base(livePath), walExt))
	}
	paths, err := filepath.Glob(filepath.Join(t.opts.Dir, walDir, "*"+walExt))
	if err != nil {
		return logs, ids, err
	}
	slices.Reverse(paths)
	for _, path := range paths {
		if path == livePath {
			continue
		}
		file, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has just become segments
		}
		if err != nil {
			return logs, ids, err
		}
		logs, ids = append(logs, openedLog{file: file}), append(ids, strings.TrimSuffix(filepath.Base(path), walExt))
	}
	return logs, ids, nil
}

func closeLogs(logs []openedLog) {
	for _, l := range logs {
		l.file.Close()
	}
}

// each gives the rows of the file that fit; of the file being written the newest regions first, until enough.
func (l *openedLog) each(s *search, enough func(region) bool, f func(*Row) error) error {
	return l.read(s, enough, func(r Row) error {
		if s.scanned.Add(1)%1024 == 0 && s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		if !s.fits(&r) {
			return nil
		}
		return f(&r)
	})
}

// newest collects the newest rows of the file that fit, besides those of other files.
func (l *openedLog) newest(s *search, rows *[]*Row) error {
	enough := func(r region) bool {
		*rows = s.shrink(*rows)
		return len(*rows) > s.limit && (*rows)[s.limit].Time > r.last
	}
	err := l.each(s, enough, func(r *Row) error {
		if *rows = append(*rows, r); len(*rows) > 4*s.limit+1000 {
			*rows = s.shrink(*rows)
		}
		return nil
	})
	*rows = s.shrink(*rows)
	return err
}

// read gives the rows of the file.
func (l *openedLog) read(s *search, enough func(region) bool, see func(Row) error) error {
	if l.words == nil {
		_, err := readLog(l.file, s.hidden, see)
		if errors.Is(err, errCut) {
			return nil
		}
		return err
	}
	l.words.without |= s.hidden
	slices.SortFunc(l.regions, func(a, b region) int { return cmp.Compare(b.last, a.last) })
	for _, r := range l.regions {
		if r.last < s.from || r.first >= s.to {
			continue
		}
		if enough(r) {
			break // of this file; others may have newer rows
		}
		_, err := readFrames(io.NewSectionReader(l.file, r.offset, r.end-r.offset), func(kind byte, payload []byte) error {
			if kind == frameRows {
				return l.words.rows(payload, see)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
