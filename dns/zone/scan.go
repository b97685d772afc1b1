package zone

import (
	"bytes"
	"fmt"
	"slices"

	"anyu/dns/wire"
)

// SyntaxError says what is wrong in a master file and where. Line and Column count from 1; Column is in octets.
type SyntaxError struct {
	File         string
	Line, Column int
	Text         string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.Text // of the zone as a whole
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

// lexer cuts the text of a master file into tokens (RFC 1035, Section 5.1). It hands out slices of the text; escapes stay
// as written.
type lexer struct {
	file  string
	buf   []byte
	pos   int
	line  int // of pos
	bol   int // offset where that line begins
	depth int // open parentheses
	tok   token
}

type token struct {
	kind   tokenKind
	escape bool // a backslash is inside
	text   []byte
	at     int // offset of its first octet
	line   int
	bol    int
}

type tokenKind uint8

const (
	tokenBroken tokenKind = iota // what an error is about
	tokenEnd                     // end of the record: a line end outside parentheses, or of the text
	tokenWord                    // may hold ="..." with the quotes
	tokenQuoted                  // text between quotes, without them
)

// What a character means where a word may go on.
const (
	charWord = iota
	charBlank
	charLine
	charComment
	charOpen
	charClose
	charQuote
	charEscape
)

var charOf = [256]uint8{
	' ': charBlank, '\t': charBlank, '\r': charBlank, '\n': charLine, ';': charComment, '(': charOpen, ')': charClose,
	'"': charQuote, '\\': charEscape,
}

// errorf makes a SyntaxError at the current token.
func (l *lexer) errorf(format string, args ...any) error {
	return &SyntaxError{File: l.file, Line: l.tok.line, Column: l.tok.at - l.tok.bol + 1, Text: fmt.Sprintf(format, args...)}
}

// next reads a token into l.tok.
func (l *lexer) next() error {
	buf, i := l.buf, l.pos
	for i < len(buf) {
		c := buf[i]
		switch charOf[c] {
		case charBlank:
			i++
		case charWord, charEscape:
			return l.word(i)
		case charLine:
			i++
			if l.depth == 0 {
				l.tok = token{kind: tokenEnd, at: i - 1, line: l.line, bol: l.bol}
				l.line++
				l.pos, l.bol = i, i
				return nil
			}
			l.line++
			l.bol = i
		case charComment:
			if n := bytes.IndexByte(buf[i:], '\n'); n >= 0 {
				i += n
			} else {
				i = len(buf)
			}
		case charOpen:
			l.depth++
			i++
		case charClose:
			if l.depth--; l.depth < 0 {
				l.depth = 0
				l.tok = token{at: i, line: l.line, bol: l.bol}
				l.pos = i + 1
				return l.errorf("closing parenthesis without an opening one")
			}
			i++
		case charQuote:
			return l.quoted(i)
		}
	}
	l.pos = i
	l.tok = token{kind: tokenEnd, at: i, line: l.line, bol: l.bol}
	if l.depth > 0 {
		l.depth = 0
		return l.errorf("a parenthesis is not closed before the end of the file")
	}
	return nil
}

// word reads a word that begins at i.
func (l *lexer) word(i int) error {
	buf, start := l.buf, i
	l.tok = token{kind: tokenWord, at: start, line: l.line, bol: l.bol}
	for i < len(buf) {
		c := charOf[buf[i]]
		if c == charWord {
			i++
			continue
		}
		if c == charEscape {
			l.tok.escape = true
			if i+1 >= len(buf) || buf[i+1] == '\n' {
				l.pos = i + 1
				return l.errorf("backslash at the end of the line")
			}
			i += 2
			continue
		}
		if c == charQuote {
			// RFC 9460, Section 2.1: key="value" is one item.
			if buf[i-1] != '=' {
				l.pos = i + 1
				return l.errorf("quote inside a word")
			}
			end, err := l.closing(i)
			if err != nil {
				return err
			}
			i = end + 1
			if i < len(buf) && (charOf[buf[i]] == charWord || charOf[buf[i]] == charQuote) {
				l.pos = i
				return l.errorf("text after a closing quote")
			}
			break
		}
		break
	}
	l.tok.text, l.pos = buf[start:i], i
	return nil
}

// quoted reads a quoted string that begins at i.
func (l *lexer) quoted(i int) error {
	l.tok = token{kind: tokenQuoted, at: i, line: l.line, bol: l.bol}
	end, err := l.closing(i)
	if err != nil {
		return err
	}
	l.tok.text, l.pos = l.buf[i+1:end], end+1
	if l.pos < len(l.buf) && (charOf[l.buf[l.pos]] == charWord || charOf[l.buf[l.pos]] == charQuote) {
		return l.errorf("text directly after a closing quote")
	}
	return nil
}

// closing finds the quote that closes the one at i. A line may end inside quotes only inside parentheses: elsewhere a
// forgotten quote would swallow the rest of the file.
func (l *lexer) closing(i int) (int, error) {
	buf := l.buf
	for i++; i < len(buf); i++ {
		switch buf[i] {
		case '"':
			return i, nil
		case '\\':
			l.tok.escape = true
			i++
			if i < len(buf) && buf[i] == '\n' {
				l.pos = i
				return 0, l.errorf("backslash at the end of the line")
			}
		case '\n':
			if l.depth == 0 {
				l.pos = i
				return 0, l.errorf("a quote is not closed on its line")
			}
			l.line++
			l.bol = i + 1
		}
	}
	l.pos = len(buf)
	return 0, l.errorf("a quote is not closed before the end of the file")
}

// unescape reads \X or \DDD at the start of b.
func unescape(b []byte) (c byte, width int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	if b[1] < '0' || b[1] > '9' {
		return b[1], 2, true
	}
	if len(b) < 4 || b[2] < '0' || b[2] > '9' || b[3] < '0' || b[3] > '9' {
		return 0, 0, false
	}
	v := int(b[1]-'0')*100 + int(b[2]-'0')*10 + int(b[3]-'0')
	return byte(v), 4, v <= 255
}

// appendUnescaped appends text with its escapes resolved.
func (l *lexer) appendUnescaped(dst, text []byte) ([]byte, error) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' {
			v, width, ok := unescape(text[i:])
			if !ok {
				return dst, l.errorf("bad escape in %q: \\DDD takes three digits up to 255", text)
			}
			c, i = v, i+width-1
		}
		dst = append(dst, c)
	}
	return dst, nil
}

