package cache

import (
	"unsafe"

	"anyu/dns/wire"
	"anyu/serve/ahead"
)

// MaxWarm is how many questions Warm looks at.
const MaxWarm = 64

// Warm has the CPU fetch what Packet will look at for questions (name, type, class as in a query). The kernel, which handles a thousand octets
// of its own for each datagram, has pushed it out of the nearer caches; read one after the other each part costs a wait for
// memory, fetched together all of them cost little more than one.
func (c *Cache) Warm(questions [][]byte) {
	var (
		hashes  [MaxWarm]uint64
		indexes [MaxWarm]*index
		room    [keyRoom + 8]byte
	)
	n := 0
	for _, q := range questions[:min(len(questions), MaxWarm)] {
		if len(q) < 5 || len(q) > keyRoom {
			continue
		}
		name := len(q) - 4
		key := append(wire.Name(q[:name]).AppendLower(room[:0]), q[name:]...)
		h := c.secret.hash(kindPacket, append(key, 0))
		hashes[n], indexes[n] = h, c.shard(h).index.Load()
		ahead.Line(unsafe.Pointer(&indexes[n].packets.bucket(h)[0]))
		n++
	}
	for i, h := range hashes[:n] {
		indexes[i].warm(h)
	}
}

// warm fetches the first lines of the entries that a hash may mean.
func (ix *index) warm(h uint64) {
	tag := h >> tagShift
	bucket := ix.packets.bucket(h)
	for i := range bucket {
		v := bucket[i].Load()
		if v>>tagShift == tag && v != 0 {
			if e := ix.entryAt(v); len(e) > 0 {
				ahead.Lines(unsafe.Pointer(&e[0]))
			}
		}
	}
}
