package tap

import (
	"encoding/binary"

	"anyu/dns/wire"
	"anyu/event"
)

// facts is what a transaction needs to know of a message.
type facts struct {
	id, flags  uint16
	name       []byte // of the question, uncompressed; nil without one
	typ, class uint16
	rcode      uint16 // 12 bits
	edns, do   bool
	payload    uint16
	reason     uint16   // EDE, or event.NoReason
	subnet     [16]byte // where subnetted
	bits       uint8
	subnetted  bool
	whole      bool // all records were read: what was not seen is not there
	problem    Problem
}

// recordFixed is what a record has between its owner and its data (RFC 1035, Section 4.1.3).
const recordFixed = 10

// scan reads a message in one pass; store is room for the question's name. What can be read before a breach is kept.
func (f *facts) scan(msg []byte, store *[wire.MaxName]byte) {
	*f = facts{reason: event.NoReason}
	if len(msg) < wire.HeaderSize {
		f.problem = ShortHeader
		return
	}
	h := wire.ReadHeader(msg)
	f.id, f.flags, f.rcode = h.ID, h.Flags, h.Flags&15
	at := wire.HeaderSize
	if h.QD > 0 {
		name, end, err := wire.UnpackName(msg, at, store[:0])
		if err != nil || end+4 > len(msg) {
			f.problem = BadQuestion
			return
		}
		f.name = name
		f.typ, f.class = binary.BigEndian.Uint16(msg[end:]), binary.BigEndian.Uint16(msg[end+2:])
		at = end + 4
	}
	if h.QD > 1 { // RFC 9619: a query has one question
		f.problem = ManyQuestions
		return
	}
	for i := int(h.AN) + int(h.NS) + int(h.AR); i > 0; i-- {
		end, err := wire.SkipName(msg, at)
		if err != nil || end+recordFixed > len(msg) {
			f.problem = BadRecords
			return
		}
		body := end + recordFixed
		length := int(binary.BigEndian.Uint16(msg[end+8:]))
		if body+length > len(msg) {
			f.problem = BadRecords
			return
		}
		if i <= int(h.AR) && wire.Type(binary.BigEndian.Uint16(msg[end:])) == wire.TypeOPT && !f.edns {
			f.option(msg[end:body], msg[body:body+length])
		}
		at = body + length
	}
	f.whole = true
	if at < len(msg) {
		f.problem = Trailing
	}
}

// option reads an OPT record (RFC 6891, Section 6.1): its class is the buffer size, its TTL the upper rcode, version and flags.
func (f *facts) option(fixed, options []byte) {
	f.edns = true
	f.payload = binary.BigEndian.Uint16(fixed[2:])
	f.rcode |= uint16(fixed[4]) << 4
	f.do = fixed[6]&0x80 != 0
	for len(options) >= 4 {
		code, length := binary.BigEndian.Uint16(options), int(binary.BigEndian.Uint16(options[2:]))
		if options = options[4:]; length > len(options) {
			return
		}
		if code == wire.OptionECS && !f.subnetted {
			q := wire.Query{Subnet: options[:length]}
			f.subnet, f.bits, f.subnetted = q.ClientSubnet()
		}
		if code == wire.OptionEDE && length >= 2 && f.reason == event.NoReason { // RFC 8914, Section 2
			f.reason = binary.BigEndian.Uint16(options)
		}
		options = options[length:]
	}
}

// IsReply tells from the header which way a message went.
func IsReply(msg []byte) bool { return len(msg) > 2 && msg[2]&0x80 != 0 }
