package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"time"

	"anyu/config"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/node"
)

// result is what a query found, by whatever way.
type result struct {
	question   message.Question
	rcode      wire.Rcode
	flags      []string // qr, aa, tc, rd, ra, ad, cd
	reasons    []reason
	sections   [3][]*message.RRset
	by         string // who answered
	validation string // of our own resolution
	took       time.Duration
	size       int
	sends      int
	steps      []node.LookupStep
}

// reason is an Extended DNS Error (RFC 8914).
type reason struct {
	Code uint16 `json:"code"`
	Name string `json:"name"`
	Text string `json:"text,omitempty"`
}

// noReason is event.NoReason: there is none.
const noReason = 0xFFFF

// reasons by INFO-CODE (IANA, Extended DNS Error Codes).
var reasonNames = [...]string{"Other", "Unsupported DNSKEY Algorithm", "Unsupported DS Digest Type", "Stale Answer", "Forged Answer", "DNSSEC Indeterminate",
	"DNSSEC Bogus", "Signature Expired", "Signature Not Yet Valid", "DNSKEY Missing", "RRSIGs Missing", "No Zone Key Bit Set", "NSEC Missing", "Cached Error",
	"Not Ready", "Blocked", "Censored", "Filtered", "Prohibited", "Stale NXDOMAIN Answer", "Not Authoritative", "Not Supported", "No Reachable Authority",
	"Network Error", "Invalid Data", "Signature Expired before Valid", "Too Early", "Unsupported NSEC3 Iterations Value", "Unable to conform to policy", "Synthesized"}

func newReason(code uint16, text string) reason {
	r := reason{Code: code, Name: "Unknown", Text: text}
	if int(code) < len(reasonNames) {
		r.Name = reasonNames[code]
	}
	return r
}

// queryFlags are those of `anyu query`.
type queryFlags struct {
	file, at                     string
	trace, dnssec, json, cd, tcp bool
	anyCertificate, verbose      bool
	timeout                      time.Duration
	resolving                    resolverFlags
}

func (q *queryFlags) define(f *flag.FlagSet) {
	f.StringVar(&q.file, "config", "", "YAML `FILE` with stub and forward zones and trust anchors, as serve reads it")
	f.StringVar(&q.at, "at", "", "`SERVER` to ask, instead of resolving here: ADDR[:PORT], tls://HOST, https://HOST/dns-query or quic://HOST")
	f.BoolVar(&q.trace, "trace", false, "print the whole walk: who was asked what, what came of it, and why")
	f.BoolVar(&q.dnssec, "dnssec", false, "print signatures and proofs")
	f.BoolVar(&q.json, "json", false, "print JSON")
	f.BoolVar(&q.cd, "cd", false, "do not validate (checking disabled)")
	f.BoolVar(&q.tcp, "tcp", false, "with --at: ask over TCP at once")
	f.BoolVar(&q.anyCertificate, "any-certificate", false, "with --at: take whatever certificate the server has")
	f.BoolVar(&q.verbose, "verbose", false, "log what the resolver says, too")
	f.DurationVar(&q.timeout, "timeout", 5*time.Second, "with --at: how long to wait for a reply; twice over UDP")
	q.resolving.define(f)
}

