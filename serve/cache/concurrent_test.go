package cache_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
)

// Readers see whole entries, their own ones, whatever writers, flushers and the bound do meanwhile. Run with -race.
func TestCache_takesConcurrentUse(t *testing.T) {
	const names, writes = 30_000, 20_000 // more than fit, so that segments are dropped all the time
	c := cache.New(cache.Config{Bytes: 4 << 20})
	var stop atomic.Bool
	var others, writers sync.WaitGroup
	for g := range 3 {
		writers.Go(func() {
			for i := range writes {
				n := (i*7 + g*10_000) % names
				set := address(n)
				c.PutRRset(set, cache.TrustAuthAnswer, dnssec.Insecure, int64(i)*second/1000)
				c.PutPacket(cache.AppendKey(nil, hostQuestion(n), 0), addressPacket(n), 3600, int64(i)*second/1000)
				if i%4 == 0 {
					c.PutAnswer(&cache.Answer{Question: hostQuestion(n), Answer: []*message.RRset{set}}, 0, 100, int64(i)*second/1000)
				}
			}
		})
	}
	for g := range 3 {
		others.Go(func() {
			buf := make([]byte, 0, 512)
			for i := g; !stop.Load(); i = (i*5 + 3) % names {
				if p, ok := c.Packet(cache.AppendKey(nil, hostQuestion(i), 0), second); ok {
					buf = p.Append(buf[:0], second)
					if binary.BigEndian.Uint32(buf[12:]) != uint32(i) {
						t.Errorf("packet %d: %q", i, buf)
						return
					}
				}
				if e, ok := c.RRset(host(i), wire.TypeA, second); ok && (!e.Set.SameData(address(i)) || !e.Set.Name.Equal(host(i))) {
					t.Errorf("RRset %d: %v", i, e.Set)
					return
				}
				if a, ok := c.Answer(hostQuestion(i), 0, second); ok && !a.Answer[0].SameData(address(i)) {
					t.Errorf("answer %d: %v", i, a)
					return
				}
			}
		})
	}
	others.Go(func() {
		for i := 0; !stop.Load(); i++ {
			switch i % 6 {
			case 0:
				c.Flush(host(i%names), false)
			case 1:
				c.FlushAnswer(hostQuestion(i % names))
			case 2:
				if err := c.Save(io.Discard); err != nil {
					t.Error(err)
				}
			case 3:
				c.Configure(cache.Config{Bytes: int64(4+i%3) << 20})
			case 4:
				set := nsec(t, "a.example.", "c.example.", 3600)
				c.PutDenial(name(t, "example."), set, soa(t, "example.", 3600, 900), 0)
				c.Deny(question(t, "b.example.", wire.TypeA), 0)
			case 5:
				if i%60 == 5 {
					c.FlushAll()
				}
				if i%90 == 11 {
					var b bytes.Buffer
					if err := c.Save(&b); err != nil {
						t.Error(err)
					}
					if _, err := c.Restore(&b, second); err != nil {
						t.Error(err)
					}
				}
			}
		}
	})
	writers.Wait()
	stop.Store(true)
	others.Wait()
	s := c.Stats()
	if s.Live < 0 || s.RRsets < 0 || s.Live > s.Bytes || s.Bytes > 6<<20 {
		t.Errorf("the books are wrong: %+v", s)
	}
	c.Flush(wire.Name{0}, true)
	if s := c.Stats(); s.Live != 0 || s.RRsets+s.Answers+s.Packets+s.Failures != 0 {
		t.Errorf("after a flush of all: %+v", s)
	}
}
