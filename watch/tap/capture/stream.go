package capture

import (
	"encoding/binary"
	"slices"
)

const (
	// maxStreams and maxBuffered bound what is remembered of TCP (stops: connections without end; the one used least is forgotten).
	maxStreams  = 16384
	maxBuffered = 32 << 20
	// maxEarly and maxEarlyOctets bound what waits behind a hole in one direction of a connection.
	maxEarly       = 64
	maxEarlyOctets = 128 << 10
	// holeLife is how long a hole may stay open: a retransmission comes within seconds (RFC 6298, Section 2).
	holeLife = 5e9
)

// Flags of a TCP header (RFC 9293, Section 3.1).
const (
	flagFIN = 1
	flagSYN = 2
	flagRST = 4
)

type streamKey struct {
	from, to         [16]byte
	fromPort, toPort uint16
}

// stream is one direction of a connection.
type stream struct {
	key        streamKey
	prev, next *stream // by use

	seq    uint32 // of the next octet wanted
	synced bool   // what comes next is the begin, or the rest, of a message
	held   []byte // begin of a message
	skip   int    // octets to pass over: the rest of a message that lost a part
	early  []segment
	waits  int // octets in early
	since  int64
}

// segment is one that came before another.
type segment struct {
	seq  uint32
	data []byte
}

// streams are all directions, in a ring by use: root.next was used last.
type streams struct {
	byKey    map[streamKey]*stream
	root     *stream
	buffered int
}

func newStreams() streams {
	root := new(stream)
	root.prev, root.next = root, root
	return streams{byKey: map[streamKey]*stream{}, root: root}
}

// tcp reads a segment.
func (d *Decoder) tcp(b []byte) {
	if !d.between(b, 20) {
		return
	}
	m := &d.message
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) {
		d.reject(BadTransport)
		return
	}
	m.TCP = true
	flags, seq, data := b[13], binary.BigEndian.Uint32(b[4:]), b[header:]
	key := streamKey{m.From, m.To, m.FromPort, m.ToPort}
	if flags&flagSYN != 0 {
		d.streams.forget(d, key)
		s := d.streams.begin(d, key)
		// RFC 7413, Section 2: with Fast Open the SYN carries data, which begins behind the number that SYN takes.
		s.seq, s.synced = seq+1, true
		seq++
	}
	if flags&flagRST != 0 {
		d.streams.forget(d, key)
		d.Reasons[NoData]++
		return
	}
	if len(data) == 0 {
		if s := d.streams.byKey[key]; s != nil && flags&flagFIN != 0 {
			d.giveUpHoles(s)
		}
		d.Reasons[NoData]++
		return
	}
	s := d.streams.byKey[key]
	if s == nil {
		s = d.streams.begin(d, key)
		s.seq = seq
	}
	d.streams.use(s)
	d.segment(s, seq, data)
	if flags&flagFIN != 0 {
		d.giveUpHoles(s)
	}
	for d.streams.buffered > maxBuffered {
		d.streams.forget(d, d.streams.root.prev.key)
	}
}

// segment takes the data of a segment in its place. RFC 9293, Section 3.4: numbers are compared modulo 2^32.
func (d *Decoder) segment(s *stream, seq uint32, data []byte) {
	if d.cut {
		d.reject(Cut) // what is missing becomes a hole
	}
	ahead := int32(seq - s.seq)
	switch {
	case ahead > 0:
		d.keep(s, seq, data)
	case int(-ahead) >= len(data):
		d.Reasons[Repeated]++
	default:
		d.bytes(s, data[-ahead:])
		d.catchUp(s)
	}
	if len(s.early) > 0 && (len(s.early) > maxEarly || s.waits > maxEarlyOctets || d.message.Time-s.since > holeLife) {
		d.closeHole(s)
	}
}

// keep puts a segment aside until what is before it comes.
func (d *Decoder) keep(s *stream, seq uint32, data []byte) {
	at := len(s.early)
	for i, e := range s.early {
		if e.seq == seq && len(e.data) >= len(data) {
			d.Reasons[Repeated]++
			return
		}
		if int32(e.seq-seq) > 0 {
			at = i
			break
		}
	}
	if len(s.early) == 0 {
		s.since = d.message.Time
	}
	s.early = slices.Insert(s.early, at, segment{seq, slices.Clone(data)})
	s.waits += len(data)
	d.streams.buffered += len(data)
	d.Reasons[Waiting]++
}

// catchUp reads the segments put aside that now have their turn.
func (d *Decoder) catchUp(s *stream) {
	for len(s.early) > 0 {
		e := s.early[0]
		behind := int32(s.seq - e.seq)
		if behind < 0 {
			return
		}
		s.early = slices.Delete(s.early, 0, 1)
		s.waits -= len(e.data)
		d.streams.buffered -= len(e.data)
		if int(behind) < len(e.data) {
			d.bytes(s, e.data[behind:])
		}
	}
}

