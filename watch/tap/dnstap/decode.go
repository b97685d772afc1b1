package dnstap

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Error is a frame that is no dnstap message.
type Error struct {
	Offset int // in the frame
	Text   string
}

func (e *Error) Error() string { return fmt.Sprintf("octet %d of the frame: %s", e.Offset, e.Text) }

// Numbers of the fields of the outer message and of Message.
const (
	outerIdentity = 1
	outerVersion  = 2
	outerExtra    = 3
	outerMessage  = 14
	outerType     = 15
	outerMESSAGE  = 1 // the one value of outerType

	fieldType            = 1
	fieldFamily          = 2
	fieldProtocol        = 3
	fieldQueryAddress    = 4
	fieldResponseAddress = 5
	fieldQueryPort       = 6
	fieldResponsePort    = 7
	fieldQuerySec        = 8
	fieldQueryNsec       = 9
	fieldQuery           = 10
	fieldQueryZone       = 11
	fieldResponseSec     = 12
	fieldResponseNsec    = 13
	fieldResponse        = 14
	fieldPolicy          = 15
)

// value is one field as it stands in the frame: a number or octets.
type value struct {
	field  protowire.Number
	kind   protowire.Type
	number uint64
	octets []byte
	at     int // of the octets, or the number
}

// next reads the field at the start of b, which stands at offset at of the frame, and returns its length.
func next(b []byte, at int) (v value, n int, err *Error) {
	field, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return v, 0, &Error{at, "no protobuf: a field's number is cut or wrong"}
	}
	v.field, v.kind, v.at = field, kind, at+n
	m := 0
	switch kind {
	case protowire.VarintType:
		v.number, m = protowire.ConsumeVarint(b[n:])
	case protowire.Fixed32Type:
		var x uint32
		x, m = protowire.ConsumeFixed32(b[n:])
		v.number = uint64(x)
	case protowire.Fixed64Type:
		v.number, m = protowire.ConsumeFixed64(b[n:])
	case protowire.BytesType:
		v.octets, m = protowire.ConsumeBytes(b[n:])
		v.at += m - len(v.octets)
	default: // groups, which the schema has none of
		m = protowire.ConsumeFieldValue(field, kind, b[n:])
	}
	if m < 0 {
		return v, 0, &Error{at + n, fmt.Sprintf("no protobuf: field %d is cut or wrong", field)}
	}
	return v, n + m, nil
}

// want refuses a known field of another kind than the schema says.
func (v *value) want(kind protowire.Type) *Error {
	if v.kind != kind {
		return &Error{v.at, fmt.Sprintf("field %d has wire type %d, not %d", v.field, v.kind, kind)}
	}
	return nil
}

// Decode reads a frame.
func (m *Message) Decode(frame []byte) error {
	*m = Message{}
	kind, inside := uint64(0), false
	for at := 0; at < len(frame); {
		v, n, err := next(frame[at:], at)
		if err != nil {
			return err
		}
		switch v.field {
		case outerIdentity, outerVersion, outerExtra, outerMessage:
			err = v.want(protowire.BytesType)
		case outerType:
			err = v.want(protowire.VarintType)
		}
		if err != nil {
			return err
		}
		switch v.field {
		case outerIdentity:
			m.Identity = v.octets
		case outerVersion:
			m.Version = v.octets
		case outerExtra:
			m.Extra = v.octets
		case outerType:
			kind = v.number
		case outerMessage:
			inside = true
			if err := m.fields(v.octets, v.at); err != nil {
				return err
			}
		}
		at += n
	}
	switch {
	case kind != outerMESSAGE:
		return &Error{0, fmt.Sprintf("type %d of the frame is unknown: 1 is a message", kind)}
	case !inside:
		return &Error{0, "a frame without a message"}
	case m.Type == 0:
		return &Error{0, "a message without its type"}
	}
	return nil
}

