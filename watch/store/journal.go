package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// journalFile says what was sent. It is JSON, one line a step, synced before the step it announces.
const journalFile = "sent.jsonl"

// maxStep bounds a line (stops: a damaged file read as one line).
const maxStep = 4 << 10

// step is how far one segment is.
type step struct {
	Segment string `json:"segment"`
	Rows    int64  `json:"rows"`           // that the store has: all before this number
	End     int64  `json:"end,omitempty"`  // rows from Rows to here are being sent, or were when the process died
	From    int64  `json:"from,omitempty"` // us, of the rows being sent
	To      int64  `json:"to,omitempty"`
	Server  string `json:"server,omitempty"` // they are being sent to
	Done    bool   `json:"done,omitempty"`
	Lost    int64  `json:"lost,omitempty"` // rows that were given up
}

// unclear tells that nobody knows whether the server has the rows that were being sent.
func (s *step) unclear() bool { return s.End > s.Rows }

// journal is the file.
type journal struct {
	path string
	file *os.File
}

// openJournal reads what is known, and writes it anew without what has been overtaken.
func openJournal(dir string, keep func(segment string) bool) (*journal, map[string]*step, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, nil, fmt.Errorf("opening the store's journal: %w", err)
	}
	j := &journal{path: filepath.Join(dir, journalFile)}
	old, err := os.ReadFile(j.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("opening the store's journal: %w", err)
	}
	steps, err := readSteps(bytes.NewReader(old))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the store's journal %s (move it away, and everything is sent again): %w", j.path, err)
	}
	var text []byte
	for segment, s := range steps {
		if !keep(segment) {
			delete(steps, segment)
			continue
		}
		line, err := json.Marshal(s)
		if err != nil {
			return nil, nil, fmt.Errorf("opening the store's journal: %w", err)
		}
		text = append(append(text, line...), '\n')
	}
	if err := replace(j.path, text); err != nil {
		return nil, nil, fmt.Errorf("opening the store's journal: %w", err)
	}
	if j.file, err = os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0o640); err != nil {
		return nil, nil, fmt.Errorf("opening the store's journal: %w", err)
	}
	return j, steps, nil
}

// readSteps reads lines; a last one without its end was being written when the process died, and announced nothing that was done.
func readSteps(r io.Reader) (map[string]*step, error) {
	steps := map[string]*step{}
	in := bufio.NewReaderSize(r, maxStep)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if err == io.EOF {
			return steps, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		var s step
		if err := json.Unmarshal(line, &s); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if s.Segment == "" || s.Rows < 0 || s.End < 0 || s.Lost < 0 {
			return nil, fmt.Errorf("line %d: it names no segment, or less than no rows", n)
		}
		steps[s.Segment] = &s
	}
}

// write notes a step. announce: it must be on disk before what it announces is done.
func (j *journal) write(s *step, announce bool) error {
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("noting what is sent: %w", err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("noting what is sent: %w", err)
	}
	if announce {
		if err := j.file.Sync(); err != nil {
			return fmt.Errorf("noting what is sent: %w", err)
		}
	}
	return nil
}

func (j *journal) close() error { return errors.Join(j.file.Sync(), j.file.Close()) }

// replace writes a file aside and renames it, so that it is there whole or not at all.
func replace(path string, text []byte) error {
	aside := path + ".new"
	f, err := os.OpenFile(aside, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(aside, path)
}
