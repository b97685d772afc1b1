package listen

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// backlog is what a TCP or TLS connection still owes: messages whose reply is to come, and replies that came and are to be written.
//
// RFC 7766, Section 6.2.1.1: replies are sent as they are ready, in any order, and a query that takes long holds no other up. Whoever brings
// a reply does not wait for the client to read it: a goroutine that lives while there is something to write does.
type backlog struct {
	mu       sync.Mutex
	waiting  int   // messages whose reply is to come
	since    int64 // when the last of them was asked
	framed   []byte
	messages int   // in framed
	charged  int64 // octets of Server.memory that framed costs
	writing  bool  // there is a goroutine that writes
	ended    bool  // replies are for nobody any more
	came     chan struct{}
}

// connReplier is the Replier for one message of a connection.
type connReplier struct {
	conn *conn
	used atomic.Bool
}

var errStuck = errors.New("replies did not come")

// later is Client.Later. The reading goroutine calls it, through an Answerer, and has seen to it that there is room.
func (c *conn) later() Replier {
	q := &c.backlog
	q.mu.Lock()
	q.waiting++
	q.since = c.client.Arrived
	q.mu.Unlock()
	c.server.deferred.Add(1)
	return &connReplier{conn: c}
}

func (r *connReplier) Reply(msg []byte) {
	if r.used.Swap(true) {
		return
	}
	c := r.conn
	c.server.deferred.Add(-1)
	q := &c.backlog
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting--
	if !q.ended && len(msg) > 0 && len(msg) <= MaxMessage {
		q.add(c, msg)
	}
	select {
	case q.came <- struct{}{}:
	default:
	}
}

// add takes a reply in. One short reply a connection is not charged: Limits.Connections bounds those.
func (q *backlog) add(c *conn, msg []byte) {
	size := 2 + len(msg)
	if q.framed != nil || size > shortReplies {
		if c.server.memory.Add(int64(size)) > c.limits.StreamMemory {
			c.server.memory.Add(-int64(size))
			c.counters.refused.Add(1)
			q.ended = true
			c.cut()
			return
		}
		q.charged += int64(size)
	}
	if q.framed == nil {
		q.framed = takeReply(size)
	}
	q.framed = append(binary.BigEndian.AppendUint16(q.framed, uint16(len(msg))), msg...)
	q.messages++
	if !q.writing {
		q.writing = true
		c.running.Go(c.writeBacklog)
	}
}

// writeBacklog writes replies until there are none.
func (c *conn) writeBacklog() {
	q := &c.backlog
	for {
		q.mu.Lock()
		framed, messages, charged := q.framed, q.messages, q.charged
		q.framed, q.messages, q.charged = nil, 0, 0
		if framed == nil {
			q.writing = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		_ = c.write(framed, messages) // an error has closed the connection
		c.member.active.Store(time.Now().UnixNano())
		c.server.memory.Add(-charged)
		giveReply(framed)
	}
}

// owes tells how many replies are to come, and since when.
func (q *backlog) owes() (int, int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting, q.since
}

// waitBelow waits until fewer than n replies are to come. False: they do not come, or nobody is there to get them.
func (c *conn) waitBelow(n int) bool {
	q := &c.backlog
	var most *time.Timer
	for {
		q.mu.Lock()
		if q.waiting < n {
			q.mu.Unlock()
			return true
		}
		if q.came == nil {
			q.came = make(chan struct{}, 1)
		}
		q.mu.Unlock()
		if most == nil {
			most = time.NewTimer(c.limits.Later)
			defer most.Stop()
		}
		select {
		case <-q.came:
		case <-c.gone:
			return false
		case <-most.C:
			return false
		case <-c.server.impatient:
			return false
		}
	}
}

// settle waits for what runs beside the reading goroutine, which has ended for the reason err. A client that has shut its side down still gets
// its replies.
func (c *conn) settle(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		c.waitBelow(1)
	}
	c.backlog.mu.Lock()
	c.backlog.ended = true
	c.backlog.mu.Unlock()
	c.running.Wait()
}

// busy tells whether a connection whose client is silent is not idle all the same (RFC 7766, Section 6.2.3): replies are to come, or one has
// just gone out.
func (c *conn) busy() bool {
	now := time.Now().UnixNano()
	if n, since := c.backlog.owes(); n > 0 {
		most := c.limits.Later
		if c.listener.draining() {
			most = laterDrain
		}
		return now-since < int64(most)
	}
	return !c.listener.draining() && now-c.member.active.Load() < int64(c.limits.Idle)
}

// cut closes the connection from any goroutine, without waiting.
func (c *conn) cut() {
	c.cutting.Do(func() { close(c.gone) })
	c.raw.Close()
}
