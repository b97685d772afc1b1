package trail

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// openedLog is an append-only file and how to read it.
type openedLog struct {
	file    *os.File
	regions []region    // of a file that this process wrote
	words   *translator // for it
}

// sealedLog is what is known of a file that waits to become segments.
type sealedLog struct {
	regions []region
	key     string
}

// openLogs opens the append-only files, newest first, and tells their ids: segments of the same rows are to be left out. An open file
// stays readable when the keeper removes it.
func (t *Trail) openLogs() (logs []openedLog, ids []string, err error) {
	t.mu.Lock()
	known, livePath := maps.Clone(t.waiting), ""
	if t.live != nil {
		livePath = t.live.path
		var live openedLog
		live, err = t.openLog(livePath, &sealedLog{slices.Clone(t.live.regions), t.live.key})
		if err == nil {
			logs, ids = append(logs, live), append(ids, strings.TrimSuffix(filepath.Base(livePath), walExt))
		}
	}
	t.mu.Unlock()
	if err != nil {
		return nil, nil, err
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
		log, err := t.openLog(path, known[path])
		if errors.Is(err, os.ErrNotExist) {
			continue // it has just become segments
		}
		if err != nil {
			return logs, ids, err
		}
		logs, ids = append(logs, log), append(ids, strings.TrimSuffix(filepath.Base(path), walExt))
	}
	return logs, ids, nil
}

func (t *Trail) openLog(path string, known *sealedLog) (l openedLog, err error) {
	if l.file, err = os.Open(path); err != nil || known == nil {
		return l, err
	}
	l.regions, l.words = known.regions, newTranslator(t.opts.Names.Name, t.opts.Source)
	l.words.without, l.words.key = leaveOut(t.opts.Without), known.key
	return l, nil
}

func closeLogs(logs []openedLog) {
	for _, l := range logs {
		l.file.Close()
	}
}

// stretch is a part of an append-only file that is read in one go, with the times of its rows.
type stretch struct {
	log *openedLog
	region
}

// stretches are those of files that may have rows of the search, the newest first. Of a file that another process wrote nothing is known: it is one stretch.
func stretches(s *search, logs []openedLog) (list []stretch) {
	for i := range logs {
		l := &logs[i]
		if l.words == nil {
			list = append(list, stretch{l, region{first: math.MinInt64, last: math.MaxInt64}})
		}
		for _, r := range l.regions {
			if r.last >= s.from && r.first < s.to {
				list = append(list, stretch{l, r})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b stretch) int { return cmp.Compare(b.last, a.last) })
	return list
}

// eachLogged gives the rows of append-only files that fit.
func eachLogged(s *search, logs []openedLog, f func(*Row) error) error {
	for _, p := range stretches(s, logs) {
		if err := p.each(s, f); err != nil {
			return err
		}
	}
	return nil
}

// newestLogged collects the newest rows of append-only files that fit. Where time runs out, it has all from s.reached on.
func newestLogged(s *search, logs []openedLog) (rows []*Row, err error) {
	for _, p := range stretches(s, logs) {
		rows = s.shrink(rows)
		full := max(4*s.limit+1000, 2*len(rows)) // as many may have one time as there are
		if at, ok := s.enough(rows); ok && p.last < at {
			break
		}
		err = p.each(s, func(r *Row) error {
			if rows = append(rows, r); len(rows) > full {
				rows = s.shrink(rows)
				full = max(full, 2*len(rows))
			}
			return nil
		})
		if err != nil && s.ctx.Err() != nil && p.last < math.MaxInt64 {
			s.reached = p.last + 1 // what was not read is older
			rows = slices.DeleteFunc(rows, func(r *Row) bool { return r.Time < s.reached })
		} else if err != nil {
			rows = nil
		}
		if err != nil {
			break
		}
	}
	return s.shrink(rows), err
}

// each gives the rows that fit.
func (p *stretch) each(s *search, f func(*Row) error) error {
	return p.read(s, func(r Row) error {
		if s.scanned.Add(1)%1024 == 0 && s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		if !s.fits(&r) {
			return nil
		}
		return f(&r)
	})
}

func (p *stretch) read(s *search, see func(Row) error) error {
	words := p.log.words
	if words == nil {
		_, err := readLog(p.log.file, s.hidden, see)
		if errors.Is(err, errCut) {
			return nil
		}
		return err
	}
	words.without |= s.hidden
	_, err := readFrames(io.NewSectionReader(p.log.file, p.offset, p.end-p.offset), func(kind byte, payload []byte) error {
		if kind == frameRows {
			return words.rows(payload, see)
		}
		return nil
	})
	return err
}
