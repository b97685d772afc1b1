package transfer

import (
	"slices"

	"anyu/dns/wire"
)

// notified answers a NOTIFY (RFC 1996). What it says is a hint: the serial is asked for before anything is done, so that a NOTIFY
// somebody made up costs one small query at most. (servers.md 5.1, case 66)
func (r *Room) notified(req *request) *refusal {
	if req.q.Type != wire.TypeSOA || req.q.Class != wire.ClassIN {
		return &refusal{wire.NotImp, reasonNoReason, ""} // RFC 1996, Section 3.3: other types may come one day
	}
	e := r.find(req.q.Name)
	if e == nil {
		return &refusal{wire.NotAuth, reasonNoReason, ""}
	}
	conf, from := e.conf.Load(), req.from.Remote.Addr().Unmap()
	known := slices.ContainsFunc(conf.Primaries, func(p Remote) bool { return p.Address.Addr().Unmap() == from })
	// RFC 1996, Section 3.10: from others it is refused.
	if !e.secondary() || !known && !conf.AllowNotify.Allows(from, keyOf(req.sign)) {
		if now := r.now().Unix(); r.refusedAt.Swap(now) != now {
			r.log.Info("notify refused", "zone", e.text, "client", req.from.Remote.String())
		}
		return &refusal{wire.Refused, reasonProhibited, "client is no primary of this zone"}
	}
	serial, told := clientSerial(req.msg, req.q.Name, wire.Answers)
	if told {
		e.hear(serial, r.now())
	}
	e.wake(notice{from: from, serial: serial, known: told})
	return &refusal{wire.NoError, reasonNoReason, ""}
}