// closeHole goes on behind a hole that nothing came for. When the hole lies within a message whose length is known, the next one is found behind
// it; else reading goes on with the next plausible begin.
func (d *Decoder) closeHole(s *stream) {
	d.reject(Hole)
	hole := int(s.early[0].seq - s.seq)
	s.seq = s.early[0].seq
	rest := s.skip
	if len(s.held) >= 2 {
		rest = 2 + int(binary.BigEndian.Uint16(s.held)) - len(s.held)
	}
	d.release(s)
	if s.skip = rest - hole; s.skip < 0 {
		s.skip, s.synced = 0, false
	}
	d.catchUp(s)
}

func (d *Decoder) giveUpHoles(s *stream) {
	for len(s.early) > 0 {
		d.closeHole(s)
	}
}

func (d *Decoder) release(s *stream) {
	d.streams.buffered -= len(s.held)
	s.held = s.held[:0]
}

// bytes takes the octets that come next. RFC 1035, Section 4.2.2: a message has its length before it.
func (d *Decoder) bytes(s *stream, b []byte) {
	s.seq += uint32(len(b))
	if n := min(s.skip, len(b)); n > 0 {
		s.skip -= n
		if b = b[n:]; len(b) == 0 {
			d.Reasons[Waiting]++
			return
		}
	}
	if !s.synced {
		if !plausible(b) {
			d.reject(MidStream)
			return
		}
		s.synced = true
	}
	delivered := false
	if len(s.held) > 0 {
		var whole bool
		if b, whole = d.fill(s, b); !whole {
			return
		}
		delivered = true
	}
	for len(b) >= 2 {
		length := int(binary.BigEndian.Uint16(b))
		if length < headerSize {
			s.synced = false
			d.reject(BadLength)
			return
		}
		if len(b) < 2+length {
			break
		}
		d.deliver(b[2 : 2+length])
		b, delivered = b[2+length:], true
	}
	if len(b) > 0 {
		s.held = append(s.held, b...)
		d.streams.buffered += len(b)
		if !delivered {
			d.Reasons[Waiting]++
		}
	}
}

// fill completes the message that began earlier, and delivers it; it returns what follows.
func (d *Decoder) fill(s *stream, b []byte) (rest []byte, whole bool) {
	for len(s.held) < 2 && len(b) > 0 {
		s.held, b = append(s.held, b[0]), b[1:]
		d.streams.buffered++
	}
	if len(s.held) < 2 {
		d.Reasons[Waiting]++
		return nil, false
	}
	length := int(binary.BigEndian.Uint16(s.held))
	if length < headerSize {
		d.release(s)
		s.synced = false
		d.reject(BadLength)
		return nil, false
	}
	n := min(2+length-len(s.held), len(b))
	s.held = append(s.held, b[:n]...)
	d.streams.buffered += n
	if len(s.held) < 2+length {
		d.Reasons[Waiting]++
		return nil, false
	}
	d.deliver(s.held[2:])
	d.release(s)
	return b[n:], true
}

// plausible tells whether b can be the begin of a message with its length: a header whose opcode exists and that has few questions.
func plausible(b []byte) bool {
	if len(b) < 2+headerSize {
		return false
	}
	length, opcode, questions := binary.BigEndian.Uint16(b), b[4]>>3&15, binary.BigEndian.Uint16(b[6:])
	return length >= headerSize && opcode <= 6 && questions <= 1
}

func (t *streams) begin(d *Decoder, key streamKey) *stream {
	if len(t.byKey) >= maxStreams {
		t.forget(d, t.root.prev.key)
	}
	s := &stream{key: key}
	s.prev, s.next = s, s
	t.byKey[key] = s
	t.use(s)
	return s
}

// use puts a stream to the front.
func (t *streams) use(s *stream) {
	s.prev.next, s.next.prev = s.next, s.prev
	s.prev, s.next = t.root, t.root.next
	s.prev.next, s.next.prev = s, s
}

// forget ends a stream; what waited behind holes is read before.
func (t *streams) forget(d *Decoder, key streamKey) {
	s := t.byKey[key]
	if s == nil {
		return
	}
	now := d.message
	m := &d.message
	m.From, m.To, m.FromPort, m.ToPort, m.TCP = key.from, key.to, key.fromPort, key.toPort, true
	d.giveUpHoles(s)
	d.message = now
	if len(s.held) > 0 {
		d.reject(Hole)
	}
	t.buffered -= len(s.held)
	s.prev.next, s.next.prev = s.next, s.prev
	delete(t.byKey, key)
}

func (t *streams) clear(d *Decoder) {
	for t.root.prev != t.root {
		t.forget(d, t.root.prev.key)
	}
}

// Held is what waits for more: streams, and octets of streams and fragments.
func (d *Decoder) Held() (streams, octets int) {
	return len(d.streams.byKey), d.streams.buffered + d.datagrams.held
}
