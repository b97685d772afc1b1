package replay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"anyu/dns/wire"
)

// Message is a DNS message as a list of records, in the order they stand: what an entry describes, and what was seen.
type Message struct {
	ID      uint16
	Flags   uint16 // the second 16 bits of the header
	Records [4][]Record
	OPT     *OPT
	// Odd is what does not fit in a message that was seen.
	Odd error
	// Raw replaces the octets that Encode would give.
	Raw []byte
}

// OPT is the EDNS record of a message.
type OPT struct {
	Payload uint16
	Rcode   uint8 // the upper bits
	Version uint8
	Flags   uint16 // DO is 0x8000, CO 0x4000
	Data    []byte
}

// Bits of OPT.Flags (RFC 6891, Section 6.1.4; RFC 9824, Section 5.1).
const (
	flagDO = 0x8000
	flagCO = 0x4000
)

const (
	optionEDE    = 15 // RFC 8914
	optionCookie = 10 // RFC 7873
	optionECS    = 8  // RFC 7871
)

// Decode takes a message apart. What cannot be read is left out and Odd says why.
func Decode(msg []byte) *Message {
	m := &Message{}
	var p wire.Parser
	h, err := p.Start(msg)
	if err != nil {
		m.Odd = err
		return m
	}
	m.ID, m.Flags = h.ID, h.Flags
	for range h.QD {
		q, err := p.Question()
		if err != nil {
			m.Odd = fmt.Errorf("reading the question: %w", err)
			return m
		}
		m.Records[0] = append(m.Records[0], Record{Name: bytes.Clone(q.Name), Type: q.Type, Class: q.Class})
	}
	for section, n := range []uint16{h.AN, h.NS, h.AR} {
		for range n {
			rr, err := p.RR()
			if err != nil {
				m.Odd = fmt.Errorf("reading section %s: %w", sectionNames[section+1], err)
				return m
			}
			m.add(section+1, msg, rr)
		}
	}
	m.Odd = p.End()
	return m
}

func (m *Message) add(section int, msg []byte, rr wire.RR) {
	if rr.Type == wire.TypeOPT && m.OPT == nil {
		m.OPT = &OPT{uint16(rr.Class), uint8(rr.TTL >> 24), uint8(rr.TTL >> 16), uint16(rr.TTL), bytes.Clone(rr.RData)}
		return
	}
	rdata, err := wire.UnpackRData(msg, rr.Type, rr.RDataOff, len(rr.RData), nil)
	if err != nil {
		rdata = bytes.Clone(rr.RData)
	}
	m.Records[section] = append(m.Records[section], Record{bytes.Clone(rr.Name), rr.Type, rr.Class, rr.TTL, rdata})
}

// Encode gives the octets, uncompressed; counts are what is there.
func (m *Message) Encode() []byte {
	if m.Raw != nil {
		return bytes.Clone(m.Raw)
	}
	b := make([]byte, wire.HeaderSize, 512)
	binary.BigEndian.PutUint16(b, m.ID)
	binary.BigEndian.PutUint16(b[2:], m.Flags)
	for i, list := range m.Records {
		n := len(list)
		if i == 3 && m.OPT != nil {
			n++
		}
		binary.BigEndian.PutUint16(b[4+2*i:], uint16(n))
		for _, r := range list {
			b = append(b, r.Name...)
			b = binary.BigEndian.AppendUint16(b, uint16(r.Type))
			b = binary.BigEndian.AppendUint16(b, uint16(r.Class))
			if i == 0 {
				continue
			}
			b = binary.BigEndian.AppendUint32(b, r.TTL)
			b = binary.BigEndian.AppendUint16(b, uint16(len(r.RData)))
			b = append(b, r.RData...)
		}
	}
	if m.OPT != nil {
		b = append(b, 0, 0, 41)
		b = binary.BigEndian.AppendUint16(b, m.OPT.Payload)
		b = append(b, m.OPT.Rcode, m.OPT.Version)
		b = binary.BigEndian.AppendUint16(b, m.OPT.Flags)
		b = binary.BigEndian.AppendUint16(b, uint16(len(m.OPT.Data)))
		b = append(b, m.OPT.Data...)
	}
	return b
}

// Copy is a message whose header, sections and OPT may be changed; records are shared.
func (m *Message) Copy() *Message {
	c := *m
	for i := range c.Records {
		c.Records[i] = slices.Clone(c.Records[i])
	}
	if m.OPT != nil {
		o := *m.OPT
		o.Data = bytes.Clone(o.Data)
		c.OPT = &o
	}
	return &c
}

func (m *Message) opcode() wire.Opcode { return wire.Opcode(m.Flags >> 11 & 15) }

// rcode is the extended one.
func (m *Message) rcode() uint16 {
	r := m.Flags & 15
	if m.OPT != nil {
		r |= uint16(m.OPT.Rcode) << 4
	}
	return r
}

