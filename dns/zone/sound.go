package zone

import (
	"errors"
	"fmt"

	"anyu/dns/wire"
)

// Errors of a file that reads well and makes no zone.
var (
	ErrNoNS  = errors.New("no NS record at the apex")
	ErrCNAME = errors.New("CNAME and other data")
	ErrMany  = errors.New("more than one record of a type that stands alone")
)

// Sound refuses what no server can answer from rightly: a zone without NS, a CNAME beside other data. Load demands it; whoever
// fills a zone by Edit may. The rest of what may be wrong is Check's.
func (z *Zone) Sound() error {
	if _, ok := z.ApexNode().Set(wire.TypeNS); !ok {
		return ErrNoNS // RFC 1034, Section 4.2.1
	}
	return z.names.root.eachAlias(func(e []byte) error {
		n := nodeOf(e)
		if err := n.soundAlias(); err != nil {
			return fmt.Errorf("%v: %w", wire.Name(n.AppendOwner(nil, z.apex)), err)
		}
		return nil
	})
}

// soundAlias: RFC 2181, Section 10.1 and RFC 4035, Section 2.5: beside a CNAME stand only RRSIG and NSEC, and one CNAME; RFC 6672, Section 2.4: one DNAME. (servers.md 5.1, case 20)
func (n Node) soundAlias() error {
	for s := range n.Sets() {
		switch s.Type() {
		case wire.TypeCNAME, wire.TypeDNAME:
			if s.Len() > 1 {
				return fmt.Errorf("%w: %v", ErrMany, s.Type())
			}
			if n.HasCNAME() && n.HasDNAME() {
				return fmt.Errorf("%w: DNAME", ErrCNAME)
			}
		case wire.TypeRRSIG, wire.TypeNSEC:
		default:
			if n.HasCNAME() {
				return fmt.Errorf("%w: %v", ErrCNAME, s.Type())
			}
		}
	}
	return nil
}

// eachAlias calls f for the entries with CNAME or DNAME.
func (p *page) eachAlias(f func(entry []byte) error) error {
	if p.total.aliases == 0 {
		return nil
	}
	if !p.isLeaf() {
		for _, kid := range p.kids {
			if err := kid.eachAlias(f); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range p.count() {
		if e := p.entry(i); entryFlags(e)&(flagCNAME|flagDNAME) != 0 {
			if err := f(e); err != nil {
				return err
			}
		}
	}
	return nil
}
