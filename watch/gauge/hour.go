package gauge

import "anyu/event"

// hour is a ring of seconds. It is laid out once; a second is found by its time and known to be stale by the same.
type hour struct {
	seconds [hourSeconds]second
	last    *second // used last
	from    int64   // ns, its first and the one after its last
	to      int64
}

const hourSeconds = 3600

// second is everything that came in one second of Unix time.
type second struct {
	at         int64
	outcomes   [outcomes]uint32
	rcodes     [rcodeSlotCount]uint32
	types      [typeSlotCount]uint32
	transports [transportSlots]uint32
	speed      [speedBuckets]uint32
	load       Load
	loaded     bool // a Tick came in this second
}

func newHour() *hour { return &hour{} }

// second is where an observation belongs: the second it arrived in, if that is known and within the last hour, else now.
func (h *hour) second(q *event.Query, now int64) *second {
	at := q.Time
	if q.Has&event.HasTime == 0 || at > now || at <= now-(hourSeconds-1)*1e9 {
		at = now
	}
	if at < h.from || at >= h.to {
		h.last = h.open(at / 1e9)
		h.from = h.last.at * 1e9
		h.to = h.from + 1e9
	}
	return h.last
}

// open is the second at a Unix time, emptied if the ring held an older one in its place.
func (h *hour) open(at int64) *second {
	s := &h.seconds[at%hourSeconds]
	if s.at != at {
		*s = second{at: at}
		if h.last == s {
			h.from, h.to = 0, 0
		}
	}
	return s
}

// get is the second at a Unix time if the ring holds it.
func (h *hour) get(at int64) *second {
	if at < 0 {
		return nil
	}
	if s := &h.seconds[at%hourSeconds]; s.at == at && at != 0 {
		return s
	}
	return nil
}
