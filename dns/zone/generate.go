package zone

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// generate: $GENERATE start-stop[/step] owner [TTL] [class] type rdata, an extension of BIND. A $ in the owner and the RDATA
// becomes the number; ${offset,width,base} shifts and prints it in another way.
func (p *parser) generate() error {
	at := p.tok
	if p.generated > 0 {
		return p.errorf("$GENERATE inside $GENERATE")
	}
	if p.tok.kind != tokenWord {
		return p.errorf("$GENERATE without a range")
	}
	start, stop, step, ok := parseRange(p.tok.text)
	if !ok {
		return p.errorf("%q is not a range START-STOP or START-STOP/STEP", p.tok.text)
	}
	line, err := p.generateLine()
	if err != nil {
		return err
	}
	count := (stop-start)/step + 1
	if !p.load.countGenerated(count) {
		p.tok = at
		return p.errorf("$GENERATE makes more than %d records in this load", maxGenerate)
	}
	inner := &parser{state: p.state, class: p.class, classKnown: p.classKnown, load: p.load, out: p.out, fileDepth: p.fileDepth}
	inner.used, inner.set, inner.types, inner.text = p.used, p.set, p.types, p.text
	inner.set.owner = false
	var text []byte
	for v := start; v <= stop; v += step {
		if err := p.load.ctx.Err(); err != nil {
			return err
		}
		if text, ok = substitute(text[:0], line, v); !ok {
			p.tok = at
			return p.errorf("bad ${...} in $GENERATE: offset, width and base (d, o, x, X, n, N) are expected")
		}
		inner.lexer = lexer{buf: text, file: p.lexer.file, line: at.line}
		inner.generated++
		inner.prevTok = nil
		if _, err := inner.record(); err != nil {
			if se, ok := err.(*SyntaxError); ok {
				p.tok = at
				return p.errorf("$GENERATE for %d: %s", v, se.Text)
			}
			return err
		}
		p.out.spill()
	}
	p.adopt(inner)
	return nil
}

// adopt takes over what the records of a $GENERATE line leave to the lines after it.
func (p *parser) adopt(inner *parser) {
	inner.used.owner = p.used.owner
	p.used, p.class, p.classKnown = inner.used, inner.class, inner.classKnown
	p.last, p.hasLast, p.set.last = inner.last, inner.hasLast, inner.set.last
	p.ttl, p.hasTTL, p.set.ttl = inner.ttl, inner.hasTTL, inner.set.ttl
	if inner.set.owner {
		p.name = append(p.name[:0], inner.name...)
		p.prevTok = nil
		p.newOwner()
	}
}

// generateLine joins the tokens after the range to the template of the records.
func (p *parser) generateLine() ([]byte, error) {
	var line []byte
	words := 0
	for {
		if err := p.next(); err != nil {
			return nil, err
		}
		if p.tok.kind == tokenEnd {
			break
		}
		if words > 0 {
			line = append(line, ' ')
		}
		if p.tok.kind == tokenQuoted && !p.afterText(line) {
			line = append(line, p.tok.text...)
		} else if p.tok.kind == tokenQuoted {
			line = append(append(append(line, '"'), p.tok.text...), '"')
		} else {
			line = append(line, p.tok.text...)
		}
		words++
	}
	if words < 3 {
		return nil, p.errorf("$GENERATE needs a range, an owner, a type and data")
	}
	return line, nil
}

// afterText tells whether the last word so far is a type whose data are character strings: then quotes belong to the data.
// Elsewhere they only hold several fields together.
func (p *parser) afterText(line []byte) bool {
	for word := range bytes.FieldsSeq(line) {
		if t, ok := parseType(word); ok && strings.ContainsAny(layoutOf(t), "sSx") {
			return true
		}
	}
	return false
}

func parseRange(b []byte) (start, stop, step int64, ok bool) {
	from, rest, ok := bytes.Cut(b, []byte{'-'})
	if !ok {
		return
	}
	to, by, hasStep := bytes.Cut(rest, []byte{'/'})
	x, ok1 := parseNumber(from, 1<<31-1)
	y, ok2 := parseNumber(to, 1<<31-1)
	z, ok3 := uint64(1), true
	if hasStep {
		z, ok3 = parseNumber(by, 1<<31-1)
	}
	return int64(x), int64(y), int64(z), ok1 && ok2 && ok3 && x <= y && z > 0
}

// substitute appends line with the number put in.
func substitute(dst, line []byte, v int64) ([]byte, bool) {
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && i+1 < len(line) && line[i+1] == '$':
			dst = append(dst, '$')
			i++
		case c == '\\' && i+1 < len(line):
			dst = append(dst, c, line[i+1])
			i++
		case c == '$' && i+1 < len(line) && line[i+1] == '$':
			dst = append(dst, '$')
			i++
		case c == '$' && i+1 < len(line) && line[i+1] == '{':
			end := bytes.IndexByte(line[i:], '}')
			if end < 0 {
				return dst, false
			}
			var ok bool
			if dst, ok = appendModified(dst, line[i+2:i+end], v); !ok {
				return dst, false
			}
			i += end
		case c == '$':
			dst = strconv.AppendInt(dst, v, 10)
		default:
			dst = append(dst, c)
		}
	}
	return dst, true
}

// maxGenerateWidth bounds the digits of ${0,1000000000,d}; stops a line of a gigabyte.
const maxGenerateWidth = 255

// appendModified appends v as offset, width and base say.
func appendModified(dst, spec []byte, v int64) ([]byte, bool) {
	parts := strings.Split(string(spec), ",")
	if len(parts) > 3 {
		return dst, false
	}
	offset, err := strconv.ParseInt(parts[0], 10, 32)
	if err != nil {
		return dst, false
	}
	width, base := int64(0), "d"
	if len(parts) > 1 {
		if width, err = strconv.ParseInt(parts[1], 10, 32); err != nil || width < 0 || width > maxGenerateWidth {
			return dst, false
		}
	}
	if len(parts) > 2 {
		base = parts[2]
	}
	if v += offset; v > math.MaxInt32 {
		return dst, false
	}
	var digits string
	if base == "d" {
		digits = strconv.FormatInt(v, 10)
	}
	v = int64(uint32(v)) // a negative number in another base is its 32 bits
	switch base {
	case "d":
	case "o":
		digits = strconv.FormatInt(v, 8)
	case "x":
		digits = strconv.FormatInt(v, 16)
	case "X":
		digits = strings.ToUpper(strconv.FormatInt(v, 16))
	case "n", "N":
		return appendNibbles(dst, v, int(width), base == "N"), true
	default:
		return dst, false
	}
	for n := int64(len(digits)); n < width; n++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...), true
}

// appendNibbles writes hexadecimal digits from the lowest with dots between them, for ip6.arpa; width counts the dots too.
func appendNibbles(dst []byte, v int64, width int, upper bool) []byte {
	alphabet := "0123456789abcdef"
	if upper {
		alphabet = "0123456789ABCDEF"
	}
	for first := true; first || v > 0 || width > 0; first = false {
		if !first {
			dst = append(dst, '.')
			width--
			if v == 0 && width <= 0 {
				break
			}
		}
		dst = append(dst, alphabet[v&15])
		v >>= 4
		width--
	}
	return dst
}
