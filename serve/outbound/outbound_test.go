package outbound_test

import (
	"net/netip"
	"testing"
)

func TestLoop_asksOverUDP(t *testing.T) {
	f := serveFake(t, goodUDP, nil)
	r := newRig(t, rigConfig{hosts: []netip.AddrPort{f.at}})
	r.wantAnswer(t, "www.Example.com")
	if c := r.Counts(); c.Sent != 1 || c.Received != 1 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
}

func TestLoop_goesOverTCPWhereUDPIsTooShort(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) { send(shortTo(q, 0, 2)) }, goodTCP)
	r := newRig(t, rigConfig{hosts: []netip.AddrPort{f.at}})
	r.wantAnswer(t, "www.example.com")
	r.wantAnswer(t, "mail.example.com")
	if n := f.accepted(); n != 1 {
		t.Errorf("%d connections for two questions", n)
	}
}
