package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"anyu/watch/trail"
)

// Search asks the cluster what trail.Trail is asked of segments, with the same filters and the same answers. The rows are those that were sent: what a node
// keeps in files that are not closed yet is only there.
type Search struct {
	conn   driver.Conn
	table  string
	all    []column
	reader string
}

// NewSearch prepares to ask. The addresses are tried in their order.
func NewSearch(addresses []string, t Tables, a Access) (*Search, error) {
	all, err := columns()
	if err != nil {
		return nil, err
	}
	conn, err := dial(addresses, "", a)
	if err != nil {
		return nil, err
	}
	return &Search{conn: conn, table: t.searched(), all: all, reader: readColumns(all)}, nil
}

// Close ends the connections.
func (s *Search) Close() error { return s.conn.Close() }

const (
	// firstWindow is how far back the newest rows are looked for at first; each further step is windowGrowth times as far.
	firstWindow  = time.Hour
	windowGrowth = 4
	// windows reach some 30 years back.
	windows = 10
	// maxTies bounds the rows of one time that are given beyond the limit (stops: a capture whose packets all have the same time).
	maxTies = 10_000
)

// conditions are a filter but for its times.
func conditions(f trail.Filter) []string {
	var all []string
	equal := func(column, value string) {
		if value != "" {
			all = append(all, "`"+column+"` = "+quote(value))
		}
	}
	name := strings.ToLower(f.Name)
	if name != "" && !strings.HasSuffix(name, ".") {
		name += "."
	}
	if below, ok := strings.CutPrefix(name, "*"); ok {
		// The key is what rows are sorted by: what is below a name is one range of it, between the name with a dot and with the octet after the dot.
		all = append(all, columnKey+" != ''")
		if key := nameKey(strings.TrimPrefix(below, ".")); len(key) > 1 {
			all = append(all, columnKey+" > "+quote(key), columnKey+" < "+quote(key[:len(key)-1]+"/"))
		}
	} else if name != "" {
		all = append(all, columnKey+" = "+quote(nameKey(name)))
	}
	equal("zone", f.Zone)
	equal("source", f.Source)
	equal("node", f.Node)
	equal("qtype", f.Type)
	equal("rcode", f.Rcode)
	var clients []string // one of which is to fit
	for _, c := range f.Clients {
		clients = append(clients, "client = "+quote(c))
	}
	if f.Client.IsValid() {
		clients = append(clients, within(columnIP, f.Client))
	}
	if len(clients) > 0 {
		all = append(all, "("+strings.Join(clients, " OR ")+")", "client != ''")
	}
	if f.Answer.IsValid() {
		all = append(all, "arrayExists(x -> "+within("x", f.Answer)+", "+columnAnswers+")")
	}
	return all
}

// within is a condition for 16 octets.
func within(value string, p netip.Prefix) string {
	first, last := prefixRange(p)
	literal := func(b [16]byte) string { return "toFixedString(unhex('" + hex.EncodeToString(b[:]) + "'), 16)" }
	if first == last {
		return value + " = " + literal(first)
	}
	text := value + " >= " + literal(first) + " AND " + value + " <= " + literal(last)
	if p.Addr().Is6() { // whose 16 octets hold those of version 4, too
		text += " AND NOT (" + within(value, netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 0)) + ")"
	}
	return text
}

// where is the clause of a filter and of times, in us, [from, to).
func where(f trail.Filter, from, to int64) string {
	all := append([]string{fmt.Sprintf("time >= %d AND time < %d", from, to)}, conditions(f)...)
	return " WHERE " + strings.Join(all, " AND ")
}

// bounds are the times of a filter, us.
func bounds(f trail.Filter, now time.Time) (from, to int64) {
	to = now.Add(24 * time.Hour).UnixMicro() // a clock of an observed server may be ahead
	if !f.To.IsZero() {
		to = f.To.UnixMicro()
	}
	if !f.From.IsZero() {
		from = f.From.UnixMicro()
	}
	return from, to
}

// counted makes a context that adds up how many rows the servers read.
func counted(ctx context.Context, read *atomic.Uint64) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithProgress(func(p *clickhouse.Progress) { read.Add(p.Rows) }))
}

