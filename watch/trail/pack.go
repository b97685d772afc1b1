package trail

import (
	"bytes"
	"encoding/binary"
	"time"

	"anyu/dns/wire"
	"anyu/event"
)

// A row in an append-only file of walMagic's version: rowFixed octets, then what the mask of known fields says is there, the name, and what is kept
// of the reply. Nothing is parsed while it is written.
const rowFixed = 58

// What is kept of a reply, for its answers.
const (
	replyUnseen = iota
	replyTail   // what follows the question, which is the row's own
	replyWhole  // a reply with another question, or none
)

// The lengths of the parts that are there only when known: addresses with ports, counts, a prefix.
const (
	clientPart, serverPart, upstreamPart, askedPart, subnetPart = 16, 18, 19, 10, 17
	samplePart                                                  = 8

	maxPacked = rowFixed + clientPart + serverPart + upstreamPart + askedPart + subnetPart + samplePart + 255 + event.ReplyCap
)

// hasSample is the bit of a packed row's mask that says that it stands for more than its own question; files from before December 2026 do not have it.
const hasSample event.Known = 1 << 31

// packing says what of an observation is packed.
type packing struct {
	has     event.Known // of the fields that are facts
	answers bool
}

// pack appends an observation, which stands for oneOf questions, to b.
func (p *packing) pack(b []byte, q *event.Query, oneOf int64) []byte {
	le := binary.LittleEndian
	has, name := q.Has&p.has&^hasSample, q.Name
	if oneOf > 1 {
		has |= hasSample
	}
	if len(name) > 255 {
		name = nil
	}
	do := byte(0)
	if q.DO {
		do = 1
	}
	state, answers, reply := byte(replyUnseen), uint16(0), []byte(nil)
	if p.answers {
		state, answers, reply = keptReply(q)
	}
	b = le.AppendUint32(b, uint32(has))
	b = le.AppendUint32(b, q.Zone)
	b = le.AppendUint64(b, uint64(q.Time))
	b = le.AppendUint64(b, uint64(q.Latency))
	for _, v := range [...]uint16{q.Source, q.ClientPort, q.QueryFlags, q.Flags, q.Rcode, q.Type, q.Class, q.Payload, q.Reason, q.QuerySize, q.ReplySize, q.ID, answers, uint16(len(reply))} {
		b = le.AppendUint16(b, v)
	}
	b = append(b, byte(q.Transport)|byte(q.Clock)<<4, byte(q.From), do, byte(q.Policy), state, byte(len(name)))
	if has&event.HasClient != 0 {
		b = append(b, q.Client[:]...)
	}
	if has&event.HasServer != 0 {
		b = le.AppendUint16(append(b, q.Server[:]...), q.ServerPort)
	}
	if has&event.HasUpstream != 0 {
		b = append(le.AppendUint16(append(b, q.Upstream[:]...), q.UpstreamPort), byte(q.UpstreamOver))
	}
	if has&event.HasAsked != 0 {
		b = le.AppendUint64(le.AppendUint16(b, q.Asked), uint64(q.AskedTime))
	}
	if has&event.HasSubnet != 0 {
		b = append(append(b, q.Subnet[:]...), q.SubnetBits)
	}
	if oneOf > 1 {
		b = le.AppendUint64(b, uint64(oneOf))
	}
	return append(append(b, name...), reply...)
}

// keptReply is what of the reply's copy is kept: nothing where it has no answers.
func keptReply(q *event.Query) (state byte, answers uint16, kept []byte) {
	if q.Has&event.HasReply == 0 || len(q.Reply) < wire.HeaderSize {
		return replyUnseen, 0, nil
	}
	reply := q.Reply[:min(len(q.Reply), event.ReplyCap)]
	questions := binary.BigEndian.Uint16(reply[4:])
	if answers = binary.BigEndian.Uint16(reply[6:]); answers == 0 {
		return replyTail, 0, nil
	}
	end := wire.HeaderSize + len(q.Name)
	if questions == 1 && len(q.Name) > 0 && len(q.Name) <= 255 && len(reply) >= end+4 && bytes.Equal(reply[wire.HeaderSize:end], q.Name) &&
		binary.BigEndian.Uint16(reply[end:]) == q.Type && binary.BigEndian.Uint16(reply[end+2:]) == q.Class {
		return replyTail, answers, reply[end+4:]
	}
	return replyWhole, answers, reply
}

// setRowTime changes the time of the packed row b begins with.
func setRowTime(b []byte, at time.Time) { binary.LittleEndian.PutUint64(b[8:], uint64(at.UnixNano())) }

// packed is a row read from an append-only file. Its Name and reply are parts of what it was read from.
type packed struct {
	event.Query
	state   byte
	answers uint16 // ANCOUNT
	reply   []byte
	hasID   bool
	oneOf   int64 // that it stands for; 1: itself
}

