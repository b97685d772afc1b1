package internet_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/lab/internet"
)

// exchange sends a question to a server and returns the reply and how long it took.
func exchange(t *testing.T, server netip.AddrPort, name wire.Name, typ wire.Type) (*message.Message, time.Duration) {
	t.Helper()
	conn, err := net.Dial("udp", server.String()) // connected: a reply from another address does not arrive
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	start := time.Now()
	conn.Write(query(77, name, typ))
	conn.SetReadDeadline(start.Add(3 * time.Second))
	var b [4096]byte
	n, err := conn.Read(b[:])
	if err != nil {
		return nil, time.Since(start)
	}
	m, err := message.Parse(b[:n])
	if err != nil {
		t.Fatal(err)
	}
	return m, time.Since(start)
}

func TestServe_eachServerAnswersFromItsAddressAndAtItsPace(t *testing.T) {
	w := open(t, internet.Config{Seed: 1})
	s, err := w.Serve(context.Background(), internet.ServeConfig{AnyPort: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, s.Port) }
	for _, hint := range w.Hints() {
		m, _ := exchange(t, at(hint.Addresses[0]), wire.Root(), wire.TypeDNSKEY)
		if m == nil || message.Find(m.Answer, wire.Root(), wire.TypeDNSKEY) == nil {
			t.Errorf("%v does not answer", hint.Addresses[0])
		}
	}
	if m, _ := exchange(t, at(netip.MustParseAddr("127.0.0.1")), wire.Root(), wire.TypeNS); m != nil {
		t.Error("an address that is no server answers")
	}
	m, took := exchange(t, at(serverOf(t, w, "slow")), nameOf(t, w, "slow"), wire.TypeSOA)
	if m == nil || took < 50*time.Millisecond || took > time.Second {
		t.Errorf("a slow server answers %v after %v", m, took)
	}
	if m, _ := exchange(t, at(serverOf(t, w, "unreachable")), nameOf(t, w, "unreachable"), wire.TypeSOA); m != nil {
		t.Error("a silent server answers")
	}
	overTCP(t, at(w.Servers()[0]))
}

// nameOf is a registered zone of a kind.
func nameOf(t *testing.T, w *internet.World, kind string) wire.Name {
	t.Helper()
	for i := range w.Size() {
		if k := w.KindOf(i); k != nil && k.Name == kind {
			return w.Registered(i)
		}
	}
	t.Fatalf("no zone is %s", kind)
	return nil
}

// serverOf is a server of a zone of a kind, as its delegation says. Such zones have servers with names of their own, so there is glue.
func serverOf(t *testing.T, w *internet.World, kind string) netip.Addr {
	t.Helper()
	name := nameOf(t, w, kind)
	for _, server := range w.Servers() {
		reply, _, ok := w.Handle(server, query(1, name, wire.TypeA), true)
		if !ok {
			continue
		}
		m, err := message.Parse(reply)
		if err != nil || message.Find(m.Authority, name, wire.TypeNS) == nil {
			continue
		}
		for _, s := range m.Additional {
			if a, ok := netip.AddrFromSlice(s.Data[0]); ok && s.Name.IsSubdomainOf(name) {
				return a
			}
		}
	}
	t.Fatalf("nobody delegates %v", name)
	return netip.Addr{}
}

func overTCP(t *testing.T, server netip.AddrPort) {
	t.Helper()
	conn, err := net.Dial("tcp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(3 * time.Second))
	q := query(5, wire.Root(), wire.TypeNS)
	conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...))
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		t.Fatalf("over TCP: %v", err)
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, msg); err != nil {
		t.Fatalf("over TCP: %v", err)
	}
	if m, err := message.Parse(msg); err != nil || message.Find(m.Answer, wire.Root(), wire.TypeNS) == nil {
		t.Errorf("over TCP: %v, %v", m, err)
	}
}
