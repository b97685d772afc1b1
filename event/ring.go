package event

import (
	"encoding/binary"
	"sync/atomic"
)

// Ring carries observations from one worker to one reader without a lock. The writer never waits: an observation that
// does not fit is dropped and counted. One goroutine may Put, one may Drain.
//
// A record is a length (uint32, of all of it, a multiple of 8), a fixed header, what only some observations have (the
// upstream, the client subnet: most are cache hits without), the name, the reply.
// A record never wraps: where the rest of the buffer is too short, a length of skip tells the reader to start again at 0.
type Ring struct {
	buf  []byte
	mask uint64

	_       [64]byte // writer's line
	head    atomic.Uint64
	seen    uint64 // the writer's last look at tail, to leave the reader's line alone
	dropped atomic.Uint64

	_       [64]byte // reader's line
	tail    atomic.Uint64
	scratch Query
	_       [64]byte
}

const (
	skip       = ^uint32(0)
	headerSize = 4 + 88
	// Parts that are there only where Has says so.
	upstreamSize = 32
	subnetSize   = 17
)

// NewRing returns a ring of at least size octets, rounded up to a power of two, 64 KiB at the least.
func NewRing(size int) *Ring {
	n := 64 << 10
	for n < size {
		n <<= 1
	}
	return &Ring{buf: make([]byte, n), mask: uint64(n - 1)}
}

// Dropped counts the observations that found the ring full.
func (r *Ring) Dropped() uint64 { return r.dropped.Load() }

// Used is the number of octets waiting to be read, and Size the room in all.
func (r *Ring) Used() int { return int(r.head.Load() - r.tail.Load()) }
func (r *Ring) Size() int { return len(r.buf) }

// Put appends an observation, or counts a drop. It does not keep q, q.Name or q.Reply.
func (r *Ring) Put(q *Query) {
	if !observed {
		return
	}
	reply := q.Reply
	if len(reply) > ReplyCap {
		reply = reply[:ReplyCap]
	}
	name := q.Name
	if len(name) > 255 {
		name = nil
	}
	body := headerSize + q.extra()
	need := uint64(body+len(name)+len(reply)+7) &^ 7
	head := r.head.Load()
	at := head & r.mask
	pad := uint64(0)
	if room := uint64(len(r.buf)) - at; room < need {
		pad = room
	}
	if head+pad+need-r.seen > uint64(len(r.buf)) {
		r.seen = r.tail.Load()
		if head+pad+need-r.seen > uint64(len(r.buf)) {
			r.dropped.Add(1)
			return
		}
	}
	if pad > 0 {
		binary.LittleEndian.PutUint32(r.buf[at:], skip)
		head, at = head+pad, 0
	}
	rec := r.buf[at : at+need]
	binary.LittleEndian.PutUint32(rec, uint32(need))
	q.encode(rec, len(name), len(reply))
	copy(rec[body:], name)
	copy(rec[body+len(name):], reply)
	r.head.Store(head + need)
}

// extra is the length of the parts that not all observations have.
func (q *Query) extra() (n int) {
	if q.Has&(HasUpstream|HasAsked) != 0 {
		n += upstreamSize
	}
	if q.Has&HasSubnet != 0 {
		n += subnetSize
	}
	return n
}

func (q *Query) encode(b []byte, name, reply int) {
	le := binary.LittleEndian
	if q.Has&(HasUpstream|HasAsked|HasSubnet) != 0 {
		q.encodeExtra(b[headerSize:])
	}
	b = b[:headerSize]
	le.PutUint32(b[4:], uint32(q.Has))
	le.PutUint32(b[8:], q.Zone)
	le.PutUint64(b[12:], uint64(q.Time))
	le.PutUint64(b[20:], uint64(q.Latency))
	copy(b[28:44], q.Client[:])
	copy(b[44:60], q.Server[:])
	le.PutUint16(b[60:], q.ClientPort)
	le.PutUint16(b[62:], q.ServerPort)
	le.PutUint16(b[64:], q.ID)
	le.PutUint16(b[66:], q.QueryFlags)
	le.PutUint16(b[68:], q.Flags)
	le.PutUint16(b[70:], q.Rcode)
	le.PutUint16(b[72:], q.Type)
	le.PutUint16(b[74:], q.Class)
	le.PutUint16(b[76:], q.Payload)
	le.PutUint16(b[78:], q.Reason)
	le.PutUint16(b[80:], q.QuerySize)
	le.PutUint16(b[82:], q.ReplySize)
	le.PutUint16(b[84:], q.Source)
	b[86] = byte(q.Transport) | byte(q.Clock)<<4
	b[87] = byte(q.From)
	if q.DO {
		b[87] |= 0x80
	}
	b[88] = byte(name)
	b[89] = byte(q.Policy)
	le.PutUint16(b[90:], uint16(reply))
}