// appendName appends the wire form of the name in the current token; a relative one is completed with origin.
func (l *lexer) appendName(dst []byte, origin wire.Name) (out []byte, relative bool, err error) {
	text := l.tok.text
	if l.tok.kind != tokenWord {
		return dst, false, l.errorf("a domain name is expected here")
	}
	if len(text) == 1 {
		switch text[0] {
		case '@':
			return append(dst, origin...), true, nil
		case '.':
			return append(dst, 0), false, nil
		}
	}
	begin := len(dst)
	dst, open, err := l.appendLabels(dst, text)
	if err != nil {
		return dst, false, err
	}
	if open {
		dst = append(dst, origin...)
	}
	if len(dst)-begin > wire.MaxName {
		return dst, false, l.errorf("name %.64q is longer than 255 octets", text)
	}
	return dst, open, nil
}

// appendLabels appends the labels of text; open tells that no dot ended it, so that the root octet is missing.
func (l *lexer) appendLabels(dst, text []byte) (out []byte, open bool, err error) {
	at := len(dst)
	dst = slices.Grow(dst, len(text)+1)
	w := dst[at : at+len(text)+1] // text is never shorter than what it says
	label, end := 0, 1
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case '.':
			n := end - label - 1
			if n == 0 || n > wire.MaxLabel {
				return dst, false, l.badLabel(n)
			}
			w[label], label = byte(n), end
		case '\\':
			v, width, ok := unescape(text[i:])
			if !ok {
				return dst, false, l.errorf("bad escape in name %q: \\DDD takes three digits up to 255", text)
			}
			c, i = v, i+width-1
		}
		w[end] = c
		end++
	}
	n := end - label - 1
	if n > wire.MaxLabel {
		return dst, false, l.badLabel(n)
	}
	w[label] = byte(n) // 0 is the root
	return dst[:at+end], n > 0, nil
}

func (l *lexer) badLabel(n int) error {
	return l.errorf("name %.80q has a label of %d octets: 1 to 63 are allowed", l.tok.text, n)
}
