package node

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"anyu/console"
	"anyu/event"
	"anyu/watch/ledger"
)

const (
	// firstLedgerCheck and ledgerCheckEvery: entries, heads and sizes are compared by the node itself; reading all segments is left to `anyu ledger verify`,
	// for it would take the disk from the log.
	firstLedgerCheck = time.Minute
	ledgerCheckEvery = 24 * time.Hour
	// shownEntries bounds the page's list, shownProblems its complaints and the finding's.
	shownEntries  = 50
	shownProblems = 20
)

// bookView is what pages show of the ledger.
type bookView struct {
	entries *ledger.View

	mu       sync.Mutex // guards the rest: the last check
	checked  time.Time
	problems []string
}

// tendLedger checks the ledger each day, and tells when it does not hold.
func (n *Node) tendLedger(ctx context.Context) {
	next := time.NewTimer(firstLedgerCheck)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			n.checkLedger(time.Now())
			next.Reset(ledgerCheckEvery)
		}
	}
}

// checkLedger compares entries, heads and sizes.
func (n *Node) checkLedger(now time.Time) {
	l := n.book.current()
	if l == nil {
		return
	}
	r, err := ledger.Verify(ledger.Verification{Data: n.data.Dir, Log: logDir, Key: l.Key(), Quick: true, Now: now})
	if err != nil {
		n.opts.Log.Error("the ledger could not be checked", "error", err)
		return
	}
	var problems []string
	for _, p := range r.Problems[:min(len(r.Problems), shownProblems)] {
		problems = append(problems, strings.TrimSpace(p.What+" "+p.Subject)+": "+p.Text)
	}
	n.book.view.mu.Lock()
	n.book.view.checked, n.book.view.problems = now.UTC(), problems
	n.book.view.mu.Unlock()
	f := event.Finding{Kind: "ledger-check", Subject: ledgerDir, Node: n.conf().Node, Severity: event.Critical, Updated: now.UTC()}
	if len(problems) == 0 {
		f.Closed = f.Updated // ends the one that is open, if any
	} else {
		f.Opened = f.Updated
		f.Facts = []event.Fact{{Name: "problems", Value: fmt.Sprint(len(r.Problems))}, {Name: "error", Value: strings.Join(problems, "; ")}}
	}
	n.findings.Report(f)
}

// Ledger implements console.Book.
func (s shown) Ledger() *console.Ledger {
	n := s.n
	open := n.book.current()
	if open == nil {
		return nil
	}
	dir := n.data.Path(ledgerDir)
	l := &console.Ledger{Key: open.Key(), Lost: n.book.recorder.Lost(), Problems: []string{}, Recent: []console.LedgerNote{}}
	if head, err := ledger.Head(dir); err == nil {
		l.Checkpoint = string(head)
		if c, err := ledger.OpenCheckpoint(head, l.Key); err == nil {
			l.Signed = c.Time
		}
	}
	n.book.view.mu.Lock()
	l.Checked = n.book.view.checked
	l.Problems = append(l.Problems, n.book.view.problems...)
	n.book.view.mu.Unlock()
	seen, err := n.book.view.entries.Look(dir)
	if err != nil {
		n.opts.Log.Error("the ledger cannot be read for its page", "error", err)
	}
	l.Entries, l.Segments, l.Octets = int(seen.Entries), seen.Segments, seen.Octets
	for i := range seen.Recent {
		l.Recent = append(l.Recent, note(&seen.Recent[i]))
	}
	return l
}

func note(e *ledger.Entry) console.LedgerNote {
	var facts []string
	for _, f := range e.Facts {
		facts = append(facts, f.Name+"="+f.Value)
	}
	return console.LedgerNote{N: e.N, Time: e.Time, Kind: string(e.Kind), Act: e.Subject, Who: e.Who, Why: e.Why, Text: strings.Join(facts, " ")}
}
