package resolve

import (
	"anyu/dns/message"
	"anyu/dns/wire"
)

// minimiser decides how much of the name a zone's servers are told (RFC 9156). It is relaxed: what a server denies of a shorter
// name is asked again in full, because servers exist that deny empty non-terminals; only signed denials end the matter, and those
// the validator sees.
type minimiser struct {
	on     bool
	strict bool
	q      message.Question
	labels int // of the name asked last; -1: the whole
	steps  int
	other  bool // it is asked again with the other type
}

// next returns what to ask the servers of a zone.
func (m *minimiser) next(zone wire.Name) message.Question {
	if !m.on {
		m.labels = -1
		return m.q
	}
	if m.other {
		return message.Question{Name: suffix(m.q.Name, m.labels), Type: wire.TypeNS, Class: m.q.Class}
	}
	have, want := zone.Labels(), m.q.Name.Labels()
	if m.labels < have {
		m.labels = have
	}
	add := 1
	if m.steps >= MinimiseOneLabel { // Section 2.3: the labels that are left in equal parts over the steps that are left
		add = max(1, (want-m.labels)/max(1, MaxMinimised-m.steps))
	}
	m.steps++
	m.labels += add
	if m.labels >= want || m.steps > MaxMinimised {
		m.on, m.labels = false, -1
		return m.q
	}
	return message.Question{Name: suffix(m.q.Name, m.labels), Type: wire.TypeA, Class: m.q.Class}
}

// full tells whether the question asked last was the whole one.
func (m *minimiser) full() bool { return m.labels < 0 }

// failed takes that the servers had an error for the shorter question. RFC 9156, Section 2.3: servers exist that fail on names they do not know,
// and answer the whole one; and there are those that were made for RFC 7816, whose questions were of type NS. Silence is not asked twice.
func (m *minimiser) failed(silent bool) {
	m.other, m.on = !m.other && !silent, m.on && !m.other && !silent
}

// descended notes that the question asked last led to a zone below.
func (m *minimiser) descended() {
	m.other = false
	if m.labels < 0 {
		m.on = false
	}
}

// heard takes the answer to a shorter question. end tells that it decides the whole one.
func (m *minimiser) heard(r *reply, kind kind) (end bool) {
	m.other = false
	switch {
	case kind == isAlias:
		m.on = false // a DNAME above, or a CNAME beside names below: the whole question gets the right answer
	case r.rcode == wire.NXDomain:
		if m.strict || signed(r.authority) {
			return true // RFC 8020
		}
		m.on = false
	}
	return false
}

func signed(section []*message.RRset) bool {
	for _, s := range section {
		if (s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3) && len(s.Sigs) > 0 {
			return true
		}
	}
	return false
}

// suffix returns the last labels of a name.
func suffix(name wire.Name, labels int) wire.Name {
	for n := name.Labels(); n > labels; n-- {
		name = name.Parent()
	}
	return name
}
