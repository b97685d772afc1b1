package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"anyu/node"
	"anyu/watch/store"
)

// defaultData is where serve keeps its data when nobody says otherwise.
const defaultData = "./anyu-data"

func runControl(args []string, std streams) int {
	f := flag.NewFlagSet("anyu control status|zones|rssac002 [METRIC]|reload|transfer NAME|notify NAME|recursion|flush NAME|nta list|nta add NAME|nta remove NAME", flag.ContinueOnError)
	data := f.String("data", defaultData, "`DIR` of the running node's data folder")
	asJSON := f.Bool("json", false, "print JSON")
	all := f.Bool("all", false, "reload: read every zone file, changed or not")
	below := f.Bool("subtree", false, "flush: the names below too")
	var nta negativeFlags
	nta.define(f)
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) == 0 {
		return fail(std, errors.New("control takes a command: status, zones, rssac002 (the measurements of this day so far), reload, transfer NAME (fetch a secondary anew), notify NAME (tell its secondaries), recursion, flush NAME|all, nta list|add NAME|remove NAME"))
	}
	words, err := nta.args(words)
	if err != nil {
		return fail(std, err)
	}
	if *below {
		words = append(words, "subtree")
	}
	if *all {
		words = append(words, "all")
	}
	result, err := node.Control(*data, words[0], words[1:]...)
	if err != nil {
		fmt.Fprintf(std.err, "anyu: %v\n", err)
		if errors.Is(err, node.ErrNotRunning) || words[0] != "reload" {
			return failed
		}
		return notRight
	}
	if *asJSON {
		var out bytes.Buffer
		json.Indent(&out, result, "", "  ")
		fmt.Fprintln(std.out, out.String())
		return done
	}
	return show(words, result, std)
}

// show prints a result for people.
func show(words []string, result json.RawMessage, std streams) int {
	command, metric := words[0], ""
	if len(words) > 1 {
		metric = words[1]
	}
	w := tabwriter.NewWriter(std.out, 2, 0, 2, ' ', 0)
	defer w.Flush()
	switch command {
	case "status":
		var s node.Status
		if err := json.Unmarshal(result, &s); err != nil {
			return fail(std, err)
		}
		fmt.Fprintf(w, "node\t%s\nversion\t%s\nrunning since\t%s\n", s.Node, s.Version, s.Started.Local().Format("2006-01-02 15:04:05 -07:00"))
		for _, l := range s.Listening {
			fmt.Fprintf(w, "listening\t%s %s\n", l.Service, l.Address)
		}
		fmt.Fprintf(w, "zones\t%d, %d with problems\n", s.Zones, s.ZoneProblems)
		fmt.Fprintf(w, "queries, last minute\t%.1f/s\n", s.PerSecond)
		fmt.Fprintf(w, "success, last minute\t%s\n", percent(s.Success))
		fmt.Fprintf(w, "last hour beside last week\t%s\n", besideLastWeek(s.LastWeek))
		fmt.Fprintf(w, "open findings\t%d\n", s.OpenFindings)
		fmt.Fprintf(w, "observations dropped\t%d\n", s.Dropped)
		for i := range s.Sources {
			showSource(w, &s.Sources[i])
		}
		showStore(w, s.Store)
	case "zones":
		var list []node.ZoneState
		if err := json.Unmarshal(result, &list); err != nil {
			return fail(std, err)
		}
		fmt.Fprintln(w, "ZONE\tROLE\tSTATE\tSERIAL\tRECORDS\tLOADED\tFROM\tREFRESH\tEXPIRE\tPROBLEM")
		for _, z := range list {
			from := z.Source
			if from == "" {
				from = "-"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n",
				z.Name, z.Role, z.State, z.Serial, z.Records, moment(z.Loaded), from, moment(z.Refresh), moment(z.Expire), z.Error)
		}
	case "rssac002":
		if err := showRSSAC(std.out, result, metric); err != nil {
			return fail(std, err)
		}
	case "recursion":
		if err := showRecursion(w, result); err != nil {
			return fail(std, err)
		}
	default:
		if result[0] == '[' { // nta list
			if err := showNegatives(w, result); err != nil {
				return fail(std, err)
			}
			break
		}
		fmt.Fprintln(w, string(bytes.Trim(result, `"`)))
	}
	return done
}

// showRSSAC prints the files of the day so far, or one of them.
func showRSSAC(w io.Writer, result json.RawMessage, metric string) error {
	var day struct {
		Files []struct{ Metric, Text string }
	}
	if err := json.Unmarshal(result, &day); err != nil {
		return err
	}
	var known []string
	found := false
	for _, f := range day.Files {
		known = append(known, f.Metric)
		if metric == "" || f.Metric == metric {
			found = true
			fmt.Fprint(w, f.Text)
		}
	}
	if !found {
		return fmt.Errorf("there is no metric %s: there are %s", metric, strings.Join(known, ", "))
	}
	return nil
}

// besideLastWeek is the last hour beside the same hour last week, in words.
func besideLastWeek(w *node.WeekState) string {
	if w == nil {
		return "no data for last week"
	}
	change := func(c node.Compared, points bool) string {
		switch {
		case c.Now == nil || c.Before == nil || *c.Before == 0 && !points:
			return "?"
		case points:
			return fmt.Sprintf("%+.2f points", (*c.Now-*c.Before)*100)
		}
		return fmt.Sprintf("%+.1f %%", (*c.Now / *c.Before - 1)*100)
	}
	text := fmt.Sprintf("queries %s, success %s, p95 %s, CPU %s", change(w.PerSecond, false), change(w.Success, true), change(w.P95, false), change(w.CPU, true))
	if w.Known < 3540 {
		text += fmt.Sprintf("; only %.0f min of last week's hour are known", w.Known/60)
	}
	return text
}

// showSource prints a tap with its four figures.
func showSource(w io.Writer, s *node.SourceState) {
	unknown := func(known bool, form string, v func() any) string {
		if !known {
			return "?"
		}
		return fmt.Sprintf(form, v())
	}
	fmt.Fprintf(w, "source %s\t%s/s, success %s, p95 %s, CPU %s; %d messages, %d malformed, %d + %d unmatched, %d dropped; last %s\t\n", s.Name,
		unknown(s.PerSecond != nil, "%.1f", func() any { return *s.PerSecond }), percentOr(s.Success, "?"),
		unknown(s.P95 != nil, "%v", func() any { return s.P95.Round(time.Microsecond) }), percentOr(s.CPU, "?"),
		s.Messages, s.Malformed+s.Broken, s.UnmatchedQueries, s.UnmatchedResponses, s.Dropped, moment(s.Last))
	if s.Problem != "" {
		fmt.Fprintf(w, "\t%s\n", s.Problem)
	}
}

// showStore prints how far the log is in ClickHouse.
func showStore(w io.Writer, s *store.Status) {
	if s == nil {
		return
	}
	for _, server := range s.Servers {
		state := "not reached yet"
		switch {
		case server.Up:
			state = "up"
		case server.Tried:
			state = "down: " + server.Error
		}
		fmt.Fprintf(w, "clickhouse %s\t%s\n", server.Address, state)
	}
	fmt.Fprintf(w, "sent to clickhouse\t%d rows; %d segments with %d octets wait, the first since %s; %d rows given up\n", s.Sent, s.Segments, s.Octets, moment(s.Since), s.Lost)
}

// moment prints a time in the reader's zone, "-" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

func percent(share *float64) string { return percentOr(share, "no queries") }

func percentOr(share *float64, unknown string) string {
	if share == nil {
		return unknown
	}
	return fmt.Sprintf("%.3f %%", *share*100)
}
