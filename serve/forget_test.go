package serve_test

import (
	"net/netip"
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve"
	"anyu/serve/cache"
	"anyu/serve/filter"
)

// What was cached of a zone of ours while everybody might ask it must not go to strangers by an alias once it has a list of who may.
func TestAllow_aZoneThatGetsAListLeavesTheCache(t *testing.T) {
	for name, give := range map[string]func(s *serve.Server, apex wire.Name, list *filter.ACL){
		"Allow": func(s *serve.Server, _ wire.Name, list *filter.ACL) {
			s.Allow(func(wire.Name) (*filter.ACL, bool) { return list, true })
		},
		"Change": func(s *serve.Server, apex wire.Name, list *filter.ACL) {
			s.Change(serve.Change{Put: []serve.Zone{{Name: apex, Allow: list}}})
		},
	} {
		s, _, _ := newResolver(t)
		apex, host := mustName(t, "own.example."), mustName(t, "www.own.example.")
		s.Change(serve.Change{Put: []serve.Zone{{Name: apex}}})
		c := s.Settings().Recursion.Cache
		put := func() {
			c.PutRRset(&message.RRset{Name: host, Type: wire.TypeA, Class: wire.ClassIN, TTL: 300, Data: [][]byte{{192, 0, 2, 1}}}, cache.TrustAuthAnswer, dnssec.Insecure, 0)
		}
		held := func() bool { _, ok := c.RRset(host, wire.TypeA, 0); return ok }
		put()
		list := filter.NewACL([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
		if give(s, apex, &list); held() {
			t.Errorf("%s: what was cached of the zone stays", name)
		}
		put()
		if give(s, apex, &list); !held() {
			t.Errorf("%s: a zone that had a list is forgotten again", name)
		}
	}
}
