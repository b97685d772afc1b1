package ledger

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"
)

// What can be wrong.
const (
	Altered     = "altered"     // an entry or a segment is not what was signed
	Missing     = "missing"     // it was signed, and is gone
	Unknown     = "unknown"     // a segment that no entry names: it was put in
	Reordered   = "reordered"   // an entry stands at another place than its number says
	BackDated   = "back-dated"  // an entry, or the rows of a segment, are of another time than they say
	RolledBack  = "rolled-back" // the ledger is older than a checkpoint that was kept elsewhere
	Rebuilt     = "rebuilt"     // the ledger is another one than that of the checkpoint
	Unsigned    = "unsigned"    // entries at the end have no signed head over them
	Unreadable  = "unreadable"
	maxProblems = 1000
)

// Problem is one thing that is wrong.
type Problem struct {
	What    string `json:"what"`
	Entry   *int64 `json:"entry,omitempty"`
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text"`
}

// Verification says what is to be compared.
type Verification struct {
	Data       string // the data folder: the ledger is in its folder "ledger", segments where their entries say
	Log        string // the query log's folder inside Data, whose segments must all be known
	Checkpoint []byte // one that was kept elsewhere; nil: none
	Key        string // the public key, kept elsewhere; "": the one in the folder
	Quick      bool   // compare the segments' sizes only, do not read them
	Now        time.Time
	Progress   func(done, all int, octets int64) // of segments; may be nil
}

// Result of a verification. It holds when Problems is empty.
type Result struct {
	Entries  int64          `json:"entries"`
	Kinds    map[Kind]int64 `json:"kinds"`
	Segments int            `json:"segments"` // that are there and should be
	Octets   int64          `json:"octets"`   // of them
	Read     bool           `json:"read"`     // their octets were compared, not their sizes only
	Late     int            `json:"late"`     // segments whose rows are much older than their entry, as the node said itself
	Erased   int            `json:"erased"`
	Root     string         `json:"root"`
	Signed   time.Time      `json:"signed,omitzero"` // the last head
	Key      string         `json:"key"`
	Compared bool           `json:"compared"` // with a checkpoint that was kept elsewhere
	Problems []Problem      `json:"problems"`
}

// lateAfter is how much older than its entry the last row of a segment may be without the node saying that it is late.
const lateAfter = 26 * time.Hour

// pendingTime is how long a segment may be there before its entry is.
const pendingTime = 5 * time.Minute

// verifier is a verification under way.
type verifier struct {
	Verification
	dir    string
	r      Result
	leaves leaves
	files  map[string]*Entry // segments that should be there, by path
	heads  []Checkpoint      // older ones, by size
}

// leaves are the hashes of a tree made from what the entries say today.
type leaves []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (l leaves) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= int64(len(l)) {
			return nil, fmt.Errorf("there is no hash %d", x)
		}
		out[i] = l[x]
	}
	return out, nil
}

// Verify compares a data folder with its ledger. An error means that it could not be done; what is wrong is in the result.
func Verify(v Verification) (*Result, error) {
	w := &verifier{Verification: v, dir: filepath.Join(v.Data, "ledger"), files: map[string]*Entry{}}
	w.r = Result{Kinds: map[Kind]int64{}, Read: !v.Quick, Problems: []Problem{}}
	if w.Key == "" {
		public, err := os.ReadFile(filepath.Join(w.dir, publicFile))
		if err != nil {
			return nil, fmt.Errorf("verifying the ledger: %w", err)
		}
		w.Key = strings.TrimSpace(string(public))
	}
	w.r.Key = w.Key
	file, err := os.Open(filepath.Join(w.dir, entriesFile))
	if err != nil {
		return nil, fmt.Errorf("verifying the ledger: %w", err)
	}
	defer file.Close()
	if err := w.readTogether(file); err != nil {
		return nil, fmt.Errorf("verifying the ledger: %w", err)
	}
	w.compareHeads()
	w.compareCheckpoint()
	if err := w.compareSegments(); err != nil {
		return nil, fmt.Errorf("verifying the ledger: %w", err)
	}
	return &w.r, nil
}

