package replay

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

// skipText is the table of causes; testdata/rpl-skips.txt is a link to it.
//
//go:embed skips.txt
var skipText string

// skipRule is one line of the table: kind and name, perhaps with a pattern for the value, and the cause.
type skipRule struct{ kind, name, value, cause string }

// skipRules reads the table. A line is `kind name[=pattern] cause`; kinds are option, module, directive,
// feature and setting.
func skipRules(text string) ([]skipRule, error) {
	var list []skipRule
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		w := strings.Fields(line)
		if len(w) < 3 || !slices.Contains([]string{"option", "module", "directive", "feature", "setting"}, w[0]) {
			return nil, fmt.Errorf("reading the skip table: line %d is not `kind name cause`", i+1)
		}
		r := skipRule{kind: w[0], cause: strings.Join(w[2:], " ")}
		r.name, r.value, _ = strings.Cut(w[1], "=")
		list = append(list, r)
	}
	return list, nil
}

// skip is why a scenario is not run, or nil. It looks at what the file asks for and never at the file's name.
func (s *Scenario) skip(rules []skipRule) *Skip {
	has := func(kind, name, value string) *Skip {
		for _, r := range rules {
			if r.kind != kind || r.name != name {
				continue
			}
			if ok, err := path.Match(r.value, strings.ReplaceAll(value, "/", "|")); r.value != "" && (err != nil || !ok) {
				continue
			}
			return &Skip{fmt.Sprintf("%s %s: %s", kind, name, r.cause)}
		}
		return nil
	}
	for _, o := range s.Options {
		if o.Name == "module-config" {
			for _, m := range strings.Fields(o.value()) {
				if why := has("module", m, ""); why != nil {
					return why
				}
			}
		}
		kind := "option"
		if o.Name == "features" || o.Name == "feature-list" {
			kind = "feature"
		}
		if why := has(kind, o.Name, strings.Join(o.Args, " ")); why != nil {
			return why
		}
	}
	for _, d := range s.directives() {
		if why := has("directive", d, ""); why != nil {
			return why
		}
	}
	return nil
}

// directives are the words of the scenario part that a rule may name.
func (s *Scenario) directives() []string {
	set := make(map[string]bool)
	see := func(e *Entry) {
		if e != nil && e.TSIG {
			set["TSIG"] = true
		}
	}
	for _, step := range s.Steps {
		set[step.Kind.String()] = true
		see(step.Entry)
	}
	for _, r := range s.Ranges {
		for _, e := range r.Entries {
			see(e)
		}
	}
	list := make([]string, 0, len(set))
	for d := range set {
		list = append(list, d)
	}
	slices.Sort(list)
	return list
}

// notModelled is the Skip for a setting, with the cause that the table gives.
func notModelled(name string) *Skip {
	rules, err := skipRules(skipText)
	if err != nil {
		return &Skip{err.Error()}
	}
	for _, r := range rules {
		if r.kind == "setting" && r.name == name {
			return &Skip{fmt.Sprintf("setting %s: %s", name, r.cause)}
		}
	}
	return &Skip{"setting " + name + " is not in the table of causes"}
}
