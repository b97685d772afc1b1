package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"anyu/event"
	"anyu/watch/ledger"
)

// reopenTime is how long a disk on which no ledger could be opened is left alone.
const reopenTime = 10 * time.Second

// keptBook is the ledger as the running node uses it. Without one (a disk that takes nothing) answers and logs go on, a finding says so, and it is
// tried again with each entry; one that was damaged is moved aside for who looks into it, and a new one begins.
type keptBook struct {
	recorder *ledger.Recorder

	mu       sync.Mutex     // guards the rest, while a ledger is opened
	ledger   *ledger.Ledger // nil: none
	retry    time.Time
	findings event.Sink    // nil: not open yet
	problem  []event.Fact  // to be reported once there are findings
	failing  bool          // a finding says that nothing is taken
	adopted  chan struct{} // closed when segments that no entry names are noted in the ledger

	view bookView
}

// errNoLedger is what an entry gets while there is none.
var errNoLedger = errors.New("there is no ledger, it is tried again")

// openLedger opens the ledger at the start. Without one the node starts nevertheless.
func (n *Node) openLedger() {
	n.book.adopted = make(chan struct{})
	n.book.view.entries = ledger.NewView(shownEntries)
	n.book.recorder = ledger.NewRecorder(pages{n}, n.opts.Log)
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	if err := n.beginBook(time.Now(), nil); err != nil {
		n.opts.Log.Error("no ledger", "error", err)
		n.book.problem = []event.Fact{{Name: "error", Value: err.Error()}}
		n.book.failing = true
	}
}

// beginBook opens the ledger, or moves a damaged one aside and begins another; why is the damage that was found while it ran. The lock is held.
func (n *Node) beginBook(now time.Time, why error) error {
	dir := n.data.Path(ledgerDir)
	var l *ledger.Ledger
	err := why
	if why == nil {
		l, err = ledger.Open(dir, n.conf().Node)
	}
	if errors.Is(err, ledger.ErrDamaged) {
		l, err = n.replaceBook(dir, now, err)
	}
	if err != nil {
		n.book.retry = now.Add(reopenTime)
		return err
	}
	if n.book.problem == nil && l.Size() == 0 {
		if older, _ := filepath.Glob(filepath.Join(n.data.Path(logDir), "date=*", "hour=*", "*"+ledger.SegmentExt)); len(older) > 0 {
			n.book.problem = []event.Fact{{Name: "error", Value: fmt.Sprintf("a new ledger begins beside %d older segments: right after an upgrade from an anyu without one, else somebody removed the old one", len(older))}}
		}
	}
	n.book.ledger = l
	adopted := n.book.adopted
	go func() {
		defer close(adopted)
		if err := n.adoptSegments(l); err != nil {
			n.opts.Log.Error("segments that no entry names are not noted in the ledger", "error", err)
		}
	}()
	return nil
}

// replaceBook moves a ledger aside as it is, and begins a new one with an entry that says so.
func (n *Node) replaceBook(dir string, now time.Time, why error) (*ledger.Ledger, error) {
	aside := dir + ".damaged-" + now.UTC().Format("20060102T150405.000Z")
	n.opts.Log.Error("the ledger is damaged, a new one begins", "error", why, "old", aside)
	if err := os.Rename(dir, aside); err != nil {
		return nil, errors.Join(why, err)
	}
	n.book.problem = []event.Fact{{Name: "error", Value: why.Error()}, {Name: "file", Value: aside}}
	l, err := ledger.Open(dir, n.conf().Node)
	if err != nil {
		return nil, err
	}
	return l, l.Append(now, &ledger.Entry{Kind: ledger.Loss, Subject: ledgerDir, Who: n.conf().Node, Why: why.Error(), Facts: []ledger.Fact{{Name: "old", Value: filepath.Base(aside)}}})
}

// current is the ledger in use; nil: none.
func (b *keptBook) current() *ledger.Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger
}

// pages are where entries are written; it implements ledger.Appender.
type pages struct{ n *Node }

var _ ledger.Appender = pages{}

// Append implements ledger.Appender.
func (p pages) Append(now time.Time, entries ...*ledger.Entry) error {
	return p.n.keepEntries(now, entries...)
}

// keepEntries adds to the ledger. Where there is none one is opened, and where it turns out to be damaged another begins, so that
// what comes is kept without a restart.
func (n *Node) keepEntries(now time.Time, entries ...*ledger.Entry) error {
	l, err := n.bookFor(now)
	if err == nil {
		err = l.Append(now, entries...)
	}
	if errors.Is(err, ledger.ErrDamaged) {
		if l, err = n.exchangeBook(l, now, err); err == nil {
			err = l.Append(now, entries...)
		}
	}
	n.tellBook(err)
	return err
}

// bookFor is the ledger, opened again where there was none.
func (n *Node) bookFor(now time.Time) (*ledger.Ledger, error) {
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	switch {
	case n.book.ledger != nil:
		return n.book.ledger, nil
	case now.Before(n.book.retry):
		return nil, errNoLedger
	}
	err := n.beginBook(now, nil)
	return n.book.ledger, err
}

// exchangeBook begins a new ledger in place of one that is damaged, unless somebody did already.
func (n *Node) exchangeBook(old *ledger.Ledger, now time.Time, why error) (*ledger.Ledger, error) {
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	if n.book.ledger != old {
		if n.book.ledger == nil {
			return nil, errNoLedger
		}
		return n.book.ledger, nil
	}
	<-n.book.adopted // it may be writing to the old one
	n.book.ledger, n.book.adopted = nil, make(chan struct{})
	if err := old.Close(); err != nil {
		n.opts.Log.Warn("closing a damaged ledger", "error", err)
	}
	err := n.beginBook(now, why)
	return n.book.ledger, err
}

// tellBook says in a finding that the ledger takes nothing or was damaged, and that it takes entries again.
func (n *Node) tellBook(err error) {
	n.book.mu.Lock()
	problem, failing, sink := n.book.problem, n.book.failing, n.book.findings
	if sink != nil {
		n.book.problem, n.book.failing = nil, err != nil
	}
	n.book.mu.Unlock()
	if sink == nil {
		return // start tells
	}
	if err != nil && !failing {
		problem = []event.Fact{{Name: "error", Value: err.Error()}}
	}
	now := time.Now().UTC()
	f := event.Finding{Kind: "ledger", Subject: ledgerDir, Node: n.conf().Node, Severity: event.Critical, Updated: now, Facts: problem}
	switch {
	case problem != nil:
		f.Opened = now
	case err == nil && failing:
		f.Closed = now
	default:
		return
	}
	sink.Report(f)
}

// reportLedger says what was wrong with the ledger at the start.
func (n *Node) reportLedger() {
	n.book.mu.Lock()
	problem := n.book.problem
	n.book.problem, n.book.findings = nil, n.findings
	n.book.mu.Unlock()
	if problem == nil {
		return
	}
	now := time.Now().UTC()
	n.findings.Report(event.Finding{Kind: "ledger", Subject: ledgerDir, Node: n.conf().Node, Severity: event.Critical, Opened: now, Updated: now, Facts: problem})
}

// silenceBook ends the findings about the ledger: their store is closed before it.
func (n *Node) silenceBook() {
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	n.book.findings = nil
}

// closeLedger writes what waits.
func (n *Node) closeLedger() {
	if n.book.recorder != nil {
		n.book.recorder.Close()
	}
	if l := n.book.current(); l != nil {
		<-n.adoption()
		if err := l.Close(); err != nil {
			n.opts.Log.Error("closing the ledger", "error", err)
		}
	}
}