func (w *verifier) problem(what string, entry int64, subject, format string, args ...any) {
	if len(w.r.Problems) >= maxProblems {
		return
	}
	p := Problem{What: what, Subject: subject, Text: fmt.Sprintf(format, args...)}
	if entry >= 0 {
		p.Entry = &entry
	}
	w.r.Problems = append(w.r.Problems, p)
}

// readTogether reads heads and entries as they are between two entries of a node that runs. Who may not open its lock reads nevertheless.
func (w *verifier) readTogether(file io.Reader) error {
	if lock, err := os.OpenFile(filepath.Join(w.dir, lockFile), os.O_RDWR, 0); err == nil {
		defer lock.Close()
		end, err := flock(lock, unix.LOCK_SH)
		if err != nil {
			return err
		}
		defer end()
	}
	if err := w.readHeads(); err != nil {
		return err
	}
	return w.readEntries(file)
}

// readHeads reads the older heads and the last one, in the order of their sizes.
func (w *verifier) readHeads() error {
	for _, name := range []string{headsFile, headFile} {
		text, err := os.ReadFile(filepath.Join(w.dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if name == headsFile {
			text = text[:wholeHeads(text)] // a crash may have cut the last one; the head after it says the same and more
		}
		for _, one := range splitHeads(text) {
			c, err := OpenCheckpoint(one, w.Key)
			if err != nil {
				w.problem(Altered, -1, name, "%v", err)
				continue
			}
			w.heads = append(w.heads, c)
		}
	}
	slices.SortStableFunc(w.heads, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	return nil
}

// wholeHeads is how much of a text is heads that were written to their end.
func wholeHeads(text []byte) (whole int) {
	gap := []byte("\n\n")
	for {
		body := bytes.Index(text[whole:], gap)
		if body < 0 {
			return whole
		}
		signatures := bytes.Index(text[whole+body+len(gap):], gap)
		if signatures < 0 {
			return whole
		}
		whole += body + signatures + 2*len(gap)
	}
}

// splitHeads parts notes that follow each other: each is text, an empty line, signatures, an empty line.
func splitHeads(text []byte) (heads [][]byte) {
	parts := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n\n"))
	for i := 0; i+1 < len(parts); i += 2 {
		heads = append(heads, bytes.Join([][]byte{parts[i], append(parts[i+1], '\n')}, []byte("\n\n")))
	}
	return heads
}

// readEntries makes the tree of what the entries say, and notes which segments there should be.
func (w *verifier) readEntries(file io.Reader) error {
	var last time.Time
	stored, err := os.ReadFile(filepath.Join(w.dir, hashesFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	head := 0
	_, err = eachLine(file, func(line []byte) error {
		n := w.r.Entries
		w.r.Entries++
		hashes, err := tlog.StoredHashes(n, line, w.leaves)
		if err != nil {
			return err
		}
		at := tlog.StoredHashIndex(0, n) * tlog.HashSize
		for i, h := range hashes {
			begin := at + int64(i)*tlog.HashSize
			if end := begin + tlog.HashSize; end <= int64(len(stored)) && !bytes.Equal(stored[begin:end], h[:]) {
				w.problem(Altered, n, "", "the text of the entry, or of one before it, does not have the hash that was kept of it")
				break
			}
		}
		w.leaves = append(w.leaves, hashes...)
		e, err := parseEntry(line)
		switch {
		case err != nil:
			w.problem(Unreadable, n, "", "%v", err)
			return nil
		case e.N != n:
			w.problem(Reordered, n, e.Subject, "the entry says that it is number %d", e.N)
		case e.Time.Before(last):
			w.problem(BackDated, n, e.Subject, "the entry is of %s, before the one before it", e.Time.Format(time.RFC3339))
		}
		for head < len(w.heads) && w.heads[head].Size <= n {
			head++
		}
		if head < len(w.heads) && !w.heads[head].Time.IsZero() && e.Time.After(w.heads[head].Time) {
			w.problem(BackDated, n, e.Subject, "the entry is of %s, after the head of %s that was signed over it", e.Time.Format(time.RFC3339), w.heads[head].Time.Format(time.RFC3339))
		}
		if head > 0 && w.heads[head-1].Size <= n && e.Time.Before(w.heads[head-1].Time) {
			w.problem(BackDated, n, e.Subject, "the entry is of %s, and was added after %s", e.Time.Format(time.RFC3339), w.heads[head-1].Time.Format(time.RFC3339))
		}
		if e.Time.After(last) {
			last = e.Time
		}
		w.note(&e)
		return nil
	})
	return err
}

// note follows what should be in the folder.
func (w *verifier) note(e *Entry) {
	w.r.Kinds[e.Kind]++
	switch e.Kind {
	case Segment:
		if old := w.files[e.Subject]; old != nil && old.SHA256 != e.SHA256 {
			w.problem(Altered, e.N, e.Subject, "the segment was closed twice, first by entry %d, and is another one", old.N)
		}
		w.files[e.Subject] = e
		if e.Late {
			w.r.Late++
		} else if !e.To.IsZero() && e.Time.Sub(e.To) > lateAfter {
			w.problem(BackDated, e.N, e.Subject, "its last row is of %s, and its entry of %s", e.To.Format(time.RFC3339), e.Time.Format(time.RFC3339))
		}
	case Erased:
		w.r.Erased++
		old := w.files[e.Subject]
		if old == nil || e.Old == nil || *e.Old != old.N {
			w.problem(Altered, e.N, e.Subject, "something was erased from a segment that no entry before names")
		}
		w.files[e.Subject] = e
	case Removed:
		if w.files[e.Subject] == nil {
			w.problem(Missing, e.N, e.Subject, "a segment was removed that no entry before names")
		}
		delete(w.files, e.Subject)
	}
}

// compareHeads compares each signed head with the tree of today.
func (w *verifier) compareHeads() {
	size := w.r.Entries
	if size > 0 {
		if root, err := tlog.TreeHash(size, w.leaves); err == nil {
			w.r.Root = root.String()
		}
	}
	good := int64(0) // entries under a head that holds
	for _, c := range w.heads {
		w.r.Signed = c.Time
		if c.Size > size {
			w.problem(Missing, -1, "", "%d entries were signed at %s, %d are there: the last %d are gone", c.Size, c.Time.Format(time.RFC3339), size, c.Size-size)
			continue
		}
		root, err := tlog.TreeHash(c.Size, w.leaves)
		if err != nil || root != c.Root {
			w.problem(Altered, -1, "", "entries %d to %d are not those that were signed at %s", good, c.Size-1, c.Time.Format(time.RFC3339))
			return // every later head would say the same
		}
		good = c.Size
	}
	if good < size {
		w.problem(Unsigned, good, "", "entries %d to %d are not under a signed head", good, size-1)
	}
}

// compareCheckpoint compares with what was kept elsewhere.
func (w *verifier) compareCheckpoint() {
	if w.Checkpoint == nil {
		return
	}
	w.r.Compared = true
	c, err := OpenCheckpoint(w.Checkpoint, w.Key)
	switch {
	case errors.Is(err, ErrForeign):
		w.problem(Rebuilt, -1, "", "%v", err)
		return
	case err != nil:
		w.problem(Unreadable, -1, "", "%v", err)
		return
	case c.Size > w.r.Entries:
		w.problem(RolledBack, -1, "", "the checkpoint of %s has %d entries, the ledger %d: it was put back to an older state", c.Time.Format(time.RFC3339), c.Size, w.r.Entries)
		return
	}
	if root, err := tlog.TreeHash(c.Size, w.leaves); err != nil || root != c.Root {
		w.problem(Rebuilt, -1, "", "the first %d entries are not those of the checkpoint of %s: the ledger was made anew, or altered before then", c.Size, c.Time.Format(time.RFC3339))
	}
}
