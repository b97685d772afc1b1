package replay

import (
	"encoding/binary"

	"anyu/dns/wire"
)

// reply is packet n of the entry as an answer to query, adjusted as the entry says. Packets of a stream beyond the last repeat it.
func (e *Entry) reply(d Dialect, query *Message, n int) []byte {
	m := e.Packets[min(n, len(e.Packets)-1)].Message.Copy()
	if m.Raw != nil {
		if e.Adjust.CopyID && len(m.Raw) >= 2 {
			raw := m.Encode()
			binary.BigEndian.PutUint16(raw, query.ID)
			return raw
		}
		return m.Raw
	}
	if e.Adjust.CopyID {
		m.ID = query.ID
	}
	if d == Deckard {
		e.deckardReply(m, query)
	} else if e.Adjust.CopyQuery && len(query.Records[0]) > 0 {
		m.Records[0] = query.Records[0]
	}
	if e.Adjust.ECSAssume || e.Adjust.ECSIncrement {
		m.clientSubnet(query, e.Adjust)
	}
	return m.Encode()
}

// deckardReply does what Deckard's adjustments do beyond the ID: the letter case of the question's name, and the OPT record,
// follow the query.
func (e *Entry) deckardReply(m, query *Message) {
	if len(query.Records[0]) > 0 {
		switch {
		case e.Adjust.CopyQuery:
			m.Records[0] = query.Records[0][:1]
		case e.Adjust.CopyID && len(m.Records[0]) > 0 && m.Records[0][0].Name.Equal(query.Records[0][0].Name):
			m.Records[0][0].Name = query.Records[0][0].Name
		}
	}
	if !e.Adjust.CopyID && !e.Adjust.CopyQuery {
		return
	}
	if query.OPT == nil {
		m.OPT = nil
		return
	}
	if m.OPT == nil {
		m.OPT = &OPT{Payload: queryPayload}
	}
	m.OPT.Version, m.OPT.Flags = query.OPT.Version, query.OPT.Flags
}

// clientSubnet sets the scope of the client subnet option (RFC 7871, Section 6).
func (m *Message) clientSubnet(query *Message, a Adjust) {
	if a.ECSAssume && query.OPT != nil {
		for _, o := range query.OPT.options() {
			if o.code == optionECS && len(o.data) >= 4 {
				if m.OPT == nil {
					m.OPT = &OPT{Payload: testPayload}
				}
				m.OPT.Data = binary.BigEndian.AppendUint16(m.OPT.Data, optionECS)
				m.OPT.Data = binary.BigEndian.AppendUint16(m.OPT.Data, uint16(len(o.data)))
				m.OPT.Data = append(m.OPT.Data, o.data...)
				m.OPT.Data[len(m.OPT.Data)-len(o.data)+3] = o.data[2]
			}
		}
	}
	if !a.ECSIncrement || m.OPT == nil {
		return
	}
	at := 0
	for _, o := range m.OPT.options() {
		if o.code == optionECS && len(o.data) >= 4 {
			m.OPT.Data[at+7]++
		}
		at += 4 + len(o.data)
	}
}

// servfail is an answer that refuses to help.
func servfail(query *Message) []byte {
	m := &Message{ID: query.ID, Flags: wire.FlagQR | query.Flags&wire.FlagRD | 2}
	if o := query.OPT; o != nil {
		m.OPT = &OPT{Payload: testPayload, Flags: o.Flags & flagDO} // options of the query mean nothing in a reply
	}
	m.Records[0] = query.Records[0]
	return m.Encode()
}

// usable tells whether testbound takes a message for a reply; what is none counts as silence.
func usable(msg []byte) bool {
	if len(msg) < wire.HeaderSize {
		return false
	}
	h := wire.ReadHeader(msg)
	return h.Flags&wire.FlagQR != 0 && h.Opcode() == wire.OpcodeQuery && h.QD <= 1
}
