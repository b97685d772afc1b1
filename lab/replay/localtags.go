package replay

import (
	"slices"
	"strings"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/local"
)

// tags maps what joins local zones and clients.
func (m *mapper) tags(o Option, v string) bool {
	s := m.s
	switch o.Name {
	case "define-tag": // tags are known by their use
	case "local-zone-tag":
		for word := range strings.FieldsSeq(o.Args[1]) {
			s.LocalTags = append(s.LocalTags, LocalTag{Word: word, Zone: m.name(v)})
		}
	case "access-control-tag":
		for word := range strings.FieldsSeq(o.Args[1]) {
			s.LocalTags = append(s.LocalTags, LocalTag{Word: word, Client: m.prefix(v)})
		}
	case "access-control-tag-action":
		s.LocalTags = append(s.LocalTags, LocalTag{Word: o.Args[1], Client: m.prefix(v), Action: o.Args[2]})
	case "access-control-tag-data":
		s.LocalTags = append(s.LocalTags, LocalTag{Word: o.Args[1], Client: m.prefix(v), Data: o.Args[2]})
	default:
		return false
	}
	return true
}

// tagged tells whether a zone is for some clients only.
func (s *Settings) tagged(name wire.Name) bool {
	return slices.ContainsFunc(s.LocalTags, func(t LocalTag) bool { return t.Zone.Equal(name) })
}

// taggedRules are a zone for each prefix that has one of its tags; narrower prefixes first, as the first rule that fits counts.
func (s *Settings) taggedRules(z LocalZone, records []local.Record) (list []local.Rule, err error) {
	has := func(word string) bool {
		return slices.ContainsFunc(s.LocalTags, func(t LocalTag) bool { return t.Zone.Equal(z.Name) && t.Word == word })
	}
	clients := slices.DeleteFunc(slices.Clone(s.LocalTags), func(t LocalTag) bool { return t.Zone != nil || t.Action != "" || t.Data != "" || !has(t.Word) })
	slices.SortStableFunc(clients, func(a, b LocalTag) int { return b.Client.Bits() - a.Client.Bits() })
	for _, c := range clients {
		own, data := z, records
		own.Client = c.Client
		var instead []local.Record
		for _, t := range s.LocalTags {
			if t.Word != c.Word || t.Client != c.Client {
				continue
			}
			if t.Action != "" {
				own.Type = t.Action
			}
			if t.Data == "" {
				continue
			}
			r, err := zone.ParseRecord(z.Name.String()+" "+t.Data, wire.Root())
			if err != nil {
				return nil, err
			}
			instead = append(instead, local.Record(r))
		}
		a, ok := localActions()[own.Type]
		if !ok {
			return nil, notModelled("local-zones")
		}
		if len(instead) > 0 && a.action == local.Redirect {
			data = instead
		}
		list = append(list, own.rules(a, data)...)
	}
	return list, nil
}