func (q *Query) encodeExtra(b []byte) {
	le := binary.LittleEndian
	if q.Has&(HasUpstream|HasAsked) != 0 {
		copy(b, q.Upstream[:])
		le.PutUint64(b[16:], uint64(q.AskedTime))
		le.PutUint16(b[24:], q.UpstreamPort)
		le.PutUint16(b[26:], q.Asked)
		le.PutUint32(b[28:], uint32(q.UpstreamOver))
		b = b[upstreamSize:]
	}
	if q.Has&HasSubnet != 0 {
		copy(b, q.Subnet[:])
		b[16] = q.SubnetBits
	}
}

// decodeExtra leaves no field as the record before had it.
func (q *Query) decodeExtra(b []byte) {
	le := binary.LittleEndian
	if q.Has&(HasUpstream|HasAsked) != 0 {
		copy(q.Upstream[:], b)
		q.AskedTime = int64(le.Uint64(b[16:]))
		q.UpstreamPort, q.Asked, q.UpstreamOver = le.Uint16(b[24:]), le.Uint16(b[26:]), Transport(le.Uint32(b[28:]))
		b = b[upstreamSize:]
	} else {
		q.Upstream, q.AskedTime, q.UpstreamPort, q.Asked, q.UpstreamOver = [16]byte{}, 0, 0, 0, 0
	}
	if q.Has&HasSubnet != 0 {
		copy(q.Subnet[:], b)
		q.SubnetBits = b[16]
	} else {
		q.Subnet, q.SubnetBits = [16]byte{}, 0
	}
}

func (q *Query) decode(b []byte) {
	le := binary.LittleEndian
	q.Has = Known(le.Uint32(b[4:]))
	q.Zone = le.Uint32(b[8:])
	q.Time = int64(le.Uint64(b[12:]))
	q.Latency = int64(le.Uint64(b[20:]))
	copy(q.Client[:], b[28:44])
	copy(q.Server[:], b[44:60])
	q.ClientPort = le.Uint16(b[60:])
	q.ServerPort = le.Uint16(b[62:])
	q.ID = le.Uint16(b[64:])
	q.QueryFlags = le.Uint16(b[66:])
	q.Flags = le.Uint16(b[68:])
	q.Rcode = le.Uint16(b[70:])
	q.Type = le.Uint16(b[72:])
	q.Class = le.Uint16(b[74:])
	q.Payload = le.Uint16(b[76:])
	q.Reason = le.Uint16(b[78:])
	q.QuerySize = le.Uint16(b[80:])
	q.ReplySize = le.Uint16(b[82:])
	q.Source = le.Uint16(b[84:])
	q.Transport = Transport(b[86] & 15)
	q.Clock = Clock(b[86] >> 4)
	q.From = From(b[87] & 0x7F)
	q.DO = b[87]&0x80 != 0
	q.Policy = Policy(b[89])
	q.decodeExtra(b[headerSize:])
	name, reply := int(b[88]), int(le.Uint16(b[90:]))
	b = b[headerSize+q.extra():]
	q.Name, q.Reply = nil, nil
	if name > 0 {
		q.Name = b[:name]
	}
	if reply > 0 {
		q.Reply = b[name : name+reply]
	}
}

// Drain hands at most max waiting observations to see, oldest first, and returns how many there were. The Query is reused;
// its slices point into the ring and are overwritten after see returns.
func (r *Ring) Drain(max int, see func(*Query)) int {
	q := &r.scratch
	n := 0
	tail, head := r.tail.Load(), r.head.Load()
	for tail != head && n < max {
		at := tail & r.mask
		length := binary.LittleEndian.Uint32(r.buf[at:])
		if length == skip {
			tail += uint64(len(r.buf)) - at
			continue
		}
		q.decode(r.buf[at : at+uint64(length)])
		see(q)
		n++
		tail += uint64(length)
		r.tail.Store(tail)
	}
	r.tail.Store(tail)
	return n
}
