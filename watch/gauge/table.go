package gauge

// table counts combinations of labels: open addressing, because a Go map costs three times as much and cannot be
// copied at once for a scrape.
type table struct {
	cells []cell
	used  int
	shift uint
}

type cell struct{ key, count uint64 } // key 0 is free

// maxSeries bounds the combinations (stops: series without end from clients that vary transport, type and zone). Beyond it
// the zone, then the type of a new combination are counted as "other"; at twice the bound all of it but the source.
const maxSeries = 20_000

func newTable() table { return table{cells: make([]cell, 1<<10), shift: 64 - 10} }

// The key: one bit that is always set, then source 6 bits, zone 10, transport 3, type 6, rcode 5, outcome 2.
func packKey(source, zone, transport, typ, rcode int, o Outcome) uint64 {
	return 1<<32 | uint64(source)<<26 | uint64(zone)<<16 | uint64(transport)<<13 | uint64(typ)<<7 | uint64(rcode)<<2 | uint64(o)
}

const (
	zoneMask = uint64(1023) << 16
	typeMask = uint64(63) << 7
)

func keySource(k uint64) int      { return int(k >> 26 & 63) }
func keyZone(k uint64) int        { return int(k >> 16 & 1023) }
func keyTransport(k uint64) int   { return int(k >> 13 & 7) }
func keyType(k uint64) int        { return int(k >> 7 & 63) }
func keyRcode(k uint64) int       { return int(k >> 2 & 31) }
func keyOutcome(k uint64) Outcome { return Outcome(k & 3) }

func (t *table) add(key uint64) {
	c := t.find(key)
	if c.key == 0 {
		c = t.insert(key)
	}
	c.count++
}

// find is the cell of the key, or the free one where it belongs.
func (t *table) find(key uint64) *cell {
	mask := uint64(len(t.cells) - 1)
	for i := key * 0x9E3779B97F4A7C15 >> t.shift; ; i++ {
		if c := &t.cells[i&mask]; c.key == key || c.key == 0 {
			return c
		}
	}
}

func (t *table) insert(key uint64) *cell {
	for _, fold := range [...]uint64{zoneMask, typeMask} {
		if t.used < maxSeries {
			break
		}
		key &^= fold
		if c := t.find(key); c.key != 0 {
			return c
		}
	}
	if t.used >= 2*maxSeries {
		key = packKey(keySource(key), 0, transportOther, 0, rcodeOther, keyOutcome(key))
		if c := t.find(key); c.key != 0 {
			return c
		}
	}
	if 2*(t.used+1) > len(t.cells) {
		t.grow()
	}
	c := t.find(key)
	c.key = key
	t.used++
	return c
}

const transportOther = transportSlots - 1

func (t *table) grow() {
	old := t.cells
	t.cells = make([]cell, 2*len(old))
	t.shift--
	for _, c := range old {
		if c.key != 0 {
			*t.find(c.key) = c
		}
	}
}
