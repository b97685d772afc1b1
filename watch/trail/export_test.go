package trail

import (
	"time"

	"anyu/event"
)

// RowOf is the row that an observation becomes.
func RowOf(q *event.Query) Row {
	keeps := leaveOut(nil).packing()
	var p packed
	if _, ok := p.next(keeps.pack(nil, q, 1)); !ok {
		panic("what was packed is no row")
	}
	names := event.NewNames()
	return newTranslator(names.Name, func(uint16) (string, string) { return "self", "n1" }).row(&p)
}

// Guard is one look at the disk of opts, by a closed log.
func (t *Trail) Guard(opts Options, now time.Time) {
	t.opts.Disk = opts.Disk
	t.guard(now)
}

// Pressure is for how many questions a row stands for want of space.
func (t *Trail) Pressure() int64 { return t.sampler.pressure.Load() }
