package outbound_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/house/port"
	"anyu/serve/cache"
	"anyu/serve/nameserver"
	"anyu/serve/outbound"
	"anyu/serve/pending"
	"anyu/serve/resolve"
)

// rig is a loop that forwards everything to one server.
type rig struct {
	*outbound.Loop
	servers *nameserver.Table
	streams *outbound.Streams
	cache   *cache.Cache
}

type rigConfig struct {
	hosts     []netip.AddrPort
	upstreams []*resolve.Upstream
	streams   outbound.StreamConfig
	source    outbound.Source
	stream    bool
}

func newRig(t testing.TB, c rigConfig) *rig {
	t.Helper()
	zone := resolve.Zone{Name: wire.Name{0}, Forward: true, Upstreams: c.upstreams}
	if len(c.hosts) > 0 {
		zone.Hosts = []resolve.Host{{Addresses: c.hosts, Stream: c.stream}}
	}
	r := &rig{servers: nameserver.New(nameserver.Config{}), streams: outbound.NewStreams(c.streams), cache: cache.New(cache.Config{Bytes: 4 << 20})}
	shared := resolve.Shared{Cache: r.cache, Servers: r.servers}
	engine := resolve.New(&resolve.Config{Zones: []resolve.Zone{zone}, IPv4: true, IPv6: true, Tries: 1}, shared, generator())
	table := pending.New(pending.Config{}, engine, r.cache)
	var err error
	r.Loop, err = outbound.New(outbound.Config{Engine: engine, Table: table, Servers: r.servers, Streams: r.streams, Source: c.source})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the loop ended: %v", err)
		}
		r.streams.Close()
	})
	return r
}

// generator is not random: tests are the same each time, as far as the engine goes.
func generator() func() uint64 {
	state := uint64(1)
	return func() uint64 {
		state = state*6364136223846793005 + 1442695040888963407
		return state >> 11
	}
}

// begin asks for A records of a name; the answer comes over the channel.
func (r *rig) begin(name string) chan *resolve.Answer {
	came := make(chan *resolve.Answer, 1)
	q := message.Question{Name: wireName(name), Type: wire.TypeA, Class: wire.ClassIN}
	r.Call(func(_ *resolve.Engine, table *pending.Table) {
		client := pending.Client{Addr: netip.MustParseAddr("127.0.0.1"), Trusted: true, Done: func(a *resolve.Answer) { came <- a }}
		if !table.Ask(time.Now().UnixNano(), q, false, client) {
			came <- nil
		}
	})
	return came
}

// ask waits for the answer.
func (r *rig) ask(t testing.TB, name string) *resolve.Answer {
	t.Helper()
	select {
	case a := <-r.begin(name):
		if a == nil {
			t.Fatalf("%s: no answer", name)
		}
		return a
	case <-time.After(15 * time.Second):
		t.Fatalf("%s: no answer in time", name)
		return nil
	}
}

// wantAnswer asks and expects the address that the servers of these tests give.
func (r *rig) wantAnswer(t testing.TB, name string) {
	t.Helper()
	a := r.ask(t, name)
	set := message.Find(a.Answer, wireName(name), wire.TypeA)
	if a.Rcode != wire.NoError || set == nil || !bytes.Equal(set.Data[0], []byte{192, 0, 2, 1}) {
		t.Fatalf("%s: %s, %v, %q", name, a.Rcode, a.Answer, a.Text)
	}
	if !bytes.Equal(set.Name, wireName(name)) {
		t.Errorf("the owner came out as %s", set.Name)
	}
}

func wireName(text string) wire.Name {
	n := wire.Name{}
	for label := range bytes.SplitSeq([]byte(text), []byte(".")) {
		if len(label) > 0 {
			n = append(append(n, byte(len(label))), label...)
		}
	}
	return append(n, 0)
}

// questionEnd is where the question of a query ends.
func questionEnd(q []byte) int {
	i := 12
	for q[i] != 0 {
		i += int(q[i]) + 1
	}
	return i + 5
}

// hasOPT tells whether a query has EDNS.
func hasOPT(q []byte) bool { return binary.BigEndian.Uint16(q[10:]) == 1 }

// answerTo is the good answer to a query: one address, an OPT record if there was one.
func answerTo(q []byte) []byte {
	end := questionEnd(q)
	r := bytes.Clone(q[:end])
	r[2], r[3] = 0x81, 0x80
	copy(r[4:], []byte{0, 1, 0, 1, 0, 0, 0, 0})
	r = append(r, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1)
	if hasOPT(q) {
		r[11] = 1
		r = append(r, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0)
	}
	return r
}

// shortTo is an answer without records.
func shortTo(q []byte, rcode byte, flags byte) []byte {
	r := bytes.Clone(q[:questionEnd(q)])
	r[2], r[3] = 0x81|flags, 0x80|rcode
	copy(r[4:], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	return r
}

// fake is a server on loopback that does what functions say.
type fake struct {
	at  netip.AddrPort
	mu  sync.Mutex
	udp []exchanged
	tcp []exchanged
	// connections over TCP so far
	connections int
}

type exchanged struct {
	from  netip.AddrPort
	query []byte
}

func (f *fake) queries() (udp, tcp []exchanged) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]exchanged(nil), f.udp...), append([]exchanged(nil), f.tcp...)
}

func (f *fake) accepted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connections
}

// serveFake starts a server on a free port. udp answers a datagram by calling send, as often as it likes; tcp serves a connection: messages
// come in over its read. nil: nobody listens there.
func serveFake(t testing.TB, udp func(query []byte, send func([]byte)), tcp func(c net.Conn, read func() ([]byte, error))) *fake {
	t.Helper()
	f := &fake{at: netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", port.Free(t)))}
	if udp != nil {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(f.at))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go f.serveUDP(c, udp)
	}
	if tcp != nil {
		l, err := net.Listen("tcp", f.at.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go f.serveTCP(t, l, tcp)
	}
	return f
}

func (f *fake) serveUDP(c *net.UDPConn, answer func([]byte, func([]byte))) {
	b := make([]byte, 65535)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		} else if err != nil {
			continue
		}
		q := bytes.Clone(b[:n])
		f.mu.Lock()
		f.udp = append(f.udp, exchanged{from, q})
		f.mu.Unlock()
		answer(q, func(r []byte) { c.WriteToUDPAddrPort(r, from) })
	}
}

func (f *fake) serveTCP(t testing.TB, l net.Listener, serve func(net.Conn, func() ([]byte, error))) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.connections++
		f.mu.Unlock()
		t.Cleanup(func() { c.Close() })
		go func() {
			defer c.Close()
			serve(c, func() ([]byte, error) {
				q, err := readFrame(c)
				if err == nil {
					f.mu.Lock()
					f.tcp = append(f.tcp, exchanged{query: q})
					f.mu.Unlock()
				}
				return q, err
			})
		}()
	}
}

func readFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

func frame(msgs ...[]byte) (b []byte) {
	for _, m := range msgs {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

// goodUDP and goodTCP answer as they should.
func goodUDP(q []byte, send func([]byte)) { send(answerTo(q)) }

func goodTCP(c net.Conn, read func() ([]byte, error)) {
	for {
		q, err := read()
		if err != nil {
			return
		}
		c.Write(frame(answerTo(q)))
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("not within 5 s: %s", what)
}
