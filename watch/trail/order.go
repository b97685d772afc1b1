package trail

import (
	"cmp"
	"slices"
	"time"

	"anyu/dns/wire"
)

// Rows of a segment are in the order of tracing: the name's labels from the right, so that what is below a name lies together; then type,
// then time. (By client before time, the ten columns of docs/bench take 0.4 octets a row more: times that rise are the smaller differences.)

// place is where a packed row is and what orders it.
type place struct {
	group  uint64 // hour since 1970, then the name's rank, 32 bits each; rank 0: none
	within uint64 // type, 16 bits, then us since the hour began
	at     int64  // offset
}

const microsecondsAnHour = int64(time.Hour / time.Microsecond)

// newPlace is of a row with the name of some number, which is to become a rank.
func newPlace(us int64, name uint32, typ uint16, at int64) place {
	hour := us / microsecondsAnHour
	if us < hour*microsecondsAnHour {
		hour-- // before 1970
	}
	return place{group: uint64(uint32(hour))<<32 | uint64(name), within: uint64(typ)<<48 | uint64(us-hour*microsecondsAnHour), at: at}
}

func (p *place) hour() time.Time { return time.Unix(int64(int32(p.group>>32))*3600, 0) }

// rank puts the name's rank in the place of its number.
func (p *place) rank(of []uint32) { p.group = p.group&^0xFFFFFFFF | uint64(of[uint32(p.group)]) }

func (p place) compare(q place) int {
	switch {
	case p.group != q.group:
		return cmp.Compare(p.group, q.group)
	case p.within != q.within:
		return cmp.Compare(p.within, q.within)
	}
	return cmp.Compare(p.at, q.at)
}

// turnRows are sorted or packed at a time, about half a millisecond of a core: then the answering goroutines may go on.
const turnRows = 256

// sorted sorts in turns. It gives list or other, which is as long.
func sorted[T any](list, other []T, compare func(a, b T) int, turn func()) []T {
	for run := range slices.Chunk(list, turnRows) {
		slices.SortFunc(run, compare)
		turn()
	}
	for width := turnRows; width < len(list); width *= 2 {
		for begin := 0; begin < len(list); begin += 2 * width {
			middle, end := min(begin+width, len(list)), min(begin+2*width, len(list))
			merge(other[begin:end], list[begin:middle], list[middle:end], compare, turn)
		}
		list, other = other, list
	}
	return list
}

func merge[T any](into, a, b []T, compare func(a, b T) int, turn func()) {
	for i := range into {
		if i%(8*turnRows) == 0 {
			turn()
		}
		if len(b) == 0 || len(a) > 0 && compare(a[0], b[0]) <= 0 {
			into[i], a = a[0], a[1:]
		} else {
			into[i], b = b[0], b[1:]
		}
	}
}

// ranks numbers names in the order of tracing.
type ranks struct {
	ids  map[string]uint32 // of names in lower case, from 1
	keys []string          // sort keys, by id-1
	buf  []byte
}

// id is a number of the name, as it was asked; 0 where it is none.
func (r *ranks) id(name []byte) uint32 {
	if len(name) == 0 {
		return 0
	}
	r.buf = wire.Name(name).AppendLower(r.buf[:0])
	if id, ok := r.ids[string(r.buf)]; ok {
		return id
	}
	if wire.ValidName(name) != nil {
		return 0
	}
	lower := string(r.buf)
	r.buf = wire.AppendKey(r.buf[:0], name, wire.Root())
	r.keys = append(r.keys, string(r.buf))
	r.ids[lower] = uint32(len(r.keys))
	return uint32(len(r.keys))
}

// order gives the rank of each id.
func (r *ranks) order(turn func()) []uint32 {
	list := make([]uint32, 2*len(r.keys))
	for i := range r.keys {
		list[i] = uint32(i)
	}
	list = sorted(list[:len(r.keys)], list[len(r.keys):], func(a, b uint32) int { return cmp.Compare(r.keys[a], r.keys[b]) }, turn)
	rank := make([]uint32, len(r.keys)+1)
	for i, id := range list {
		rank[id+1] = uint32(i + 1)
	}
	return rank
}
