// Package port finds loopback ports for the servers that tests start. It is for tests only.
//
// It promises a port that was free for UDP and TCP a moment ago, from below the range the kernel takes ports for outgoing
// connections from: there a client of another test can take it before the server binds. It refuses to hold the port.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// The kernel's own range begins at 32768.
const first, last = 15000, 32000

// Free returns a port of 127.0.0.1.
func Free(t testing.TB) int {
	t.Helper()
	for range 200 {
		n := first + rand.IntN(last-first)
		at := fmt.Sprintf("127.0.0.1:%d", n)
		u, err := net.ListenPacket("udp", at)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", at)
		u.Close()
		if err != nil {
			continue
		}
		l.Close()
		return n
	}
	t.Fatal("no free port on 127.0.0.1")
	return 0
}
