package serve

import (
	"encoding/binary"
	"math"
	"net/netip"

	"anyu/event"
	"anyu/serve/resolve"
)

// emit puts the observation into the ring.
func (w *Worker) emit(n int, out []byte) {
	if w.ring == nil {
		return
	}
	o := &w.obs
	o.Has = event.HasClient | event.HasServer | event.HasTime | event.HasLatency | event.HasQuery | event.HasReply | event.HasPolicy
	o.Zone, o.Time, o.Latency, o.Clock = w.zone, w.from.Arrived, max(0, w.clock.now()-w.from.Arrived), event.ClockSelf
	if w.zone != 0 {
		o.Has |= event.HasZone
	}
	o.Reason = w.reason
	if w.reason != event.NoReason {
		o.Has |= event.HasReason
	}
	o.Client, o.ClientPort = address(w.from.Remote)
	o.Server, o.ServerPort = address(w.from.Local)
	o.Transport, o.From, o.Policy = w.from.Transport, w.via, w.policy
	o.ID, o.QueryFlags, o.QuerySize = w.q.ID, w.q.Header.Flags, uint16(len(w.msg))
	o.Type, o.Class, o.Name = uint16(w.q.Type), uint16(w.q.Class), w.q.Name
	o.Payload, o.DO = w.q.Payload, w.q.DO
	o.Rcode, o.Flags, o.ReplySize, o.Reply = uint16(w.rcode), 0, 0, nil
	if n > 0 {
		o.Flags, o.ReplySize, o.Reply = binary.BigEndian.Uint16(out[2:]), uint16(n), out[:n]
	}
	if w.q.Subnet != nil {
		if addr, bits, ok := w.q.ClientSubnet(); ok {
			o.Has, o.Subnet, o.SubnetBits = o.Has|event.HasSubnet, addr, bits
		}
	}
	if w.found != nil {
		upstream(o, w.found)
	}
	w.ring.Put(o)
}

// upstream says what an answer took. Of one that was here already nothing is known.
func upstream(o *event.Query, a *resolve.Answer) {
	if a.Cached || a.Sends == 0 {
		return
	}
	o.Has |= event.HasAsked
	o.Asked, o.AskedTime = uint16(min(a.Sends, math.MaxUint16)), int64(a.Waited)
	o.Upstream, o.UpstreamPort, o.UpstreamOver = [16]byte{}, 0, 0
	if u := a.Upstream; u.Address.IsValid() {
		o.Has |= event.HasUpstream
		o.Upstream, o.UpstreamPort = address(u.Address)
		o.UpstreamOver = u.Over
	}
}

func address(a netip.AddrPort) ([16]byte, uint16) { return a.Addr().As16(), a.Port() }
