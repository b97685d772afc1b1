package ledger

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Kind of entry.
type Kind string

const (
	Segment Kind = "segment" // a file of the query log was closed
	Removed Kind = "removed" // a segment was deleted, because of its age or for want of space
	Erased  Kind = "erased"  // personal data was taken out of a segment: Old is what it was, SHA256 what it is
	Audit   Kind = "audit"   // an administrative act
	Trace   Kind = "trace"   // somebody searched the query log
	Finding Kind = "finding" // was opened, grew worse or ended
	Rule    Kind = "rule"    // the configuration in force was changed
	Loss    Kind = "loss"    // what should have been kept was not
)

// Entry is one leaf. What does not apply is left out.
type Entry struct {
	N       int64     `json:"n"`
	Time    time.Time `json:"time"`
	Kind    Kind      `json:"kind"`
	Subject string    `json:"subject,omitempty"` // a segment's path in the data folder; what was done or found
	SHA256  string    `json:"sha256,omitempty"`  // of the segment, hexadecimal
	Octets  int64     `json:"octets,omitempty"`
	Rows    int64     `json:"rows,omitempty"`
	From    time.Time `json:"from,omitzero"` // of the first row
	To      time.Time `json:"to,omitzero"`   // of the last row
	Late    bool      `json:"late,omitempty"`
	Who     string    `json:"who,omitempty"`
	Why     string    `json:"why,omitempty"`
	Old     *int64    `json:"old,omitempty"` // the entry that this one replaces or ends
	Facts   []Fact    `json:"facts,omitempty"`
}

// Fact is one named text of an entry.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

const (
	// maxEntry bounds a line (stops: findings and commands with texts of strangers that fill the disk).
	maxEntry = 64 << 10
	// maxText bounds one text inside.
	maxText = 4 << 10
)

var errTooLong = errors.New("the entry is longer than 64 KiB")

// line is the leaf. What is too long for one is cut, and the entry says what the whole was: an act is never missing because somebody said too much.
func (e *Entry) line() ([]byte, error) {
	e.clip(maxText)
	b, err := json.Marshal(e)
	if err != nil || len(b) <= maxEntry {
		return b, err
	}
	all, err := json.Marshal(e.Facts)
	if err != nil {
		return nil, err
	}
	e.clip(maxText / 8) // of which JSON makes six times as much at most
	count, sum := len(e.Facts), sha256.Sum256(all)
	for keep := count; ; keep /= 2 {
		e.Facts = append(e.Facts[:keep:keep], Fact{"left out", strconv.Itoa(count - keep)}, Fact{"SHA-256 of all facts", hex.EncodeToString(sum[:])})
		if b, err = json.Marshal(e); err != nil || len(b) <= maxEntry || keep == 0 {
			return b, err
		}
	}
}

// clip bounds the texts.
func (e *Entry) clip(limit int) {
	e.Subject, e.Who, e.Why = clip(e.Subject, limit), clip(e.Who, limit), clip(e.Why, limit)
	for i := range e.Facts {
		e.Facts[i].Name, e.Facts[i].Value = clip(e.Facts[i].Name, limit), clip(e.Facts[i].Value, limit)
	}
}

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	end := fmt.Sprintf("... (%d octets, SHA-256 %x)", len(s), sum)
	return strings.ToValidUTF8(s[:limit-len(end)], "") + end
}

func parseEntry(line []byte) (e Entry, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return e, fmt.Errorf("reading a ledger entry: %w", err)
	}
	return e, nil
}

// eachLine calls f with each whole line, without its newline, and returns how many octets they are.
func eachLine(r io.Reader, f func(line []byte) error) (whole int64, err error) {
	in := bufio.NewReaderSize(r, maxEntry+1)
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return whole, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return whole, fmt.Errorf("%w: %w", ErrDamaged, errTooLong)
		case err != nil:
			return whole, err
		}
		if err := f(line[:len(line)-1]); err != nil {
			return whole, err
		}
		whole += int64(len(line))
	}
}
