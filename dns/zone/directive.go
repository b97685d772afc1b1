package zone

import (
	"bytes"
	"strings"

	"anyu/dns/wire"
)

// directive obeys a line that begins with $.
func (p *parser) directive() error {
	p.inDirective = true
	name := strings.ToUpper(string(p.tok.text))
	start := p.tok
	if err := p.next(); err != nil {
		return err
	}
	switch name {
	case "$ORIGIN":
		return p.setOrigin()
	case "$TTL":
		return p.setTTL()
	case "$INCLUDE":
		return p.include()
	case "$GENERATE":
		return p.generate()
	}
	p.tok = start
	return p.errorf("unknown directive %s", start.text)
}

// end refuses more tokens.
func (p *parser) end() error {
	if p.tok.kind != tokenEnd {
		return p.errorf("%q is left over at the end of the line", p.tok.text)
	}
	return nil
}

// setOrigin: RFC 1035, Section 5.1.
func (p *parser) setOrigin() error {
	if p.tok.kind == tokenEnd {
		return p.errorf("$ORIGIN without a name")
	}
	origin, relative, err := p.appendName(nil, p.origin)
	if err != nil {
		return err
	}
	p.used.origin = p.used.origin || relative && !p.set.origin
	if err := p.next(); err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return err
	}
	p.origin, p.set.origin, p.prevTok = origin, true, nil
	return nil
}

// setTTL: RFC 2308, Section 4.
func (p *parser) setTTL() error {
	if p.tok.kind == tokenEnd {
		return p.errorf("$TTL without a number: unexpected end of line")
	}
	v, ok := parseTTL(p.tok.text)
	if !ok || p.tok.kind != tokenWord {
		return p.errorf("%q is not a TTL", p.tok.text)
	}
	if err := p.next(); err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return err
	}
	p.ttl, p.hasTTL, p.set.ttl = clampTTL(v), true, true
	return nil
}

// include: RFC 1035, Section 5.1. The file begins with the given origin; origin, TTLs and owner of this file are as before
// when it goes on.
func (p *parser) include() error {
	at := p.tok
	if p.tok.kind == tokenEnd {
		return p.errorf("$INCLUDE without a file name")
	}
	file, err := p.appendUnescaped(nil, p.tok.text)
	if err != nil {
		return err
	}
	if err := p.next(); err != nil {
		return err
	}
	origin := p.origin
	if p.tok.kind != tokenEnd {
		var relative bool
		if origin, relative, err = p.appendName(nil, p.origin); err != nil {
			return err
		}
		p.used.origin = p.used.origin || relative && !p.set.origin
		if err := p.next(); err != nil {
			return err
		}
		if err := p.end(); err != nil {
			return err
		}
	}
	if !p.complete && !(p.set.last && p.set.owner) {
		return errNeedState{} // the file may inherit
	}
	p.used = used{true, true, true, true}
	return p.includeFile(string(file), origin, at)
}

// includeFile reads a file in place.
func (p *parser) includeFile(file string, origin wire.Name, at token) error {
	fail := func(format string, args ...any) error {
		p.tok = at
		return p.errorf(format, args...)
	}
	if p.fileDepth+1 > maxIncludeDepth {
		return fail("$INCLUDE deeper than %d files", maxIncludeDepth)
	}
	if !p.load.countInclude() {
		return fail("more than %d $INCLUDE in one load", maxIncludes)
	}
	inner := &parser{
		lexer: lexer{file: p.load.resolve(p.lexer.file, file), line: 1},
		state: p.state, class: p.class, classKnown: p.classKnown, load: p.load, out: p.out, fileDepth: p.fileDepth + 1, bad: p.bad,
	}
	inner.origin, inner.complete = origin, true
	if p.set.owner {
		inner.owner = bytes.Clone(p.name)
	}
	if err := p.load.parseFile(inner); err != nil {
		if _, ok := err.(*SyntaxError); ok {
			return err
		}
		return fail("$INCLUDE %q: %v", file, err)
	}
	p.class, p.classKnown = inner.class, inner.classKnown
	return nil
}
