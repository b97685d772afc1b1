package serve_test

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/filter"
	"anyu/serve/listen"
)

// long marks a test that takes tens of seconds, too many for the race detector.
func long(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: takes tens of seconds, under the race detector minutes; the plain run of CI does it")
	}
}

func mustName(t testing.TB, s string) wire.Name {
	n, err := wire.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// load reads a master file from text.
func load(t testing.TB, apex, text string) *zone.Zone {
	z, err := tryLoad(apex, text)
	if err != nil {
		t.Fatalf("zone %s: %v\n%s", apex, err, text)
	}
	return z
}

func tryLoad(apex, text string) (*zone.Zone, error) {
	n, err := wire.ParseName(apex)
	if err != nil {
		return nil, err
	}
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: n, File: "zone",
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }})
	return z, err
}

// newServer serves the zones with everything that could change an answer switched off.
func newServer(zones ...*zone.Zone) (*serve.Server, *serve.Worker) {
	s := serve.New(&serve.Config{Payload: 1232, Clients: filter.Everybody()}, event.NewNames(), nil, nil)
	var c serve.Change
	for _, z := range zones {
		c.Put = append(c.Put, serve.Zone{Name: z.Apex(), Zone: z})
	}
	s.Change(c)
	return s, s.NewWorker(nil, 8<<20)
}

func client(transport event.Transport) *listen.Client {
	return &listen.Client{
		Remote: netip.MustParseAddrPort("192.0.2.77:5353"), Local: netip.MustParseAddrPort("192.0.2.1:53"),
		Transport: transport, Arrived: time.Now().UnixNano(),
	}
}

// ask sends a message made by another library and parses the answer with it.
func ask(t testing.TB, w *serve.Worker, m *dns.Msg, transport event.Transport) *dns.Msg {
	q, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 65535)
	n := w.Answer(q, client(transport), out)
	if n <= 0 {
		return nil
	}
	r := new(dns.Msg)
	if err := r.Unpack(out[:n]); err != nil {
		t.Fatalf("our answer does not parse: %v\n%x", err, out[:n])
	}
	return r
}

func query(name string, typ uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	m.RecursionDesired = false
	return m
}
