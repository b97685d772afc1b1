package capture

import (
	"encoding/binary"
	"slices"
)

const (
	// maxDatagrams and maxHeld bound what waits for missing fragments (stops: fragments without end that never complete).
	maxDatagrams = 4096
	maxHeld      = 16 << 20
	// maxPieces bounds the fragments of one datagram: 64 KiB in pieces of 576 octets are 119.
	maxPieces = 128
	// fragmentLife is how long fragments wait (RFC 8200, Section 4.5 has 60 s for hosts; a capture sees the second half of that rarely).
	fragmentLife = 30e9
)

// fragmentKey tells datagrams apart (RFC 791, Section 3.2; RFC 8200, Section 4.5).
type fragmentKey struct {
	from, to [16]byte
	id       uint32
	proto    uint8
}

type span struct{ from, to int }

// datagram is one that is being put together.
type datagram struct {
	key   fragmentKey
	first int64 // time of its first fragment
	frame uint64
	data  []byte
	have  []span // sorted, apart from each other
	held  int    // octets in them
	total int    // 0: the last fragment is not there yet
}

// datagrams are all that wait, oldest first in order.
type datagrams struct {
	byKey map[fragmentKey]*datagram
	order []*datagram
	held  int
	spare []*datagram
}

func newDatagrams() datagrams { return datagrams{byKey: map[fragmentKey]*datagram{}} }

// fragment adds a piece and goes on with the datagram when it is whole.
func (d *Decoder) fragment(key fragmentKey, offset int, more bool, b []byte) {
	if offset == 0 && (key.proto == protoUDP || key.proto == protoTCP) && len(b) >= 4 {
		d.countPorts(binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]))
	}
	if d.cut {
		d.reject(Cut)
		return
	}
	f := &d.datagrams
	g := f.byKey[key]
	if g == nil {
		g = f.begin(d, key)
	}
	held := g.held
	fits := len(b) > 0 && (!more || len(b)%8 == 0) && offset+len(b) <= 65535 && g.add(offset, more, b)
	f.held += g.held - held
	if !fits {
		f.drop(g)
		d.reject(BadFragment)
		return
	}
	if !g.whole() {
		d.Reasons[Waiting]++
		if f.held > maxHeld {
			f.lose(d, f.order[0])
		}
		return
	}
	f.drop(g)
	ports := d.DNSPorts // its first fragment was counted
	d.transport(key.proto, g.data[:g.total])
	d.DNSPorts = ports
}

func (f *datagrams) begin(d *Decoder, key fragmentKey) *datagram {
	if len(f.order) >= maxDatagrams {
		f.lose(d, f.order[0])
	}
	g := new(datagram)
	if n := len(f.spare); n > 0 {
		g, f.spare = f.spare[n-1], f.spare[:n-1]
	}
	*g = datagram{key: key, first: d.message.Time, frame: d.message.Frame, data: g.data[:0], have: g.have[:0]}
	f.byKey[key] = g
	f.order = append(f.order, g)
	return g
}

// add takes a piece. RFC 5722, Section 3: pieces that overlap make the whole datagram void; one that came twice is no overlap.
func (g *datagram) add(offset int, more bool, b []byte) bool {
	end := offset + len(b)
	if !more {
		if g.total != 0 && g.total != end {
			return false
		}
		g.total = end
	}
	if g.total != 0 && end > g.total || len(g.have) >= maxPieces {
		return false
	}
	at := len(g.have)
	for i, s := range g.have {
		if s.from == offset && s.to == end {
			return true
		}
		if offset < s.to && s.from < end {
			return false
		}
		if end <= s.from {
			at = min(at, i)
		}
	}
	g.have = slices.Insert(g.have, at, span{offset, end})
	g.held += len(b)
	if grow := end - len(g.data); grow > 0 {
		g.data = slices.Grow(g.data, grow)[:end]
	}
	copy(g.data[offset:], b)
	return g.total == 0 || g.have[len(g.have)-1].to <= g.total
}

// whole tells whether nothing is missing.
func (g *datagram) whole() bool {
	if g.total == 0 {
		return false
	}
	at := 0
	for _, s := range g.have {
		if s.from != at {
			return false
		}
		at = s.to
	}
	return at == g.total
}

// drop forgets a datagram; its memory is used again, but not before the next one begins.
func (f *datagrams) drop(g *datagram) {
	delete(f.byKey, g.key)
	if i := slices.Index(f.order, g); i >= 0 {
		f.order = slices.Delete(f.order, i, i+1)
	}
	f.held -= g.held
	if len(f.spare) < 16 {
		f.spare = append(f.spare, g)
	}
}

// lose gives a datagram up.
func (f *datagrams) lose(d *Decoder, g *datagram) {
	f.drop(g)
	d.Reasons[LostFragments] += uint64(len(g.have))
	if d.Complain != nil {
		d.Complain(g.frame, LostFragments)
	}
}

func (f *datagrams) expire(d *Decoder, now int64) {
	for len(f.order) > 0 && now-f.order[0].first > fragmentLife {
		f.lose(d, f.order[0])
	}
}

func (f *datagrams) clear(d *Decoder) {
	for len(f.order) > 0 {
		f.lose(d, f.order[0])
	}
}
