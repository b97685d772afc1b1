//go:build linux && !386 && !arm && !mips && !mipsle

package listen

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Hand drives the batch functions of a UDP worker without its goroutine.
type Hand struct {
	u *udpSocket
	b *batch
	a Answerer
}

func NewHand(at netip.AddrPort, a Answerer) (*Hand, netip.AddrPort, error) {
	fd, bound, err := bindUDP(at, 1<<20)
	if err != nil {
		return nil, at, err
	}
	s := &Server{}
	s.settings.Store(Config{Limits: Limits{}.withDefaults()}.settings())
	u := &udpSocket{server: s, local: bound, wildcard: at.Addr().IsUnspecified(), open: true, fd: fd}
	return &Hand{u, u.newBatch(), a}, bound, nil
}

// Step waits for at least one datagram and answers all that are there.
func (h *Hand) Step() int {
	n, _ := h.b.receive(h.u.fd, false)
	h.u.answer(h.b, n, h.a)
	return n
}

// Sent is the number of replies sent so far.
func (h *Hand) Sent() uint64 { return h.u.counters.sent.Load() }

func (h *Hand) Close() { unix.Close(h.u.fd) }
