// Package local is what the operator wants answered here, over names that would be looked up otherwise: single records, and rules for a name with all
// below it.
//
// The package promises: a table is made once and never changed, a look at it takes one map access and one for each label that rules can begin at,
// nothing is allocated, no lock is taken. What a table says goes before zones, cache and resolving; what it does not mention is not touched. Nothing
// here is signed, so no answer from here is authentic (RFC 4035, Section 3.2.3).
//
// It refuses to apply rules to what resolving finds on its way (targets of aliases of others): that is the work of response policy zones.
// Limits today: AAAA is not made from A records of one's own for DNS64.
package local

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/filter"
)

// Action is what becomes of questions for names under a rule for which there is no record.
type Action uint8

const (
	Transparent     Action = iota // looked up, but for other types of names that have records: there are none
	TypeTransparent               // looked up, other types too
	Static                        // there is nothing but the records
	Redirect                      // every name has the records of the rule's name
	Refuse
	Drop
	NXDomain
	NoData
)

// names of actions, as configurations write them.
var names = [...]string{"transparent", "typetransparent", "static", "redirect", "refuse", "drop", "nxdomain", "nodata"}

func (a Action) String() string { return names[a] }

// ParseAction reads one.
func ParseAction(text string) (Action, bool) {
	i := slices.Index(names[:], text)
	return Action(max(i, 0)), i >= 0
}

// Record is one record.
type Record struct {
	Owner wire.Name
	Type  wire.Type
	TTL   uint32
	RData []byte
}

// Rule is about a name and all below it. Of rules that hold a name the closest counts, of several at one name the first that fits the client and the type.
type Rule struct {
	Name   wire.Name
	Action Action
	// Types it is for; none: all.
	Types []wire.Type
	// Clients it is for; nil: those who may use recursion.
	Clients *filter.ACL
	// Records at or below the name. Those of a rule with Clients are there for these only, and go before what all see.
	Records []Record
	// Reason is what clients are told (RFC 8914); event.NoReason: nothing.
	Reason uint16
}

// Config is what a table is made of.
type Config struct {
	Records []Record // for those who may use recursion
	Rules   []Rule
}

// Set is an RRset. Its owner is the name asked for.
type Set struct {
	Type  wire.Type
	TTL   uint32
	RData [][]byte
}

// data is what there is at a name; without sets: something below it has.
type data struct {
	sets []Set
}

// rule is a Rule in use.
type rule struct {
	Rule
	labels  int
	private map[string]*data // nil: its records are everybody's
	counted *atomic.Uint64
}

// Table is all local data at one moment. The nil Table is empty.
type Table struct {
	data     map[string]*data
	bare     map[string]*data // what no rule brought, where there are rules with clients
	rules    map[string][]*rule
	ordered  []*rule
	deepest  int // labels of the longest name with data or a rule
	lowest   int // labels of the longest name with a rule
	highest  int // and of the shortest
	records  int
	answered *atomic.Uint64 // from records without a rule
}

// New makes a table; nil where there is nothing to say. What the rules of the table before have counted goes on.
func New(c Config, before *Table) *Table {
	if len(c.Records)+len(c.Rules) == 0 {
		return nil
	}
	t := &Table{data: map[string]*data{}, rules: map[string][]*rule{}, highest: wire.MaxName, answered: new(atomic.Uint64)}
	if before != nil {
		t.answered = before.answered
	}
	if slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.Clients != nil }) {
		t.bare = map[string]*data{}
	}
	for _, r := range c.Records {
		t.records += t.put(t.data, r)
		if t.bare != nil {
			t.put(t.bare, r)
		}
	}
	for _, r := range c.Rules {
		t.rule(r, before)
	}
	return t
}

func (t *Table) rule(from Rule, before *Table) {
	from.Name = wire.Name(from.Name.AppendLower(nil))
	r := &rule{Rule: from, labels: from.Name.Labels()}
	into := t.data
	if r.Clients != nil {
		r.private = map[string]*data{}
		into = r.private
	}
	for _, record := range r.Records {
		t.records += t.put(into, record)
	}
	key := string(r.Name)
	r.counted = before.counter(r, len(t.rules[key]))
	t.rules[key] = append(t.rules[key], r)
	t.ordered = append(t.ordered, r)
	t.deepest, t.lowest, t.highest = max(t.deepest, r.labels), max(t.lowest, r.labels), min(t.highest, r.labels)
}

