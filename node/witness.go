package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	signed "golang.org/x/mod/sumdb/note"

	"anyu/event"
	"anyu/watch/ledger/witness"
)

const (
	// firstWitness and witnessEvery: the first time soon, so that a wrong address is seen while somebody looks.
	firstWitness = 20 * time.Second
	witnessEvery = 10 * time.Minute
	// silentTime is how long a witness may be out of reach before a finding says so.
	silentTime = 24 * time.Hour
)

// WitnessedFile holds the last checkpoint that enough witnesses have co-signed, inside the ledger's folder.
const WitnessedFile = "witnessed"

// askWitnesses has the heads of the ledger co-signed by those of the configuration.
func (n *Node) askWitnesses(ctx context.Context) {
	list := n.conf().Ledger.Witnesses
	if len(list) == 0 {
		return
	}
	since := map[string]time.Time{} // the last good answer, or the start
	for _, w := range list {
		since[w.URL] = time.Now()
	}
	last := int64(-1)
	next := time.NewTimer(firstWitness)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			next.Reset(witnessEvery)
		}
		if size, err := n.witnessed(ctx, last, since, time.Now()); err != nil {
			n.opts.Log.Warn("the ledger's checkpoint is not co-signed", "error", err)
		} else {
			last = size
		}
	}
}

// witnessed asks each witness once, unless nothing was added since a size that is co-signed, and keeps what they signed.
func (n *Node) witnessed(ctx context.Context, before int64, since map[string]time.Time, now time.Time) (size int64, err error) {
	l := n.book.current()
	if l == nil {
		return before, errNoLedger
	}
	head, text, prove, err := l.Consistency()
	if err != nil || head.Size == before {
		return before, err
	}
	c := n.conf().Ledger
	var errs []error
	count := 0
	for _, w := range c.Witnesses {
		by, err := witness.NewVerifier(w.Key)
		if err == nil {
			var more []byte
			if more, err = witness.Ask(ctx, http.DefaultClient, w.URL, by, text, head.Size, prove); err == nil {
				text, count = more, count+1
				since[w.URL] = now
			}
		}
		n.tellWitness(w.URL, by, err, since[w.URL], now)
		errs = append(errs, err)
	}
	quorum := c.Quorum
	if quorum == 0 {
		quorum = len(c.Witnesses)
	}
	if count < quorum {
		return before, errors.Join(append(errs, fmt.Errorf("%d of %d witnesses have signed, %d are wanted", count, len(c.Witnesses), quorum))...)
	}
	if err := writeFile(filepath.Join(n.data.Path(ledgerDir), WitnessedFile), text, 0o640); err != nil {
		return before, err
	}
	if count < len(c.Witnesses) {
		return before, nil // the others are asked again
	}
	return head.Size, nil
}

// tellWitness says in a finding that a witness refuses, which means that it has seen another history of this ledger, or is silent for long.
func (n *Node) tellWitness(url string, by signed.Verifier, err error, since, now time.Time) {
	subject := url
	if by != nil {
		subject = by.Name()
	}
	f := event.Finding{Kind: "ledger-witness", Subject: subject, Node: n.conf().Node, Severity: event.Warning, Opened: now.UTC(), Updated: now.UTC()}
	var refused *witness.Refused
	switch {
	case err == nil:
		f.Opened, f.Closed = time.Time{}, f.Updated
	case errors.As(err, &refused):
		f.Severity = event.Critical
	case now.Sub(since) < silentTime && by != nil:
		return
	}
	if err != nil {
		f.Facts = []event.Fact{{Name: "error", Value: err.Error()}, {Name: "witness", Value: url}}
	}
	n.findings.Report(f)
}

// Witnessed is the last checkpoint that enough witnesses have co-signed.
func Witnessed(data string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(data, ledgerDir, WitnessedFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("no checkpoint is co-signed yet: name witnesses under ledger.witnesses, and look at the findings")
	}
	return []byte(strings.TrimLeft(string(text), "\n")), err
}