// next unpacks the first row of b and gives the rest; false at the end or where b is no row.
func (q *packed) next(b []byte) (rest []byte, ok bool) {
	if len(b) < rowFixed {
		return nil, false
	}
	le := binary.LittleEndian
	q.Has, q.Zone = event.Known(le.Uint32(b)), le.Uint32(b[4:])
	q.Time, q.Latency = int64(le.Uint64(b[8:])), int64(le.Uint64(b[16:]))
	var reply uint16
	for i, v := range [...]*uint16{&q.Source, &q.ClientPort, &q.QueryFlags, &q.Flags, &q.Rcode, &q.Type, &q.Class, &q.Payload, &q.Reason, &q.QuerySize, &q.ReplySize, &q.ID, &q.answers, &reply} {
		*v = le.Uint16(b[24+2*i:])
	}
	q.Transport, q.Clock, q.From, q.DO = event.Transport(b[52]&15), event.Clock(b[52]>>4), event.From(b[53]), b[54] != 0
	q.Policy, q.state, q.hasID = event.Policy(b[55]), b[56], true
	name := int(b[57])
	b = b[rowFixed:]
	if len(b) < partsLength(q.Has)+name+int(reply) {
		return nil, false
	}
	b = q.parts(b)
	q.Name, q.reply = b[:name:name], b[name:name+int(reply)]
	return b[name+int(reply):], true
}

// packedHead is what the writer has to know of a packed row.
type packedHead struct {
	has    event.Known
	zone   uint32
	time   int64 // ns
	source uint16
}

// headOf reads the head of the first row of b, and its length; 0 at the end or where b is no row.
func headOf(b []byte) (h packedHead, length int) {
	if len(b) < rowFixed {
		return h, 0
	}
	le := binary.LittleEndian
	h = packedHead{event.Known(le.Uint32(b)), le.Uint32(b[4:]), int64(le.Uint64(b[8:])), le.Uint16(b[24:])}
	if length = rowFixed + partsLength(h.has) + int(b[57]) + int(le.Uint16(b[50:])); length > len(b) {
		return h, 0
	}
	return h, length
}

func partsLength(has event.Known) (n int) {
	for _, p := range [...]struct {
		bit    event.Known
		length int
	}{{event.HasClient, clientPart}, {event.HasServer, serverPart}, {event.HasUpstream, upstreamPart}, {event.HasAsked, askedPart}, {event.HasSubnet, subnetPart}, {hasSample, samplePart}} {
		if has&p.bit != 0 {
			n += p.length
		}
	}
	return n
}

// parts unpacks what the mask says is there; b is long enough.
func (q *packed) parts(b []byte) (rest []byte) {
	le := binary.LittleEndian
	if q.Has&event.HasClient != 0 {
		copy(q.Client[:], b)
		b = b[clientPart:]
	}
	if q.Has&event.HasServer != 0 {
		copy(q.Server[:], b)
		q.ServerPort = le.Uint16(b[16:])
		b = b[serverPart:]
	}
	if q.Has&event.HasUpstream != 0 {
		copy(q.Upstream[:], b)
		q.UpstreamPort, q.UpstreamOver = le.Uint16(b[16:]), event.Transport(b[18])
		b = b[upstreamPart:]
	}
	if q.Has&event.HasAsked != 0 {
		q.Asked, q.AskedTime = le.Uint16(b), int64(le.Uint64(b[2:]))
		b = b[askedPart:]
	}
	if q.Has&event.HasSubnet != 0 {
		copy(q.Subnet[:], b)
		q.SubnetBits = b[16]
		b = b[subnetPart:]
	}
	q.oneOf = 1
	if q.Has&hasSample != 0 {
		q.oneOf = int64(le.Uint64(b))
		b = b[samplePart:]
	}
	return b
}

// rowFixed1 is the length of a row before its name in a file of walMagic1, which was written until November 2026.
const rowFixed1 = 68

// next1 is next for files of walMagic1. They have no server, upstream, policy, subnet, ID or reply.
func (q *packed) next1(b []byte) (rest []byte, ok bool) {
	if len(b) < rowFixed1 || len(b) < rowFixed1+int(b[rowFixed1-1]) {
		return nil, false
	}
	le := binary.LittleEndian
	q.Has, q.Zone = event.Known(le.Uint32(b))&(event.HasClient|event.HasTime|event.HasLatency|event.HasQuery|event.HasReply|event.HasZone|event.HasReason), le.Uint32(b[4:])
	q.Time, q.Latency = int64(le.Uint64(b[8:])), int64(le.Uint64(b[16:]))
	copy(q.Client[:], b[24:40])
	for i, v := range [...]*uint16{&q.Source, &q.ClientPort, &q.QueryFlags, &q.Flags, &q.Rcode, &q.Type, &q.Class, &q.Payload, &q.Reason, &q.QuerySize, &q.ReplySize, &q.ID} {
		*v = le.Uint16(b[40+2*i:])
	}
	q.Transport, q.Clock, q.From, q.DO = event.Transport(b[64]&15), event.Clock(b[64]>>4), event.From(b[65]), b[66] != 0
	q.oneOf = 1
	end := rowFixed1 + int(b[rowFixed1-1])
	q.Name = b[rowFixed1:end:end]
	return b[end:], true
}
