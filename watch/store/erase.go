package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"anyu/watch/trail"
)

// erasuresFile holds what is to be erased, one JSON a line, and which servers have done it.
const erasuresFile = "erasures.jsonl"

// erasure is one line: what is to be erased, or that a server has.
type erasure struct {
	N      int          `json:"n"`
	Client netip.Prefix `json:"client,omitzero"`
	From   time.Time    `json:"from,omitzero"`
	To     time.Time    `json:"to,omitzero"`
	Done   string       `json:"done,omitempty"` // the server
}

// openErasures reads what is to be erased on some server still. What all servers have done is forgotten: the file must not keep whose data it was.
func (s *Store) openErasures() error {
	f, err := os.Open(filepath.Join(s.opts.Dir, erasuresFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e erasure
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("reading %s: %w", erasuresFile, err)
		}
		s.takeErasure(e)
	}
	return s.keepErasures()
}

func (s *Store) takeErasure(e erasure) {
	if e.Done == "" {
		s.erasures = append(s.erasures, e)
		return
	}
	if s.erased == nil {
		s.erased = map[int][]string{}
	}
	s.erased[e.N] = append(s.erased[e.N], e.Done)
}

// keepErasures writes what is still to be done.
func (s *Store) keepErasures() error {
	s.erasures = slices.DeleteFunc(s.erasures, func(e erasure) bool {
		return !slices.ContainsFunc(s.opts.Addresses, func(a string) bool { return !slices.Contains(s.erased[e.N], a) })
	})
	var text []byte
	for _, e := range s.erasures {
		lines := []erasure{e}
		for _, server := range s.erased[e.N] {
			lines = append(lines, erasure{N: e.N, Done: server})
		}
		for _, l := range lines {
			b, err := json.Marshal(l)
			if err != nil {
				return err
			}
			text = append(append(text, b...), '\n')
		}
	}
	return replace(filepath.Join(s.opts.Dir, erasuresFile), text)
}

// Erase takes out of the cluster what was taken out of segments. Each server does it before it gets the next segment; one that is down, when it is back.
func (s *Store) Erase(e trail.Erasure) error {
	s.mu.Lock()
	n := 1
	for _, old := range s.erasures {
		n = max(n, old.N+1)
	}
	delete(s.erased, n)
	s.erasures = append(s.erasures, erasure{N: n, Client: e.Client, From: e.From, To: e.To})
	err := s.keepErasures()
	s.mu.Unlock()
	for _, w := range s.workers {
		w.stir()
	}
	if err != nil {
		return fmt.Errorf("noting what is to be erased: %w", err)
	}
	return nil
}

// due is what a server has not erased yet.
func (s *Store) due(server string) (list []erasure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.erasures {
		if !slices.Contains(s.erased[e.N], server) {
			list = append(list, e)
		}
	}
	return list
}

// eraser is a server that can take something out of its rows.
type eraser interface {
	erase(ctx context.Context, e trail.Erasure) error
}

// eraseDue erases what is due on a server. No row of before the erasure is on its way there then: the worker that sends does this in between.
func (w *worker) eraseDue(ctx context.Context) error {
	for _, e := range w.store.due(w.address) {
		to, ok := w.to.(eraser)
		if !ok {
			return nil
		}
		if err := to.erase(ctx, trail.Erasure{Client: e.Client, From: e.From, To: e.To}); err != nil {
			return fmt.Errorf("erasing: %w", err)
		}
		w.store.mu.Lock()
		w.store.takeErasure(erasure{N: e.N, Done: w.address})
		err := w.store.keepErasures()
		w.store.mu.Unlock()
		if err != nil {
			return err
		}
		w.store.opts.Logger.Info("personal data was taken out of ClickHouse", "server", w.address)
	}
	return nil
}

// mutationTime bounds the wait for a server that rewrites its parts.
const mutationTime = 10 * time.Minute

// maxSubnets bounds the client subnets of one statement.
const maxSubnets = 500

// erase empties the columns that the log's own erasure empties, and waits until the parts are rewritten.
func (s *server) erase(ctx context.Context, e trail.Erasure) error {
	ctx, cancel := context.WithTimeout(ctx, mutationTime)
	defer cancel()
	from, to := bounds(trail.Filter{From: e.From, To: e.To}, time.Now())
	when := fmt.Sprintf("time >= %d AND time < %d AND ", from, to)
	list := []string{fmt.Sprintf("ALTER TABLE %s UPDATE client = '', client_port = NULL, %s = toFixedString('', 16) WHERE %sclient != '' AND %s", s.tables.written(), columnIP, when, within(columnIP, e.Client))}
	subnets, err := s.subnets(ctx, when, &e)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(subnets, maxSubnets) {
		list = append(list, fmt.Sprintf("ALTER TABLE %s UPDATE ecs = '' WHERE %secs IN (%s)", s.tables.written(), when, strings.Join(some, ", ")))
	}
	for _, statement := range list {
		if err := s.conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	for {
		var left uint64
		if err := s.conn.QueryRow(ctx, "SELECT count() FROM system.mutations WHERE NOT is_done AND concat(database, '.', table) = "+quote(s.tables.written())).Scan(&left); err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// subnets are the client subnets in the table that say something of the clients.
func (s *server) subnets(ctx context.Context, when string, e *trail.Erasure) (list []string, err error) {
	rows, err := s.conn.Query(ctx, "SELECT DISTINCT ecs FROM "+s.tables.written()+" WHERE "+when+"ecs != ''")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if e.Covers(text) {
			list = append(list, quote(text))
		}
	}
	return list, rows.Err()
}
