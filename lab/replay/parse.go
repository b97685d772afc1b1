package replay

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
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
	words     int // of files that the configuration includes
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
			if p.s.Dialect == Unbound {
				r.Addresses = nil // it has one: the last that is given
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
