package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"anyu/node"
	"anyu/watch/ledger"
	"anyu/watch/pseudonym"
	"anyu/watch/trail"
)

// traceFlags are what a trace is asked for.
type traceFlags struct {
	data, name, client, answer, kind, rcode, source, zone, nodeName, since, until string
	top, reason, export                                                           string
	timeline                                                                      steps
	pdns                                                                          bool
	config, store                                                                 string
	dataGiven                                                                     bool
	limit                                                                         int
	holders                                                                       holders
	asJSON                                                                        bool
	keys                                                                          []*pseudonym.Key // of two people
}

// unmask opens the keys of pseudonyms, and has a client looked for under each of them.
func (t *traceFlags) unmask(f *trail.Filter, std streams) (err error) {
	if t.export != "" {
		return errors.New("--export keeps rows as they stand in the log: with pseudonyms, without --holder")
	}
	if t.keys, err = openKeys(t.data, t.holders, std); err != nil || !f.Client.IsValid() {
		return err
	}
	if !f.Client.IsSingleIP() {
		return fmt.Errorf("--client %s: with pseudonyms a client is looked for by its whole address; leave --client out to see all", t.client)
	}
	for _, k := range t.keys {
		f.Clients = append(f.Clients, k.Of(f.Client.Addr()))
	}
	return nil
}

// shown is a client's address where the keys at hand tell it.
func (t *traceFlags) shown(client string) string {
	for _, k := range t.keys {
		if a, ok := k.Show(client); ok {
			return a.String()
		}
	}
	return client
}

func (t *traceFlags) define(f *flag.FlagSet) {
	f.StringVar(&t.data, "data", defaultData, "`DIR` of the data folder; its node may be running")
	f.StringVar(&t.store, "store", "", "where to look: `segments` of the data folder, or clickhouse; default: segments, or what log.clickhouse.search of --config says")
	f.StringVar(&t.config, "config", "", "configuration `FILE` that names the data folder and the ClickHouse servers")
	f.StringVar(&t.name, "name", "", "`NAME`, or *.NAME for everything below it")
	f.StringVar(&t.client, "client", "", "`PREFIX`, address or pseudonym of the client")
	f.Var(&t.holders, "holder", "key pair `FILE` of a person, once for each of two: pseudonyms of clients are looked for and shown as addresses (rows and --top client)")
	f.StringVar(&t.answer, "answer", "", "`PREFIX` or address that was among the answers")
	f.StringVar(&t.kind, "type", "", "`TYPE` of the question, for example AAAA")
	f.StringVar(&t.rcode, "rcode", "", "`RCODE` of the reply, for example SERVFAIL; none: there was no reply")
	f.StringVar(&t.zone, "zone", "", "`ZONE` of ours that answered")
	f.StringVar(&t.source, "source", "", "`NAME` of the source: self, or a tap's")
	f.StringVar(&t.nodeName, "node", "", "`NAME` of the node")
	f.StringVar(&t.since, "since", "", "how far back (30d, 12h), or a `TIME` (2026-11-01, 2026-11-01T08:00:00Z); default: everything kept")
	f.StringVar(&t.until, "until", "", "until `TIME`, as --since; default: now")
	f.StringVar(&t.top, "top", "", "count by `COLUMN` in place of rows: "+topNames())
	f.Var(&t.timeline, "timeline", "count by `STEP` in place of rows: hour, or day; without a step, what suits the time")
	f.BoolVar(&t.pdns, "pdns", false, "passive DNS in place of rows: each record that clients were told, with its first and last time; --json is the Common Output Format")
	f.StringVar(&t.reason, "reason", "", "why you look: `TEXT` for the ledger, where every trace is an entry")
	f.StringVar(&t.export, "export", "", "write an evidence package to `FILE`.zip: rows, proofs of their segments, checkpoint, report")
	f.IntVar(&t.limit, "limit", 100, "rows, or lines of --top, at most")
	f.BoolVar(&t.asJSON, "json", false, "one JSON object a line")
}

