package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"anyu/watch/trail"
)

// steps is the value of --timeline.
type steps string

func (s *steps) String() string   { return string(*s) }
func (s *steps) IsBoolFlag() bool { return true }
func (s *steps) Set(text string) error {
	switch text {
	case "true":
		*s = "any"
	case "hour", "day", "any":
		*s = steps(text)
	default:
		return errors.New("write --timeline, --timeline=hour or --timeline=day")
	}
	return nil
}

func (s steps) length() time.Duration {
	return map[steps]time.Duration{"hour": time.Hour, "day": 24 * time.Hour}[s]
}

func topNames() string { return strings.Join(slices.Sorted(maps.Keys(trail.TopColumns())), ", ") }

// mode tells whether what was asked for goes together.
func (t *traceFlags) mode() error {
	var asked []string
	for name, given := range map[string]bool{"--top": t.top != "", "--timeline": t.timeline != "", "--pdns": t.pdns, "--export": t.export != ""} {
		if given {
			asked = append(asked, name)
		}
	}
	if slices.Sort(asked); len(asked) > 1 {
		return fmt.Errorf("%s: one of them at a time", strings.Join(asked, " and "))
	}
	if t.top != "" && trail.NewTops(t.top) == nil {
		return fmt.Errorf("--top %s: there are %s", t.top, topNames())
	}
	return nil
}

// topLine is one line of --top.
type topLine struct {
	trail.Counted
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

func topTrace(ctx context.Context, t *traceFlags, log searched, filter trail.Filter, std streams) int {
	if c, ok := log.(counter); ok && topColumns[t.top] != "" {
		r, err := c.Top(ctx, filter, topColumns[t.top], t.limit)
		if err != nil {
			return fail(std, err)
		}
		return t.showTop(r, std)
	}
	tops := trail.NewTops(t.top)
	filter.Columns = tops.Columns()
	if _, err := log.Each(ctx, filter, tops.Add); err != nil {
		return fail(std, err)
	}
	return t.showTop(tops.Ranking(t.limit), std)
}

// showTop prints the most frequent values.
func (t *traceFlags) showTop(r trail.Ranking, std streams) int {
	w := tabwriter.NewWriter(std.out, 2, 0, 2, ' ', tabwriter.AlignRight)
	out := json.NewEncoder(std.out)
	for _, c := range r.Top[:min(t.limit, len(r.Top))] {
		if t.top == "client" {
			c.Value = t.shown(c.Value)
		}
		if t.asJSON {
			out.Encode(topLine{c, c.First, c.Last})
		} else {
			fmt.Fprintf(w, "%d\t%.1f %%\t%s\t%s\t  %s\n", c.Count, 100*float64(c.Count)/float64(r.Questions), moment(c.First), moment(c.Last), cmp.Or(c.Value, "(unknown)"))
		}
	}
	w.Flush()
	fmt.Fprintf(std.err, "%s, %d different values", counted(r.Rows, r.Questions), r.Values)
	if r.Others > 0 {
		fmt.Fprintf(std.err, ", and %d rows of values that there was no room to count", r.Others)
	}
	fmt.Fprintln(std.err)
	if r.Rows == 0 {
		return notRight
	}
	return done
}

// counted says how many rows there were, and, of a time that was sampled, for how many questions they stand.
func counted(rows, questions int64) string {
	if rows == questions {
		return fmt.Sprintf("%d rows", rows)
	}
	return fmt.Sprintf("%d rows, which stand for about %d queries: counts are estimates", rows, questions)
}

// barWidth is that of the longest bar.
const barWidth = 60

// timelineTrace prints how many questions there were in each hour or day.
func timelineTrace(ctx context.Context, t *traceFlags, log searched, filter trail.Filter, std streams) int {
	line := trail.NewTimeline()
	filter.Columns = trail.TimelineColumns()
	if _, err := log.Each(ctx, filter, line.Add); err != nil {
		return fail(std, err)
	}
	bars, step := line.Bars(t.timeline.length(), time.Local)
	most := int64(0)
	for _, b := range bars {
		most = max(most, b.Count)
	}
	layout := "2006-01-02 15:04"
	if step > time.Hour {
		layout = time.DateOnly
	}
	out := json.NewEncoder(std.out)
	for _, b := range bars {
		if t.asJSON {
			out.Encode(b)
			continue
		}
		// At least a part of a block where there is a row, and no block where there is none.
		eighths := int64(math.Ceil(float64(b.Count) / float64(most) * barWidth * 8))
		bar := strings.Repeat("█", int(eighths/8))
		if part := eighths % 8; part > 0 {
			bar += string([]rune(" ▏▎▍▌▋▊▉")[part])
		}
		fmt.Fprintf(std.out, "%s  %9d  %s\n", b.From.Local().Format(layout), b.Count, bar)
	}
	fmt.Fprintln(std.err, counted(line.Rows, line.Questions))
	if line.Rows == 0 {
		return notRight
	}
	return done
}

// passiveTrace prints what clients were told, each record once.
func passiveTrace(ctx context.Context, t *traceFlags, log searched, filter trail.Filter, std streams) int {
	told := trail.NewPassiveDNS()
	filter.Columns = trail.PassiveColumns()
	if _, err := log.Each(ctx, filter, told.Add); err != nil {
		return fail(std, err)
	}
	w := tabwriter.NewWriter(std.out, 2, 0, 2, ' ', 0)
	out := json.NewEncoder(std.out)
	records := told.Records()
	for _, r := range records[:min(t.limit, len(records))] {
		if t.asJSON {
			out.Encode(r)
		} else {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", moment(time.Unix(r.First, 0)), moment(time.Unix(r.Last, 0)), r.Count, r.Name, r.Type, r.RData)
		}
	}
	w.Flush()
	fmt.Fprintf(std.err, "%d records, from answers of %s", len(records), counted(told.Rows, told.Questions))
	if n := len(records) - t.limit; n > 0 {
		fmt.Fprintf(std.err, "; %d more with --limit", n)
	}
	if told.Ruled > 0 {
		fmt.Fprintf(std.err, "; left out: %d queries answered by a rule of the operator", told.Ruled)
	}
	if told.Partial > 0 {
		fmt.Fprintf(std.err, "; of %d queries not all answers are kept (answers_left_out)", told.Partial)
	}
	if told.Others > 0 {
		fmt.Fprintf(std.err, "; no room for %d records", told.Others)
	}
	fmt.Fprintln(std.err, "; what clients were told, whoever said it: the bailiwick is not known")
	if len(records) == 0 {
		return notRight
	}
	return done
}
