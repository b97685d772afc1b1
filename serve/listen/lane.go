package listen

import "sync"

// A lane is an Answerer with the room its replies are written to. Whoever holds the lane may use both.
//
// UDP worker n of every address shares lane n under its lock, taken once a batch: with one address it is never
// contended. Streams take any free lane for as long as a reply is made, never while a client is read or written.
type lane struct {
	mu       sync.Mutex
	answerer Answerer
	out      []byte
}

const (
	// turn is how many octets of replies a connection may gather before others get the lane. Stops a client that asks for
	// much from making the rest wait.
	turn = 16 << 10
	// streamRoom leaves room for a longest reply behind a turn that is almost over.
	streamRoom = turn + 2 + MaxMessage
)

// lanes are the free lanes for streams. Waiting goroutines get one in the order they came.
type lanes chan *lane

func newLanes(n int, answerer func() Answerer) lanes {
	free := make(lanes, n)
	for range n {
		free <- &lane{answerer: answerer(), out: make([]byte, streamRoom)}
	}
	return free
}

func (l lanes) take() *lane    { return <-l }
func (l lanes) give(one *lane) { l <- one }

// one answers a single message into memory of the caller's. What is not a reply comes back as Drop or Stream.
func (l lanes) one(query []byte, from *Client) ([]byte, int) {
	one := l.take()
	defer l.give(one)
	n := one.answerer.Answer(query, from, one.out[:MaxMessage])
	if n <= 0 {
		return nil, n
	}
	return append([]byte(nil), one.out[:n]...), n
}