// options splits RDATA of OPT; what does not fit is one option more with code 65535.
func (o *OPT) options() []option {
	var list []option
	for d := o.Data; len(d) > 0; {
		if len(d) < 4 || len(d) < 4+int(binary.BigEndian.Uint16(d[2:])) {
			return append(list, option{65535, d})
		}
		n := 4 + int(binary.BigEndian.Uint16(d[2:]))
		list = append(list, option{binary.BigEndian.Uint16(d), d[4:n]})
		d = d[n:]
	}
	return list
}

// without returns a copy of o that lacks the options of a code.
func (o *OPT) without(code uint16) *OPT {
	c := *o
	c.Data = nil
	for _, opt := range o.options() {
		if opt.code != code {
			c.Data = binary.BigEndian.AppendUint16(c.Data, opt.code)
			c.Data = binary.BigEndian.AppendUint16(c.Data, uint16(len(opt.data)))
			c.Data = append(c.Data, opt.data...)
		}
	}
	return &c
}

type option struct {
	code uint16
	data []byte
}

var sectionNames = [4]string{"question", "answer", "authority", "additional"}

// headerFlags in the order dig prints them.
var headerFlags = [...]struct {
	bit  uint16
	name string
}{{wire.FlagQR, "qr"}, {wire.FlagAA, "aa"}, {wire.FlagTC, "tc"}, {wire.FlagRD, "rd"}, {wire.FlagRA, "ra"}, {wire.FlagAD, "ad"}, {wire.FlagCD, "cd"}}

func flagText(flags uint16) string {
	var on []string
	for _, f := range headerFlags {
		if flags&f.bit != 0 {
			on = append(on, f.name)
		}
	}
	return strings.Join(on, " ")
}

// Text is the message as dig prints one, each line behind indent.
func (m *Message) Text(indent string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s;; %s, %s, flags: %s; %d/%d/%d/%d\n", indent, opcodeText(m.opcode()), rcodeText(m.rcode()), flagText(m.Flags),
		len(m.Records[0]), len(m.Records[1]), len(m.Records[2]), len(m.Records[3]))
	if m.OPT != nil {
		fmt.Fprintf(&b, "%s;; %s\n", indent, m.OPT)
	}
	if m.Odd != nil {
		fmt.Fprintf(&b, "%s;; DOES NOT FIT: %v\n", indent, m.Odd)
	}
	for i, list := range m.Records {
		for _, r := range list {
			if i == 0 {
				fmt.Fprintf(&b, "%s;%s\n", indent, questionText(r))
				continue
			}
			fmt.Fprintf(&b, "%s%s  %s\n", indent, [...]string{"", "AN", "NS", "AR"}[i], r)
		}
	}
	return b.String()
}

// Line is the message in one line.
func (m *Message) Line() string {
	var q []string
	for _, r := range m.Records[0] {
		q = append(q, questionText(r))
	}
	s := strings.Join(q, " + ")
	if m.Flags&wire.FlagQR != 0 {
		s += " " + rcodeText(m.rcode())
	}
	if f := flagText(m.Flags); f != "" {
		s += " " + f
	}
	if m.Flags&wire.FlagQR != 0 {
		s += fmt.Sprintf(" %d/%d/%d", len(m.Records[1]), len(m.Records[2]), len(m.Records[3]))
	}
	if m.OPT != nil {
		s += " [" + m.OPT.String() + "]"
	}
	if m.Odd != nil {
		s += " DOES NOT FIT: " + m.Odd.Error()
	}
	return s
}

func questionText(r Record) string { return fmt.Sprintf("%s %s %s", r.Name, r.Class, typeText(r.Type)) }

func (o *OPT) String() string {
	s := fmt.Sprintf("EDNS %d size %d", o.Version, o.Payload)
	if o.Flags&flagDO != 0 {
		s += " do"
	}
	if o.Flags&flagCO != 0 {
		s += " co"
	}
	for _, opt := range o.options() {
		if opt.code == optionEDE && len(opt.data) >= 2 {
			s += fmt.Sprintf(" EDE %d %q", binary.BigEndian.Uint16(opt.data), opt.data[2:])
			continue
		}
		s += fmt.Sprintf(" option %d %x", opt.code, opt.data)
	}
	return s
}

var rcodeNames = map[uint16]string{0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMPL", 5: "REFUSED", 6: "YXDOMAIN",
	7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME",
	21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE"}

func rcodeText(r uint16) string {
	if s, ok := rcodeNames[r]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", r)
}

func opcodeText(o wire.Opcode) string {
	switch o {
	case 0:
		return "QUERY"
	case 1:
		return "IQUERY"
	case 2:
		return "STATUS"
	case 4:
		return "NOTIFY"
	case 5:
		return "UPDATE"
	}
	return fmt.Sprintf("OPCODE%d", o)
}
