package replay

import (
	"strconv"
	"strings"
	"time"
)

// step reads what follows the word STEP, and the lines that belong to it.
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
