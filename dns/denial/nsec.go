package denial

import (
	"bytes"

	"anyu/dns/message"
	"anyu/dns/wire"
)

// NSEC is an NSEC record read (RFC 4034, Section 4.1). Names share memory with the RRset.
type NSEC struct {
	Owner, Next wire.Name
	Types       Types
	zone        wire.Name
	last        bool // Next is the apex: everything behind Owner is denied
}

// ReadNSEC reads the NSEC RRset that zone has signed. False for what proves nothing: more than one record, and an owner or a
// next name outside of the zone (CVE-2026-13321: an overreaching NSEC denies other zones' names).
func ReadNSEC(set *message.RRset, zone wire.Name) (NSEC, bool) {
	if set.Type != wire.TypeNSEC || len(set.Data) != 1 || !set.Name.IsSubdomainOf(zone) {
		return NSEC{}, false
	}
	d := set.Data[0]
	end, err := wire.SkipName(d, 0)
	if err != nil || wire.ValidName(d[:end]) != nil {
		return NSEC{}, false
	}
	n := NSEC{Owner: set.Name, Next: wire.Name(d[:end]), Types: Types(d[end:]), zone: zone}
	n.last = n.Next.Equal(zone)
	return n, n.Next.IsSubdomainOf(zone)
}

// Matches tells whether the record is that of the name.
func (n *NSEC) Matches(name wire.Name) bool { return n.Owner.Equal(name) }

// Covers tells whether the name, which must be in the zone, stands between owner and next name in canonical order (RFC 4034,
// Section 6.1), so that it is not in the zone or is an empty non-terminal.
func (n *NSEC) Covers(name wire.Name) bool {
	return name.IsSubdomainOf(n.zone) && n.less(n.Owner, name) && (n.last || n.less(name, n.Next))
}

func (n *NSEC) less(a, b wire.Name) bool {
	var room [2][2 * wire.MaxName]byte
	return bytes.Compare(wire.AppendKey(room[0][:0], a, n.zone), wire.AppendKey(room[1][:0], b, n.zone)) < 0
}

// emptyNonTerminal tells whether the name exists only because the next name is below it.
func (n *NSEC) emptyNonTerminal(name wire.Name) bool {
	return n.Covers(name) && n.Next.IsSubdomainOf(name)
}

// NoName tells whether the record proves that the name does not exist, wildcards aside. RFC 6840, Section 4.1: a record of the
// parent's side of a cut above the name, or of a DNAME above it, does not.
func (n *NSEC) NoName(name wire.Name) bool {
	if !n.Covers(name) || n.Next.IsSubdomainOf(name) {
		return false
	}
	return !(n.Types.hides() && name.IsSubdomainOf(n.Owner))
}

// Encloser counts the labels of the closest encloser of a name that the record covers: the longest ancestor that the name shares
// with the owner or with the next name (RFC 4035, Section 5.4).
func (n *NSEC) Encloser(name wire.Name) int { return max(shared(name, n.Owner), shared(name, n.Next)) }

// NoType tells whether the record alone proves that the name exists, has no data of the type and is no alias.
func (n *NSEC) NoType(name wire.Name, t wire.Type) bool {
	if n.Matches(name) {
		return n.Types.deny(t, name.IsRoot())
	}
	// RFC 4035, Section 3.1.3.1 and RFC 4592, Section 2.2.2: an empty non-terminal has no NSEC record of its own.
	return n.emptyNonTerminal(name) && !(n.Types.hides() && name.IsSubdomainOf(n.Owner))
}

// shared counts the labels that two names have in common, from the root.
func shared(a, b wire.Name) int {
	la, lb := a.Labels(), b.Labels()
	for ; la > lb; la-- {
		a = a.Parent()
	}
	for ; lb > la; lb-- {
		b = b.Parent()
	}
	for ; la > 0 && !a.Equal(b); la-- {
		a, b = a.Parent(), b.Parent()
	}
	return la
}

// Ancestor is the ancestor of a name with so many labels, or the name where it has no more.
func Ancestor(name wire.Name, labels int) wire.Name {
	for n := name.Labels(); n > labels; n-- {
		name = name.Parent()
	}
	return name
}

// Wildcard is the wildcard below an encloser (RFC 4592, Section 2.1.1); false where it would be too long for a name.
func Wildcard(encloser wire.Name) (wire.Name, bool) {
	if len(encloser)+2 > wire.MaxName {
		return nil, false
	}
	return append(wire.Name{1, '*'}, encloser...), true
}
