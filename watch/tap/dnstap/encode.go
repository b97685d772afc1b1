package dnstap

import "google.golang.org/protobuf/encoding/protowire"

// Append appends the message as a frame's content. What Has lacks, and octets that are nil, are left out.
func (m *Message) Append(b []byte) []byte {
	b = appendOctets(b, outerIdentity, m.Identity)
	b = appendOctets(b, outerVersion, m.Version)
	b = appendOctets(b, outerExtra, m.Extra)
	b = protowire.AppendTag(b, outerMessage, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(m.size()))
	b = m.appendFields(b)
	return appendNumber(b, outerType, outerMESSAGE)
}

// appendFields writes the message inside; size must agree with it.
func (m *Message) appendFields(b []byte) []byte {
	b = appendNumber(b, fieldType, uint64(m.Type))
	if m.Has&HasFamily != 0 {
		b = appendNumber(b, fieldFamily, uint64(m.Family))
	}
	if m.Has&HasProtocol != 0 {
		b = appendNumber(b, fieldProtocol, uint64(m.Protocol))
	}
	b = appendOctets(b, fieldQueryAddress, m.QueryAddress)
	b = appendOctets(b, fieldResponseAddress, m.ResponseAddress)
	if m.Has&HasQueryPort != 0 {
		b = appendNumber(b, fieldQueryPort, uint64(m.QueryPort))
	}
	if m.Has&HasResponsePort != 0 {
		b = appendNumber(b, fieldResponsePort, uint64(m.ResponsePort))
	}
	if m.Has&HasQueryTime != 0 {
		b = appendTime(b, fieldQuerySec, fieldQueryNsec, m.QueryTime)
	}
	b = appendOctets(b, fieldQuery, m.Query)
	b = appendOctets(b, fieldQueryZone, m.QueryZone)
	if m.Has&HasResponseTime != 0 {
		b = appendTime(b, fieldResponseSec, fieldResponseNsec, m.ResponseTime)
	}
	b = appendOctets(b, fieldResponse, m.Response)
	return appendOctets(b, fieldPolicy, m.Policy)
}

func (m *Message) size() int {
	number := func(v uint64) int { return 1 + protowire.SizeVarint(v) }
	n := number(uint64(m.Type))
	if m.Has&HasFamily != 0 {
		n += number(uint64(m.Family))
	}
	if m.Has&HasProtocol != 0 {
		n += number(uint64(m.Protocol))
	}
	if m.Has&HasQueryPort != 0 {
		n += number(uint64(m.QueryPort))
	}
	if m.Has&HasResponsePort != 0 {
		n += number(uint64(m.ResponsePort))
	}
	if m.Has&HasQueryTime != 0 {
		n += number(uint64(m.QueryTime/1e9)) + 5
	}
	if m.Has&HasResponseTime != 0 {
		n += number(uint64(m.ResponseTime/1e9)) + 5
	}
	for _, octets := range [...][]byte{m.QueryAddress, m.ResponseAddress, m.Query, m.QueryZone, m.Response, m.Policy} {
		if octets != nil {
			n += 1 + protowire.SizeBytes(len(octets))
		}
	}
	return n
}

func appendNumber(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendOctets(b []byte, field protowire.Number, octets []byte) []byte {
	if octets == nil {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), octets)
}

func appendTime(b []byte, sec, nsec protowire.Number, t int64) []byte {
	b = appendNumber(b, sec, uint64(t/1e9))
	return protowire.AppendFixed32(protowire.AppendTag(b, nsec, protowire.Fixed32Type), uint32(t%1e9))
}
