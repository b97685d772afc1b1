package cache_test

import (
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
)

// What was asked for before a flush is not stored after it, whatever is flushed and whatever it is; what is asked for afterwards is.
func TestSince_storesNothingFromBeforeAFlush(t *testing.T) {
	soa := &message.RRset{Name: name(t, "example."), Type: wire.TypeSOA, Class: wire.ClassIN, TTL: 300, Data: [][]byte{make([]byte, 22)}}
	soa.Data[0][21] = 100
	nsec := &message.RRset{Name: name(t, "a.example."), Type: wire.TypeNSEC, Class: wire.ClassIN, TTL: 300, Data: [][]byte{append(name(t, "z.example."), 0, 1, 0x40)}}
	for what, flush := range map[string]func(c *cache.Cache){
		"name": func(c *cache.Cache) { c.Flush(host(1), false) }, "subtree": func(c *cache.Cache) { c.Flush(wire.Root(), true) }, "all": (*cache.Cache).FlushAll,
	} {
		c := cache.New(cache.Config{Bytes: 4 << 20, Seed: 1})
		key := cache.AppendKey(nil, hostQuestion(1), 0)
		put := func(s cache.Since) {
			s.PutRRset(address(1), cache.TrustAuthAnswer, dnssec.Insecure, second)
			s.PutAnswer(&cache.Answer{Question: hostQuestion(1), Answer: []*message.RRset{address(1)}}, 0, 100, second)
			s.PutPacket(key, addressPacket(1), 100, second)
			s.PutDenial(name(t, "example."), nsec, soa, second)
		}
		epoch := c.Epoch()
		flush(c)
		put(c.Since(epoch))
		if s := c.Stats(); s.RRsets+s.Answers+s.Packets+s.Denials != 0 {
			t.Errorf("%s: stored from before: %+v", what, s)
		}
		put(c.Since(c.Epoch()))
		if s := c.Stats(); s.RRsets != 1 || s.Answers != 1 || s.Packets != 1 || s.Denials != 1 {
			t.Errorf("%s: stored of after: %+v", what, s)
		}
	}
}
