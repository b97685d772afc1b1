package fast

import (
	"encoding/binary"
	"unsafe"

	"anyu/dns/wire"
	"anyu/serve/ahead"
)

const (
	// MaxWarm is how many questions Warm looks at.
	MaxWarm = 64
	// warmFrom is how many entries there must be for it: fewer stay in the CPU's nearer caches by themselves.
	warmFrom = 1000
)

// Warm has the CPU fetch what Find will look at for questions (name, type, class as in a query). The kernel, which handles a thousand octets
// of its own for each datagram, has pushed it out of the nearer caches; read one after the other each part costs a wait for
// memory, fetched together all of them cost little more than one.
func (t *Table) Warm(questions [][]byte) {
	if t.used < warmFrom {
		return
	}
	var hashes [MaxWarm]uint64
	n, mask := 0, uint64(len(t.slots)-1)
	for _, q := range questions[:min(len(questions), MaxWarm)] {
		if len(q) < 5 || len(q) > wire.MaxName+4 {
			continue
		}
		name := len(q) - 4
		lower(t.key[:], q[:name])
		t.key[name], t.key[name+1] = q[name], q[name+1]
		hashes[n] = hashKey(t.key[:name+2])
		ahead.Line(unsafe.Pointer(&t.slots[hashes[n]&mask]))
		n++
	}
	for _, h := range hashes[:n] {
		if s := t.slots[h&mask]; s.hash == uint32(h>>32)|1 {
			ahead.Lines(unsafe.Pointer(&t.chunks[s.chunk][s.off]))
		}
	}
}

// lower writes a name in lower case, eight octets at a time, and returns which bits it changed.
func lower(dst, name []byte) (changed uint64) {
	i := 0
	for ; i+8 <= len(name); i += 8 {
		v := binary.LittleEndian.Uint64(name[i:])
		low := lower8(v)
		changed |= v ^ low
		binary.LittleEndian.PutUint64(dst[i:], low)
	}
	for ; i < len(name); i++ {
		dst[i] = wire.Lower(name[i])
		changed |= uint64(name[i] ^ dst[i])
	}
	return changed
}
