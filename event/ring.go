package event

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// Ring carries observations from one worker to one reader without a lock. The writer never waits: an observation that
// does not fit is dropped and counted. One goroutine may Put, one may Drain.
//
// The stream of records is cut into blocks, and a block that was read is the next to be written: as long as the reader keeps up, the
// two pass a few blocks to and fro that stay in the processor's cache, and the room for bad times is neither touched nor made.
//
// A record is a length (uint32, of all of it, a multiple of 8), a fixed header, what only some observations have (the
// upstream, the client subnet: most are cache hits without), the name, the reply.
// A record never crosses into another block: where the rest of its own is too short, a length of skip sends the reader on.
type Ring struct {
	blocks [][]byte // made as they are first needed
	shift  uint     // a block has 1<<shift octets
	order  []uint32 // which block is the nth of the stream, by n modulo their number; written before head passes into it
	under  []uint32 // which block lies under each on the stack of free ones, plus one

	_       [64]byte // writer's line
	head    atomic.Uint64
	to      []byte // the rest of the block being written
	dropped atomic.Uint64

	_       [64]byte // reader's line
	tail    atomic.Uint64
	from    []byte // the rest of the block being read
	reading uint32 // which it is
	scratch Query

	_    [64]byte
	free atomic.Uint32 // the top of the stack, plus one; only the reader pushes and only the writer pops, so that a top seen twice is the same stack
	_    [64]byte
}

const (
	skip       = ^uint32(0)
	headerSize = 4 + 88
	// Parts that are there only where Has says so.
	upstreamSize = 32
	subnetSize   = 17

	// A ring has ringBlocks blocks, fewer where they would have less than smallestBlock octets, of which a record takes at most some 900.
	ringBlocks    = 64
	smallestBlock = 4 << 10
)

// NewRing returns a ring of at least size octets, rounded up to a power of two, 64 KiB at the least.
func NewRing(size int) *Ring {
	n := 64 << 10
	for n < size {
		n <<= 1
	}
	block := max(n/ringBlocks, smallestBlock)
	r := &Ring{blocks: make([][]byte, n/block), shift: uint(bits.TrailingZeros(uint(block))), order: make([]uint32, n/block), under: make([]uint32, n/block)}
	for i := range r.under {
		r.release(uint32(len(r.under) - 1 - i)) // the first ends on top
	}
	return r
}

// Dropped counts the observations that found the ring full.
func (r *Ring) Dropped() uint64 { return r.dropped.Load() }

// Used is the number of octets waiting to be read, and Size the room in all.
func (r *Ring) Used() int { return int(r.head.Load() - r.tail.Load()) }
func (r *Ring) Size() int { return len(r.blocks) << r.shift }

// enter passes to a free block; false where the reader has left none.
func (r *Ring) enter() bool {
	head := r.head.Load() + uint64(len(r.to))
	n := head >> r.shift
	if n-r.tail.Load()>>r.shift >= uint64(len(r.order)) {
		return false
	}
	block := r.take()
	if r.blocks[block] == nil {
		r.blocks[block] = make([]byte, 1<<r.shift)
	}
	r.order[n&uint64(len(r.order)-1)] = block
	if len(r.to) > 0 {
		binary.LittleEndian.PutUint32(r.to, skip)
		r.head.Store(head)
	}
	r.to = r.blocks[block]
	return true
}

// take pops a free block. There is one: those behind the tail were released before it said so.
func (r *Ring) take() uint32 {
	for {
		top := r.free.Load()
		if r.free.CompareAndSwap(top, r.under[top-1]) {
			return top - 1
		}
	}
}

// release makes a block the next to be written.
func (r *Ring) release(block uint32) {
	for {
		top := r.free.Load()
		r.under[block] = top
		if r.free.CompareAndSwap(top, block+1) {
			return
		}
	}
}

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
	need := (body + len(name) + len(reply) + 7) &^ 7
	if len(r.to) < need && !r.enter() {
		r.dropped.Add(1)
		return
	}
	rec := r.to[:need]
	binary.LittleEndian.PutUint32(rec, uint32(need))
	q.encode(rec, len(name), len(reply))
	copy(rec[body:], name)
	copy(rec[body+len(name):], reply)
	r.to = r.to[need:]
	r.head.Store(r.head.Load() + uint64(need))
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
		if len(r.from) == 0 {
			r.reading = r.order[tail>>r.shift&uint64(len(r.order)-1)]
			r.from = r.blocks[r.reading]
		}
		length := binary.LittleEndian.Uint32(r.from)
		if length == skip {
			length = uint32(len(r.from))
		} else {
			q.decode(r.from[:length])
			see(q)
			n++
		}
		tail += uint64(length)
		if r.from = r.from[length:]; len(r.from) == 0 { // the block is read
			r.release(r.reading)
			r.tail.Store(tail)
		}
	}
	r.tail.Store(tail)
	return n
}
