package resolve

import (
	"anyu/dns/message"
	"anyu/dns/wire"
)

// kind of a reply: RFC 1034, Section 5.3.3, step 4; RFC 2308, Section 2.
type kind uint8

const (
	isAnswer   kind = iota // records, or the denial of them
	isAlias                // a CNAME whose target is to be asked for
	isReferral             // servers of a zone below
	isLame                 // the server does not have the zone (RFC 9499, Section 7: lame delegation)
	isResolver             // it is a resolver and answers from its cache, not from the zone
	isUseless              // an error, or nothing that makes sense
)

// classify tells what a cleaned reply is, coming from one of d's servers.
func classify(r *reply, m *message.Message, d *zoneCut) kind {
	// A resolver that was put where a zone's server should be answers without AA, but offers recursion.
	resolver := m.Has(wire.FlagRA) && !r.aa && !d.recursive
	switch r.rcode {
	case wire.NoError:
	case wire.YXDomain:
		if findType(r.answer, wire.TypeDNAME) == nil {
			return isUseless // RFC 6672, Section 2.2: it stands for a DNAME whose result is too long
		}
		return isAnswer
	case wire.NXDomain:
		switch {
		case resolver:
			return isResolver
		case message.Find(r.answer, r.question.Name, wire.TypeCNAME) != nil && r.question.Type != wire.TypeCNAME:
			return isAlias
		}
		return isAnswer
	default:
		return isUseless
	}
	if len(r.answer) > 0 {
		if resolver {
			return isResolver
		}
		if r.question.Type != wire.TypeANY && message.Find(r.answer, r.question.Name, r.question.Type) == nil {
			return isAlias
		}
		return isAnswer
	}
	if soa := findType(r.authority, wire.TypeSOA); soa != nil && r.question.Name.IsSubdomainOf(soa.Name) {
		if resolver {
			return isResolver
		}
		return isAnswer
	}
	if ns := findType(r.authority, wire.TypeNS); ns != nil && !d.recursive {
		switch {
		case ns.Name.Equal(d.zone):
			if resolver {
				return isResolver
			}
			if !r.aa {
				return isUseless // refers to itself: the zone should be here, and is not
			}
		case !ns.Name.IsSubdomainOf(d.zone):
			return isLame // upwards
		default:
			return isReferral
		}
	}
	if resolver {
		return isResolver
	}
	return isAnswer
}

// referral returns the NS records that a referral is about.
func referral(r *reply) *message.RRset { return findType(r.authority, wire.TypeNS) }

// empty tells whether an answer denies without a SOA: RFC 2308, Section 2.2.1, type 3. Some servers say it when they mean an error.
func empty(r *reply) bool {
	return r.rcode == wire.NoError && len(r.answer) == 0 && len(r.authority) == 0
}

// unsigned tells whether a reply lacks the signatures that its zone should have.
func unsigned(r *reply, k kind) bool {
	if r.question.Type == wire.TypeRRSIG || r.question.Type == wire.TypeANY {
		return false
	}
	if k == isReferral {
		for _, s := range r.authority {
			if s.Type != wire.TypeNS && len(s.Sigs) > 0 {
				return false
			}
		}
		return true
	}
	for _, section := range [...][]*message.RRset{r.answer, r.authority} {
		for _, s := range section {
			if len(s.Sigs) > 0 {
				return false
			}
		}
	}
	return true
}
