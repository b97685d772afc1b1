//go:build linux && !386 && !arm && !mips && !mipsle

package listen_test

import (
	"bytes"
	"net/netip"
	"testing"

	"anyu/serve/listen"
)

// The promise of the package: a UDP message costs no allocation, from the system call that takes it to the one that answers it.
func TestUDP_allocatesNothing(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		t.Run(at, func(t *testing.T) {
			h, local, err := listen.NewHand(netip.MustParseAddrPort(at), answer(echo))
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			to := netip.MustParseAddr("127.0.0.1")
			if local.Addr().Is6() {
				to = netip.MustParseAddr("::1")
			}
			c := dial(t, "udp", netip.AddrPortFrom(to, local.Port()))
			q, b := question(1, 40), make([]byte, 512)
			const batch = 20
			allocs := testing.AllocsPerRun(200, func() {
				for range batch {
					c.Write(q)
				}
				for n := 0; n < batch; {
					n += h.Step()
				}
				for range batch {
					c.Read(b)
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations for %d messages", allocs, batch)
			}
			if want := uint64(201 * batch); h.Sent() != want {
				t.Errorf("%d replies sent, want %d", h.Sent(), want)
			}
		})
	}
}

// seer is told what comes, and notes it.
type seer struct {
	answer
	told     int
	foretold [][]byte
	answered int
}

func (s *seer) Ahead(queries [][]byte) {
	s.told++
	for _, q := range queries {
		s.foretold = append(s.foretold, append([]byte(nil), q...))
	}
}

func (s *seer) Answer(q []byte, from *listen.Client, out []byte) int {
	if s.answered < len(s.foretold) && !bytes.Equal(q, s.foretold[s.answered]) {
		return listen.Drop
	}
	s.answered++
	return s.answer.Answer(q, from, out)
}

func TestUDP_tellsTheQueriesOfABatchAhead(t *testing.T) {
	s := &seer{answer: echo}
	h, local, err := listen.NewHand(loopback4, s)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	c := dial(t, "udp", local)
	for i := range 20 {
		c.Write(question(uint16(i), 12+i))
	}
	for n := 0; n < 20; {
		n += h.Step()
	}
	if s.told != 1 || len(s.foretold) != 20 || s.answered != 20 {
		t.Errorf("told %d times of %d queries, answered %d", s.told, len(s.foretold), s.answered)
	}
}

func BenchmarkUDP_batch(b *testing.B) {
	h, local, err := listen.NewHand(loopback4, answer(echo))
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	c := dial(b, "udp", local)
	q := question(1, 40)
	b.ReportAllocs()
	for b.Loop() {
		for range 32 {
			c.Write(q)
		}
		for n := 0; n < 32; {
			n += h.Step()
		}
	}
}