// maxTraceMemory is from where a trace collects garbage as often as it must.
const maxTraceMemory = 600 << 20

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
	if err := t.mode(); err != nil {
		return fail(std, err)
	}
	if len(t.holders) > 0 {
		if err := t.unmask(&filter, std); err != nil {
			return fail(std, err)
		}
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
	// A search holds little and throws much away: collected as usual, garbage is more than half of its time (12.4 s of a core became 5.6).
	debug.SetGCPercent(1000)
	debug.SetMemoryLimit(maxTraceMemory)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	segments, ok := log.(*trail.Trail)
	if !ok { // the cluster has the rows of this node, among others
		segments, err = trail.Look(filepath.Join(t.data, node.LogDir))
	}
	if err == nil {
		defer func() {
			if note := node.SampledNote(segments, filter.From, filter.To); note != "" {
				fmt.Fprintln(std.err, note)
			}
		}()
	}
	switch {
	case t.export != "":
		return exportTrace(ctx, &t, log, filter, book, entry, std)
	case t.top != "":
		return topTrace(ctx, &t, log, filter, std)
	case t.timeline != "":
		return timelineTrace(ctx, &t, log, filter, std)
	case t.pdns:
		return passiveTrace(ctx, &t, log, filter, std)
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
	if _, _, ok := pseudonym.Parse(t.client); ok {
		f.Clients = []string{t.client}
	} else if f.Client, err = prefix("--client", t.client); err != nil {
		return f, err
	}
	if f.Answer, err = prefix("--answer", t.answer); err != nil {
		return f, err
	}
	if f.From, err = instant(t.since, now); err != nil {
		return f, fmt.Errorf("--since %w", err)
	}
	if f.To, err = instant(t.until, now); err != nil {
		return f, fmt.Errorf("--until %w", err)
	}
	return f, nil
}

// prefix reads a prefix or an address.
func prefix(option, text string) (p netip.Prefix, err error) {
	if text == "" {
		return p, nil
	}
	if p, err = netip.ParsePrefix(text); err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return p, fmt.Errorf("%s %s: write an address or a prefix, for example 192.0.2.0/24", option, text)
		}
		p = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
	}
	return p.Masked(), nil
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

// shownColumns are those of a row as text.
var shownColumns = []string{"client", "transport", "qname", "qtype", "rcode", "latency_us", "from"}

// rowsTrace prints rows, newest first, as they are found.
func rowsTrace(ctx context.Context, t *traceFlags, log searched, filter trail.Filter, std streams) int {
	if !t.asJSON {
		filter.Columns = shownColumns
	}
	buffered := bufio.NewWriter(std.out)
	out, n, line := json.NewEncoder(buffered), 0, []byte(nil)
	widths := [...]int{0, len("https"), 0, 0, 0}
	found, err := stream(ctx, log, filter, func(r *trail.Row) error {
		if n++; n%64 == 1 { // the first at once
			defer buffered.Flush()
		}
		r.Client = t.shown(r.Client)
		if t.asJSON {
			return out.Encode(tracedRow{When: r.At(), Row: r})
		}
		line = r.At().Local().AppendFormat(line[:0], "2006-01-02 15:04:05.000000")
		line = padded(line, r.Client, &widths[0])
		line = padded(line, r.Transport, &widths[1])
		line = padded(line, r.Name, &widths[2])
		line = padded(line, r.Type, &widths[3])
		line = padded(line, r.Rcode, &widths[4])
		line = append(micros(append(line, "  "...), r.Latency), "  "...)
		_, err := buffered.Write(append(append(line, r.From...), '\n'))
		return err
	})
	if err = errors.Join(err, buffered.Flush()); err != nil {
		return fail(std, err)
	}
	for _, damaged := range found.Damaged {
		fmt.Fprintf(std.err, "not read: %s\n", damaged)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(std.err, "stopped; everything since %s was looked at\n", moment(found.Since))
		return failed
	case !found.Complete:
		fmt.Fprintf(std.err, "%d rows shown, there are more before %s: --until %s, or --limit\n", n, moment(found.Since), found.Since.Format(time.RFC3339))
	case len(found.Damaged) > 0:
		return failed
	case n == 0:
		fmt.Fprintf(std.err, "no row fits; %d were read\n", found.Scanned)
		return notRight
	}
	return done
}

// streamer gives rows as it finds them.
type streamer interface {
	Stream(ctx context.Context, f trail.Filter, see func(*trail.Row) error) (trail.Found, error)
}

func stream(ctx context.Context, log searched, filter trail.Filter, see func(*trail.Row) error) (trail.Found, error) {
	if s, ok := log.(streamer); ok {
		return s.Stream(ctx, filter, see)
	}
	found, err := log.Rows(ctx, filter)
	for i := range found.Rows {
		if err == nil {
			err = see(&found.Rows[i])
		}
	}
	return found, err
}

// padded adds a text, filled up to the widest of its column so far: rows are printed before the next ones are known.
func padded(line []byte, text string, widest *int) []byte {
	*widest = max(*widest, min(utf8.RuneCountInString(text), maxWidth))
	line = append(append(line, "  "...), text...)
	for n := utf8.RuneCountInString(text); n < *widest; n++ {
		line = append(line, ' ')
	}
	return line
}

const maxWidth = 40

// tracedRow is a row with its time as people and programs read it.
type tracedRow struct {
	When time.Time `json:"when"`
	*trail.Row
}

// micros adds a latency, in ms.
func micros(line []byte, us *int64) []byte {
	if us == nil {
		return append(line, '-')
	}
	return append(strconv.AppendFloat(line, float64(*us)/1000, 'f', 3, 64), " ms"...)
}

var errWide = errors.New("more than a million rows: narrow the trace, an evidence package is for what matters")
