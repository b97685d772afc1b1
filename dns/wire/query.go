package wire

import "encoding/binary"

// EDNS option codes (IANA registry).
const (
	OptionNSID      = 3
	OptionECS       = 8
	OptionExpire    = 9
	OptionCookie    = 10
	OptionKeepalive = 11
	OptionPadding   = 12
	OptionEDE       = 15
)

// maxOptions bounds how many EDNS options of a query are looked at; the rest is skipped. It stops option floods
// (CVE-2026-41292, CVE-2026-42944).
const maxOptions = 20

// Wants is the set of EDNS options a query carried.
type Wants uint8

const (
	WantsNSID Wants = 1 << iota
	WantsPadding
	WantsKeepalive
	WantsExpire
)

// Query is a client's message, read in one pass. Its slices point into the message.
type Query struct {
	Header
	Name  Name // in the message itself, so with the case of the question; nil when QDCOUNT is 0
	Type  Type
	Class Class
	End   int // offset after the question

	HasEDNS bool
	DO      bool
	Version uint8
	Payload uint16 // as sent; 0 without EDNS
	Wants   Wants
	Cookie  []byte // contents of the first COOKIE option
	Subnet  []byte // contents of the first client subnet option, which nothing here depends on

	TSIG int // offset of a TSIG record at the end, 0 without
}

// Verdict says what to do with a message that was read as a query.
type Verdict uint8

const (
	Good      Verdict = iota
	Silent            // no answer: not a query, or not even a header
	Malformed         // FORMERR
	Unknown           // an opcode whose message is not read: NOTIMP
)

// Read reads msg as a query. With Malformed, Header is set and Name is nil when the question could not be read.
//
// RFC 1035, Section 4.1.1: a message with QR set is no query; answering it could start a loop. (servers.md 5.1, case 55)
func (q *Query) Read(msg []byte) Verdict {
	if len(msg) < HeaderSize {
		return Silent
	}
	*q = Query{Header: ReadHeader(msg)}
	if q.Flags&FlagQR != 0 {
		return Silent
	}
	switch q.Opcode() {
	case OpcodeQuery, OpcodeNotify, OpcodeUpdate:
	default:
		return Unknown
	}
	// RFC 9619: QDCOUNT of a query is at most 1. RFC 7873, Section 5.4: 0 is legal with a COOKIE. (cases 54)
	if q.QD > 1 {
		return Malformed
	}
	off := HeaderSize
	if q.QD == 1 {
		end, err := skipLabels(msg, off)
		if err != nil || end+4 > len(msg) {
			return Malformed
		}
		q.Name = Name(msg[off:end])
		q.Type = Type(binary.BigEndian.Uint16(msg[end:]))
		q.Class = Class(binary.BigEndian.Uint16(msg[end+2:]))
		off = end + 4
	}
	q.End = off
	if q.AN|q.NS|q.AR == 0 {
		if off != len(msg) {
			return Malformed
		}
		return q.bare()
	}
	return q.readRecords(msg, off)
}

// QuestionOf returns the octets of the question (name, type, class) of a message that has exactly one, else nil. It looks at nothing else.
func QuestionOf(msg []byte) []byte {
	if len(msg) < HeaderSize || binary.BigEndian.Uint16(msg[4:]) != 1 {
		return nil
	}
	end, err := skipLabels(msg, HeaderSize)
	if err != nil || end+4 > len(msg) {
		return nil
	}
	return msg[HeaderSize : end+4]
}

// ClientSubnet reads the client subnet that the query carried (RFC 7871, Section 6), an IPv4 address as ::ffff:a.b.c.d; false where there is none
// that can be read.
func (q *Query) ClientSubnet() (addr [16]byte, bits uint8, ok bool) {
	d := q.Subnet
	if len(d) < 4 {
		return addr, 0, false
	}
	at := 0
	switch binary.BigEndian.Uint16(d) {
	case 1:
		addr[10], addr[11], at = 0xFF, 0xFF, 12
	case 2:
	default:
		return addr, 0, false
	}
	if bits = d[2]; int(bits) > 8*(16-at) || len(d)-4 != (int(bits)+7)/8 {
		return addr, 0, false
	}
	copy(addr[at:], d[4:])
	return addr, bits, true
}

func (q *Query) bare() Verdict {
	if q.QD == 0 {
		return Malformed
	}
	return Good
}

// readRecords walks the sections after the question for OPT and TSIG.
func (q *Query) readRecords(msg []byte, off int) Verdict {
	before := int(q.AN) + int(q.NS)
	for i := range before + int(q.AR) {
		start := off
		end, err := SkipName(msg, off)
		if err != nil || end+10 > len(msg) {
			return Malformed
		}
		t := Type(binary.BigEndian.Uint16(msg[end:]))
		length := int(binary.BigEndian.Uint16(msg[end+8:]))
		off = end + 10 + length
		if off > len(msg) || q.TSIG != 0 {
			return Malformed // RFC 8945, Section 5.1: nothing follows a TSIG
		}
		switch {
		case t == TypeOPT:
			// RFC 6891, Section 6.1.1: one OPT, in the additional section, at the root. (case 58)
			if i < before || q.HasEDNS || end != start+1 {
				return Malformed
			}
			if !q.readOPT(msg[end:end+10], msg[end+10:off]) {
				return Malformed
			}
		case t == TypeTSIG:
			if i < before {
				return Malformed
			}
			q.TSIG = start
		}
	}
	if off != len(msg) {
		return Malformed
	}
	if q.QD == 0 && len(q.Cookie) == 0 {
		return Malformed
	}
	return Good
}

// readOPT reads the fixed part of an OPT record from its type on, and its options (RFC 6891, Section 6.1.2).
func (q *Query) readOPT(fixed, options []byte) bool {
	q.HasEDNS = true
	q.Payload = binary.BigEndian.Uint16(fixed[2:])
	q.Version = fixed[5]
	q.DO = fixed[6]&0x80 != 0
	// RFC 6891, Section 6.1.3: another version is BADVERS, whatever its options look like to us.
	other := q.Version != 0
	for n := 0; len(options) > 0; n++ {
		if len(options) < 4 {
			return other
		}
		code, length := binary.BigEndian.Uint16(options), int(binary.BigEndian.Uint16(options[2:]))
		if 4+length > len(options) {
			return other
		}
		if n < maxOptions && !q.option(code, options[4:4+length]) {
			return other
		}
		options = options[4+length:]
	}
	return true
}

func (q *Query) option(code uint16, data []byte) bool {
	switch code {
	case OptionNSID:
		q.Wants |= WantsNSID
	case OptionPadding:
		q.Wants |= WantsPadding
	case OptionExpire:
		q.Wants |= WantsExpire
	case OptionKeepalive:
		// RFC 7828, Section 3.2.1: a client sends no timeout.
		if len(data) != 0 {
			return false
		}
		q.Wants |= WantsKeepalive
	case OptionCookie:
		// RFC 7873, Section 5.2.2: 8 octets, or 16 to 40; anything else is FORMERR.
		if len(data) != 8 && (len(data) < 16 || len(data) > 40) {
			return false
		}
		if q.Cookie == nil {
			q.Cookie = data
		}
	case OptionECS:
		if q.Subnet == nil {
			q.Subnet = data
		}
	}
	return true
}
