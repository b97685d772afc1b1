package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"anyu/watch/ledger"
	"anyu/watch/trail"
)

// maxTops bounds the different values that are counted (stops: a top of random names that fills the memory); what is beyond is counted as others.
const maxTops = 1_000_000

// traceFlags are what a trace is asked for.
type traceFlags struct {
	data, name, client, kind, rcode, source, zone, nodeName, since, until string
	top, reason, export                                                   string
	config, store                                                         string
	dataGiven                                                             bool
	limit                                                                 int
	asJSON                                                                bool
}

func (t *traceFlags) define(f *flag.FlagSet) {
	f.StringVar(&t.data, "data", defaultData, "`DIR` of the data folder; its node may be running")
	f.StringVar(&t.store, "store", "", "where to look: `segments` of the data folder, or clickhouse; default: segments, or what log.clickhouse.search of --config says")
	f.StringVar(&t.config, "config", "", "configuration `FILE` that names the data folder and the ClickHouse servers")
	f.StringVar(&t.name, "name", "", "`NAME`, or *.NAME for everything below it")
	f.StringVar(&t.client, "client", "", "`PREFIX` or address of the client")
	f.StringVar(&t.kind, "type", "", "`TYPE` of the question, for example AAAA")
	f.StringVar(&t.rcode, "rcode", "", "`RCODE` of the reply, for example SERVFAIL; none: there was no reply")
	f.StringVar(&t.zone, "zone", "", "`ZONE` of ours that answered")
	f.StringVar(&t.source, "source", "", "`NAME` of the source: self, or a tap's")
	f.StringVar(&t.nodeName, "node", "", "`NAME` of the node")
	f.StringVar(&t.since, "since", "", "how far back (30d, 12h), or a `TIME` (2026-11-01, 2026-11-01T08:00:00Z); default: everything kept")
	f.StringVar(&t.until, "until", "", "until `TIME`, as --since; default: now")
	f.StringVar(&t.top, "top", "", "count by `COLUMN` in place of rows: client, name, type, rcode, source or node")
	f.StringVar(&t.reason, "reason", "", "why you look: `TEXT` for the ledger, where every trace is an entry")
	f.StringVar(&t.export, "export", "", "write an evidence package to `FILE`.zip: rows, proofs of their segments, checkpoint, report")
	f.IntVar(&t.limit, "limit", 100, "rows, or lines of --top, at most")
	f.BoolVar(&t.asJSON, "json", false, "one JSON object a line")
}