// counter is that of the rule which was at the same place.
func (t *Table) counter(r *rule, nth int) *atomic.Uint64 {
	if t != nil {
		if list := t.rules[string(r.Name)]; nth < len(list) && list[nth].Action == r.Action {
			return list[nth].counted
		}
	}
	return new(atomic.Uint64)
}

// put adds a record, and the names above it, which exist then (RFC 8020). It returns how many are new, 1 or 0.
func (t *Table) put(into map[string]*data, r Record) (added int) {
	owner := wire.Name(r.Owner.AppendLower(nil))
	t.deepest = max(t.deepest, owner.Labels())
	for n := owner; into[string(n)] == nil; n = n.Parent() {
		into[string(n)] = &data{}
		if n.IsRoot() {
			break
		}
	}
	d := into[string(owner)]
	i := slices.IndexFunc(d.sets, func(s Set) bool { return s.Type == r.Type })
	if i < 0 {
		d.sets = append(d.sets, Set{Type: r.Type, TTL: r.TTL})
		i = len(d.sets) - 1
	}
	s := &d.sets[i]
	s.TTL = min(s.TTL, r.TTL) // RFC 2181, Section 5.2
	if !slices.ContainsFunc(s.RData, func(b []byte) bool { return string(b) == string(r.RData) }) {
		s.RData = append(s.RData, r.RData)
		return 1
	}
	return 0
}

// Outcome says what is to be done with a question.
type Outcome uint8

const (
	Pass    Outcome = iota // nothing is said here
	Found                  // the sets are the answer
	Alias                  // the set is a CNAME that is to be followed
	Absent                 // the name exists, the type does not
	NoName                 // the name does not exist
	Refused                // no answer, and the client is told
	Dropped                // no answer at all
)

// Verdict is what a table says of a question.
type Verdict struct {
	Outcome Outcome
	// Opened: with Pass, a rule says that the name is looked up, in zones that are always there too.
	Opened bool
	// Policy: not data but a rule decided. Rule says which, or that it was data.
	Policy bool
	Rule   event.Policy
	Sets   []Set
	// SOA of a negative answer, at Apex; nil: there is none.
	SOA    *Set
	Apex   wire.Name
	Reason uint16
}

// policies are actions as observations name them.
var policies = [...]event.Policy{Transparent: event.LocalData, TypeTransparent: event.LocalData, Static: event.LocalStatic, Redirect: event.LocalRedirect,
	Refuse: event.LocalRefuse, Drop: event.LocalDrop, NXDomain: event.LocalNXDomain, NoData: event.LocalNoData}

// Look tells what becomes of a question. open tells that the client may use recursion; room is scratch for the name in lower case.
func (t *Table) Look(name wire.Name, typ wire.Type, from netip.Addr, open bool, room []byte) Verdict {
	lower := wire.Name(name.AppendLower(room))
	labels := lower.Labels()
	r := t.closest(lower, labels, typ, from, open)
	if r == nil && !open {
		return Verdict{Reason: event.NoReason}
	}
	v := t.decide(r, lower, labels, typ, open)
	switch {
	case v.Outcome == Pass:
		return v
	case r == nil || !v.Policy && (v.Outcome == Found || v.Outcome == Alias):
		v.Rule = event.LocalData
	default:
		v.Rule = policies[r.Action]
	}
	switch {
	case r != nil:
		r.counted.Add(1)
	default:
		t.answered.Add(1)
	}
	return v
}

// closest finds the rule for a question.
func (t *Table) closest(lower wire.Name, labels int, typ wire.Type, from netip.Addr, open bool) *rule {
	n := lower
	for ; labels > t.lowest; labels-- {
		n = n.Parent()
	}
	for ; labels >= t.highest; labels-- {
		for _, r := range t.rules[string(n)] {
			// RFC 4035, Section 3.1.4.1: the DS of a name is its parent's to tell.
			if typ == wire.TypeDS && len(n) == len(lower) && !n.IsRoot() || !r.isFor(typ) {
				continue
			}
			if r.Clients == nil && open || r.Clients != nil && r.Clients.Contains(from) {
				return r
			}
		}
		if n.IsRoot() {
			break
		}
		n = n.Parent()
	}
	return nil
}

// isFor tells whether a rule is for a type. ANY asks for what the rule is for, too; there need not be anything else in its answer (RFC 8482, Section 4.1).
func (r *rule) isFor(typ wire.Type) bool {
	return len(r.Types) == 0 || typ == wire.TypeANY || slices.Contains(r.Types, typ)
}

