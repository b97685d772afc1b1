package validate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
)

// tags are the key tags of the trust anchors of a zone, in order, each once.
func (s *settings) tags(zone wire.Name) (list []uint16) {
	p := s.points[string(zone.AppendLower(nil))]
	if p == nil {
		return nil
	}
	for _, d := range p.ds {
		list = append(list, uint16(d[0])<<8|uint16(d[1]))
	}
	for _, k := range p.keys {
		list = append(list, dnssec.KeyTag(k))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Labels of RFC 8509, Section 2.
const (
	sentinelIs  = "root-key-sentinel-is-ta-"
	sentinelNot = "root-key-sentinel-not-ta-"
)

// Sentinel tells whether a question is one of the root key sentinel whose answer, secure as it is, is to be SERVFAIL (RFC 8509,
// Section 2.2): A or AAAA, and the first label asks for a key that is no trust anchor of the root, or says it is none and it is. The
// caller leaves questions with CD alone (Section 2.1).
func (v *Validator) Sentinel(q message.Question, security dnssec.Security) bool {
	if security != dnssec.Secure || q.Type != wire.TypeA && q.Type != wire.TypeAAAA || q.Name.IsRoot() {
		return false
	}
	label := strings.ToLower(string(q.Name[1 : 1+q.Name[0]]))
	digits, is := strings.CutPrefix(label, sentinelIs)
	if !is {
		var not bool
		if digits, not = strings.CutPrefix(label, sentinelNot); !not {
			return false
		}
	}
	tag, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || len(digits) != 5 {
		return false
	}
	return slices.Contains(v.settings.Load().tags(wire.Root()), uint16(tag)) != is
}

// SignalName is the name to ask for with type NULL, to tell the owner of a zone which of its keys are trust anchors here (RFC 8145,
// Section 5.1); false where there are none or too many for a label.
func (v *Validator) SignalName(zone wire.Name) (wire.Name, bool) {
	tags := v.settings.Load().tags(zone)
	label := "_ta"
	for _, tag := range tags {
		label += fmt.Sprintf("-%04x", tag)
	}
	if len(tags) == 0 || len(label) > wire.MaxLabel || len(label)+1+len(zone) > wire.MaxName {
		return nil, false
	}
	return append(append(wire.Name{byte(len(label))}, label...), zone...), true
}

// AnchorZones are the zones that have trust anchors.
func (v *Validator) AnchorZones() (list []wire.Name) {
	for _, p := range v.settings.Load().points {
		if len(p.ds)+len(p.keys) > 0 {
			list = append(list, p.name)
		}
	}
	slices.SortFunc(list, func(a, b wire.Name) int { return strings.Compare(string(a), string(b)) })
	return list
}
