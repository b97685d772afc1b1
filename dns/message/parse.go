package message

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"anyu/dns/wire"
)

// Parse takes a message apart. Errors say what does not fit; then nothing of the message is to be used.
func Parse(msg []byte) (*Message, error) {
	var p wire.Parser
	h, err := p.Start(msg)
	if err != nil {
		return nil, fmt.Errorf("parsing message: %w", err)
	}
	if int(h.AN)+int(h.NS)+int(h.AR) > MaxRecords {
		return nil, fmt.Errorf("parsing message: %w", ErrRecords)
	}
	m := &Message{ID: h.ID, Flags: h.Flags, Rcode: wire.Rcode(h.Flags & 15), Questions: int(h.QD), Size: len(msg)}
	for i := range int(h.QD) {
		q, err := p.Question()
		if err != nil {
			return nil, fmt.Errorf("parsing question: %w", err)
		}
		if i == 0 {
			m.Question = Question{bytes.Clone(q.Name), q.Type, q.Class}
		}
	}
	for _, section := range []struct {
		n    uint16
		sets *[]*RRset
	}{{h.AN, &m.Answer}, {h.NS, &m.Authority}, {h.AR, &m.Additional}} {
		g := grouper{sets: *section.sets}
		for range section.n {
			rr, err := p.RR()
			if err != nil {
				return nil, fmt.Errorf("parsing record: %w", err)
			}
			if err := m.record(&g, msg, rr, section.sets == &m.Additional); err != nil {
				return nil, err
			}
		}
		*section.sets = g.finish()
	}
	m.gather()
	return m, nil
}

// record files one record.
func (m *Message) record(g *grouper, msg []byte, rr wire.RR, additional bool) error {
	switch rr.Type {
	case wire.TypeOPT:
		if !additional || m.EDNS.Present {
			return fmt.Errorf("parsing OPT: %w", wire.ErrRData) // RFC 6891, Section 6.1.1: one, in the additional section
		}
		m.edns(rr)
		return nil
	case wire.TypeTSIG:
		return nil
	}
	rdata, err := wire.UnpackRData(msg, rr.Type, rr.RDataOff, len(rr.RData), nil)
	switch {
	case err == nil:
	case rr.Type == wire.TypeSVCB || rr.Type == wire.TypeHTTPS:
		rdata = bytes.Clone(rr.RData) // has no compressed name, so it can be passed on to who may understand it (RFC 9460, Section 2.2)
	default:
		m.Dropped++
		return nil
	}
	if rr.TTL > 1<<31-1 {
		rr.TTL = 0 // RFC 2181, Section 8
	}
	if !g.add(rr, rdata) {
		return fmt.Errorf("parsing record: %w", ErrRecords)
	}
	return nil
}

// edns reads an OPT record (RFC 6891, Section 6.1). Options that do not fit end the list.
func (m *Message) edns(rr wire.RR) {
	m.EDNS = EDNS{Present: true, Version: uint8(rr.TTL >> 16), Payload: uint16(rr.Class), DO: rr.TTL&0x8000 != 0}
	m.Rcode |= wire.Rcode(rr.TTL>>24) << 4
	for d := rr.RData; len(d) >= 4 && len(m.EDNS.Options) < MaxOptions; {
		n := int(binary.BigEndian.Uint16(d[2:]))
		if len(d) < 4+n {
			return
		}
		m.EDNS.Options = append(m.EDNS.Options, Option{binary.BigEndian.Uint16(d), bytes.Clone(d[4 : 4+n])})
		d = d[4+n:]
	}
}

// grouper collects the records of a section into RRsets. Beyond a few RRsets it keeps an index, so that the work stays linear.
type grouper struct {
	sets  []*RRset
	sigs  []*RRset // one for each owner and covered type, until finish
	index map[string]*RRset
	key   []byte
}

const smallSection = 8

// add files a record; false: its RRset has too many.
func (g *grouper) add(rr wire.RR, rdata []byte) bool {
	covered := rr.Type
	if rr.Type == wire.TypeRRSIG {
		covered = wire.Type(binary.BigEndian.Uint16(rdata))
	}
	s := g.find(rr, covered)
	if s == nil {
		s = &RRset{Name: bytes.Clone(rr.Name), Type: covered, Class: rr.Class, TTL: rr.TTL}
		if rr.Type == wire.TypeRRSIG {
			g.sigs = append(g.sigs, s)
		} else {
			g.sets = append(g.sets, s)
		}
		g.remember(s, rr.Type)
	}
	s.TTL = min(s.TTL, rr.TTL)
	if len(s.Data) >= MaxOfRRset {
		return false
	}
	if !contains(s.Data, rdata) {
		s.Data = append(s.Data, rdata)
	}
	return true
}

