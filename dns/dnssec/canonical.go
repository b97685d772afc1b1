package dnssec

import (
	"bytes"
	"encoding/binary"
	"slices"

	"anyu/dns/wire"
)

// Set is an RRset to be verified. RDATA is uncompressed, in any order and case.
type Set struct {
	Owner wire.Name
	Class wire.Class
	Type  wire.Type
	RData [][]byte
}

// LabelsOf counts the labels of an owner as the Labels field does: without the root and a leading asterisk (RFC 4034,
// Section 3.1.3).
func LabelsOf(owner wire.Name) int {
	n := owner.Labels()
	if owner.IsWildcard() {
		n--
	}
	return n
}

// Verifier verifies signatures and keeps the room it works in. It is for one goroutine at a time; the zero Verifier is
// ready.
type Verifier struct {
	signed []byte
	arena  []byte
	forms  [][]byte
}

// Verify tells whether sig over set was made with key: nil, ErrMismatch or ErrBogus. It looks neither at the time nor at
// whether the key may sign for the zone. Where sig has fewer labels than the owner the set is the expansion of a wildcard
// (RFC 4035, Section 5.3.4), whose proof is the caller's.
func (v *Verifier) Verify(set Set, sig *Signature, key *Key) error {
	// RFC 4035, Section 5.3.1.
	if sig.Covered != set.Type || sig.Algorithm != key.Algorithm || sig.Tag != key.Tag || int(sig.Labels) > LabelsOf(set.Owner) ||
		!set.Owner.IsSubdomainOf(sig.Signer) {
		return ErrMismatch
	}
	v.signed = v.appendSigned(v.signed[:0], set, sig)
	if !key.public.verify(v.signed, sig.Octets) {
		return ErrBogus
	}
	return nil
}

// appendSigned appends what a signature is made over (RFC 4034, Section 3.1.8.1; RFC 4035, Section 5.3.2): the RRSIG RDATA
// without the signature and the records in canonical form and order (RFC 4034, Sections 6.2 and 6.3; RFC 6840, Section 5.1).
func (v *Verifier) appendSigned(dst []byte, set Set, sig *Signature) []byte {
	dst = append(dst, sig.head...)
	dst = sig.Signer.AppendLower(dst)
	v.sort(set)
	head := len(dst)
	dst = appendSource(dst, set.Owner, int(sig.Labels))
	dst = binary.BigEndian.AppendUint16(dst, uint16(set.Type))
	dst = binary.BigEndian.AppendUint16(dst, uint16(set.Class))
	dst = binary.BigEndian.AppendUint32(dst, sig.OriginalTTL)
	end := len(dst)
	for i, form := range v.forms {
		if i > 0 {
			dst = append(dst, dst[head:end]...)
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(form)))
		dst = append(dst, form...)
	}
	return dst
}

// sort fills v.forms with the RDATA in canonical form and order, each once.
func (v *Verifier) sort(set Set) {
	v.arena, v.forms = v.arena[:0], v.forms[:0]
	size := 0
	for _, r := range set.RData {
		size += len(r)
	}
	v.arena = slices.Grow(v.arena, size) // forms point into it: it must not move
	for _, r := range set.RData {
		at := len(v.arena)
		v.arena = wire.AppendCanonical(v.arena, set.Type, r)
		v.forms = append(v.forms, v.arena[at:])
	}
	if !slices.IsSortedFunc(v.forms, bytes.Compare) {
		slices.SortFunc(v.forms, bytes.Compare)
	}
	v.forms = slices.CompactFunc(v.forms, bytes.Equal)
}

// appendSource appends the owner in lower case, or the wildcard it was made from where it has more labels than were signed.
func appendSource(dst []byte, owner wire.Name, labels int) []byte {
	n := LabelsOf(owner)
	if n <= labels {
		return owner.AppendLower(dst)
	}
	if owner.IsWildcard() {
		n++
	}
	for ; n > labels; n-- {
		owner = owner.Parent()
	}
	dst = append(dst, 1, '*')
	return owner.AppendLower(dst)
}
