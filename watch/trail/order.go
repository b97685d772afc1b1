package trail

import (
	"cmp"
	"runtime"
	"slices"

	"anyu/dns/wire"
)

// Rows of a segment are in the order of tracing: the name's labels from the right, so that what is below a name lies together; then type,
// then time. (By client before time, the ten columns of docs/bench take 0.4 octets a row more: times that rise are the smaller differences.)

// place is where a packed row is and what orders it.
type place struct {
	hour int32
	name uint32 // rank; 0: none
	typ  uint16
	time int64 // us
	at   int64 // offset
}

func (a place) compare(b place) int {
	return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.name, b.name), cmp.Compare(a.typ, b.typ), cmp.Compare(a.time, b.time), cmp.Compare(a.at, b.at))
}

// turnRows are sorted or packed at a time, about half a millisecond of a core: then the answering goroutines may go on.
const turnRows = 256

// sorted sorts in turns. It gives list or other, which is as long.
func sorted[T any](list, other []T, compare func(a, b T) int) []T {
	for run := range slices.Chunk(list, turnRows) {
		slices.SortFunc(run, compare)
		runtime.Gosched()
	}
	for width := turnRows; width < len(list); width *= 2 {
		for begin := 0; begin < len(list); begin += 2 * width {
			middle, end := min(begin+width, len(list)), min(begin+2*width, len(list))
			merge(other[begin:end], list[begin:middle], list[middle:end], compare)
		}
		list, other = other, list
	}
	return list
}

func merge[T any](into, a, b []T, compare func(a, b T) int) {
	for i := range into {
		if i%(8*turnRows) == 0 {
			runtime.Gosched()
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
func (r *ranks) order() []uint32 {
	list := make([]uint32, 2*len(r.keys))
	for i := range r.keys {
		list[i] = uint32(i)
	}
	list = sorted(list[:len(r.keys)], list[len(r.keys):], func(a, b uint32) int { return cmp.Compare(r.keys[a], r.keys[b]) })
	rank := make([]uint32, len(r.keys)+1)
	for i, id := range list {
		rank[id+1] = uint32(i + 1)
	}
	return rank
}