// runTrace searches the retained log.
func runTrace(args []string, std streams) int {
	var t traceFlags
	f := flag.NewFlagSet("anyu trace", flag.ContinueOnError)
	t.define(f)
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) > 0 {
		return fail(std, fmt.Errorf("trace takes flags only, not %q: did you mean --name %s?", words[0], words[0]))
	}
	filter, err := t.filter(time.Now())
	if err != nil {
		return fail(std, err)
	}
	column, err := columnOf(t.top)
	if err != nil {
		return fail(std, err)
	}
	f.Visit(func(f *flag.Flag) { t.dataGiven = t.dataGiven || f.Name == "data" })
	log, end, err := t.where()
	if err != nil {
		return fail(std, err)
	}
	defer end()
	book, err := ledger.Open(ledgerOf(t.data), hostName())
	if err != nil {
		return fail(std, err)
	}
	defer book.Close()
	// First the entry, then the rows: nobody looks without a trace of it.
	entry := &ledger.Entry{Kind: ledger.Trace, Subject: "query-log", Who: whoAmI(), Why: t.reason, Facts: []ledger.Fact{{Name: "asked", Value: strings.Join(args, " ")}, {Name: "by", Value: "anyu trace"}}}
	if err := book.Append(time.Now(), entry); err != nil {
		return fail(std, fmt.Errorf("a trace is kept in the ledger before anything is shown: %w", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch {
	case t.export != "":
		return exportTrace(ctx, &t, log, filter, book, entry, std)
	case column != nil:
		return topTrace(ctx, &t, log, filter, column, std)
	}
	return rowsTrace(ctx, &t, log, filter, std)
}

// filter reads the flags.
func (t *traceFlags) filter(now time.Time) (f trail.Filter, err error) {
	f = trail.Filter{Name: t.name, Source: t.source, Node: t.nodeName, Type: strings.ToUpper(t.kind), Limit: t.limit}
	if t.limit < 1 {
		return f, fmt.Errorf("--limit %d: write a number from 1", t.limit)
	}
	if f.Rcode = strings.ToUpper(t.rcode); t.rcode == "none" {
		f.Rcode = "none"
	}
	if strings.Contains(strings.TrimPrefix(t.name, "*."), "*") {
		return f, fmt.Errorf("--name %s: a star may stand for whole labels at the beginning only, as in *.example.org", t.name)
	}
	if t.zone != "" {
		f.Zone = strings.ToLower(strings.TrimSuffix(t.zone, ".") + ".")
	}
	if t.client != "" {
		if f.Client, err = netip.ParsePrefix(t.client); err != nil {
			addr, err := netip.ParseAddr(t.client)
			if err != nil {
				return f, fmt.Errorf("--client %s: write an address or a prefix, for example 192.0.2.0/24", t.client)
			}
			f.Client = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		f.Client = f.Client.Masked()
	}
	if f.From, err = instant(t.since, now); err != nil {
		return f, fmt.Errorf("--since %w", err)
	}
	if f.To, err = instant(t.until, now); err != nil {
		return f, fmt.Errorf("--until %w", err)
	}
	return f, nil
}

// instant reads a time, or how long ago it was.
func instant(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n < 100_000 {
			return now.Add(-time.Duration(n * 24 * float64(time.Hour))), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: write how long ago (30d, 12h) or a time (2026-11-01, 2026-11-01T08:00:00Z)", text)
}

// columnOf is what --top counts; nil: nothing.
func columnOf(name string) (func(*trail.Row) string, error) {
	switch name {
	case "":
		return nil, nil
	case "client":
		return func(r *trail.Row) string { return r.Client }, nil
	case "name":
		return func(r *trail.Row) string { return r.Name }, nil
	case "type":
		return func(r *trail.Row) string { return r.Type }, nil
	case "rcode":
		return func(r *trail.Row) string { return r.Rcode }, nil
	case "source":
		return func(r *trail.Row) string { return r.Source }, nil
	case "node":
		return func(r *trail.Row) string { return r.Node }, nil
	}
	return nil, fmt.Errorf("--top %s: there are client, name, type, rcode, source and node", name)
}

func rowsTrace(ctx context.Context, t *traceFlags, log searched, filter trail.Filter, std streams) int {
	found, err := log.Rows(ctx, filter)
	if err != nil {
		return fail(std, err)
	}
	w := tabwriter.NewWriter(std.out, 2, 0, 2, ' ', 0)
	out := json.NewEncoder(std.out)
	for i := range found.Rows {
		r := &found.Rows[i]
		if t.asJSON {
			out.Encode(tracedRow{When: r.At(), Row: r})
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.At().Local().Format("2006-01-02 15:04:05.000000"), r.Client, r.Transport, r.Name, r.Type, r.Rcode, micros(r.Latency), r.From)
	}
	w.Flush()
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(std.err, "stopped; everything since %s was looked at\n", moment(found.Since))
		return failed
	case !found.Complete:
		fmt.Fprintf(std.err, "%d rows shown, there are more before %s: --until %s, or --limit\n", len(found.Rows), moment(found.Since), found.Since.Format(time.RFC3339))
	case len(found.Rows) == 0:
		fmt.Fprintf(std.err, "no row fits; %d were read\n", found.Scanned)
		return notRight
	}
	return done
}

// tracedRow is a row with its time as people and programs read it.
type tracedRow struct {
	When time.Time `json:"when"`
	*trail.Row
}

func micros(us *int64) string {
	if us == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f ms", float64(*us)/1000)
}

// topLine is one line of --top.
type topLine struct {
	Value string    `json:"value"`
	Count int64     `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

func topTrace(ctx context.Context, t *traceFlags, log searched, filter trail.Filter, column func(*trail.Row) string, std streams) int {
	if c, ok := log.(counter); ok {
		top, rows, values, err := c.Top(ctx, filter, topColumns[t.top], t.limit)
		if err != nil {
			return fail(std, err)
		}
		lines := make([]*topLine, len(top))
		for i, c := range top {
			lines[i] = &topLine{c.Value, c.Count, c.First, c.Last}
		}
		return t.showTop(lines, rows, values, 0, std)
	}
	counts := map[string]*topLine{}
	all, others := int64(0), int64(0)
	_, err := log.Each(ctx, filter, func(r *trail.Row) error {
		all++
		value, at := column(r), r.At()
		l := counts[value]
		if l == nil {
			if len(counts) == maxTops {
				others++
				return nil
			}
			l = &topLine{Value: strings.Clone(value), First: at, Last: at}
			counts[l.Value] = l
		}
		l.Count++
		if at.Before(l.First) {
			l.First = at
		}
		if at.After(l.Last) {
			l.Last = at
		}
		return nil
	})
	if err != nil {
		return fail(std, err)
	}
	lines := make([]*topLine, 0, len(counts))
	for _, l := range counts {
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b *topLine) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value)) })
	return t.showTop(lines, all, int64(len(counts)), others, std)
}

// showTop prints the most frequent values.
func (t *traceFlags) showTop(lines []*topLine, all, values, others int64, std streams) int {
	w := tabwriter.NewWriter(std.out, 2, 0, 2, ' ', tabwriter.AlignRight)
	out := json.NewEncoder(std.out)
	for _, l := range lines[:min(t.limit, len(lines))] {
		if t.asJSON {
			out.Encode(l)
		} else {
			fmt.Fprintf(w, "%d\t%.1f %%\t%s\t%s\t  %s\n", l.Count, 100*float64(l.Count)/float64(all), moment(l.First), moment(l.Last), cmp.Or(l.Value, "(unknown)"))
		}
	}
	w.Flush()
	fmt.Fprintf(std.err, "%d rows, %d different values", all, values)
	if others > 0 {
		fmt.Fprintf(std.err, ", and %d rows of values that there was no room to count", others)
	}
	fmt.Fprintln(std.err)
	if all == 0 {
		return notRight
	}
	return done
}

var errWide = errors.New("more than a million rows: narrow the trace, an evidence package is for what matters")
