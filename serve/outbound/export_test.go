package outbound

// Deadlines lets tests of the outside drive the heap. Flights are known by number.
type Deadlines struct {
	d   deadlines
	all map[int]*flight
}

func NewDeadlines() *Deadlines { return &Deadlines{all: make(map[int]*flight)} }

func (d *Deadlines) Set(n int, at int64) {
	if d.all[n] == nil {
		d.all[n] = &flight{place: none}
	}
	d.d.set(d.all[n], at)
}

func (d *Deadlines) Remove(n int) {
	if f := d.all[n]; f != nil {
		d.d.remove(f)
	}
	delete(d.all, n)
}

func (d *Deadlines) Next() (int64, bool) { return d.d.next() }

func (d *Deadlines) Len() int { return len(d.d) }
