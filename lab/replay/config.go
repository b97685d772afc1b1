package replay

import (
	"slices"
	"strings"
	"unicode"
)

// clauses of unbound.conf.
var clauses = map[string]bool{"server": true, "stub-zone": true, "forward-zone": true, "auth-zone": true, "rpz": true, "view": true,
	"remote-control": true, "python": true, "dynlib": true, "dnscrypt": true, "cachedb": true, "ipset": true, "redis": true, "dnstap": true}

// arity of the options of unbound.conf that take more than one value.
var arity = map[string]int{"local-zone": 2, "access-control": 2, "access-control-tag": 2, "access-control-tag-action": 3,
	"access-control-tag-data": 3, "access-control-view": 2, "interface-action": 2, "interface-tag": 2, "interface-view": 2,
	"interface-tag-action": 3, "interface-tag-data": 3, "local-zone-tag": 2, "local-zone-override": 3, "response-ip": 2, "response-ip-tag": 2,
	"response-ip-data": 2, "edns-client-string": 2, "ratelimit-for-domain": 2, "ratelimit-below-domain": 2, "wait-limit-netblock": 2, "wait-limit-cookie-netblock": 2,
	"ip-ratelimit-netblock": 2}

// deckardKeys are the keys of Deckard's configuration.
var deckardKeys = map[string]bool{"stub-addr": true, "stub-name": true, "trust-anchor": true, "val-override-date": true,
	"val-override-timestamp": true, "query-minimization": true, "domain-insecure": true, "do-ip4": true, "do-ip6": true, "force-ipv6": true,
	"harden-glue": true, "do-not-query-localhost": true, "forward-addr": true, "features": true, "feature-list": true}

// dialect tells whose file this is: a clause, a temp file or a key of unbound.conf that Deckard has not makes it Unbound's; keys
// without any clause that are all Deckard's make it Deckard's. With no key at all the scenario decides.
func (p *parser) dialect() Dialect {
	deckard, any := true, false
	for _, line := range p.lines[:p.configEnd] {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == ';' || line[0] == '#' {
			continue
		}
		for _, word := range []string{"COMMANDLINE", "AUTOTRUST_FILE", "TEMPFILE_"} {
			if strings.HasPrefix(line, word) {
				return Unbound
			}
		}
		key, _, ok := strings.Cut(line, ":")
		if clauses[key] {
			return Unbound
		}
		any = true
		deckard = deckard && ok && deckardKeys[key]
	}
	if any {
		if deckard {
			return Deckard
		}
		return Unbound
	}
	for _, line := range p.lines[p.configEnd:] {
		line = strings.TrimSpace(line)
		if line == "RAW" || line == "MANDATORY" || strings.HasPrefix(line, "TSIG") || strings.HasPrefix(line, "FLAGS") {
			return Deckard
		}
	}
	return Unbound
}

// deckardConfig reads `key: value` lines.
func (p *parser) deckardConfig() error {
	for p.at < p.configEnd {
		line := strings.TrimSpace(p.lines[p.at])
		p.at++
		if line == "" || line[0] == ';' || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return p.wrong("`key: value` expected, not %q", line)
		}
		value = strings.TrimSpace(deckardComment(value))
		value = strings.TrimSpace(strings.Trim(value, `"`))
		p.s.Options = append(p.s.Options, Option{Name: strings.TrimSpace(key), Args: []string{value}, Line: p.at})
	}
	return nil
}

// deckardComment cuts a comment off a value: `#`, or `;` behind a blank, outside quotes.
func deckardComment(s string) string {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted:
		case s[i] == '#', s[i] == ';' && i > 0 && unicode.IsSpace(rune(s[i-1])):
			return s[:i]
		}
	}
	return s
}

// token is a word of unbound.conf.
type token struct {
	text   string
	quoted bool
	line   int
}

// unboundConfig reads unbound.conf text with what testbound adds to it.
func (p *parser) unboundConfig() error {
	var tokens []token
	for p.at < p.configEnd {
		line := strings.TrimSpace(p.lines[p.at])
		p.at++
		switch {
		case line == "" || line[0] == ';' || line[0] == '#':
		case strings.HasPrefix(line, "COMMANDLINE"):
			rest, _ := cut(line, "COMMANDLINE")
			p.s.Options = append(p.s.Options, Option{Clause: "testbound", Name: "COMMANDLINE", Args: words(rest), Line: p.at})
		case strings.HasPrefix(line, "AUTOTRUST_FILE"):
			if err := p.anchorFile(line); err != nil {
				return err
			}
		case strings.HasPrefix(line, "TEMPFILE_NAME"):
			rest, _ := cut(line, "TEMPFILE_NAME")
			tokens = append(tokens, token{rest, true, p.at})
		case strings.HasPrefix(line, "TEMPFILE_CONTENTS"):
			if err := p.tempFile(line); err != nil {
				return err
			}
		default:
			var err error
			if tokens, err = p.tokens(tokens, line); err != nil {
				return err
			}
		}
	}
	return p.options(tokens)
}

