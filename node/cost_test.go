package node_test

import (
	"context"
	"hash/maphash"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/lab"
	"anyu/serve"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/watch/detect"
	"anyu/watch/gauge"
)

// BenchmarkAnswer tells what an answer costs by itself, and with its observation counted: ring, gauge and detector. The budget
// is 5 % of the answers a second of one core, sockets included; docs/bench holds the comparison.
func BenchmarkAnswer(b *testing.B) {
	zones := lab.Zones(1)
	z, err := zones[1].Load(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	var questions [][]byte
	for _, name := range zones[1].Names {
		m, _ := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
		questions = append(questions, m)
	}
	for _, observed := range []bool{false, true} {
		name := "bare"
		if observed {
			name = "observed"
		}
		b.Run(name, func(b *testing.B) {
			names := event.NewNames()
			s := serve.New(&serve.Config{Payload: 1232, Clients: filter.Everybody()}, names, nil, nil)
			s.Change(serve.Change{Put: []serve.Zone{{Name: wire.Name(z.Apex()), Zone: z}}})
			var ring *event.Ring
			if observed {
				ring = event.NewRing(1 << 20)
			}
			w := s.NewWorker(ring, 16<<20)
			g, d := gauge.New(names, "n", maphash.MakeSeed()), detect.NewNXShare(names, "n")
			see := func(q *event.Query) { g.Observe(q); d.Observe(q) }
			from := &listen.Client{Remote: netip.MustParseAddrPort("192.0.2.1:5300"), Local: netip.MustParseAddrPort("192.0.2.2:53"), Arrived: time.Now().UnixNano()}
			out := make([]byte, 65535)
			i := 0
			for b.Loop() {
				w.Answer(questions[i%len(questions)], from, out)
				if i++; observed && i%256 == 0 {
					g.Lock(time.Now())
					ring.Drain(256, see)
					g.Unlock()
				}
			}
		})
	}
}