// Rows gives the newest rows that fit, as trail.Trail's does.
func (s *Search) Rows(ctx context.Context, f trail.Filter) (trail.Found, error) {
	var read atomic.Uint64
	from, to := bounds(f, time.Now())
	limit := trail.Limit(f)
	out := trail.Found{Since: f.From}
	reached, window := to, firstWindow
	for i := 0; reached > from && len(out.Rows) < limit; i++ {
		begin := from
		if i < windows-1 {
			begin = max(from, reached-window.Microseconds())
		}
		rows, err := s.newest(counted(ctx, &read), f, begin, reached, limit-len(out.Rows))
		out.Scanned = int(read.Load())
		if err != nil && ctx.Err() != nil {
			out.Since = time.UnixMicro(reached).UTC()
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("searching ClickHouse: %w", err)
		}
		out.Rows = append(out.Rows, rows...)
		reached, window = begin, window*windowGrowth
	}
	out.Scanned = int(read.Load())
	if len(out.Rows) < limit {
		out.Complete = true
		return out, nil
	}
	// The others of the last row's time: the next search begins there.
	last := out.Rows[len(out.Rows)-1].Time
	ties, err := s.newest(ctx, f, last, last+1, maxTies)
	if err != nil {
		return out, fmt.Errorf("searching ClickHouse: %w", err)
	}
	out.Rows = slices.DeleteFunc(out.Rows, func(r trail.Row) bool { return r.Time == last })
	out.Rows = append(out.Rows, ties...)
	older, err := s.newest(ctx, f, from, last, 1)
	if err != nil {
		return out, fmt.Errorf("searching ClickHouse: %w", err)
	}
	if out.Complete = len(older) == 0; !out.Complete {
		out.Since = time.UnixMicro(last).UTC()
	}
	return out, nil
}

// newest gives at most n rows of a time, newest first.
func (s *Search) newest(ctx context.Context, f trail.Filter, from, to int64, n int) (list []trail.Row, err error) {
	seen := map[identity]bool{}
	err = s.query(ctx, where(f, from, to)+fmt.Sprintf(" ORDER BY time DESC, %s, %s LIMIT %d", columnSegment, columnRow, n), seen, func(r *trail.Row) error {
		list = append(list, *r)
		return nil
	})
	return list, err
}

// identity is what makes a row that row.
type identity struct {
	segment string
	row     uint32
}

// query runs a search. Rows that are there twice until ClickHouse has merged them are given once; seen nil: they are not looked for.
func (s *Search) query(ctx context.Context, clauses string, seen map[identity]bool, f func(*trail.Row) error) error {
	rows, err := s.conn.Query(ctx, "SELECT "+s.reader+" FROM "+s.table+clauses)
	if err != nil {
		return err
	}
	defer rows.Close()
	r := newReader(s.all)
	for rows.Next() {
		row, number, err := r.read(rows)
		if err != nil {
			return err
		}
		if seen != nil {
			id := identity{row.Segment, number}
			if seen[id] {
				continue
			}
			seen[id] = true
		}
		if err := f(&row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Each hands every row that fits to f, in no order, until f returns an error or ctx ends.
func (s *Search) Each(ctx context.Context, filter trail.Filter, f func(*trail.Row) error) (scanned int, err error) {
	var read atomic.Uint64
	from, to := bounds(filter, time.Now())
	var own error
	err = s.query(counted(ctx, &read), where(filter, from, to), nil, func(r *trail.Row) error {
		own = f(r)
		return own
	})
	if err != nil && !(own != nil && errors.Is(err, own)) {
		err = fmt.Errorf("searching ClickHouse: %w", err)
	}
	return int(read.Load()), err
}

// questions is how many questions a group of rows stands for, as trail.Row.Questions says it.
var questions = fmt.Sprintf("toInt64(sum(least(greatest(ifNull(`sample`, 1), 1), %d)))", trail.MaxQuestions)

// Top counts the questions of rows that fit by the values of a column, in the cluster.
func (s *Search) Top(ctx context.Context, f trail.Filter, by string, limit int) (r trail.Ranking, err error) {
	if !slices.ContainsFunc(s.all, func(c column) bool { return c.name == by && c.kind == "String" }) {
		return r, fmt.Errorf("counting in ClickHouse: there is no text in column %q", by)
	}
	from, to := bounds(f, time.Now())
	clause := " FROM " + s.table + where(f, from, to)
	var n, different uint64
	if err := s.conn.QueryRow(ctx, "SELECT count(), "+questions+", uniqExact(`"+by+"`)"+clause).Scan(&n, &r.Questions, &different); err != nil {
		return r, fmt.Errorf("counting in ClickHouse: %w", err)
	}
	r.Rows, r.Values = int64(n), int64(different)
	list, err := s.conn.Query(ctx, fmt.Sprintf("SELECT `%s` AS value, %s AS n, min(time), max(time)%s GROUP BY value ORDER BY n DESC, value LIMIT %d", by, questions, clause, limit))
	if err != nil {
		return r, fmt.Errorf("counting in ClickHouse: %w", err)
	}
	defer list.Close()
	for list.Next() {
		var c trail.Counted
		var first, last int64
		if err := list.Scan(&c.Value, &c.Count, &first, &last); err != nil {
			return r, fmt.Errorf("counting in ClickHouse: %w", err)
		}
		c.First, c.Last = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
		r.Top = append(r.Top, c)
	}
	return r, list.Err()
}