// times gathers what is told in two fields each, of the query and of the response.
type times struct {
	sec, nsec [2]uint64
	hasSec    [2]bool
}

// maxSeconds is the last second that nanoseconds in an int64 reach, in 2262.
const maxSeconds = math.MaxInt64/1_000_000_000 - 1

// fields reads the message inside a frame, at offset base of it.
func (m *Message) fields(b []byte, base int) error {
	var t times
	for at := 0; at < len(b); {
		v, n, err := next(b[at:], base+at)
		if err != nil {
			return err
		}
		if err := m.field(&v, &t); err != nil {
			return err
		}
		at += n
	}
	for i, where := range [...]struct {
		to  *int64
		bit Fields
	}{{&m.QueryTime, HasQueryTime}, {&m.ResponseTime, HasResponseTime}} {
		if !t.hasSec[i] || t.sec[i] == 0 { // 1970 is a server that does not know
			continue
		}
		if t.sec[i] > maxSeconds || t.nsec[i] >= 1e9 {
			return &Error{base, fmt.Sprintf("a time of %d seconds and %d nanoseconds", t.sec[i], t.nsec[i])}
		}
		*where.to = int64(t.sec[i])*1e9 + int64(t.nsec[i])
		m.Has |= where.bit
	}
	return nil
}

// field takes one field of the message.
func (m *Message) field(v *value, t *times) error {
	switch v.field {
	case fieldType, fieldFamily, fieldProtocol, fieldQueryPort, fieldResponsePort, fieldQuerySec, fieldResponseSec:
		if err := v.want(protowire.VarintType); err != nil {
			return err
		}
		return m.number(v, t)
	case fieldQueryNsec, fieldResponseNsec:
		if err := v.want(protowire.Fixed32Type); err != nil {
			return err
		}
		which := 0
		if v.field == fieldResponseNsec {
			which = 1
		}
		t.nsec[which] = v.number
		return nil
	case fieldQueryAddress, fieldResponseAddress, fieldQuery, fieldQueryZone, fieldResponse, fieldPolicy:
		if err := v.want(protowire.BytesType); err != nil {
			return err
		}
		return m.octets(v)
	}
	return nil
}

func (m *Message) number(v *value, t *times) error {
	switch v.field {
	case fieldType:
		m.Type = Type(min(v.number, math.MaxUint8))
		if v.number == 0 {
			return &Error{v.at, "a message of type 0"}
		}
	case fieldFamily:
		m.Family, m.Has = uint8(min(v.number, math.MaxUint8)), m.Has|HasFamily
	case fieldProtocol:
		m.Protocol, m.Has = Protocol(min(v.number, math.MaxUint8)), m.Has|HasProtocol
	case fieldQueryPort, fieldResponsePort:
		if v.number > math.MaxUint16 {
			return &Error{v.at, fmt.Sprintf("port %d", v.number)}
		}
		if v.field == fieldQueryPort {
			m.QueryPort, m.Has = uint16(v.number), m.Has|HasQueryPort
		} else {
			m.ResponsePort, m.Has = uint16(v.number), m.Has|HasResponsePort
		}
	case fieldQuerySec:
		t.sec[0], t.hasSec[0] = v.number, true
	case fieldResponseSec:
		t.sec[1], t.hasSec[1] = v.number, true
	}
	return nil
}

func (m *Message) octets(v *value) error {
	switch v.field {
	case fieldQuery:
		m.Query = v.octets
	case fieldResponse:
		m.Response = v.octets
	case fieldQueryZone:
		m.QueryZone = v.octets
	case fieldPolicy:
		m.Policy = v.octets
	default:
		switch len(v.octets) {
		case 0: // a server that does not know
			return nil
		case 4, 16:
		default:
			return &Error{v.at, fmt.Sprintf("an address of %d octets", len(v.octets))}
		}
		if v.field == fieldQueryAddress {
			m.QueryAddress = v.octets
		} else {
			m.ResponseAddress = v.octets
		}
	}
	return nil
}
