package node

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/miekg/dns"

	"anyu/serve/cache"
	"anyu/serve/filter"
	"anyu/serve/outbound"
	"anyu/serve/pending"
	"anyu/serve/resolve"
	"anyu/serve/validate"
)

// peek is a field that its package does not show.
func peek[T any](of any, name string) *T {
	f := reflect.ValueOf(of).Elem().FieldByName(name)
	return (*T)(unsafe.Pointer(f.UnsafeAddr()))
}

// InUse writes down the settings that the parts of a running resolver hold, each read where it is used.
func InUse(n *Node) string {
	r := n.resolver()
	var b strings.Builder
	loop := r.loops.Each()[0]
	loop.Call(func(e *resolve.Engine, t *pending.Table) {
		c := *peek[*resolve.Config](e, "config")
		for _, a := range []string{"127.0.0.1", "127.77.0.1", "127.78.0.1", "203.0.113.1", "192.0.2.1"} {
			fmt.Fprintf(&b, "forbidden %s %v\n", a, c.Forbidden(netip.MustParseAddr(a)))
		}
		shown := *c
		shown.Forbidden, shown.Local = nil, nil
		fmt.Fprintf(&b, "engine %+v\ntable %+v\n", shown, *peek[pending.Config](t, "config"))
		o := peek[outbound.Config](loop, "config")
		fmt.Fprintf(&b, "source %+v of server %d\n", o.Source, o.OfServer)
	})
	fmt.Fprintf(&b, "streams %+v\n", *peek[atomic.Pointer[outbound.Source]](r.streams, "source").Load())
	cached := *peek[atomic.Pointer[cache.Config]](r.cache, "config").Load()
	cached.Seed = 0
	fmt.Fprintf(&b, "cache %+v\n", cached)
	trusted := *(*validate.Config)(*peek[unsafe.Pointer](peek[struct {
		_ [0]*int
		_ struct{}
		v unsafe.Pointer
	}](r.validator, "settings"), "v")) // settings begin with their Config
	trusted.Primed = nil
	fmt.Fprintf(&b, "validator %+v\n", trusted)
	r.mu.Lock()
	fmt.Fprintf(&b, "update %v signal %v\n", r.anchors.update, *r.plan.conf.Validation.Signal)
	r.mu.Unlock()
	s := n.server.Settings()
	fmt.Fprintf(&b, "reasons %v off %v\n", !s.NoReasons, s.Recursion == nil)
	if s.Recursion != nil {
		fmt.Fprintf(&b, "local %d records %d rules\n", s.Recursion.Local.Records(), len(s.Recursion.Local.Rules()))
		fmt.Fprintf(&b, "snoop %v open %v rate %+v\n", s.Recursion.Snoop, s.Recursion.Open, *peek[filter.ClientsConfig](s.Recursion.Clients, "config"))
	}
	c := n.conf().Recursion.Cache // read anew by keepCache, which a reload wakes
	fmt.Fprintf(&b, "prefetch %v save %v every %v\n", r.prefetch.Load(), *c.Save, time.Duration(c.SaveEvery))
	doors, _ := dns.Exchange(new(dns.Msg).SetQuestion("_dns.resolver.arpa.", dns.TypeSVCB), n.conf().Listen.DNS[0].String())
	fmt.Fprintf(&b, "discovery %v\n", doors.Answer)
	for end := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) { // the keeper takes its sources with its next turn
		r.root.mu.Lock()
		waits := r.root.fresh != nil
		r.root.mu.Unlock()
		if !waits || time.Now().After(end) {
			break
		}
	}
	for _, source := range r.plan.root {
		fmt.Fprintf(&b, "root source %s %v\n", source.text, source.roots != nil)
	}
	return b.String()
}

// Cached counts the RRsets in the cache.
func Cached(n *Node) int { return n.resolver().cache.Stats().RRsets }
