package wire

import "encoding/binary"

// HeaderSize is the length of the fixed header.
const HeaderSize = 12

// Bits of the second 16 bits of the header (RFC 1035, Section 4.1.1; RFC 4035, Section 3).
const (
	FlagQR = 1 << 15
	FlagAA = 1 << 10
	FlagTC = 1 << 9
	FlagRD = 1 << 8
	FlagRA = 1 << 7
	FlagZ  = 1 << 6
	FlagAD = 1 << 5
	FlagCD = 1 << 4

	opcodeShift = 11
	opcodeMask  = 15 << opcodeShift
)

// Header is the fixed part of a message.
type Header struct {
	ID             uint16
	Flags          uint16
	QD, AN, NS, AR uint16
}

// Opcode is the kind of query.
func (h Header) Opcode() Opcode { return Opcode(h.Flags >> opcodeShift & 15) }

// Rcode is the lower four bits of the response code.
func (h Header) Rcode() Rcode { return Rcode(h.Flags & 15) }

// ReadHeader reads the header of a message of at least HeaderSize octets.
func ReadHeader(msg []byte) Header {
	_ = msg[HeaderSize-1]
	return Header{
		ID:    binary.BigEndian.Uint16(msg),
		Flags: binary.BigEndian.Uint16(msg[2:]),
		QD:    binary.BigEndian.Uint16(msg[4:]),
		AN:    binary.BigEndian.Uint16(msg[6:]),
		NS:    binary.BigEndian.Uint16(msg[8:]),
		AR:    binary.BigEndian.Uint16(msg[10:]),
	}
}

// Put writes the header to the start of msg.
func (h Header) Put(msg []byte) {
	_ = msg[HeaderSize-1]
	binary.BigEndian.PutUint16(msg, h.ID)
	binary.BigEndian.PutUint16(msg[2:], h.Flags)
	binary.BigEndian.PutUint16(msg[4:], h.QD)
	binary.BigEndian.PutUint16(msg[6:], h.AN)
	binary.BigEndian.PutUint16(msg[8:], h.NS)
	binary.BigEndian.PutUint16(msg[10:], h.AR)
}

// Section names a part of a message.
type Section uint8

const (
	Questions Section = iota
	Answers
	Authorities
	Additionals
	Done
)

// Question is one entry of the question section. Name is uncompressed.
type Question struct {
	Name  Name
	Type  Type
	Class Class
}

// RR is one record as it stands in a message. Name is decompressed into the parser's own room and valid until the next RR;
// RData is the raw RDATA, whose names may be compressed (see UnpackRData).
type RR struct {
	Section  Section
	Name     Name
	Type     Type
	Class    Class
	TTL      uint32
	RData    []byte
	RDataOff int
}

// Parser pulls items from a message in their order. The zero Parser is ready for Start.
type Parser struct {
	msg     []byte
	off     int
	left    [4]uint16
	section Section
	name    [MaxName + 1]byte
}

// Start reads the header.
func (p *Parser) Start(msg []byte) (Header, error) {
	if len(msg) < HeaderSize {
		return Header{}, ErrShort
	}
	h := ReadHeader(msg)
	p.msg, p.off = msg, HeaderSize
	p.left = [4]uint16{h.QD, h.AN, h.NS, h.AR}
	p.section = Questions
	return h, nil
}

// Section is the section of the next item; Done when all are read.
func (p *Parser) Section() Section {
	for p.section < Done && p.left[p.section] == 0 {
		p.section++
	}
	return p.section
}

// Offset is where the next item starts.
func (p *Parser) Offset() int { return p.off }

// Question pulls the next question. It must not be called when Section is past Questions.
func (p *Parser) Question() (Question, error) {
	name, off, err := UnpackName(p.msg, p.off, p.name[:0])
	if err != nil {
		return Question{}, err
	}
	if off+4 > len(p.msg) {
		return Question{}, ErrShort
	}
	q := Question{
		Name:  name,
		Type:  Type(binary.BigEndian.Uint16(p.msg[off:])),
		Class: Class(binary.BigEndian.Uint16(p.msg[off+2:])),
	}
	p.off = off + 4
	p.left[Questions]--
	return q, nil
}

// RR pulls the next record of any section.
func (p *Parser) RR() (RR, error) {
	section := p.Section()
	if section == Questions || section == Done {
		return RR{}, ErrShort
	}
	name, off, err := UnpackName(p.msg, p.off, p.name[:0])
	if err != nil {
		return RR{}, err
	}
	if off+10 > len(p.msg) {
		return RR{}, ErrShort
	}
	length := int(binary.BigEndian.Uint16(p.msg[off+8:]))
	if off+10+length > len(p.msg) {
		return RR{}, ErrShort
	}
	rr := RR{
		Section:  section,
		Name:     name,
		Type:     Type(binary.BigEndian.Uint16(p.msg[off:])),
		Class:    Class(binary.BigEndian.Uint16(p.msg[off+2:])),
		TTL:      binary.BigEndian.Uint32(p.msg[off+4:]),
		RData:    p.msg[off+10 : off+10+length],
		RDataOff: off + 10,
	}
	p.off = off + 10 + length
	p.left[section]--
	return rr, nil
}

// End checks that nothing follows the last record.
func (p *Parser) End() error {
	if p.Section() != Done {
		return ErrShort
	}
	if p.off != len(p.msg) {
		return ErrTrailing
	}
	return nil
}
