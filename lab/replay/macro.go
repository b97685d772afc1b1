package replay

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// macros expands ${ ... } of Unbound's scenarios.
type macros struct {
	vars    map[string]string
	now     func() float64          // seconds
	timeout func() (float64, error) // seconds to the earliest timer
}

// expand replaces every ${ ... } of a text.
func (m *macros) expand(text string) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), nil
		}
		b.WriteString(text[:i])
		end, err := closing(text[i:])
		if err != nil {
			return "", err
		}
		value, err := m.value(text[i+2 : i+end])
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		text = text[i+end+1:]
	}
}

// closing is where the brace stands that closes the macro at the start of text.
func closing(text string) (int, error) {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i, nil
			}
		}
	}
	return 0, fmt.Errorf("expanding %q: the brace is not closed", text)
}

// value is what stands for the inside of one macro.
func (m *macros) value(text string) (string, error) {
	text, err := m.expand(text)
	if err != nil {
		return "", err
	}
	text = strings.TrimSpace(text)
	name, rest, _ := strings.Cut(text, " ")
	switch name {
	case "time":
		return number(m.now()), nil
	case "timeout":
		n, err := m.timeout()
		return number(n), err
	case "ctime":
		n, err := m.arithmetic(rest)
		return time.Unix(int64(n), 0).UTC().Format("Mon Jan _2 15:04:05 2006"), err
	case "range":
		return m.inside(rest)
	}
	n, err := m.arithmetic(text)
	return number(n), err
}

// inside is `range low value high`.
func (m *macros) inside(text string) (string, error) {
	w := strings.Fields(text)
	if len(w) != 3 {
		return "", fmt.Errorf("expanding range %q: three words expected", text)
	}
	var n [3]float64
	for i := range w {
		var err error
		if n[i], err = m.arithmetic(w[i]); err != nil {
			return "", err
		}
	}
	if n[1] < n[0] || n[1] > n[2] {
		return "", fmt.Errorf("%s is not between %s and %s", number(n[1]), number(n[0]), number(n[2]))
	}
	return number(n[1]), nil
}

// number prints 12 significant digits.
func number(n float64) string { return strconv.FormatFloat(n, 'g', 12, 64) }

// arithmetic works from left to right, without precedence.
func (m *macros) arithmetic(text string) (float64, error) {
	rest := text
	total, op := 0.0, byte('+')
	for {
		rest = strings.TrimLeft(rest, " \t")
		n, left, err := m.operand(rest)
		if err != nil {
			return 0, fmt.Errorf("expanding %q: %w", text, err)
		}
		switch op {
		case '+':
			total += n
		case '-':
			total -= n
		case '*':
			total *= n
		case '/':
			total /= n
		}
		rest = strings.TrimLeft(left, " \t")
		if rest == "" {
			return total, nil
		}
		op, rest = rest[0], rest[1:]
		if !strings.ContainsRune("+-*/", rune(op)) {
			return 0, fmt.Errorf("expanding %q: %q is no operator", text, op)
		}
	}
}

// operand reads a number or a variable at the start of text.
func (m *macros) operand(text string) (float64, string, error) {
	end := 0
	if strings.HasPrefix(text, "$") {
		end = 1
		for end < len(text) && (text[end] == '_' || text[end] >= '0' && text[end] <= '9' || text[end]|32 >= 'a' && text[end]|32 <= 'z') {
			end++
		}
		value, ok := m.vars[text[1:end]]
		if !ok {
			return 0, "", fmt.Errorf("there is no variable %q", text[1:end])
		}
		n, err := strconv.ParseFloat(value, 64)
		return n, text[end:], err
	}
	if end < len(text) && text[end] == '-' {
		end++
	}
	for end < len(text) && (text[end] == '.' || text[end] >= '0' && text[end] <= '9' || text[end] == 'e' || text[end] == '+' && end > 0 && text[end-1] == 'e') {
		end++
	}
	n, err := strconv.ParseFloat(text[:end], 64)
	return n, text[end:], err
}
