// Package reply finishes answers, for all of them alike: the OPT record with its options (RFC 6891), the size an answer may
// have, padding (RFC 8467), and the short answers that need no zone: errors, and truncated ones.
//
// The package promises: the OPT record always fits, also beside TC, because its size is known before the answer is built.
// It refuses to choose an RCODE; it writes the one it is given.
package reply

import (
	"encoding/binary"

	"anyu/dns/wire"
)

const (
	// MinUDP is the size every client takes (RFC 1035, Section 4.2.1); a smaller EDNS size counts as this
	// (RFC 6891, Section 6.2.3; servers.md 5.1, case 60).
	MinUDP = 512
	// paddingBlock is the length of padded answers (RFC 8467, Section 4.1).
	paddingBlock = 468
	// maxText bounds EXTRA-TEXT and NSID, so that the OPT record leaves room for an answer in 512 octets.
	maxText = 128

	optFixed    = 11
	cookieRoom  = 24
	extRcodeBit = 4
)

// OPT is what the OPT record of one answer says.
type OPT struct {
	Present   bool   // the client sent one
	Payload   uint16 // what we take over UDP
	DO        bool   // copied (RFC 3225, Section 3)
	NSID      []byte // nil: none
	Cookie    []byte // nil or cookieRoom octets
	Keepalive int    // in 100 ms, -1: none (RFC 7828)
	Expire    int64  // seconds, -1: none (RFC 7314)
	Reason    uint16 // EDE INFO-CODE, NoReason: none (RFC 8914)
	Text      string // EXTRA-TEXT
	Pad       bool   // pad to a multiple of paddingBlock
}

// NoReason is the absence of an EDE.
const NoReason = 0xFFFF

// Size is the length of the record without padding.
func (o *OPT) Size() int {
	if !o.Present {
		return 0
	}
	n := optFixed
	if o.NSID != nil {
		n += 4 + min(len(o.NSID), maxText)
	}
	if o.Cookie != nil {
		n += 4 + len(o.Cookie)
	}
	if o.Keepalive >= 0 {
		n += 6
	}
	if o.Expire >= 0 {
		n += 8
	}
	if o.Reason != NoReason {
		n += 6 + min(len(o.Text), maxText)
	}
	return n
}

// Append appends the record to a message. limit is the largest size the message may have; padding stops there.
func (o *OPT) Append(msg []byte, rcode wire.Rcode, limit int) []byte {
	if !o.Present {
		return msg
	}
	ttl := uint32(rcode>>extRcodeBit) << 24
	if o.DO {
		ttl |= 1 << 15
	}
	at := len(msg)
	msg = append(msg, 0, 0, byte(wire.TypeOPT), byte(o.Payload>>8), byte(o.Payload), byte(ttl>>24), 0, byte(ttl>>8), 0, 0, 0)
	msg = o.appendOptions(msg)
	if o.Pad {
		msg = pad(msg, limit)
	}
	binary.BigEndian.PutUint16(msg[at+9:], uint16(len(msg)-at-optFixed))
	return msg
}

func (o *OPT) appendOptions(msg []byte) []byte {
	if o.NSID != nil {
		id := o.NSID[:min(len(o.NSID), maxText)]
		msg = append(option(msg, wire.OptionNSID, len(id)), id...)
	}
	if o.Cookie != nil {
		msg = append(option(msg, wire.OptionCookie, len(o.Cookie)), o.Cookie...)
	}
	if o.Keepalive >= 0 {
		msg = binary.BigEndian.AppendUint16(option(msg, wire.OptionKeepalive, 2), uint16(o.Keepalive))
	}
	if o.Expire >= 0 {
		msg = binary.BigEndian.AppendUint32(option(msg, wire.OptionExpire, 4), uint32(o.Expire))
	}
	if o.Reason != NoReason {
		text := o.Text[:min(len(o.Text), maxText)]
		msg = binary.BigEndian.AppendUint16(option(msg, wire.OptionEDE, 2+len(text)), o.Reason)
		msg = append(msg, text...)
	}
	return msg
}

func option(msg []byte, code, length int) []byte {
	return append(msg, byte(code>>8), byte(code), byte(length>>8), byte(length))
}

// pad adds a PADDING option so that the message is a multiple of paddingBlock (RFC 7830; RFC 8467, Section 4.1).
func pad(msg []byte, limit int) []byte {
	want := (len(msg) + 4 + paddingBlock - 1) / paddingBlock * paddingBlock
	n := min(want, limit) - len(msg) - 4
	if n < 0 {
		return msg
	}
	msg = option(msg, wire.OptionPadding, n)
	for range n {
		msg = append(msg, 0)
	}
	return msg
}

// Limit is the largest answer for a client: ours and its own over UDP, everything over a stream.
func Limit(q *wire.Query, udp bool, ours uint16) int {
	if !udp {
		return 65535
	}
	if !q.HasEDNS {
		return MinUDP
	}
	return int(max(MinUDP, min(q.Payload, ours)))
}

// Flags are the flags of an answer: QR, opcode and RD from the question, CD too where a resolver answers (RFC 4035, Section
// 3.2.2); everything else is the caller's. (case 52)
func Flags(q *wire.Query, rcode wire.Rcode) uint16 {
	return wire.FlagQR | q.Flags&(0x7800|wire.FlagRD) | uint16(rcode&15)
}

// Short writes an answer without records to out: header, the question if it could be read, OPT. An extended RCODE needs the
// OPT; without one the caller chooses another RCODE. more are extra flags (AA, TC).
//
// RFC 1035, Section 4.1.1: a FORMERR answer keeps only QR, opcode and RD. (case 56)
func Short(out []byte, msg []byte, q *wire.Query, rcode wire.Rcode, more uint16, o *OPT) int {
	n := wire.HeaderSize
	h := wire.Header{ID: q.ID, Flags: Flags(q, rcode) | more}
	if q.Name != nil && rcode != wire.FormErr {
		n = q.End
		copy(out[wire.HeaderSize:n], msg[wire.HeaderSize:n])
		h.QD = 1
	}
	if o.Present {
		h.AR = 1
	}
	h.Put(out)
	return len(o.Append(out[:n:len(out)], rcode, 65535))
}