func runQuery(args []string, std streams) int {
	var q queryFlags
	f := flag.NewFlagSet("anyu query NAME [TYPE]", flag.ContinueOnError)
	q.define(f)
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	question, err := readQuestion(words)
	if err != nil {
		return fail(std, err)
	}
	if q.trace && q.at != "" {
		return fail(std, errors.New("--trace shows the walk of our own resolver: leave --at away, or ask the node at "+q.at+" there"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var r *result
	if q.at != "" {
		r, err = q.askServer(ctx, question)
	} else {
		r, err = q.resolve(ctx, question, std)
	}
	if err != nil {
		return fail(std, err)
	}
	if q.json {
		err = r.writeJSON(std.out, q.trace)
	} else {
		err = r.write(std.out, q.trace, q.dnssec)
	}
	if err != nil {
		return fail(std, err)
	}
	if r.rcode != wire.NoError && r.rcode != wire.NXDomain {
		return notRight
	}
	return done
}

// readQuestion reads NAME [TYPE], in any order dig takes.
func readQuestion(words []string) (message.Question, error) {
	q := message.Question{Type: wire.TypeA, Class: wire.ClassIN}
	if len(words) == 0 || len(words) > 2 {
		return q, errors.New("query takes NAME [TYPE], for example: anyu query example.org AAAA")
	}
	if len(words) == 2 {
		t, ok := wire.ParseType(strings.ToUpper(words[1]))
		if !ok {
			return q, fmt.Errorf("there is no record type %q", words[1])
		}
		q.Type = t
	}
	name, err := wire.ParseName(words[0])
	if err != nil {
		return q, fmt.Errorf("%s: %w", words[0], err)
	}
	q.Name = name
	return q, nil
}

// resolve finds the answer in this process.
func (f *queryFlags) resolve(ctx context.Context, q message.Question, std streams) (*result, error) {
	c := new(config.Config)
	if f.file != "" {
		var err error
		if c, err = config.Read(f.file); err != nil {
			return nil, err
		}
	}
	c.Default()
	if err := f.resolving.apply(c); err != nil {
		return nil, err
	}
	c.Default()
	if err := c.Check(); err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	if f.verbose {
		log = slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	l, err := node.Query(ctx, c, q, f.cd, log)
	if err != nil {
		return nil, err
	}
	r := &result{question: q, rcode: l.Rcode, flags: []string{"qr", "rd", "ra"}, by: "this process", validation: l.Security, took: l.Took, sends: l.Sends, steps: l.Steps,
		sections: [3][]*message.RRset{l.Answer, l.Authority, l.Additional}}
	if l.Secure {
		r.flags = append(r.flags, "ad")
	}
	if f.cd {
		r.flags = append(r.flags, "cd")
	}
	if l.Reason != noReason {
		r.reasons = append(r.reasons, newReason(l.Reason, l.Text))
	}
	return r, nil
}

// write prints the walk, then the answer as dig users know it.
func (r *result) write(w io.Writer, trace, dnssec bool) error {
	if trace {
		for _, s := range r.steps {
			fmt.Fprintf(w, ";%8.1f ms  %s%s\n", float64(s.At.Microseconds())/1000, strings.Repeat("  ", s.Depth), printable(s.Text))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, ";; status: %s, flags: %s", r.rcode, strings.Join(r.flags, " "))
	if r.validation != "" {
		fmt.Fprintf(w, ", validation: %s", r.validation)
	}
	fmt.Fprintln(w)
	for _, e := range r.reasons {
		fmt.Fprintf(w, ";; EDE: %d (%s)", e.Code, e.Name)
		if e.Text != "" {
			fmt.Fprintf(w, ": %s", printable(e.Text))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\n;; QUESTION\n;%s\n", r.question)
	for i, name := range [...]string{"ANSWER", "AUTHORITY", "ADDITIONAL"} {
		if lines := r.lines(i, dnssec); len(lines) > 0 {
			fmt.Fprintf(w, "\n;; %s\n%s\n", name, strings.Join(lines, "\n"))
		}
	}
	fmt.Fprintf(w, "\n;; %s, by %s", r.took.Round(100*time.Microsecond), r.by)
	if r.sends > 0 {
		fmt.Fprintf(w, ", %d questions to servers", r.sends)
	}
	if r.size > 0 {
		fmt.Fprintf(w, ", %d octets", r.size)
	}
	_, err := fmt.Fprintln(w)
	return err
}

// lines are the records of a section. What was not asked for of DNSSEC is left out, as a server would.
func (r *result) lines(section int, dnssec bool) (lines []string) {
	for _, s := range r.sections[section] {
		if !dnssec && s.Type != r.question.Type && (s.Type == wire.TypeRRSIG || s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3) {
			continue
		}
		for _, d := range s.Data {
			lines = append(lines, recordLine(s, s.Type, d))
		}
		if dnssec {
			for _, d := range s.Sigs {
				lines = append(lines, recordLine(s, wire.TypeRRSIG, d))
			}
		}
	}
	return lines
}

func recordLine(s *message.RRset, t wire.Type, rdata []byte) string {
	return string(zone.AppendRecordText(nil, zone.Record{Owner: s.Name, Type: t, TTL: s.TTL, RData: rdata}, s.Class))
}

// queryJSON is what scripts may rely on: keys are added, never renamed.
type queryJSON struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Status     string     `json:"status"`
	Flags      []string   `json:"flags"`
	Validation string     `json:"validation,omitempty"`
	Reasons    []reason   `json:"reasons"`
	Answer     []string   `json:"answer"`
	Authority  []string   `json:"authority"`
	Additional []string   `json:"additional"`
	Server     string     `json:"server"`
	Took       float64    `json:"took_seconds"`
	Sends      int        `json:"questions_to_servers"`
	Trace      []stepJSON `json:"trace,omitempty"`
}

type stepJSON struct {
	At    float64 `json:"at_seconds"`
	Depth int     `json:"depth"`
	Text  string  `json:"text"`
}

func (r *result) writeJSON(w io.Writer, trace bool) error {
	j := queryJSON{Name: r.question.Name.String(), Type: r.question.Type.String(), Status: r.rcode.String(), Flags: r.flags, Validation: r.validation, Reasons: r.reasons,
		Answer: r.lines(0, true), Authority: r.lines(1, true), Additional: r.lines(2, true), Server: r.by, Took: r.took.Seconds(), Sends: r.sends}
	for _, list := range []*[]string{&j.Answer, &j.Authority, &j.Additional} {
		if *list == nil {
			*list = []string{}
		}
	}
	if j.Reasons == nil {
		j.Reasons = []reason{}
	}
	if trace {
		for _, s := range r.steps {
			j.Trace = append(j.Trace, stepJSON{s.At.Seconds(), s.Depth, s.Text})
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(j)
}
