package outbound

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve"
)

// inputKind of what others hand to the loop.
type inputKind uint8

const (
	inQuery inputKind = iota
	inPrefetch
	inStream // a stream has brought a reply, or broke
	inCall   // a function to run between two steps
)

type input struct {
	kind     inputKind
	cd       bool
	id       uint16 // of the message that a stream carried
	deferred *serve.Deferred
	question message.Question
	flight   *flight
	msg      []byte // nil: broken
	call     func()
}

// queue carries inputs to the loop. The loop is woken by a system call only while it sleeps.
type queue struct {
	wake func()

	mu     sync.Mutex
	in     []input
	asleep bool
	closed bool
}

// put hands over what may be refused.
func (q *queue) put(in input) bool { return q.add(in, MaxQueue) }

// force hands over what may not; its number is bounded elsewhere.
func (q *queue) force(in input) bool { return q.add(in, 1<<30) }

func (q *queue) add(in input, most int) bool {
	q.mu.Lock()
	if q.closed || len(q.in) >= most {
		q.mu.Unlock()
		return false
	}
	q.in = append(q.in, in)
	asleep := q.asleep
	q.asleep = false
	q.mu.Unlock()
	if asleep {
		q.wake()
	}
	return true
}

// sleep says that the loop is about to wait. False: there is something to do.
func (q *queue) sleep() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asleep = len(q.in) == 0
	return q.asleep
}

func (q *queue) awake() {
	q.mu.Lock()
	q.asleep = false
	q.mu.Unlock()
}

// take returns what is there, for the memory of what was taken before.
func (q *queue) take(empty []input) []input {
	q.mu.Lock()
	defer q.mu.Unlock()
	in := q.in
	q.in = empty[:0]
	return in
}

// close returns what nobody will take any more.
func (q *queue) close() []input {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	in := q.in
	q.in = nil
	return in
}

// recent remembers, inexactly, what was said within the last seconds. It is asked on the way of an answer: no lock, no memory.
type recent struct {
	seed  maphash.Seed
	slots *[recentSlots]atomic.Uint64
}

const (
	recentSlots = 4096
	recentTime  = 2 // seconds
)

func newRecent() recent {
	return recent{maphash.MakeSeed(), new([recentSlots]atomic.Uint64)}
}

// first tells whether a question has not been seen lately.
func (r *recent) first(q message.Question, cd bool, now int64) bool {
	var room [wire.MaxName + 4]byte
	key := q.Name.AppendLower(room[:0])
	key = append(key, byte(q.Type>>8), byte(q.Type), 0)
	if cd {
		key[len(key)-1] = 1
	}
	h := maphash.Bytes(r.seed, key)
	slot := &r.slots[h%recentSlots]
	second := uint16(now / 1e9)
	seen := slot.Load()
	if seen>>16 == h>>16 && second-uint16(seen) < recentTime {
		return false
	}
	return slot.CompareAndSwap(seen, h&^0xFFFF|uint64(second))
}
