package gauge_test

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/watch/gauge"
)

// BenchmarkTraffic is what an observation costs with clients and names as they come: names by Zipf's law, or never the same. The
// paces are below what is looked at one by one, and far above.
func BenchmarkTraffic(b *testing.B) {
	for _, random := range []bool{false, true} {
		for _, pace := range []int{4_000, 100_000} {
			b.Run(fmt.Sprintf("random=%v/persecond=%d", random, pace), func(b *testing.B) {
				g, qs := traffic(random)
				at := noon
				g.Lock(at)
				i := 0
				b.ReportAllocs()
				for b.Loop() {
					q := &qs[i%len(qs)]
					q.Time = at.UnixNano()
					g.Observe(q)
					if i++; i%pace == 0 {
						at = at.Add(time.Second)
						g.Unlock()
						g.Lock(at)
					}
				}
				g.Unlock()
			})
		}
	}
}

func traffic(random bool) (*gauge.Gauge, []event.Query) {
	names := event.NewNames()
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.1, 1, 200_000)
	qs := make([]event.Query, 1<<16)
	for i := range qs {
		k := zipf.Uint64()
		if random {
			k = r.Uint64()
		}
		q := answered(noon)
		q.Has |= event.HasZone | event.HasServer
		q.Zone = names.ID(fmt.Sprintf("z%d.", k%8))
		q.Type, q.Latency = uint16(i%5), int64(i%64)*3000
		q.Client = netip.AddrFrom4([4]byte{10, byte(zipf.Uint64() >> 8), byte(zipf.Uint64()), byte(i)}).As16()
		q.Name, _ = wire.ParseName(fmt.Sprintf("host%d.example%d.com.", k, k%5000))
		qs[i] = q
	}
	return gauge.New(names, "n", maphash.MakeSeed()), qs
}
