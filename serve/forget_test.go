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
	"anyu/serve/local"
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

// What is looked up in a zone that is always there, because the settings open it for somebody, is kept from those it is not open for, and from
// everybody once it is open no more.
func TestOpen_endsAtOnce(t *testing.T) {
	s, w, o := newResolver(t)
	apex := mustName(t, "10.in-addr.arpa.")
	set := func(edit func(*serve.Recursion)) {
		c := *s.Settings()
		r := *c.Recursion
		r.Open, r.Local = nil, nil
		edit(&r)
		c.Recursion = &r
		s.Configure(&c)
	}
	few := filter.NewACL([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	host := aQuestion(t, "1.2.3.10.in-addr.arpa.", nil)
	for name, open := range map[string]func(*serve.Recursion){
		"open":        func(r *serve.Recursion) { r.Open = []wire.Name{apex} },
		"transparent": func(r *serve.Recursion) { r.Local = local.New(local.Config{Rules: []local.Rule{{Name: apex}}}, nil) },
		"transparent for clients": func(r *serve.Recursion) {
			r.Local = local.New(local.Config{Rules: []local.Rule{{Name: apex, Clients: &few}}}, nil)
		},
	} {
		o.asked = 0
		set(open)
		for range 3 {
			if r := askAs(t, w, host, "127.0.0.1:999"); len(r.Answer) != 1 {
				t.Fatalf("%s: not looked up: %v", name, r)
			}
		}
		if o.asked == 0 {
			t.Errorf("%s: a packet from before is the answer", name)
		}
		if r := askAs(t, w, host, "127.0.0.2:999"); name == "transparent for clients" && len(r.Answer) != 0 {
			t.Errorf("%s: got by another client: %v", name, r)
		}
		set(func(*serve.Recursion) {})
		if r := askAs(t, w, host, "127.0.0.1:999"); len(r.Answer) != 0 {
			t.Errorf("%s: open no more, and still answered: %v", name, r)
		}
	}
}
