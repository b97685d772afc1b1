package node

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"anyu/config"
	"anyu/event"
	"anyu/watch/ledger"
	"anyu/watch/trail"
)

// ledgerDir is where the ledger is, inside the data folder.
const ledgerDir = "ledger"

// LedgerDir is the same for commands.
const LedgerDir = ledgerDir

// LogDir is where the query log is, inside the data folder.
const LogDir = logDir

// keptBook is the ledger as the running node uses it. Without one (a disk that takes nothing) answers and logs go on, and a finding says so.
type keptBook struct {
	ledger   *ledger.Ledger
	recorder *ledger.Recorder
	problem  []event.Fact  // to be reported once there are findings
	adopted  chan struct{} // closed when segments that are older than the ledger are noted in it

	mu       sync.Mutex // guards the rest: the last check
	checked  time.Time
	problems []string
}

// openLedger opens the ledger. One that is damaged is moved aside as it is, for who looks into it, and a new one begins with an entry that says so.
func (n *Node) openLedger() {
	dir := n.data.Path(ledgerDir)
	l, err := ledger.Open(dir, n.conf().Node)
	if errors.Is(err, ledger.ErrDamaged) {
		aside := dir + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
		n.opts.Log.Error("the ledger is damaged, a new one begins", "error", err, "old", aside)
		n.book.problem = []event.Fact{{Name: "error", Value: err.Error()}, {Name: "file", Value: aside}}
		if renamed := os.Rename(dir, aside); renamed == nil {
			if l, err = ledger.Open(dir, n.conf().Node); err == nil {
				err = l.Append(time.Now(), &ledger.Entry{Kind: ledger.Loss, Subject: ledgerDir, Who: n.conf().Node, Why: n.book.problem[0].Value, Facts: []ledger.Fact{{Name: "old", Value: filepath.Base(aside)}}})
			}
		}
	}
	if err != nil {
		n.opts.Log.Error("no ledger", "error", err)
		n.book.problem = []event.Fact{{Name: "error", Value: err.Error()}}
		return
	}
	if n.book.problem == nil && l.Size() == 0 {
		if older, _ := filepath.Glob(filepath.Join(n.data.Path(logDir), "date=*", "hour=*", "*"+ledger.SegmentExt)); len(older) > 0 {
			n.book.problem = []event.Fact{{Name: "error", Value: fmt.Sprintf("a new ledger begins beside %d older segments: right after an upgrade from an anyu without one, else somebody removed the old one", len(older))}}
		}
	}
	n.book.ledger, n.book.recorder, n.book.adopted = l, ledger.NewRecorder(l, n.opts.Log), make(chan struct{})
	n.work.Go(func() {
		defer close(n.book.adopted)
		if err := n.adoptSegments(); err != nil {
			n.opts.Log.Error("segments that are older than the ledger are not noted in it", "error", err)
		}
	})
}

// reportLedger says what was wrong with the ledger.
func (n *Node) reportLedger() {
	if n.book.problem == nil {
		return
	}
	now := time.Now().UTC()
	n.findings.Report(event.Finding{Kind: "ledger", Subject: ledgerDir, Node: n.conf().Node, Severity: event.Critical, Opened: now, Updated: now, Facts: n.book.problem})
}

// closeLedger writes what waits.
func (n *Node) closeLedger() {
	if n.book.ledger == nil {
		return
	}
	n.book.recorder.Close()
	if err := n.book.ledger.Close(); err != nil {
		n.opts.Log.Error("closing the ledger", "error", err)
	}
}

// audit keeps an administrative act. It is on disk when audit returns; where the disk takes nothing the act is done nevertheless (flushing a poisoned
// name is more urgent than the note of it), and the finding says so.
func (n *Node) audit(who, act string, facts ...ledger.Fact) {
	n.opts.Log.Info("administrative act", "who", who, "act", act)
	if n.book.ledger == nil {
		return
	}
	err := n.book.ledger.Append(time.Now(), &ledger.Entry{Kind: ledger.Audit, Subject: act, Who: who, Facts: facts})
	if err == nil {
		return
	}
	n.opts.Log.Error("an administrative act is not in the ledger", "who", who, "act", act, "error", err)
	now := time.Now().UTC()
	n.findings.Report(event.Finding{Kind: "ledger", Subject: ledgerDir, Node: n.conf().Node, Severity: event.Critical, Opened: now, Updated: now,
		Facts: []event.Fact{{Name: "error", Value: err.Error()}}})
}

// Audit implements console.Auditor.
func (s shown) Audit(who, act string, facts map[string]string) {
	s.n.audit(who, act, factsOf(facts)...)
}

