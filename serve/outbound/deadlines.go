package outbound

// deadlines is a heap of the flights by the end of their wait. Each flight knows its place, so that one that has ended or goes on leaves
// nothing behind.
type deadlines []*flight

// none is the place of a flight that waits for nothing.
const none = -1

// set puts a flight in, or moves it.
func (d *deadlines) set(f *flight, at int64) {
	f.at = at
	if f.place == none {
		f.place = len(*d)
		*d = append(*d, f)
		d.up(f.place)
		return
	}
	d.up(f.place)
	d.down(f.place)
}

// remove takes a flight out.
func (d *deadlines) remove(f *flight) {
	i := f.place
	if i == none {
		return
	}
	f.place = none
	h := *d
	last := h[len(h)-1]
	h[len(h)-1] = nil
	*d = h[:len(h)-1]
	if last != f {
		(*d)[i], last.place = last, i
		d.up(i)
		d.down(last.place)
	}
}

// next is when the first wait ends.
func (d deadlines) next() (int64, bool) {
	if len(d) == 0 {
		return 0, false
	}
	return d[0].at, true
}

// due returns a flight whose wait is over, or nil. It is still in.
func (d deadlines) due(now int64) *flight {
	if len(d) == 0 || d[0].at > now {
		return nil
	}
	return d[0]
}

func (d deadlines) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if d[parent].at <= d[i].at {
			return
		}
		d.swap(i, parent)
		i = parent
	}
}

func (d deadlines) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(d) {
			return
		}
		if child+1 < len(d) && d[child+1].at < d[child].at {
			child++
		}
		if d[i].at <= d[child].at {
			return
		}
		d.swap(i, child)
		i = child
	}
}

func (d deadlines) swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}
