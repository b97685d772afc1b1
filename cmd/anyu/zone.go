package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/dns/zone"
)

// zoneCheck is one run of `anyu check zone`; docs/check-zone.md describes what it says.
type zoneCheck struct {
	name wire.Name
	file string
	at   time.Time

	syntax, strict, json, ignoreTime, skipDNSSEC bool
}

// zoneResult is what is found, and the JSON that scripts may rely on: keys are added, never renamed.
type zoneResult struct {
	File     string        `json:"file"`
	Zone     string        `json:"zone"`
	Right    bool          `json:"right"`
	Serial   uint32        `json:"serial"`
	Names    int           `json:"names"`
	Records  int           `json:"records"`
	Errors   int           `json:"errors"`
	Warnings int           `json:"warnings"`
	DNSSEC   *dnssecResult `json:"dnssec,omitempty"`
	ZONEMD   *zonemdResult `json:"zonemd,omitempty"`
	Problems []zoneProblem `json:"problems"`
}

type dnssecResult struct {
	State      string     `json:"state"` // unsigned, signed, not-checked
	Denial     string     `json:"denial,omitempty"`
	Algorithms []string   `json:"algorithms,omitempty"`
	Keys       []uint16   `json:"key_tags,omitempty"`
	Signatures int        `json:"valid_signatures"`
	Expires    *time.Time `json:"first_expiry,omitempty"`
	At         time.Time  `json:"checked_at"`
	IgnoreTime bool       `json:"time_ignored"`
}

type zonemdResult struct {
	Verdict string `json:"verdict"` // absent, verified, failed
	Reason  string `json:"reason,omitempty"`
}