// Trace implements console.Auditor.
func (s shown) Trace(who string, facts map[string]string) {
	if s.n.book.ledger == nil {
		return
	}
	if err := s.n.book.ledger.Append(time.Now(), &ledger.Entry{Kind: ledger.Trace, Subject: "query-log", Who: who, Facts: factsOf(facts)}); err != nil {
		s.n.opts.Log.Error("a trace is not in the ledger", "who", who, "error", err)
	}
}

// recordRules keeps which configuration is in force, by its digest and by the names of what changed; not its values, which may be secrets.
func (n *Node) recordRules(who string, old, now *config.Config) {
	if n.book.ledger == nil {
		return
	}
	sum, changed := config.Difference(old, now)
	if old != nil && len(changed) == 0 {
		return
	}
	e := &ledger.Entry{Kind: ledger.Rule, Subject: "configuration", SHA256: sum, Who: who}
	for _, key := range changed {
		e.Facts = append(e.Facts, ledger.Fact{Name: "changed", Value: key})
	}
	if err := n.book.ledger.Append(time.Now(), e); err != nil {
		n.opts.Log.Error("a change of the configuration is not in the ledger", "error", err)
	}
}

// segments keeps what becomes of segments of the query log, and tells the store; it implements trail.Witness.
type segments struct{ n *Node }

var _ trail.Witness = segments{}

// lateSegment is how long after its last row a segment is usually closed at most.
const lateSegment = 25 * time.Hour

func (s segments) Closed(name string, rows int64, from, to time.Time) error {
	if err := s.closed(name, rows, from, to); err != nil {
		return err
	}
	if s.n.store != nil {
		s.n.store.Closed(name)
	}
	return nil
}

func (s segments) closed(name string, rows int64, from, to time.Time) error {
	if s.n.book.ledger == nil {
		return nil
	}
	<-s.n.book.adopted
	sum, octets, err := ledger.SumFile(filepath.Join(s.n.data.Path(logDir), filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	now := time.Now()
	return s.n.book.ledger.Append(now, &ledger.Entry{Kind: ledger.Segment, Subject: path.Join(logDir, name), SHA256: sum, Octets: octets, Rows: rows, From: from, To: to,
		Late: now.Sub(to) > lateSegment, Who: s.n.conf().Node})
}

func (s segments) Removed(name, why string) error {
	if s.n.store != nil {
		s.n.store.Removed(name)
	}
	if s.n.book.ledger == nil {
		return nil
	}
	<-s.n.book.adopted
	subject := path.Join(logDir, name)
	known, err := s.n.book.ledger.Segments()
	if err != nil {
		return err
	}
	e := &ledger.Entry{Kind: ledger.Removed, Subject: subject, Who: s.n.conf().Node, Why: why}
	old, is := known[subject]
	if !is {
		return nil // noted already, or older than the ledger
	}
	e.Old = &old.N
	return s.n.book.ledger.Append(time.Now(), e)
}

// adoptSegments notes segments that are older than the ledger: from an anyu that had none. Once the ledger has any it does so no more, and a segment
// without an entry is one that somebody put in.
func (n *Node) adoptSegments() error {
	began := false
	if err := ledger.Each(n.data.Path(ledgerDir), func(e ledger.Entry) bool {
		began = e.Kind == ledger.Segment || e.Kind == ledger.Removed
		return !began
	}); err != nil || began {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(n.data.Path(logDir), "date=*", "hour=*", "*"+ledger.SegmentExt))
	if err != nil {
		return err
	}
	var entries []*ledger.Entry
	for _, full := range paths {
		rel, err := filepath.Rel(n.data.Dir, full)
		if err != nil {
			return err
		}
		sum, octets, err := ledger.SumFile(full)
		if errors.Is(err, os.ErrNotExist) {
			continue // grown too old meanwhile
		}
		if err != nil {
			return fmt.Errorf("noting older segments in the ledger: %w", err)
		}
		entries = append(entries, &ledger.Entry{Kind: ledger.Segment, Subject: filepath.ToSlash(rel), SHA256: sum, Octets: octets, Late: true, Who: n.conf().Node,
			Facts: []ledger.Fact{{Name: "found", Value: "without an entry, when the node started"}}})
	}
	if len(entries) == 0 {
		return nil
	}
	return n.book.ledger.Append(time.Now(), entries...)
}

// factsOf puts named texts in the order of their names.
func factsOf(m map[string]string) (list []ledger.Fact) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, ledger.Fact{Name: name, Value: m[name]})
	}
	return list
}
