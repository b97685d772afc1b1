package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"anyu/dns/wire"
)

const (
	clientCount = 40 // addresses 127.1.0.1 and up
	// usualRate is the mean of the simulated traffic, questions a second; it swells and ebbs within wave.
	usualRate = 300
	wave      = 4 * time.Minute
	// Every floodEvery a flood of random names under one zone begins and lasts floodLasts, at floodRate: the detector should see it.
	// The first comes when a detector that learns for two minutes has learned.
	floodEvery = 5 * time.Minute
	floodLasts = time.Minute
	floodFirst = 3 * time.Minute
	floodRate  = 500
	floodZone  = "bank.lab."

	pace = 20 * time.Millisecond
)

// Clients asks the server at an address until ctx ends: popular names often, rare ones rarely, some that do not exist, over
// UDP mostly and TCP now and then.
func Clients(ctx context.Context, seed uint64, zones []Zone, server netip.AddrPort) error {
	c := clients{r: rand.New(rand.NewPCG(seed, 2)), zones: zones, server: server}
	defer c.close()
	for i := range clientCount {
		local := &net.UDPAddr{}
		if server.Addr().Is4() && server.Addr().IsLoopback() {
			local.IP = net.IPv4(127, 1, 0, byte(i+1))
		}
		conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(server))
		if err != nil {
			return fmt.Errorf("starting the lab's clients: %w", err)
		}
		c.conns = append(c.conns, conn)
		go swallow(conn)
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	start := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			c.turn(now.Sub(start))
		}
	}
}

// clients are the simulated ones; the first is the one that floods.
type clients struct {
	r      *rand.Rand
	zones  []Zone
	server netip.AddrPort
	conns  []*net.UDPConn
	owed   float64
	flood  float64
}

func (c *clients) close() {
	for _, conn := range c.conns {
		conn.Close()
	}
}

// swallow reads replies, so that the socket's buffer stays empty.
func swallow(conn *net.UDPConn) {
	var b [4096]byte
	for {
		// A refusal of the port (ICMP) is an error too, and the socket lives on; a closed one is the end.
		if _, err := conn.Read(b[:]); errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// turn sends what is due since the last turn.
func (c *clients) turn(since time.Duration) {
	swell := 1 + 0.5*math.Sin(2*math.Pi*since.Seconds()/wave.Seconds())
	for c.owed += usualRate * swell * pace.Seconds(); c.owed >= 1; c.owed-- {
		name, typ := c.question()
		if c.r.IntN(200) == 0 {
			go overTCP(c.server, c.message(name, typ))
			continue
		}
		c.conns[1+c.zipf(clientCount-1)].Write(c.message(name, typ))
	}
	if since < floodFirst || (since-floodFirst)%floodEvery > floodLasts {
		return
	}
	for c.flood += floodRate * pace.Seconds(); c.flood >= 1; c.flood-- {
		c.conns[0].Write(c.message(fmt.Sprintf("%x.%s", c.r.Uint64(), floodZone), wire.TypeA))
	}
}

// zipf draws a number below n, small ones far more often.
func (c *clients) zipf(n int) int {
	return int(math.Pow(float64(n+1), c.r.Float64())) - 1
}

var mix = [...]wire.Type{
	wire.TypeA, wire.TypeA, wire.TypeA, wire.TypeA, wire.TypeA, wire.TypeAAAA, wire.TypeAAAA, wire.TypeAAAA, wire.TypeHTTPS, wire.TypeHTTPS,
	wire.TypeMX, wire.TypeTXT, wire.TypeNS, wire.TypeSOA, wire.TypeSRV, wire.TypePTR,
}

func (c *clients) question() (string, wire.Type) {
	z := &c.zones[c.zipf(len(c.zones))]
	typ := mix[c.r.IntN(len(mix))]
	switch n := c.r.IntN(100); {
	case n < 3:
		return fmt.Sprintf("nx%d.%s", c.r.IntN(1000), z.Name), typ
	case n < 5:
		return fmt.Sprintf("u%d.user.%s", c.r.IntN(1e6), z.Name), wire.TypeA
	case n < 6:
		return "www.elsewhere.example.", wire.TypeA
	}
	return z.Names[c.zipf(len(z.Names))], typ
}

// message is a question, half of them with EDNS.
func (c *clients) message(name string, typ wire.Type) []byte {
	n, err := wire.ParseName(name)
	if err != nil {
		return nil
	}
	edns := byte(c.r.IntN(2))
	m := binary.BigEndian.AppendUint16(nil, uint16(c.r.Uint32()))
	m = append(m, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns)
	m = append(m, n...)
	m = binary.BigEndian.AppendUint16(m, uint16(typ))
	m = append(m, 0, 1)
	if edns == 1 {
		m = append(m, 0, 0, byte(wire.TypeOPT), 4, 0xD0, 0, 0, 0, 0, 0, 0)
	}
	return m
}

// overTCP asks one question on a connection of its own.
func overTCP(server netip.AddrPort, msg []byte) {
	conn, err := net.DialTimeout("tcp", server.String(), time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err == nil {
		io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint16(size[:])))
	}
}
