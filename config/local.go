package config

import (
	"fmt"
	"slices"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// Words of a LocalRule.
var (
	localAnswers = [...]string{"nxdomain", "nodata", "refuse", "drop", "redirect", "static", "transparent", "typetransparent"}
	localReasons = [...]string{"none", "blocked", "censored", "filtered", "forged"}
)

func (r *LocalRule) setDefaults() {
	switch r.Answer {
	case "nxdomain", "nodata", "refuse":
		preset(&r.Reason, "blocked")
	case "redirect":
		preset(&r.Reason, "forged")
	}
	preset(&r.Reason, "none")
}

func (l *Local) check() error {
	at := path + ".local"
	var alone soleAlias
	for i, text := range l.Records {
		here := fmt.Sprintf("%s.records[%d]", at, i)
		r, err := zone.ParseRecord(text, wire.Root())
		if err != nil {
			return wrong(here, "%v", err)
		}
		if err := alone.add(here, r); err != nil {
			return err
		}
	}
	for _, list := range []struct {
		key   string
		files []string
	}{{"files", l.Files}, {"hosts", l.Hosts}} {
		for i, f := range list.files {
			if f == "" || slices.Index(list.files, f) != i {
				return wrong(fmt.Sprintf("%s.%s[%d]", at, list.key, i), "%q: empty, or here twice", f)
			}
		}
	}
	for i := range l.Rules {
		if err := l.Rules[i].check(fmt.Sprintf("%s.rules[%d]", at, i)); err != nil {
			return err
		}
	}
	return nil
}

func (r *LocalRule) check(at string) error {
	name, err := wire.ParseName(r.Name)
	if err != nil || r.Name == "" {
		return wrong(at+".name", "%q: write the name that the rule is for", r.Name)
	}
	if !slices.Contains(localAnswers[:], r.Answer) {
		return wrong(at+".answer", "%q: there are nxdomain, nodata, refuse, drop, redirect, static, transparent and typetransparent", r.Answer)
	}
	if !slices.Contains(localReasons[:], r.Reason) {
		return wrong(at+".reason", "%q: there are blocked, censored, filtered, forged and none", r.Reason)
	}
	for i, text := range r.Types {
		if t, ok := wire.ParseType(text); !ok || t == wire.TypeANY {
			return wrong(fmt.Sprintf("%s.types[%d]", at, i), "%q is no type of records", text)
		}
	}
	var alone soleAlias
	for i, text := range r.Records {
		here := fmt.Sprintf("%s.records[%d]", at, i)
		record, err := zone.ParseRecord(text, name)
		switch {
		case err != nil:
			return wrong(here, "%v", err)
		case !record.Owner.IsSubdomainOf(name):
			return wrong(here, "%s is not below %s", record.Owner, r.Name)
		}
		if err := alone.add(here, record); err != nil {
			return err
		}
	}
	if r.Answer == "redirect" && len(r.Records) == 0 {
		return wrong(at, "redirect needs records: what the names lead to")
	}
	return nil
}

// soleAlias finds names with a CNAME beside something else (RFC 1034, Section 3.6.2), and names that would be wildcards.
type soleAlias struct{ seen map[string]bool }

func (s *soleAlias) add(at string, r zone.Record) error {
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	key := canonical(r.Owner)
	other, had := s.seen[key]
	if r.Owner.IsWildcard() {
		return wrong(at, "%s is a wildcard: write a rule with redirect, whose names all have its records", r.Owner)
	}
	if is := r.Type == wire.TypeCNAME; had && (is || other) {
		return wrong(at, "%s has a CNAME and another record", r.Owner)
	} else {
		s.seen[key] = is
	}
	return nil
}
