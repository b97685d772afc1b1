package node

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"anyu/watch/ledger"
	"anyu/watch/trail"
)

// segments keeps what becomes of segments of the query log, and tells the store; it implements trail.Witness.
type segments struct{ n *Node }

var _ trail.Witness = segments{}

const (
	// lateSegment is how long after its last row a segment is usually closed at most.
	lateSegment = 25 * time.Hour
	// waitingFile holds the entries of segments that were closed while the ledger took nothing, inside the data folder. They are noted when it does.
	waitingFile = "ledger-waiting.jsonl"
	maxWaiting  = 64 << 20 // octets (stops: a file put there that fills the memory)
)

// Closed implements trail.Witness.
func (s segments) Closed(name string, rows int64, from, to time.Time) error {
	<-s.n.adoption()
	sum, octets, err := ledger.SumFile(filepath.Join(s.n.data.Path(logDir), filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	now := time.Now()
	e := &ledger.Entry{Kind: ledger.Segment, Subject: path.Join(logDir, name), SHA256: sum, Octets: octets, Rows: rows, From: from, To: to,
		Late: now.Sub(to) > lateSegment, Who: s.n.conf().Node}
	if err := s.n.keepEntries(now, e); err != nil {
		// On a disk that takes nothing this fails, too, and the rows stay where they are.
		if err := s.n.letWait(e, now, err); err != nil {
			return err
		}
	}
	if s.n.store != nil {
		s.n.store.Closed(name)
	}
	return nil
}

// Removed implements trail.Witness.
func (s segments) Removed(name, why string) error {
	if s.n.store != nil {
		s.n.store.Removed(name)
	}
	<-s.n.adoption()
	l, err := s.n.bookFor(time.Now())
	if err != nil {
		return err
	}
	subject := path.Join(logDir, name)
	known, err := l.Segments()
	if err != nil {
		return err
	}
	old, is := known[subject]
	if !is {
		return nil // noted already, or older than the ledger
	}
	return s.n.keepEntries(time.Now(), &ledger.Entry{Kind: ledger.Removed, Subject: subject, Who: s.n.conf().Node, Why: why, Old: &old.N})
}

// adoption is closed when the segments that no entry names are noted.
func (n *Node) adoption() <-chan struct{} {
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	if n.book.ledger == nil {
		now := make(chan struct{})
		close(now)
		return now
	}
	return n.book.adopted
}

// letWait keeps the entry of a segment for later.
func (n *Node) letWait(e *ledger.Entry, now time.Time, why error) error {
	e.N, e.Late = 0, true
	e.Facts = []ledger.Fact{{Name: "closed", Value: now.UTC().Format(time.RFC3339)}, {Name: "noted later", Value: why.Error()}}
	line, err := json.Marshal(e)
	if err != nil {
		return errors.Join(why, err)
	}
	f, err := os.OpenFile(n.data.Path(waitingFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return errors.Join(why, err)
	}
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(why, err)
	}
	return nil
}

// waiting reads the entries that wait. A last line that was cut off is passed over: its segment is still an append-only file.
func (n *Node) waiting() (list []*ledger.Entry, err error) {
	f, err := os.Open(n.data.Path(waitingFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxWaiting {
		return nil, errors.Join(err, fmt.Errorf("%s is larger than %d octets", waitingFile, maxWaiting))
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxWaiting)
	for lines.Scan() {
		var e ledger.Entry
		if json.NewDecoder(bytes.NewReader(lines.Bytes())).Decode(&e) == nil && e.Kind == ledger.Segment {
			list = append(list, &e)
		}
	}
	return list, lines.Err()
}

// adoptSegments notes segments that no entry names, but only those that the node itself left so: the ones that were closed while the ledger took nothing, and, when a
// ledger begins, all that are older than it. Any other segment without an entry is one that somebody put in.
func (n *Node) adoptSegments(l *ledger.Ledger) error {
	if err := n.finishErasures(l); err != nil {
		return err
	}
	known, err := l.Segments()
	if err != nil {
		return err
	}
	entries, err := n.waiting()
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e *ledger.Entry) bool {
		_, is := known[e.Subject]
		if _, err := os.Stat(n.data.Path(filepath.FromSlash(e.Subject))); err != nil {
			return true // grown too old meanwhile
		}
		known[e.Subject] = *e
		return is
	})
	began := false
	if err := ledger.Each(n.data.Path(ledgerDir), func(e ledger.Entry) bool {
		began = e.Kind == ledger.Segment || e.Kind == ledger.Removed
		return !began
	}); err != nil {
		return err
	}
	if !began {
		older, err := n.olderSegments(known)
		if err != nil {
			return err
		}
		entries = append(entries, older...)
	}
	if len(entries) > 0 {
		if err := l.Append(time.Now(), entries...); err != nil {
			return err
		}
	}
	if err := os.Remove(n.data.Path(waitingFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// olderSegments are entries for what is there when a ledger begins.
func (n *Node) olderSegments(known map[string]ledger.Entry) (entries []*ledger.Entry, err error) {
	paths, err := filepath.Glob(filepath.Join(n.data.Path(logDir), "date=*", "hour=*", "*"+ledger.SegmentExt))
	if err != nil {
		return nil, err
	}
	for _, full := range paths {
		rel, err := filepath.Rel(n.data.Dir, full)
		if err != nil {
			return nil, err
		}
		if _, is := known[filepath.ToSlash(rel)]; is {
			continue
		}
		sum, octets, err := ledger.SumFile(full)
		if errors.Is(err, os.ErrNotExist) {
			continue // grown too old meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("noting older segments in the ledger: %w", err)
		}
		entries = append(entries, &ledger.Entry{Kind: ledger.Segment, Subject: filepath.ToSlash(rel), SHA256: sum, Octets: octets, Late: true, Who: n.conf().Node,
			Facts: []ledger.Fact{{Name: "found", Value: "without an entry, when this ledger began"}}})
	}
	return entries, nil
}
