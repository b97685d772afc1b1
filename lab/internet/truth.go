package internet

import (
	"anyu/dns/dnssec"
	"anyu/dns/wire"
)

// Truth is what an honest validating resolver answers.
type Truth struct {
	Rcode    wire.Rcode
	Security dnssec.Security
	// Reason is the kind of the zone that makes the answer what it is; empty where all is well.
	Reason string
	// Either: SERVFAIL is as right as Rcode.
	Either bool
	// Unsettled: whether AD is set is not for us to say (RFC 5155, Section 9.2 for wildcards; insecure proofs).
	Unsettled bool
}

// maxAliases: no resolver is expected to follow more.
const maxAliases = 11

// Truth tells what must come of a question. knows says which algorithms the resolver validates; nil: all that dns/dnssec does.
func (w *World) Truth(name wire.Name, t wire.Type, knows func(dnssec.Algorithm) bool) Truth {
	if knows == nil {
		knows = dnssec.Algorithm.Supported
	}
	out := Truth{Security: dnssec.Secure}
	name = name.AppendLower(nil)
	for links := 0; ; {
		path := w.path(name, t)
		a := path[len(path)-1].answer(name, t)
		if !out.walk(path, a, name, t, knows) {
			return out
		}
		out.Rcode = a.rcode
		links += aliases(a)
		if links > maxAliases {
			out.Either = true
		}
		if a.alias == nil || links > 2*maxLinks {
			return out
		}
		name = a.alias
	}
}

func aliases(a *answer) (n int) {
	for _, p := range a.parts[0] {
		if p.set.typ == wire.TypeCNAME {
			n++
		}
	}
	return n
}

// walk follows the chain of trust to the zone that answers. False: the answer is there already, and it is SERVFAIL.
func (t *Truth) walk(path []*zone, a *answer, name wire.Name, typ wire.Type, knows func(dnssec.Algorithm) bool) bool {
	security := dnssec.Secure
	if !knows(path[0].policy.algorithm) {
		security = dnssec.Insecure
	}
	for _, z := range path[1:] {
		if security == dnssec.Secure && (!z.delegatesTrust() || !knows(z.policy.algorithm)) {
			security = dnssec.Insecure
		}
		if z.kind == nil || !z.kind.concerns(z, a, name, typ) {
			continue
		}
		switch z.kind.Outcome {
		case Fails:
			t.Rcode, t.Security, t.Reason = wire.ServFail, dnssec.Insecure, z.kind.Name
			return false
		case Bogus:
			if security == dnssec.Secure {
				t.Rcode, t.Security, t.Reason = wire.ServFail, dnssec.Bogus, z.kind.Name
				return false
			}
		case Unproven:
			if security == dnssec.Secure {
				security, t.Reason = dnssec.Insecure, z.kind.Name
			}
		case Differs:
			t.Either, t.Unsettled, t.Reason = true, true, z.kind.Name
		case Works:
			t.Reason = z.kind.Name
		}
	}
	if a.optOut && security == dnssec.Secure {
		security = dnssec.Insecure
		t.Unsettled = t.Unsettled || a.wildcard
	}
	t.Security = min(t.Security, security)
	return true
}

// concerns tells whether a kind matters to a question whose answer is a.
func (k *Kind) concerns(z *zone, a *answer, name wire.Name, t wire.Type) bool {
	switch k.Scope {
	case Negative:
		return a.z == z && (a.negative || a.wildcard)
	case AAAA:
		return t == wire.TypeAAAA
	case WWW:
		return name.Equal(under("www", z.apex))
	}
	return true
}
