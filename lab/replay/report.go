package replay

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Report writes results as they come and counts them.
type Report struct {
	Out io.Writer
	// JSON writes one object a line for every file, and one with the counts at the end.
	JSON bool
	// Family adds a table by family, the part of the file name before the first underscore.
	Family bool
	// Verbose writes the trace of every run, and expected and got of those that failed.
	Verbose bool

	total    Counts
	families map[string]*Counts
}

// Counts are how many files ended how.
type Counts struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

func (c *Counts) add(s Status) {
	switch s {
	case StatusPassed:
		c.Passed++
	case StatusFailed:
		c.Failed++
	case StatusSkipped:
		c.Skipped++
	}
}

// Total is what was counted so far.
func (p *Report) Total() Counts { return p.total }

// family of a file.
func family(r Result) string {
	name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(r.File), ".rpl"), "_")
	return name
}

// Add writes one result.
func (p *Report) Add(r Result) {
	p.total.add(r.Status)
	if p.families == nil {
		p.families = make(map[string]*Counts)
	}
	if p.families[family(r)] == nil {
		p.families[family(r)] = &Counts{}
	}
	p.families[family(r)].add(r.Status)
	if p.JSON {
		p.object(r)
		return
	}
	if p.Verbose {
		fmt.Fprintf(p.Out, "# %s: %s\n%s", r.File, r.Title, r.Trace)
		if r.Detail != "" && !strings.Contains(string(r.Trace), r.Detail) {
			fmt.Fprintln(p.Out, r.Detail)
		}
	}
	if r.Status != StatusPassed || p.Verbose {
		fmt.Fprintln(p.Out, r.text())
	}
}

func (p *Report) object(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		line = []byte(`{"error":"a result that is no JSON"}`)
	}
	fmt.Fprintf(p.Out, "%s\n", line)
}

// text is the one line of a result.
func (r Result) text() string {
	s := fmt.Sprintf("%s %s", r.Status, r.File)
	if r.Line > 0 {
		s += fmt.Sprintf(":%d", r.Line)
	}
	if r.Step > 0 {
		s += fmt.Sprintf(" step %d", r.Step)
	}
	if r.Reason != "" {
		s += ": " + strings.ReplaceAll(r.Reason, "\n", " ")
	}
	if r.Unmatched > 0 {
		s += fmt.Sprintf(" (%d questions that no entry knows were answered SERVFAIL)", r.Unmatched)
	}
	return s
}

// End writes the counts.
func (p *Report) End() {
	if p.JSON {
		p.object(struct {
			Counts
			Families map[string]*Counts `json:"families"`
		}{p.total, p.families})
		return
	}
	if p.Family {
		names := make([]string, 0, len(p.families))
		for name := range p.families {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			c := p.families[name]
			fmt.Fprintf(p.Out, "%-12s %4d passed %4d failed %4d skipped\n", name, c.Passed, c.Failed, c.Skipped)
		}
	}
	fmt.Fprintf(p.Out, "%d passed, %d failed, %d skipped\n", p.total.Passed, p.total.Failed, p.total.Skipped)
}
