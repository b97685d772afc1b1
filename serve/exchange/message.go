package exchange

import (
	"encoding/binary"

	"anyu/dns/wire"
)

// paddingBlock: RFC 8467, Section 4.1: queries are padded to a multiple of 128 octets.
const paddingBlock = 128

// build makes the message: header, question, OPT. Messages after the first get memory of their own, since the one before may still be on
// its way out.
func (x *Exchange) build() {
	q := x.ask.Question
	flags := uint16(0)
	if x.ask.RD {
		flags |= wire.FlagRD
	}
	if x.ask.CD {
		flags |= wire.FlagCD
	}
	b := x.msg[:0]
	if size := wire.HeaderSize + len(q.Name) + 4 + 11 + 4 + 40; x.sends > 1 || cap(b) < size {
		b = make([]byte, 0, size)
	}
	b = binary.BigEndian.AppendUint16(b, x.id)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0)
	b = x.appendName(b, q.Name)
	b = binary.BigEndian.AppendUint16(b, uint16(q.Type))
	b = binary.BigEndian.AppendUint16(b, uint16(q.Class))
	x.cookie = false
	if x.edns {
		b[11] = 1
		b = x.appendOPT(b)
	}
	x.msg = b
}

// appendName appends the name with its letters in random case (draft-vixie-dnsext-dns0x20): bits that a forger has to guess.
func (x *Exchange) appendName(b []byte, name wire.Name) []byte {
	start := len(b)
	b = append(b, name...)
	if !x.mixed {
		return b
	}
	var bits uint64
	for i, n := start, 0; i < len(b); i++ {
		if c := b[i] | 0x20; c < 'a' || c > 'z' {
			continue // also the lengths of labels: they are at most 63
		}
		if n%64 == 0 {
			bits = x.random()
		}
		b[i] = b[i]&^0x20 | byte(bits&1)<<5
		bits >>= 1
		n++
	}
	return b
}

// appendOPT appends EDNS version 0 with DO (RFC 6891; RFC 3225), over UDP a cookie (RFC 7873, Section 5.1), over
// TCP and TLS the question how long a connection may stay (RFC 7828, Section 3.2.1: without a time), where nobody can read padding (RFC 8467).
func (x *Exchange) appendOPT(b []byte) []byte {
	b = append(b, 0, 0, byte(wire.TypeOPT))
	b = binary.BigEndian.AppendUint16(b, Payload)
	b = append(b, 0, 0, 0x80, 0, 0, 0)
	size := len(b)
	if x.stream && x.tcp {
		b = append(b, 0, wire.OptionKeepalive, 0, 0)
	}
	switch {
	case !x.stream:
		x.cookie = true
		b = binary.BigEndian.AppendUint16(b, wire.OptionCookie)
		b = binary.BigEndian.AppendUint16(b, uint16(8+x.known.Length))
		b = append(b, x.client[:]...)
		b = append(b, x.known.Server[:x.known.Length]...)
	case x.encrypted:
		pad := (paddingBlock - (len(b)+4)%paddingBlock) % paddingBlock
		b = binary.BigEndian.AppendUint16(b, wire.OptionPadding)
		b = binary.BigEndian.AppendUint16(b, uint16(pad))
		b = append(b, make([]byte, pad)...)
	}
	binary.BigEndian.PutUint16(b[size-2:], uint16(len(b)-size))
	return b
}

// name is the name as it was sent.
func (x *Exchange) name() []byte {
	return x.msg[wire.HeaderSize : wire.HeaderSize+len(x.ask.Question.Name)]
}
