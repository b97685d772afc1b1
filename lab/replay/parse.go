package replay

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Parse reads a file of either dialect; which one is told by what stands in it. The error is an *Error.
func Parse(file string, text []byte) (*Scenario, error) {
	p := &parser{file: file, lines: strings.Split(string(text), "\n"), s: &Scenario{File: file}}
	if p.err = p.bounds(); p.err == nil {
		p.s.Dialect = p.dialect()
		if p.s.Dialect == Deckard {
			p.err = p.deckardConfig()
		} else {
			p.err = p.unboundConfig()
		}
	}
	if p.err == nil {
		p.err = p.scenario()
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.s, nil
}

type parser struct {
	file      string
	lines     []string
	at        int // lines read so far: the number of the current line
	configEnd int // index of CONFIG_END
	s         *Scenario
	err       error
}

func (p *parser) wrong(format string, args ...any) error { return p.wrongAt(p.at, format, args...) }

func (p *parser) wrongAt(line int, format string, args ...any) error {
	return &Error{p.file, line, fmt.Sprintf(format, args...)}
}

// Longest lines of the Unbound grammar.
const (
	maxLine       = 10240
	maxConfigLine = 1024
)

// bounds finds CONFIG_END and checks the length of lines.
func (p *parser) bounds() error {
	p.configEnd = -1
	for i, line := range p.lines {
		if p.configEnd < 0 && strings.HasPrefix(strings.TrimLeft(line, " \t"), "CONFIG_END") {
			p.configEnd = i
		}
		limit := maxLine
		if p.configEnd < 0 {
			limit = maxConfigLine
		}
		if len(line) > limit {
			return p.wrongAt(i+1, "the line is longer than %d octets", limit)
		}
	}
	if p.configEnd < 0 {
		return p.wrongAt(len(p.lines), "there is no CONFIG_END")
	}
	return nil
}

// line is the next line that says something, without blanks at its ends; ok is false at the end of the file.
func (p *parser) line() (string, bool) {
	for p.at < len(p.lines) {
		l := strings.TrimSpace(p.lines[p.at])
		p.at++
		if l != "" && l[0] != ';' {
			return l, true
		}
	}
	return "", false
}

// cut takes a keyword, a prefix of the line, off it.
func cut(line, keyword string) (string, bool) {
	if rest, ok := strings.CutPrefix(line, keyword); ok {
		return strings.TrimSpace(rest), true
	}
	return line, false
}

// words are the words of a line up to a comment.
func words(line string) []string {
	if i := strings.IndexAny(line, ";#"); i >= 0 {
		line = line[:i]
	}
	return strings.Fields(line)
}

func (p *parser) scenario() error {
	p.at = p.configEnd + 1
	line, ok := p.line()
	title, begins := cut(line, "SCENARIO_BEGIN")
	if !ok || !begins {
		return p.wrong("SCENARIO_BEGIN expected")
	}
	p.s.Title = title
	for {
		line, ok := p.line()
		if !ok {
			return p.wrong("the file ends before SCENARIO_END")
		}
		switch {
		case strings.HasPrefix(line, "SCENARIO_END"):
			return p.finish()
		case strings.HasPrefix(line, "RANGE_BEGIN"):
			rest, _ := cut(line, "RANGE_BEGIN")
			if err := p.readRange(words(rest)); err != nil {
				return err
			}
		case strings.HasPrefix(line, "STEP"):
			rest, _ := cut(line, "STEP")
			if err := p.step(rest); err != nil {
				return err
			}
		case line[0] == '#':
		case strings.HasPrefix(line, "RANGE_END"): // two borrowed files have one too many; testbound does not mind
		default:
			return p.wrong("RANGE_BEGIN, STEP or SCENARIO_END expected, not %q", line)
		}
	}
}

func (p *parser) finish() error {
	for i := 1; i < len(p.s.Steps); i++ {
		if a, b := p.s.Steps[i-1], p.s.Steps[i]; a.Number >= b.Number {
			return p.wrongAt(b.Line, "step %d follows step %d", b.Number, a.Number)
		}
	}
	return nil
}

func (p *parser) readRange(w []string) error {
	if len(w) < 2 {
		return p.wrong("RANGE_BEGIN needs two numbers")
	}
	r := Range{Line: p.at}
	var err error
	if r.First, err = strconv.Atoi(w[0]); err != nil {
		return p.wrong("%q is no number", w[0])
	}
	if r.Last, err = strconv.Atoi(w[1]); err != nil {
		return p.wrong("%q is no number", w[1])
	}
	if r.Last < r.First {
		return p.wrong("range %d to %d is empty", r.First, r.Last)
	}
	for {
		line, ok := p.line()
		if !ok {
			return p.wrong("the file ends inside a range")
		}
		switch {
		case strings.HasPrefix(line, "RANGE_END"):
			p.s.Ranges = append(p.s.Ranges, r)
			return nil
		case strings.HasPrefix(line, "ADDRESS"):
			a, err := p.address(line)
			if err != nil {
				return err
			}
			if p.s.Dialect == Unbound && len(r.Addresses) > 0 {
				return p.wrong("a range has one ADDRESS")
			}
			r.Addresses = append(r.Addresses, a)
		case strings.HasPrefix(line, "ENTRY_BEGIN"):
			e, err := p.entry()
			if err != nil {
				return err
			}
			r.Entries = append(r.Entries, e)
		case line[0] == '#':
		default:
			return p.wrong("ADDRESS, ENTRY_BEGIN or RANGE_END expected, not %q", line)
		}
	}
}

// address reads `ADDRESS ip[@port]`.
func (p *parser) address(line string) (netip.AddrPort, error) {
	rest, _ := cut(line, "ADDRESS")
	w := words(rest)
	if len(w) == 0 {
		return netip.AddrPort{}, p.wrong("ADDRESS needs an address")
	}
	host, port, has := strings.Cut(w[0], "@")
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, p.wrong("%q is no address", host)
	}
	var n uint64
	if has {
		if n, err = strconv.ParseUint(port, 10, 16); err != nil {
			return netip.AddrPort{}, p.wrong("%q is no port", port)
		}
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

func (p *parser) step(rest string) error {
	s := Step{Line: p.at}
	number, rest, _ := strings.Cut(rest, " ")
	if i := strings.IndexByte(number, '\t'); i >= 0 {
		number, rest = number[:i], number[i+1:]+" "+rest
	}
	var err error
	if s.Number, err = strconv.Atoi(number); err != nil {
		return p.wrong("STEP needs a number, not %q", number)
	}
	rest = strings.TrimSpace(rest)
	kind := -1
	for i, name := range stepNames {
		if strings.HasPrefix(rest, name) && (kind < 0 || len(name) > len(stepNames[kind])) {
			kind = i
		}
	}
	if kind < 0 {
		return p.wrong("there is no event %q", rest)
	}
	s.Kind = StepKind(kind)
	rest = strings.TrimSpace(rest[len(stepNames[kind]):])
	if p.s.Dialect == Deckard && !deckardStep(s.Kind) {
		return p.wrong("Deckard has no event %s", s.Kind)
	}
	if err := p.stepRest(&s, rest); err != nil {
		return err
	}
	if err := p.stepBlock(&s); err != nil {
		return err
	}
	p.s.Steps = append(p.s.Steps, s)
	return nil
}

func deckardStep(k StepKind) bool {
	switch k {
	case StepQuery, StepCheckAnswer, StepTimePasses, StepReply, StepCheckOutQuery, StepNothing:
		return true
	}
	return false
}

// stepRest reads what stands on the line of the step.
func (p *parser) stepRest(s *Step, rest string) error {
	if a, ok := cut(rest, "ADDRESS"); ok {
		var err error
		if s.Address, err = p.address("ADDRESS " + a); err != nil {
			return err
		}
	}
	switch s.Kind {
	case StepTimePasses:
		if text, ok := cut(rest, "EVAL"); ok {
			s.Text = text
			return nil
		}
		text, ok := cut(rest, "ELAPSE")
		if w := words(text); ok && len(w) > 0 {
			seconds, err := strconv.ParseFloat(w[0], 64)
			if err != nil || seconds < 0 {
				return p.wrong("%q is no number of seconds", w[0])
			}
			s.Elapse = time.Duration(seconds * float64(time.Second))
			return nil
		}
		return p.wrong("TIME_PASSES needs ELAPSE or EVAL")
	case StepAssign:
		name, text, ok := strings.Cut(rest, "=")
		if s.Name, s.Text = strings.TrimSpace(name), strings.TrimSpace(text); !ok || s.Name == "" {
			return p.wrong("ASSIGN needs `name = text`")
		}
	case StepCheckAutotrust, StepCheckTempfile:
		w := words(rest)
		if len(w) == 0 {
			return p.wrong("%s needs a name", s.Kind)
		}
		s.Name = w[0]
	case StepInfraRTT, StepFlushMessage, StepExpireMessage:
		if s.Words = words(rest); len(s.Words) < 3 {
			return p.wrong("%s needs three words", s.Kind)
		}
	}
	return nil
}

// stepBlock reads the lines that belong to a step: ADDRESS, an entry, a FILE block.
func (p *parser) stepBlock(s *Step) error {
	for {
		before := p.at
		line, ok := p.line()
		switch {
		case ok && strings.HasPrefix(line, "ADDRESS"):
			a, err := p.address(line)
			if err != nil {
				return err
			}
			s.Address = a
			continue
		case ok && strings.HasPrefix(line, "ENTRY_BEGIN"):
			if s.Entry != nil {
				return p.wrong("a step has one entry")
			}
			e, err := p.entry()
			if err != nil {
				return err
			}
			s.Entry = e
			continue
		case ok && strings.HasPrefix(line, "FILE_BEGIN"):
			if err := p.fileBlock(s); err != nil {
				return err
			}
			continue
		case ok && line[0] == '#':
			continue
		}
		p.at = before
		return p.stepWhole(s)
	}
}

// stepWhole checks that a step has what its event needs.
func (p *parser) stepWhole(s *Step) error {
	switch s.Kind {
	case StepQuery, StepCheckAnswer, StepReply:
		if s.Entry == nil {
			return p.wrongAt(s.Line, "%s needs an entry", s.Kind)
		}
	case StepCheckOutQuery:
		if s.Entry == nil && p.s.Dialect == Unbound {
			return p.wrongAt(s.Line, "%s needs an entry", s.Kind)
		}
	case StepCheckAutotrust, StepCheckTempfile:
		if s.Lines == nil {
			return p.wrongAt(s.Line, "%s needs FILE_BEGIN ... FILE_END", s.Kind)
		}
	}
	return nil
}

func (p *parser) fileBlock(s *Step) error {
	s.Lines = []string{}
	for p.at < len(p.lines) {
		line := strings.TrimRight(p.lines[p.at], " \t\r")
		p.at++
		if strings.HasPrefix(line, "FILE_END") {
			return nil
		}
		s.Lines = append(s.Lines, line)
	}
	return p.wrong("the file ends before FILE_END")
}
