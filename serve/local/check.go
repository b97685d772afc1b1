package local

import (
	"fmt"

	"anyu/dns/wire"
)

// Source is where records come from, as errors name it.
type Source struct {
	Where   string
	Records []Record
}

// Check finds what cannot be served of records that all clients see, wherever they come from.
//
// RFC 1034, Section 3.6.2, and RFC 2181, Section 10.1: a name with a CNAME has that one record and no other.
func Check(sources []Source) error {
	type alias struct{ where, target string }
	aliases := map[string]alias{} // few of many records, so that millions of names cost no map
	total := 0
	for _, s := range sources {
		if total += len(s.Records); total > MaxRecords {
			return fmt.Errorf("%s: %w", s.Where, errTooMany)
		}
	}
	for _, s := range sources {
		for _, r := range s.Records {
			if r.Type != wire.TypeCNAME {
				continue
			}
			owner, target := string(r.Owner.AppendLower(nil)), string(wire.Name(r.RData).AppendLower(nil))
			if other, has := aliases[owner]; has && other.target != target {
				return fmt.Errorf("%s: %s has a CNAME, and another in %s", s.Where, r.Owner, other.where)
			}
			aliases[owner] = alias{s.Where, target}
		}
	}
	if len(aliases) == 0 {
		return nil
	}
	var room [wire.MaxName + 1]byte
	for _, s := range sources {
		for _, r := range s.Records {
			if r.Type == wire.TypeCNAME {
				continue
			}
			if a, has := aliases[string(r.Owner.AppendLower(room[:0]))]; has {
				return fmt.Errorf("%s: %s has a record of type %s, and a CNAME in %s", s.Where, r.Owner, r.Type, a.where)
			}
		}
	}
	return nil
}
