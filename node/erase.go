package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"path/filepath"
	"time"

	"anyu/watch/ledger"
	"anyu/watch/trail"
)

// Erased is what an erasure of personal data did.
type Erased struct {
	Segments int    `json:"segments"`
	Rows     int64  `json:"rows"`
	Store    bool   `json:"clickhouse"` // it is taken out of ClickHouse, too, by and by
	Error    string `json:"error,omitempty"`
}

// erase takes the personal data of clients out of the query log: args are the prefix, from and to (RFC 3339 or empty) and the reason. Each segment that is rewritten
// is an entry of the ledger, which says from which entry it was, who and why, and not whose data it was.
func (n *Node) erase(ctx context.Context, who string, args []string) (any, error) {
	if len(args) != 4 {
		return nil, errors.New("erase takes a prefix, two times and a reason")
	}
	e, err := erasureOf(args)
	if err != nil {
		return nil, err
	}
	if n.trail == nil {
		return nil, errors.New("there is no query log")
	}
	var known map[string]ledger.Entry
	note := func(r trail.Replacement) error {
		l, err := n.bookFor(time.Now())
		if err != nil {
			return fmt.Errorf("nothing is erased without an entry: %w", err)
		}
		if known == nil {
			if known, err = l.Segments(); err != nil {
				return err
			}
		}
		subject := path.Join(logDir, r.Path)
		old, is := known[subject]
		if !is {
			return errors.New("no entry of the ledger names this segment: `anyu ledger verify` says more")
		}
		// Nothing else that was done to the segment is to be covered up by an erasure.
		if now, _, err := ledger.SumFile(n.data.Path(filepath.FromSlash(subject))); err != nil || now != old.SHA256 {
			return errors.Join(err, fmt.Errorf("the segment is not the one of entry %d any more: it was altered (anyu ledger verify)", old.N))
		}
		sum, octets, err := ledger.SumFile(r.Aside)
		if err != nil {
			return err
		}
		return n.keepEntries(time.Now(), &ledger.Entry{Kind: ledger.Erased, Subject: subject, SHA256: sum, Octets: octets, Rows: r.Rows, From: old.From, To: old.To, Who: who, Why: args[3], Old: &old.N,
			Facts: []ledger.Fact{{Name: "old", Value: old.SHA256}, {Name: "rows", Value: fmt.Sprint(r.Erased)}, {Name: "columns", Value: "client client_port ecs"}}})
	}
	var done Erased
	done.Segments, done.Rows, err = n.trail.Erase(ctx, e, note)
	if err != nil {
		return nil, fmt.Errorf("%d segments were rewritten, then: %w", done.Segments, err)
	}
	if n.store != nil {
		done.Store = true
		if err := n.store.Erase(e); err != nil {
			return nil, fmt.Errorf("%d segments were rewritten, but not what is in ClickHouse: %w", done.Segments, err)
		}
	}
	return done, nil
}

func erasureOf(args []string) (e trail.Erasure, err error) {
	if e.Client, err = netip.ParsePrefix(args[0]); err != nil {
		return e, fmt.Errorf("%q is no prefix of clients", args[0])
	}
	for i, to := range []*time.Time{&e.From, &e.To} {
		if args[i+1] == "" {
			continue
		}
		if *to, err = time.Parse(time.RFC3339, args[i+1]); err != nil {
			return e, fmt.Errorf("%q is no time", args[i+1])
		}
	}
	if args[3] == "" {
		return e, errors.New("say why with --reason: it is kept in the ledger")
	}
	return e, nil
}

// finishErasures ends what a crash interrupted between an entry and the file that it is about.
func (n *Node) finishErasures(l *ledger.Ledger) error {
	var known map[string]ledger.Entry
	return trail.FinishErasures(n.data.Path(logDir), func(name, aside string) (bool, error) {
		if known == nil {
			var err error
			if known, err = l.Segments(); err != nil {
				return false, err
			}
		}
		sum, _, err := ledger.SumFile(aside)
		e := known[path.Join(logDir, name)]
		return e.Kind == ledger.Erased && e.SHA256 == sum, err
	})
}
