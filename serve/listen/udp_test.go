package listen_test

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"errors"

	"anyu/event"
	"anyu/serve/listen"
)

func askUDP(t testing.TB, c net.Conn, q []byte) []byte {
	t.Helper()
	mustWrite(t, c, q)
	b := make([]byte, 65535)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// A connected socket takes datagrams from the asked address only, so it hears nothing if the answer leaves from another.
func TestUDP_answersFromTheAddressAsked(t *testing.T) {
	cases := []struct{ listen, ask string }{
		{"0.0.0.0:0", "127.0.0.1"}, {"0.0.0.0:0", "127.0.0.2"}, {"0.0.0.0:0", "127.9.8.7"}, {"127.0.0.1:0", "127.0.0.1"},
		{"[::]:0", "::1"}, {"[::1]:0", "::1"},
	}
	for _, c := range cases {
		t.Run(c.listen+" "+c.ask, func(t *testing.T) {
			var mu sync.Mutex
			var seen listen.Client
			s := start(t, listen.Config{Plain: []netip.AddrPort{netip.MustParseAddrPort(c.listen)}},
				func(q []byte, from *listen.Client, out []byte) int {
					mu.Lock()
					seen = *from
					mu.Unlock()
					return echo(q, from, out)
				}, nil)
			to := netip.AddrPortFrom(netip.MustParseAddr(c.ask), bound(t, s, "dns").Port())
			conn := dial(t, "udp", to)
			q := question(7, 40)
			if got := askUDP(t, conn, q); !bytes.Equal(got, replyTo(q)) {
				t.Errorf("got %x", got)
			}
			mu.Lock()
			defer mu.Unlock()
			if seen.Local != to || seen.Remote.String() != conn.LocalAddr().String() || seen.Transport != event.UDP {
				t.Errorf("client is %+v, want from %v to %v", seen, conn.LocalAddr(), to)
			}
			if age := time.Since(time.Unix(0, seen.Arrived)); age < 0 || age > time.Minute {
				t.Errorf("arrived %v ago", age)
			}
		})
	}
}

func TestUDP_survivesHostileDatagrams(t *testing.T) {
	s := start(t, listen.Config{Plain: []netip.AddrPort{loopback4}}, echo, nil)
	c := dial(t, "udp", bound(t, s, "dns"))
	for _, size := range []int{0, 1, 11, 4097, 65000} {
		mustWrite(t, c, make([]byte, size))
	}
	q := question(1, 500)
	if got := askUDP(t, c, q); !bytes.Equal(got, replyTo(q)) {
		t.Errorf("got %x", got)
	}
	if r := s.Statistics().Transports[event.UDP].Refused; r != 2 {
		t.Errorf("%d datagrams refused, want the 2 that are too long", r)
	}
}

// Replies that do not fit the room for one batch are sent in parts.
func TestUDP_sendsBatchesOfLongReplies(t *testing.T) {
	const long, queries = 60000, 100
	s := start(t, listen.Config{Plain: []netip.AddrPort{loopback4}}, func(q []byte, _ *listen.Client, out []byte) int {
		copy(out, q)
		return long
	}, nil)
	c := dial(t, "udp", bound(t, s, "dns")).(*net.UDPConn)
	c.SetReadBuffer(4 << 20)
	seen := make(map[uint16]bool)
	b := make([]byte, 65535)
	for first := 0; first < queries; first += 10 {
		for i := range 10 {
			mustWrite(t, c, question(uint16(first+i), 30))
		}
		for range 10 {
			n, err := c.Read(b)
			if err != nil || n != long {
				t.Fatalf("read %d, %v", n, err)
			}
			seen[uint16(b[0])<<8|uint16(b[1])] = true
		}
	}
	if len(seen) != queries {
		t.Errorf("%d different replies, want %d", len(seen), queries)
	}
}

func TestUDP_showsItsQueue(t *testing.T) {
	hold := make(chan struct{})
	s := start(t, listen.Config{Plain: []netip.AddrPort{loopback4}, Limits: listen.Limits{ReceiveBuffer: 64 << 10}},
		func(q []byte, _ *listen.Client, out []byte) int {
			<-hold
			return listen.Drop
		}, nil)
	c := dial(t, "udp", bound(t, s, "dns"))
	for range 1000 {
		mustWrite(t, c, question(1, 500))
	}
	got := s.Statistics().Sockets
	close(hold)
	if len(got) != 1 || got[0].Queued == 0 || got[0].Room < 64<<10 || got[0].Overflow == 0 {
		t.Errorf("sockets: %+v, want a full queue and drops", got)
	}
}

func TestStart_namesThePortInUse(t *testing.T) {
	s := start(t, listen.Config{Plain: []netip.AddrPort{loopback4}}, echo, nil)
	at := bound(t, s, "dns")
	second, err := listen.New(listen.Config{Plain: []netip.AddrPort{at}}, func() listen.Answerer { return answer(echo) }, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = second.Start()
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), at.String()) || !strings.Contains(err.Error(), "ss -lnp") {
		t.Errorf("error is %v", err)
	}
	elsewhere := listen.Config{Plain: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5353")}}
	third, _ := listen.New(elsewhere, func() listen.Answerer { return answer(echo) }, nil, nil)
	if err := third.Start(); !errors.Is(err, syscall.EADDRNOTAVAIL) || !strings.Contains(err.Error(), "192.0.2.1:5353") {
		t.Errorf("error is %v", err)
	}
}
