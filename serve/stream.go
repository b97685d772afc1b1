package serve

import (
	"encoding/binary"
	"time"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/listen"
	"anyu/serve/reply"
)

// refuse writes a short REFUSED.
func refuse(out, msg []byte, q *wire.Query) int {
	return reply.Short(out, msg, q, wire.Refused, 0, &reply.OPT{Keepalive: -1, Expire: -1, Reason: reply.NoReason})
}

// emitStream makes the observation of a transfer. Its size is that of the whole stream, capped at what the field holds.
func (s *Server) emitStream(q *wire.Query, msg []byte, from *listen.Client, done Streamed) {
	if s.streams.ring == nil {
		return
	}
	o := event.Query{
		Has:  event.HasClient | event.HasServer | event.HasTime | event.HasLatency | event.HasQuery | event.HasReply,
		Zone: done.Zone, Time: from.Arrived, Latency: max(0, time.Now().UnixNano()-from.Arrived), Clock: event.ClockSelf,
		Reason: event.NoReason, Transport: from.Transport, From: event.FromTransfer,
		ID: q.ID, QueryFlags: q.Header.Flags, QuerySize: uint16(len(msg)), Type: uint16(q.Type), Class: uint16(q.Class),
		Payload: q.Payload, DO: q.DO, Name: q.Name, Rcode: uint16(done.Rcode), ReplySize: uint16(min(done.Bytes, 0xFFFF)),
		Reply: done.First,
	}
	if done.Zone != 0 {
		o.Has |= event.HasZone
	}
	if len(done.First) >= wire.HeaderSize {
		o.Flags = binary.BigEndian.Uint16(done.First[2:])
	}
	o.Client, o.ClientPort = address(from.Remote)
	o.Server, o.ServerPort = address(from.Local)
	s.streams.Lock()
	defer s.streams.Unlock()
	s.streams.ring.Put(&o)
}
