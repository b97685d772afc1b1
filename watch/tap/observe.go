package tap

import (
	"math"

	"anyu/event"
)

// pair makes a transaction of a query and its response.
func (t *Table) pair(query, reply *sight) {
	t.Matched++
	t.begin(query)
	t.asks(query)
	t.answers(reply)
	q := &t.out.Query
	if q.Has&event.HasClient == 0 && reply.Has&event.HasClient != 0 {
		q.Client, q.ClientPort, q.Has = reply.Client, reply.ClientPort, q.Has|event.HasClient
	}
	if q.Has&event.HasServer == 0 && reply.Has&event.HasServer != 0 {
		q.Server, q.ServerPort, q.Has = reply.Server, reply.ServerPort, q.Has|event.HasServer
	}
	if q.Has&event.HasTime == 0 {
		t.timeFrom(reply)
	}
	if len(t.out.Zone) == 0 {
		t.out.Zone = reply.Zone
	}
	// A reply's own account of both times comes from one clock and one place; a zero is the mark of a server that had only one of them.
	switch {
	case reply.Asked != 0 && reply.Has&event.HasTime != 0 && reply.Time > reply.Asked:
		q.Latency, q.Clock = reply.Time-reply.Asked, event.ClockTap
	case query.Has&reply.Has&event.HasTime != 0 && reply.Time > query.Time:
		q.Latency, q.Clock = reply.Time-query.Time, event.ClockPaired
	}
	if q.Clock != event.ClockNone {
		q.Has |= event.HasLatency
	}
	t.emit(&t.out)
}

// single makes a transaction of a message alone.
func (t *Table) single(s *sight) {
	t.begin(s)
	if !s.Reply {
		t.UnmatchedQueries++
		t.asks(s)
		t.emit(&t.out)
		return
	}
	t.UnmatchedResponses++
	t.answers(s)
	q := &t.out.Query
	t.timeFrom(s)
	if s.Asked != 0 && s.Has&event.HasTime != 0 && s.Time > s.Asked {
		q.Latency, q.Clock, q.Has = s.Time-s.Asked, event.ClockTap, q.Has|event.HasLatency
	}
	q.Name, q.Type, q.Class = s.name, s.typ, s.class
	t.emit(&t.out)
}

// timeFrom takes the time from a reply: that of the question if it tells it, else its own.
func (t *Table) timeFrom(reply *sight) {
	q := &t.out.Query
	switch {
	case reply.Asked != 0:
		q.Time, q.Has = reply.Asked, q.Has|event.HasTime
	case reply.Has&event.HasTime != 0:
		q.Time, q.Has = reply.Time, q.Has|event.HasTime|event.TimeOfReply
	}
}

// begin takes what both kinds of messages tell.
func (t *Table) begin(s *sight) {
	t.out = Transaction{
		Kind: s.Kind, Identity: s.Identity, Zone: s.Zone, Hop: s.Hop,
		Query: event.Query{
			Has: s.Has & (event.HasClient | event.HasServer), Client: s.Client, Server: s.Server, ClientPort: s.ClientPort, ServerPort: s.ServerPort,
			ID: s.id, Transport: s.Transport, Reason: event.NoReason,
		},
	}
}

// asks takes what a query tells.
func (t *Table) asks(s *sight) {
	q := &t.out.Query
	q.Has |= event.HasQuery | s.Has&event.HasTime
	q.Time, q.QueryFlags, q.QuerySize = s.Time, s.flags, s.size()
	q.Name, q.Type, q.Class = s.name, s.typ, s.class
	q.Payload, q.DO = s.payload, s.do
	if s.subnetted {
		q.Subnet, q.SubnetBits, q.Has = s.subnet, s.bits, q.Has|event.HasSubnet
	}
	if s.problem != Fine {
		q.From = event.FromError
	}
	t.out.Question = s.Wire
}

// answers takes what a reply tells.
func (t *Table) answers(s *sight) {
	q := &t.out.Query
	q.Has |= event.HasReply
	q.Flags, q.Rcode, q.ReplySize = s.flags, s.rcode, s.size()
	if s.whole && !s.Partial {
		q.Reason, q.Has = s.reason, q.Has|event.HasReason
	}
	q.Reply = s.Wire[:min(len(s.Wire), event.ReplyCap)]
	if s.Has&event.HasTime != 0 {
		t.out.ReplyTime = s.Time
	}
	t.out.Answer, t.out.Partial = s.Wire, s.Partial
}

// size is what the message had on the wire.
func (m *Message) size() uint16 {
	n := len(m.Wire)
	if m.Size != 0 {
		n = m.Size
	}
	return uint16(min(n, math.MaxUint16))
}
