package node

import (
	"context"
	"log/slog"
	"time"

	"anyu/config"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve/mirror"
	"anyu/serve/validate"
	"anyu/watch/findings"
)

// RootCopy is the keeper of the local root with the clock in the hands of a test.
type RootCopy struct{ c *rootCopy }

// NewRootCopy makes one that is told to use versions by use.
func NewRootCopy(dir string, local config.LocalRoot, anchors []validate.Anchor, sink event.Sink, use func(*zone.Zone)) (*RootCopy, error) {
	sources, err := openRootSources(&local)
	if err != nil {
		return nil, err
	}
	return &RootCopy{newRootCopy(rootCopyParts{dir: dir, trust: validate.New(validate.Config{}), anchors: func() []validate.Anchor { return anchors }, use: use, sink: sink,
		node: "test", log: slog.New(slog.DiscardHandler)}, sources)}, nil
}

// Configure takes other sources.
func (r *RootCopy) Configure(local config.LocalRoot) error {
	sources, err := openRootSources(&local)
	if err == nil {
		r.c.configure(sources)
	}
	return err
}

// Turn does what is due.
func (r *RootCopy) Turn(ctx context.Context, now time.Time) time.Duration {
	return r.c.turn(ctx, now.UnixNano())
}

// State is what people see.
func (r *RootCopy) State() *mirror.State { return r.c.State() }

// OpenFindings are the kinds of the findings that are open, as pages see them: the file may be on a disk that is full.
func OpenFindings(n *Node) (kinds []string) {
	list, _ := n.findings.List(findings.Query{Limit: 1000})
	for _, f := range list {
		if f.Closed.IsZero() {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}

// CheckLedger has the node compare its ledger with what is kept, which it does by itself once a day.
func CheckLedger(n *Node, now time.Time) { n.checkLedger(now) }

// RetryLedger makes the next entry try to open a ledger where there is none, however short ago that failed.
func RetryLedger(n *Node) {
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	n.book.retry = time.Time{}
}

// AskWitnesses has the ledger's head co-signed now.
func AskWitnesses(ctx context.Context, n *Node) error {
	_, err := n.witnessed(ctx, -1, map[string]time.Time{}, time.Now())
	return err
}

// MailHead mails the ledger's head once, if it is time.
func MailHead(ctx context.Context, n *Node, now time.Time) error {
	m, err := mailer(&n.conf().Mail)
	if err != nil {
		return err
	}
	return n.mailHead(ctx, m, now)
}
