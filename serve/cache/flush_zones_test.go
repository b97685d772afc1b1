package cache_test

import (
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
)

func TestFlushZones_forgetsAllBelowEachAndNothingElse(t *testing.T) {
	c := cache.New(cache.Config{})
	name := func(s string) wire.Name {
		n, err := wire.ParseName(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	held := map[string]bool{"a.example.": false, "www.a.example.": false, "deep.below.b.example.": false, "example.": true, "aa.example.": true, "other.": true}
	for n := range held {
		c.PutRRset(&message.RRset{Name: name(n), Type: wire.TypeA, Class: wire.ClassIN, TTL: 300, Data: [][]byte{{192, 0, 2, 1}}}, cache.TrustAuthAnswer, dnssec.Insecure, 0)
	}
	before := c.Epoch()
	if n := c.FlushZones([]wire.Name{name("A.example."), name("b.example."), name("none.test.")}); n != 3 || c.Epoch() != before+1 {
		t.Errorf("%d forgotten, epoch %d after %d", n, c.Epoch(), before)
	}
	for n, want := range held {
		if _, ok := c.RRset(name(n), wire.TypeA, 0); ok != want {
			t.Errorf("%s: held %v", n, ok)
		}
	}
	if c.FlushZones(nil); c.Epoch() != before+1 {
		t.Error("nothing to forget voids what is under way")
	}
	if n := c.FlushZones([]wire.Name{wire.Root()}); n != 3 {
		t.Errorf("the root: %d", n)
	}
}