type zoneProblem struct {
	Severity string `json:"severity"` // error, warning
	Code     string `json:"code"`
	Owner    string `json:"owner"`
	Text     string `json:"text"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
}

func checkZone(args []string, std streams) int {
	f := flag.NewFlagSet("anyu check zone [flags] NAME FILE", flag.ContinueOnError)
	c := zoneCheck{}
	f.BoolVar(&c.syntax, "syntax", false, "read the file only; without it the records' meaning, ZONEMD and DNSSEC are checked too")
	f.BoolVar(&c.json, "json", false, "print the result as JSON")
	f.BoolVar(&c.strict, "strict", false, "warnings, too, make the zone not right")
	f.BoolVar(&c.ignoreTime, "ignore-time", false, "signatures count whether or not they have expired")
	f.BoolVar(&c.skipDNSSEC, "no-dnssec", false, "leave out keys, signatures and the chains of NSEC and NSEC3")
	at := f.String("time", "", "judge signatures as of this `time` (RFC 3339, as 2026-08-01T00:00:00Z); now if not given")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) != 2 {
		return fail(std, errors.New("check zone takes NAME and FILE"))
	}
	var err error
	if c.name, err = wire.ParseName(words[0]); err != nil {
		return fail(std, err)
	}
	c.file, c.at = words[1], time.Now()
	if *at != "" {
		if c.at, err = time.Parse(time.RFC3339, *at); err != nil {
			return fail(std, fmt.Errorf("--time takes a time as 2026-08-01T00:00:00Z: %w", err))
		}
	}
	r, err := c.run(std.err)
	if err != nil {
		return fail(std, err)
	}
	return c.print(std.out, r)
}

// run reads and checks; the error is for a file that cannot be read.
func (c *zoneCheck) run(screen io.Writer) (*zoneResult, error) {
	r := &zoneResult{File: c.file, Zone: c.name.String(), Problems: []zoneProblem{}}
	z, warnings, err := zone.Load(context.Background(), zone.LoadOptions{Name: c.name, File: c.file,
		Open: func(f string) (io.ReadCloser, error) { return os.Open(f) }})
	for _, w := range warnings {
		r.add(zoneProblem{zone.Warn.String(), w.Code, r.Zone, w.Text, w.File, w.Line, w.Column})
	}
	var unreadable *fs.PathError
	var at *zone.SyntaxError
	switch {
	case errors.As(err, &unreadable):
		return nil, err
	case errors.As(err, &at):
		r.add(zoneProblem{zone.Error.String(), "syntax", r.Zone, at.Text, at.File, at.Line, at.Column})
		return r, nil
	case err != nil:
		r.add(zoneProblem{zone.Error.String(), "zone", r.Zone, cause(err).Error(), c.file, 0, 0})
		return r, nil
	}
	r.Serial = z.Serial()
	r.Names, r.Records, _ = z.Size()
	if !c.syntax {
		c.deep(z, r, screen)
	}
	return r, nil
}

// cause is the innermost error: what was being done is said by the line it stands in.
func cause(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// deep checks the zone as a whole.
func (c *zoneCheck) deep(z *zone.Zone, r *zoneResult, screen io.Writer) {
	verdict, reason := z.CheckZONEMD()
	r.ZONEMD = &zonemdResult{verdict.String(), reason}
	if verdict == zone.ZONEMDAbsent {
		r.ZONEMD.Reason = ""
	}
	problems := zone.Check(z, zone.CheckOptions{SkipDNSSEC: c.skipDNSSEC})
	r.DNSSEC = &dnssecResult{State: "not-checked", At: c.at.UTC(), IgnoreTime: c.ignoreTime}
	if !c.skipDNSSEC {
		bar := newProgress(screen, c.file)
		report := dnssec.Examine(z, c.at, dnssec.Options{IgnoreTime: c.ignoreTime, Progress: bar.show})
		bar.clear()
		r.DNSSEC.fill(report)
		problems = append(problems, report.Problems...)
	}
	for _, p := range problems {
		r.add(zoneProblem{p.Severity.String(), p.Code, p.Owner, p.Text, c.file, 0, 0})
	}
}

func (d *dnssecResult) fill(report dnssec.Report) {
	d.State = "unsigned"
	if !report.Signed {
		return
	}
	d.State, d.Denial, d.Signatures = "signed", string(report.Denial), report.Signatures
	for _, a := range report.Algorithms {
		d.Algorithms = append(d.Algorithms, a.String())
	}
	for _, k := range report.Keys {
		d.Keys = append(d.Keys, k.Tag)
	}
	if !report.Expires.IsZero() {
		d.Expires = &report.Expires
	}
}

func (r *zoneResult) add(p zoneProblem) {
	if p.File == "" {
		p.File = r.File
	}
	if p.Severity == zone.Error.String() {
		r.Errors++
	} else {
		r.Warnings++
	}
	r.Problems = append(r.Problems, p)
}

// print writes the result and gives the status for it.
func (c *zoneCheck) print(out io.Writer, r *zoneResult) int {
	r.Right = r.Errors == 0 && (r.Warnings == 0 || !c.strict)
	if c.json {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			return failed
		}
	} else {
		r.text(out)
	}
	if r.Right {
		return done
	}
	return notRight
}

// shownPerCode bounds the lines about one kind of problem: a zone that has expired has expired a thousand times. The JSON
// has them all.
const shownPerCode = 20

func (r *zoneResult) text(out io.Writer) {
	seen := map[string]int{}
	for _, p := range r.Problems {
		if seen[p.Code]++; seen[p.Code] > shownPerCode {
			continue
		}
		place := p.File
		if p.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
		}
		fmt.Fprintf(out, "%s: %s %s %s: %s\n", place, p.Severity, p.Code, p.Owner, printable(p.Text))
	}
	for _, code := range slices.Sorted(maps.Keys(seen)) {
		if n := seen[code] - shownPerCode; n > 0 {
			fmt.Fprintf(out, "%s: %d more %s\n", r.File, n, code)
		}
	}
	if r.DNSSEC != nil {
		fmt.Fprintf(out, "%s: DNSSEC: %s\n", r.Zone, r.DNSSEC.text())
	}
	if r.ZONEMD != nil {
		fmt.Fprintf(out, "%s: ZONEMD: %s\n", r.Zone, r.ZONEMD.Verdict)
	}
	verdict := "right"
	if !r.Right {
		verdict = "not right"
	}
	fmt.Fprintf(out, "%s: serial %d, %d names, %d records, %d errors, %d warnings: %s\n", r.Zone, r.Serial, r.Names, r.Records,
		r.Errors, r.Warnings, verdict)
}

// printable writes octets that are no text as \DDD: what stands in a zone file must not steer a terminal.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			fmt.Fprintf(&b, "\\%03d", min(r, 255))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (d *dnssecResult) text() string {
	if d.State != "signed" {
		return d.State
	}
	text := fmt.Sprintf("signed with %v, %s, keys %v, %d signatures count", d.Algorithms, d.Denial, d.Keys, d.Signatures)
	if d.Expires != nil {
		text += fmt.Sprintf(", the first expires %s", d.Expires.Format(time.RFC3339))
	}
	if d.IgnoreTime {
		return text + " (times ignored)"
	}
	return text + fmt.Sprintf(" (as of %s)", d.At.Format(time.RFC3339))
}

// progress shows on a terminal how far a long check is.
type progress struct {
	screen io.Writer // nil: nobody looks
	file   string
	begin  time.Time
	shown  bool
}

// progressAfter is when a check is long.
const progressAfter = time.Second

func newProgress(screen io.Writer, file string) *progress {
	p := &progress{file: file, begin: time.Now()}
	if f, ok := screen.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.screen = screen
		}
	}
	return p
}

func (p *progress) show(names, total int) {
	if p.screen == nil || time.Since(p.begin) < progressAfter {
		return
	}
	p.shown = true
	fmt.Fprintf(p.screen, "\r%s: %d of %d names (%d %%) ", p.file, names, total, 100*names/max(total, 1))
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.screen, "\r\x1b[K")
	}
}
