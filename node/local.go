package node

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"

	"anyu/config"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve/filter"
	"anyu/serve/local"
)

// localReasons are the INFO-CODEs of RFC 8914, Sections 4.5 and 4.16 to 4.18.
func localReason(word string) uint16 {
	switch word {
	case "forged":
		return 4
	case "blocked":
		return 15
	case "censored":
		return 16
	case "filtered":
		return 17
	}
	return event.NoReason
}

// planLocal reads what is to be answered here, files too.
func planLocal(c *config.Local) (p local.Config, err error) {
	var all []local.Source // what every client sees
	take := func(where string, list []local.Record) {
		all, p.Records = append(all, local.Source{Where: where, Records: list}), append(p.Records, list...)
	}
	var list []local.Record
	for _, text := range c.Records {
		r, err := zone.ParseRecord(text, wire.Root())
		if err != nil {
			return p, err
		}
		list = append(list, local.Record(r))
	}
	take("recursion.local.records", list)
	for _, file := range c.Files {
		list, err := local.Lines(func(record func(zone.Record), bad func(error) bool) error {
			return zone.Scan(context.Background(), zone.LoadOptions{Name: wire.Root(), Class: wire.ClassIN, File: file, Open: openFile}, record, bad)
		}, file, local.MaxRecords-len(p.Records))
		if err != nil {
			return p, fmt.Errorf("recursion.local.files: %w", err)
		}
		take(file, list)
	}
	for _, file := range c.Hosts {
		list, err := readHosts(file, local.MaxRecords-len(p.Records))
		if err != nil {
			return p, fmt.Errorf("recursion.local.hosts: %w", err)
		}
		take(file, list)
	}
	if c.Reverse {
		take("recursion.local.reverse", local.Reverse(p.Records))
	}
	for i, r := range c.Rules {
		rule, err := planRule(r)
		if err != nil {
			return p, err
		}
		if p.Rules = append(p.Rules, rule); rule.Clients == nil && len(rule.Records) > 0 {
			all = append(all, local.Source{Where: fmt.Sprintf("recursion.local.rules[%d]", i), Records: rule.Records})
		}
	}
	if err := local.Check(all); err != nil {
		return p, fmt.Errorf("recursion.local: %w", err)
	}
	return p, nil
}

func readHosts(file string, room int) ([]local.Record, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return local.Hosts(f, file, room)
}

func planRule(c config.LocalRule) (r local.Rule, err error) {
	if r.Name, err = wire.ParseName(c.Name); err != nil {
		return r, err
	}
	action, ok := local.ParseAction(c.Answer)
	if !ok {
		return r, fmt.Errorf("recursion.local.rules: %q is no answer", c.Answer)
	}
	r.Action, r.Reason = action, localReason(c.Reason)
	for _, text := range c.Types {
		t, ok := wire.ParseType(text)
		if !ok {
			return r, fmt.Errorf("recursion.local.rules: %q is no type", text)
		}
		r.Types = append(r.Types, t)
	}
	for _, text := range c.Records {
		record, err := zone.ParseRecord(text, r.Name)
		if err != nil {
			return r, err
		}
		r.Records = append(r.Records, local.Record(record))
	}
	if len(c.Clients) > 0 {
		list := filter.NewACL(c.Clients)
		r.Clients = &list
	}
	return r, nil
}

// localTable makes the table of the plan in use; what the one before has counted goes on.
func (r *resolver) localTable() *local.Table {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.local = local.New(r.plan.local, r.local)
	return r.local
}

// LocalState is local data for people.
type LocalState struct {
	Records int `json:"records"`
	// Answered counts answers from records that no rule is about.
	Answered uint64        `json:"answered"`
	Rules    []local.State `json:"rules"`
	// More is how many rules there are beside those shown, which answered most.
	More int `json:"more,omitempty"`
}

// maxShownRules bounds the list for people: a list of names to be blocked may have a million.
const maxShownRules = 200

func localState(t *local.Table) LocalState {
	s := LocalState{Records: t.Records(), Answered: t.Answered(), Rules: t.Rules()}
	if len(s.Rules) > maxShownRules {
		slices.SortStableFunc(s.Rules, func(a, b local.State) int { return cmp.Compare(b.Answered, a.Answered) })
		s.More = len(s.Rules) - maxShownRules
		s.Rules = s.Rules[:maxShownRules]
	}
	return s
}

// byAnswer sums up what rules of each kind answered; records without a rule are "record".
func byAnswer(t *local.Table) map[string]uint64 {
	sums := t.Sums()
	if t != nil {
		sums["record"] = t.Answered()
	}
	return sums
}
