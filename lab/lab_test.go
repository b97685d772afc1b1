package lab_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"anyu/dns/wire"
	"anyu/lab"
)

func TestZones_sameSeedSameZonesAndAllLoad(t *testing.T) {
	a, b := lab.Zones(7), lab.Zones(7)
	if other := lab.Zones(8); bytes.Equal(a[0].Text, other[0].Text) {
		t.Error("another seed gives the same zone")
	}
	for i := range a {
		if !bytes.Equal(a[i].Text, b[i].Text) {
			t.Errorf("%s differs for the same seed", a[i].Name)
		}
		z, err := a[i].Load(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range a[i].Names {
			n, err := wire.ParseName(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := z.Find(wire.AppendKey(nil, n, z.Apex())); !ok {
				t.Errorf("%s is asked and does not exist", name)
			}
		}
	}
}

func TestClients_askWellFormedQuestionsFromManyAddresses(t *testing.T) {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- lab.Clients(ctx, 7, lab.Zones(7), server.LocalAddr().(*net.UDPAddr).AddrPort()) }()
	from := map[netip.Addr]bool{}
	var buf [512]byte
	server.SetReadDeadline(time.Now().Add(5 * time.Second))
	for range 200 {
		n, a, err := server.ReadFromUDPAddrPort(buf[:])
		if err != nil {
			t.Fatal(err)
		}
		from[a.Addr()] = true
		var q wire.Query
		if v := q.Read(buf[:n]); v != wire.Good {
			t.Errorf("verdict %d for %x", v, buf[:n])
		}
	}
	cancel()
	if err := <-ended; err != nil || len(from) < 10 {
		t.Errorf("%d clients, %v", len(from), err)
	}
}
