package outbound

// result of sending or receiving.
type result uint8

const (
	fine        result = iota
	refused            // the server's host says that nobody listens
	unreachable        // the network does not take it
	exhausted          // we have no descriptor, port or memory left
)

const (
	// firstPort: ports are taken from the whole range that RFC 6056, Section 3.2 allows: 64,512 of them, twice what the kernel chooses from
	// by itself. That is a bit more to guess for the price of a system call.
	firstPort, lastPort = 1024, 65535
	// portTries is how often a random port that is in use is tried again, before the kernel chooses.
	portTries = 8
	// maxReply is the longest message read over UDP: all of it, so that one that is longer than asked for is known as such.
	maxReply = 65535
)