// block collects the lines up to one that begins with end.
func (p *parser) block(end string) ([]string, error) {
	var list []string
	for p.at < p.configEnd {
		line := strings.TrimRight(p.lines[p.at], " \t\r")
		p.at++
		if strings.HasPrefix(line, end) {
			return list, nil
		}
		list = append(list, line)
	}
	return nil, p.wrong("the configuration ends before %s", end)
}

func (p *parser) anchorFile(line string) error {
	rest, _ := cut(line, "AUTOTRUST_FILE")
	if rest == "" {
		return p.wrong("AUTOTRUST_FILE needs a name")
	}
	start := p.at
	lines, err := p.block("AUTOTRUST_END")
	if err != nil {
		return err
	}
	f := AnchorFile{Name: rest, Text: strings.Join(lines, "\n") + "\n"}
	keys, _, at, err := parseAnchors(lines)
	if err != nil {
		return p.wrongAt(start+at, "%v", err)
	}
	f.Keys = keys
	p.s.Anchors = append(p.s.Anchors, f)
	return nil
}

func (p *parser) tempFile(line string) error {
	rest, _ := cut(line, "TEMPFILE_CONTENTS")
	if rest == "" {
		return p.wrong("TEMPFILE_CONTENTS needs a name")
	}
	lines, err := p.block("TEMPFILE_END")
	if err != nil {
		return err
	}
	for i, l := range lines {
		if name, ok := cut(l, "$INCLUDE_TEMPFILE"); ok {
			lines[i] = "$INCLUDE " + name
		}
	}
	p.s.Files = append(p.s.Files, TempFile{rest, strings.Join(lines, "\n") + "\n"})
	return nil
}

// tokens splits a line of unbound.conf: words, quoted strings, and keys that end in a colon, after which a value may follow
// without a blank.
func (p *parser) tokens(list []token, line string) ([]token, error) {
	for {
		line = strings.TrimLeft(line, " \t\r")
		if line == "" || line[0] == '#' {
			return list, nil
		}
		if line[0] == '"' || line[0] == '\'' {
			end := closingQuote(line[1:], line[0])
			if end < 0 {
				return nil, p.wrong("the quote is not closed")
			}
			list = append(list, token{line[1 : 1+end], true, p.at})
			line = line[end+2:]
			continue
		}
		end := strings.IndexAny(line, " \t\r")
		if end < 0 {
			end = len(line)
		}
		if i := strings.IndexAny(line[:end], `"'`); i > 0 && line[i-1] == ':' {
			end = i
		}
		list = append(list, token{line[:end], false, p.at})
		line = line[end:]
	}
}

// isKey tells whether a token is `name:`.
func (t token) isKey() bool {
	name, ok := strings.CutSuffix(t.text, ":")
	if t.quoted || !ok || name == "" {
		return false
	}
	for _, c := range name {
		if c != '-' && c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name[0] >= 'a' && name[0] <= 'z'
}

// options puts tokens together to options. An option of unknown arity takes what follows up to the next key.
func (p *parser) options(tokens []token) error {
	clause, block := "server", 0
	for i := 0; i < len(tokens); {
		t := tokens[i]
		i++
		if !t.isKey() {
			return p.wrongAt(t.line, "an option expected, not %q", t.text)
		}
		name := strings.TrimSuffix(t.text, ":")
		if clauses[name] {
			clause = name
			block++
			continue
		}
		want := max(arity[name], 1)
		if name == "include" && i < len(tokens) {
			included, err := p.included(tokens[i])
			if err != nil {
				return err
			}
			tokens = slices.Replace(tokens, i, i+1, included...)
			continue
		}
		o := Option{Clause: clause, Block: block, Name: name, Line: t.line}
		for i < len(tokens) && len(o.Args) < want && !tokens[i].isKey() {
			o.Args = append(o.Args, tokens[i].text)
			i++
		}
		if len(o.Args) < want {
			return p.wrongAt(t.line, "%s needs %d values", name, want)
		}
		p.s.Options = append(p.s.Options, o)
	}
	return nil
}