func (g *grouper) find(rr wire.RR, covered wire.Type) *RRset {
	if g.index != nil {
		return g.index[string(g.keyOf(rr.Name, covered, rr.Class, rr.Type))]
	}
	list := g.sets
	if rr.Type == wire.TypeRRSIG {
		list = g.sigs
	}
	for _, s := range list {
		if s.Type == covered && s.Class == rr.Class && s.Name.Equal(rr.Name) {
			return s
		}
	}
	return nil
}

func (g *grouper) remember(s *RRset, t wire.Type) {
	if g.index == nil {
		if len(g.sets)+len(g.sigs) <= smallSection {
			return
		}
		g.index = make(map[string]*RRset)
		for _, s := range g.sets {
			g.index[string(g.keyOf(s.Name, s.Type, s.Class, s.Type))] = s
		}
		for _, s := range g.sigs {
			g.index[string(g.keyOf(s.Name, s.Type, s.Class, wire.TypeRRSIG))] = s
		}
	}
	g.index[string(g.keyOf(s.Name, s.Type, s.Class, t))] = s
}

func (g *grouper) keyOf(owner wire.Name, covered wire.Type, class wire.Class, t wire.Type) []byte {
	k := owner.AppendLower(g.key[:0])
	k = binary.BigEndian.AppendUint16(k, uint16(covered))
	k = binary.BigEndian.AppendUint16(k, uint16(class))
	k = append(k, 0)
	if t == wire.TypeRRSIG {
		k[len(k)-1] = 1
	}
	g.key = k
	return k
}

// finish puts signatures to what they cover.
func (g *grouper) finish() []*RRset {
	for _, sigs := range g.sigs {
		rr := wire.RR{Name: sigs.Name, Type: sigs.Type, Class: sigs.Class}
		if s := g.find(rr, sigs.Type); s != nil && sigs.Type != wire.TypeRRSIG {
			s.Sigs = sigs.Data
			s.TTL = min(s.TTL, sigs.TTL)
			continue
		}
		sigs.Type = wire.TypeRRSIG
		if s := Find(g.sets[len(g.sets)-min(len(g.sets), smallSection):], sigs.Name, wire.TypeRRSIG); s != nil && s.Class == sigs.Class {
			s.Data = append(s.Data, sigs.Data...)
			s.TTL = min(s.TTL, sigs.TTL)
			continue
		}
		g.sets = append(g.sets, sigs)
	}
	return g.sets
}

// gather moves signatures to an RRset that stands in another section: some servers leave them apart.
func (m *Message) gather() {
	sections := [...]*[]*RRset{&m.Answer, &m.Authority, &m.Additional}
	for _, list := range sections {
		kept := (*list)[:0]
		for _, s := range *list {
			if s.Type != wire.TypeRRSIG || !m.give(s) {
				kept = append(kept, s)
			}
		}
		*list = kept
	}
}

// maxOrphans signatures apart from what they cover are looked at; each is compared with every RRset.
const maxOrphans = 64

// give hands the signatures of an RRset without what they cover to what they cover in any section. It tells whether all found a place.
func (m *Message) give(orphans *RRset) bool {
	var left [][]byte
	orphans.Data = orphans.Data[:min(len(orphans.Data), maxOrphans)]
	for _, d := range orphans.Data {
		covered, given := wire.Type(binary.BigEndian.Uint16(d)), false
		for _, section := range m.Sections() {
			if s := Find(section, orphans.Name, covered); s != nil && covered != wire.TypeRRSIG && s.Class == orphans.Class {
				if given = true; !contains(s.Sigs, d) {
					s.Sigs = append(s.Sigs, d)
				}
				s.TTL = min(s.TTL, orphans.TTL)
				break
			}
		}
		if !given {
			left = append(left, d)
		}
	}
	orphans.Data = left
	return len(left) == 0
}

func contains(list [][]byte, d []byte) bool {
	for _, e := range list {
		if bytes.Equal(e, d) {
			return true
		}
	}
	return false
}
