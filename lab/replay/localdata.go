package replay

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve/filter"
	"anyu/serve/local"
)

// localAction is a type of Unbound's local zones in our words.
type localAction struct {
	action local.Action
	typ    wire.Type // the only one concerned; 0: all
	bare   bool      // records in it do not count, of typ where there is one
}

// localActions are the types that mean here what they mean there. Those that log a question (inform) answer as their sisters do.
func localActions() map[string]localAction {
	return map[string]localAction{
		"transparent": {action: local.Transparent}, "inform": {action: local.Transparent}, "typetransparent": {action: local.TypeTransparent},
		"static": {action: local.Static}, "redirect": {action: local.Redirect}, "inform_redirect": {action: local.Redirect},
		"refuse": {action: local.Refuse}, "deny": {action: local.Drop}, "inform_deny": {action: local.Drop},
		"always_transparent": {action: local.Transparent, bare: true}, "always_refuse": {action: local.Refuse, bare: true},
		"always_deny": {action: local.Drop, bare: true}, "always_nxdomain": {action: local.NXDomain, bare: true}, "always_nodata": {action: local.NoData, bare: true},
		"always_null": {action: local.Redirect, bare: true},
		"block_a":     {local.NoData, wire.TypeA, true}, "block_aaaa": {local.NoData, wire.TypeAAAA, true},
		"block_a_wdata": {local.NoData, wire.TypeA, false}, "block_aaaa_wdata": {local.NoData, wire.TypeAAAA, false},
	}
}

// localData says local zones and local data as recursion.local has them.
func localData(s *Settings) (c local.Config, err error) {
	actions := localActions()
	zones := slices.DeleteFunc(slices.Clone(s.LocalZones), func(z LocalZone) bool { return z.Type == "nodefault" })
	for _, z := range zones {
		if _, ok := actions[z.Type]; !ok {
			return c, notModelled("local-zones")
		}
	}
	// Who is told by client goes before who is not: the first rule of a name that fits counts.
	slices.SortStableFunc(zones, func(a, b LocalZone) int { return b.Client.Bits() - a.Client.Bits() })
	within := make(map[string][]local.Record)
	for _, r := range s.LocalData {
		if r.Type == wire.TypeCNAME && wire.Name(r.RData).IsWildcard() {
			return c, notModelled("local-alias")
		}
		z := enclosing(zones, r.Owner)
		if z == nil {
			c.Records = append(c.Records, r)
			continue
		}
		within[string(z.Name.AppendLower(nil))] = append(within[string(z.Name.AppendLower(nil))], r)
	}
	for _, z := range zones {
		records := within[string(z.Name.AppendLower(nil))]
		if !s.tagged(z.Name) {
			c.Rules = append(c.Rules, z.rules(actions[z.Type], records)...)
			continue
		}
		list, err := s.taggedRules(z, records)
		if err != nil {
			return c, err
		}
		c.Rules = append(c.Rules, list...)
	}
	return c, nil
}

// enclosing is the closest zone that holds a name.
func enclosing(zones []LocalZone, name wire.Name) (closest *LocalZone) {
	for i := range zones {
		if z := &zones[i]; !z.Client.IsValid() && name.IsSubdomainOf(z.Name) && (closest == nil || len(z.Name) > len(closest.Name)) {
			closest = z
		}
	}
	return closest
}

// rules are what a zone with records is here.
func (z LocalZone) rules(a localAction, records []local.Record) (list []local.Rule) {
	r := local.Rule{Name: z.Name, Action: a.action, Reason: event.NoReason}
	if z.Client.IsValid() {
		acl := filter.NewACL([]netip.Prefix{z.Client})
		r.Clients = &acl
	}
	for _, record := range records {
		soa := record.Type == wire.TypeSOA && record.Owner.Equal(z.Name) && (a.action == local.NXDomain || a.action == local.NoData) // of its denials
		if !a.bare || soa || a.typ != 0 && record.Type != a.typ {
			r.Records = append(r.Records, record)
		}
	}
	if z.Type == "always_null" {
		r.Records = []local.Record{{Owner: z.Name, Type: wire.TypeA, TTL: 3600, RData: make([]byte, 4)}, {Owner: z.Name, Type: wire.TypeAAAA, TTL: 3600, RData: make([]byte, 16)}}
	}
	if a.typ != 0 {
		others := r
		others.Action, others.Records = local.Transparent, nil
		r.Types = []wire.Type{a.typ}
		return []local.Rule{r, others}
	}
	return []local.Rule{r}
}

// localData reads a record of local-data.
func (m *mapper) localData(text string) local.Record {
	r, err := zone.ParseRecord(strings.TrimSpace(text), wire.Root())
	m.check(err)
	return local.Record(r)
}

// localPointer reads `ADDRESS [TTL] NAME`.
func (m *mapper) localPointer(text string) local.Record {
	w := strings.Fields(text)
	if len(w) < 2 {
		m.check(strconv.ErrSyntax)
		return local.Record{}
	}
	a, err := netip.ParseAddr(w[0])
	m.check(err)
	ttl := uint64(3600)
	if len(w) > 2 {
		ttl = m.number(w[1], 31)
	}
	if m.bad != nil {
		return local.Record{}
	}
	return local.Record{Owner: local.ReverseName(a), Type: wire.TypePTR, TTL: uint32(ttl), RData: m.name(w[len(w)-1])}
}