// find is the data at a name for a client that a rule, which may be nil, is for: what the rule has for its clients only goes before records that no
// rule brought, which all see who may use recursion (open). Records of other rules belong to these.
func (t *Table) find(r *rule, lower wire.Name, open bool) *data {
	if r == nil || r.private == nil {
		return t.data[string(lower)]
	}
	d := r.private[string(lower)]
	if !open || d != nil && len(d.sets) > 0 {
		return d
	}
	if bare := t.bare[string(lower)]; bare != nil {
		return bare
	}
	return d
}

func (t *Table) decide(r *rule, lower wire.Name, labels int, typ wire.Type, open bool) Verdict {
	v := Verdict{Reason: event.NoReason}
	var d *data
	if labels <= t.deepest {
		d = t.find(r, lower, open)
	}
	if r != nil {
		if r.Action == Redirect && (d == nil || len(d.sets) == 0) {
			d = t.find(r, r.Name, open)
		}
	}
	if d != nil && len(d.sets) > 0 {
		if v.pick(d.sets, typ); v.Outcome != Pass {
			if r != nil && r.Action == Redirect {
				v.Policy, v.Reason = true, r.Reason
			}
			return v
		}
	}
	if r == nil {
		if d != nil && len(d.sets) > 0 {
			v.Outcome = Absent
		}
		return v
	}
	if r.otherwise(&v, d); v.Outcome != Pass {
		v.Reason = r.Reason
	}
	if v.Outcome == Absent || v.Outcome == NoName {
		if top := t.find(r, r.Name, open); top != nil {
			v.soa(top.sets, r.Name)
		}
	}
	return v
}

// pick chooses what answers a question from the sets of its name.
func (v *Verdict) pick(sets []Set, typ wire.Type) {
	if typ == wire.TypeANY {
		v.Outcome, v.Sets = Found, sets
		return
	}
	for i := range sets {
		switch sets[i].Type {
		case typ:
			v.Outcome, v.Sets = Found, sets[i:i+1]
			return
		case wire.TypeCNAME: // RFC 1034, Section 3.6.2
			v.Outcome, v.Sets = Alias, sets[i:i+1]
		}
	}
}

// otherwise is what a rule does where no record answers. d is what there is at the name, or nil.
func (r *rule) otherwise(v *Verdict, d *data) {
	exists := d != nil && len(d.sets) > 0
	switch r.Action {
	case Transparent:
		if v.Opened = !exists; exists {
			v.Outcome = Absent
		}
	case TypeTransparent:
		v.Opened = true
	case Static:
		if v.Outcome = NoName; d != nil { // also where only names below have records
			v.Outcome = Absent
		}
	case Redirect:
		v.Outcome, v.Policy = Absent, true
	case Refuse:
		v.Outcome, v.Policy = Refused, true
	case Drop:
		v.Outcome, v.Policy = Dropped, true
	case NXDomain:
		v.Outcome, v.Policy = NoName, true
	case NoData:
		v.Outcome, v.Policy = Absent, true
	}
}

// soa takes the SOA record that the operator gave the rule's name: with it, clients keep that there is nothing (RFC 2308, Section 5).
func (v *Verdict) soa(sets []Set, apex wire.Name) {
	for i := range sets {
		if sets[i].Type == wire.TypeSOA {
			v.SOA, v.Apex = &sets[i], apex
		}
	}
}

// State is a rule and how often it answered.
type State struct {
	Name     string `json:"name"`
	Answer   string `json:"answer"`
	Answered uint64 `json:"answered"`
}

// Records is how many there are, Answered how many questions they answered outside of rules.
func (t *Table) Records() int {
	if t == nil {
		return 0
	}
	return t.records
}

// Answered counts answers from records that no rule is about.
func (t *Table) Answered() uint64 {
	if t == nil {
		return 0
	}
	return t.answered.Load()
}

// Rules are all rules as they were given.
func (t *Table) Rules() (list []State) {
	if t == nil {
		return nil
	}
	for _, r := range t.ordered {
		list = append(list, State{r.Name.String(), r.Action.String(), r.counted.Load()})
	}
	return list
}

// Sums are how many answers rules of each action gave. It makes no list: there may be a million rules, and metrics are read often.
func (t *Table) Sums() map[string]uint64 {
	var by [256]uint64
	var has [256]bool
	if t != nil {
		for _, r := range t.ordered {
			by[r.Action] += r.counted.Load()
			has[r.Action] = true
		}
	}
	sums := map[string]uint64{}
	for a, n := range by {
		if has[a] {
			sums[Action(a).String()] = n
		}
	}
	return sums
}
