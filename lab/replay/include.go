package replay

import "strings"

// closingQuote is where a quoted string ends; what a backslash escapes does not end it, and keeps its backslash.
func closingQuote(s string, quote byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case quote:
			return i
		}
	}
	return -1
}

// maxIncluded bounds the words of a configuration with all that it includes: a file that includes itself ends there.
const maxIncluded = 20000

// included are the words of a file that the configuration makes and includes. One of the machine's own says nothing here.
func (p *parser) included(file token) (list []token, err error) {
	for _, f := range p.s.Files {
		if f.Name != file.text {
			continue
		}
		for _, line := range strings.Split(f.Text, "\n") {
			if list, err = p.tokens(list, line); err != nil {
				return nil, err
			}
		}
		if p.words += len(list); p.words > maxIncluded {
			return nil, p.wrongAt(file.line, "the files included have more than %d words", maxIncluded)
		}
	}
	for i := range list {
		list[i].line = file.line
	}
	return list, nil
}
