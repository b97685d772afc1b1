package gauge

import "anyu/event"

// hour is the last hour of one source: a ring of seconds and a ring of longer steps with its speed. It is laid out once; a second is found by its
// time and known to be stale by the same.
type hour struct {
	seconds [hourSeconds]second
	last    *second // used last
	from    int64   // ns, its first and the one after its last
	to      int64

	width int64 // seconds of a step of speed
	speed []speedStep
	fast  *speedStep // used last
}

const (
	hourSeconds = 3600
	// stepOfOthers keeps the hour of a source small: 0.7 MB of speed and 1 MB of counts, so that MaxSources of them are 100 MB.
	stepOfOthers = 10
)

// second is what came from one source in one second of Unix time.
type second struct {
	at         int64
	outcomes   [outcomes]uint32
	rcodes     [rcodeSlotCount]uint32
	types      [typeSlotCount]uint32
	transports [transportSlots]uint32
}

// speedStep is the durations of one step.
type speedStep struct {
	at     int64 // Unix time / its width
	counts [speedBuckets]uint32
}

func newHour(width int64) *hour {
	return &hour{width: width, speed: make([]speedStep, hourSeconds/width)}
}

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
	}
	return s
}

// speedAt is the step of speed that a second is in.
func (h *hour) speedAt(second int64) *speedStep {
	at := second / h.width
	if s := h.fast; s != nil && s.at == at {
		return s
	}
	h.fast = stepAt(h.speed, at)
	return h.fast
}

func stepAt(ring []speedStep, at int64) *speedStep {
	s := &ring[at%int64(len(ring))]
	if s.at != at {
		*s = speedStep{at: at}
	}
	return s
}

// get is the second at a Unix time if the ring holds it.
func (h *hour) get(at int64) *second {
	if at <= 0 {
		return nil
	}
	if s := &h.seconds[at%hourSeconds]; s.at == at {
		return s
	}
	return nil
}

// addSpeed adds the steps of seconds [from, to), which begin and end with a step.
func (h *hour) addSpeed(into *Speed, from, to int64) {
	for at := max(from/h.width, 1); at < to/h.width; at++ {
		if s := &h.speed[at%int64(len(h.speed))]; s.at == at {
			into.addStep(s)
		}
	}
}

// speedRange widens seconds [from, to) to whole steps of all sources of a set: the speed of a shorter piece is that of the step around it. All sources give the
// same piece of time, so that none weighs more than it has. A step that a longer piece shares with the next belongs to where it ends.
func (g *Gauge) speedRange(of Set, from, to int64) (int64, int64) {
	width := int64(1)
	for s := range g.each(of) {
		width = max(width, s.hour.width)
	}
	if to-from < width {
		to += width - 1
	}
	return from / width * width, to / width * width
}

// loads is the ring of the seconds that were watched, with the load of each.
type loads [hourSeconds]loadSecond

type loadSecond struct {
	at   int64
	load Load
}

func (l *loads) note(at int64, load Load) {
	s := &l[at%hourSeconds]
	if s.at == at {
		load.Dropped += s.load.Dropped
	}
	*s = loadSecond{at, load}
}

func (l *loads) get(at int64) *loadSecond {
	if at <= 0 {
		return nil
	}
	if s := &l[at%hourSeconds]; s.at == at {
		return s
	}
	return nil
}
