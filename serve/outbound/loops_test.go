package outbound_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/cache"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/nameserver"
	"anyu/serve/outbound"
	"anyu/serve/pending"
	"anyu/serve/resolve"
)

// The heap always tells the earliest, whatever was set, moved and removed before, and holds nothing that has ended.
func TestDeadlines_tellTheEarliest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, model := outbound.NewDeadlines(), map[int]int64{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			n := rapid.IntRange(0, 20).Draw(t, "flight")
			if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
				d.Remove(n)
				delete(model, n)
			} else {
				model[n] = rapid.Int64Range(0, 50).Draw(t, "at")
				d.Set(n, model[n])
			}
			var times []int64
			for _, at := range model {
				times = append(times, at)
			}
			at, ok := d.Next()
			if d.Len() != len(model) || ok != (len(model) > 0) || ok && at != slices.Min(times) {
				t.Fatalf("next %d %v of %d, want of %v", at, ok, d.Len(), times)
			}
		}
	})
}

// The whole way: a client over UDP and over TCP, the worker, one of two loops, a server, and back. Equal questions are asked once.
func TestLoops_answerClients(t *testing.T) {
	f := serveFake(t, func(q []byte, send func([]byte)) {
		time.AfterFunc(30*time.Millisecond, func() { send(answerTo(q)) })
	}, nil)
	at := startServer(t, f)
	udp, err := net.Dial("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	deadline := time.Now().Add(5 * time.Second)
	udp.SetDeadline(deadline)
	tcp.SetDeadline(deadline)
	query := func(id byte, name string) []byte {
		return append(append([]byte{0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, wireName(name)...), 0, 1, 0, 1)
	}
	const n = 20
	for i := range byte(n) {
		udp.Write(query(i, fmt.Sprintf("n%d.example.com", i%5)))
		tcp.Write(frame(query(i, fmt.Sprintf("n%d.example.com", i%5))))
	}
	check := func(msg []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if msg[3]&15 != 0 || msg[7] != 1 || int(msg[1]) >= n || msg[13] != 'n' || msg[14] != '0'+msg[1]%5 {
			t.Errorf("reply %x", msg)
		}
	}
	b := make([]byte, 512)
	for range n {
		size, err := udp.Read(b)
		check(b[:size], err)
		check(readFrame(tcp))
	}
	if asked, _ := f.queries(); len(asked) != 5 {
		t.Errorf("%d queries for 5 names", len(asked))
	}
}

// startServer is our own server that forwards to another.
func startServer(t *testing.T, f *fake) netip.AddrPort {
	t.Helper()
	zones := []resolve.Zone{{Name: wire.Name{0}, Forward: true, Hosts: []resolve.Host{{Addresses: []netip.AddrPort{f.at}}}}}
	shared := resolve.Shared{Cache: cache.New(cache.Config{Bytes: 4 << 20}), Servers: nameserver.New(nameserver.Config{})}
	streams := outbound.NewStreams(outbound.StreamConfig{})
	t.Cleanup(streams.Close)
	everybody := filter.Everybody()
	server := serve.New(&serve.Config{Payload: 1232, Clients: everybody}, event.NewNames(), nil, nil)
	var loops []*outbound.Loop
	for range 2 {
		engine := resolve.New(&resolve.Config{Zones: zones, IPv4: true}, shared, generator())
		l, err := outbound.New(outbound.Config{Engine: engine, Table: pending.New(pending.Config{}, engine, shared.Cache), Servers: shared.Servers, Worker: server.NewWorker(nil, 0), Streams: streams})
		if err != nil {
			t.Fatal(err)
		}
		loops = append(loops, l)
	}
	together := outbound.Together(loops...)
	server.Configure(&serve.Config{Payload: 1232, Clients: everybody, Recursion: &serve.Recursion{Allow: everybody, Cache: shared.Cache, Resolver: together}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- together.Run(ctx) }()
	door, err := listen.New(listen.Config{Plain: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}, func() listen.Answerer { return server.NewWorker(nil, 0) }, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := door.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		door.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return door.Addresses()[0].Bound
}
