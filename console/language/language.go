// Package language holds every text a user of the console reads, in Chinese and English.
//
// It promises: both catalogues have the same keys and each text the same placeholders (a test compares them, and finds keys that
// pages use and catalogues lack, or the other way round). Texts are whole sentences with named arguments, never glued parts.
// It refuses to guess a language from an address.
//
// Limits today: no plural rules; texts are worded so that none are needed.
package language

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed zh.txt en.txt
var files embed.FS

// Tags of the languages, as in <html lang> and in the configuration.
const (
	Chinese = "zh"
	English = "en"
)

// Catalogue is the texts of one language by key.
type Catalogue struct {
	Tag   string // zh or en
	HTML  string // for <html lang>
	texts map[string]string
}

// Catalogues are all languages.
type Catalogues map[string]*Catalogue

// Load reads the embedded texts.
func Load() (Catalogues, error) {
	all := Catalogues{}
	for tag, html := range map[string]string{Chinese: "zh-Hans", English: "en"} {
		b, err := files.ReadFile(tag + ".txt")
		if err != nil {
			return nil, fmt.Errorf("loading texts: %w", err)
		}
		c := &Catalogue{tag, html, map[string]string{}}
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			key, text, ok := strings.Cut(line, " = ")
			if _, twice := c.texts[key]; !ok || twice {
				return nil, fmt.Errorf("loading texts: %s.txt: %q is no `key = text`, or is there twice", tag, line)
			}
			c.texts[key] = text
		}
		all[tag] = c
	}
	return all, nil
}

// Choose takes the first known language of: what was asked for, what a cookie says, Accept-Language, the configuration.
func (all Catalogues) Choose(asked, cookie, accept, configured string) *Catalogue {
	for _, tag := range []string{asked, cookie, all.accepted(accept), configured} {
		if c := all[tag]; c != nil {
			return c
		}
	}
	return all[English]
}

// accepted is the most wanted language of an Accept-Language header that is there. Weights are taken as ordered, as browsers
// write them.
func (all Catalogues) accepted(header string) string {
	for part := range strings.SplitSeq(header[:min(len(header), 200)], ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		if all[tag] != nil {
			return tag
		}
	}
	return ""
}

// Text is the text of a key with its {named} arguments filled in, given as pairs. An unknown key shows itself.
func (c *Catalogue) Text(key string, arguments ...any) string {
	text, ok := c.texts[key]
	if !ok {
		return "[" + key + "]"
	}
	for i := 0; i+1 < len(arguments); i += 2 {
		text = strings.ReplaceAll(text, "{"+fmt.Sprint(arguments[i])+"}", fmt.Sprint(arguments[i+1]))
	}
	return text
}

// Or is the text of a key, or a word of its own where there is none: for kinds and facts that newer rooms may bring.
func (c *Catalogue) Or(key, otherwise string) string {
	if text, ok := c.texts[key]; ok {
		return text
	}
	return otherwise
}

// Has tells whether there is a text.
func (c *Catalogue) Has(key string) bool { return c.texts[key] != "" }

// Keys are all keys, in no order.
func (c *Catalogue) Keys() []string {
	keys := make([]string, 0, len(c.texts))
	for k := range c.texts {
		keys = append(keys, k)
	}
	return keys
}
