package scene

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyu/dns/wire"
	"anyu/serve"
	"anyu/serve/filter"
	"anyu/serve/resolve"
	"anyu/serve/validate"
)

// step does one step, and tells what came of it.
func (w *world) step(words []string) string {
	if w.failed != nil {
		return ""
	}
	w.sent, w.answers = nil, nil
	if do := w.setting(words); do {
		return ""
	}
	if w.machine == nil || w.stale {
		w.build()
	}
	if w.failed != nil {
		return ""
	}
	args := words[1:]
	switch {
	case words[0] == "query" && len(args) >= 2:
		w.query(args[0], args[1], args[2:])
		w.run(0)
		return w.tell(false)
	case words[0] == "octets" && len(args) == 1:
		w.octets(args[0])
		w.run(0)
		return w.tell(false)
	case words[0] == "post" && len(args) >= 2:
		w.query(args[0], args[1], args[2:])
		return w.tell(false)
	case words[0] == "flood" && len(args) >= 3:
		n, _ := strconv.Atoi(args[0])
		for i := range n {
			w.query(strings.NewReplacer("{n}", strconv.Itoa(i+1), "{m}", strconv.Itoa(i/900)).Replace(args[1]), args[2], numbered(args[3:], i))
		}
		if !slices.Contains(args, "+nowait") {
			w.run(0)
		}
		return w.tell(true)
	case words[0] == "wait" && len(args) == 1:
		w.run(w.now + int64(w.span(args[0])))
		return w.tell(false)
	case words[0] == "flush" && len(args) == 1:
		w.machine.cache.Flush(w.parse(args[0]), true)
		return ""
	case words[0] == "nta" && len(args) == 2:
		w.nta(args[0], w.span(args[1]))
		return ""
	case words[0] == "mirror" && len(args) == 1:
		return w.mirror(args[0])
	case words[0] == "restart":
		w.restart()
		return ""
	case words[0] == "health":
		w.health()
		return w.tell(false)
	}
	w.fail("unknown step")
	return ""
}

// numbered puts the number of a client into its address, port or name.
func numbered(options []string, i int) (out []string) {
	for _, o := range options {
		out = append(out, strings.ReplaceAll(o, "{n}", strconv.Itoa(i%250+1)))
	}
	return out
}

func (w *world) span(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		w.fail("%v", err)
	}
	return d
}

// setting does a step that sets something up.
func (w *world) setting(words []string) (done bool) {
	args := words[1:]
	switch {
	case words[0] == "config":
		for _, word := range args {
			w.configure(word)
		}
		if w.machine != nil {
			w.machine.configure(w.plan)
		}
	case words[0] == "client":
		w.client = args
	case words[0] == "server" && len(args) >= 3:
		p := place{w.addr(args[0]), w.parse(args[1]), args[2], args[3:]}
		w.places = slices.DeleteFunc(w.places, func(q place) bool { return q.addr == p.addr && q.name.Equal(p.name) })
		w.places, w.stale = append(w.places, p), true
	case words[0] == "lie" && len(args) >= 4:
		w.lie(args)
	case words[0] == "zone" && len(args) >= 2:
		w.own = append(w.own, args)
		if w.machine != nil {
			w.serve(args)
		}
	case words[0] == "held" && len(args) == 2:
		w.hidden = append(w.hidden, [2]string{args[0], args[1]})
		if w.machine != nil {
			w.machine.held.Put(w.parse(args[0]), w.load(w.parse(args[0]), args[1]))
		}
	case words[0] == "local" && len(args) >= 3, words[0] == "rule", words[0] == "unlocal":
		w.local(words)
	case (words[0] == "forward" || words[0] == "stub") && len(args) >= 2:
		w.upstream(words[0] == "forward", args)
	default:
		return false
	}
	return true
}

// serve has the machine answer from a zone: NAME FILE [allow=PREFIX].
func (w *world) serve(words []string) {
	name := w.parse(words[0])
	z := serve.Zone{Name: wire.Name(name.AppendLower(nil)), Zone: w.load(name, words[1])}
	for _, word := range words[2:] {
		prefix, ok := strings.CutPrefix(word, "allow=")
		p, err := netip.ParsePrefix(prefix)
		if !ok || err != nil {
			w.fail("a zone has no word %s", word)
			return
		}
		list := filter.NewACL([]netip.Prefix{p})
		z.Allow = &list
	}
	w.machine.server.Change(serve.Change{Put: []serve.Zone{z}})
}

func (w *world) addr(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		w.fail("%v", err)
	}
	return a
}

func (w *world) lie(args []string) {
	l := lie{addr: w.addr(args[0]), habit: habit{words: args[3:]}}
	if args[1] != "*" {
		l.habit.name = w.parse(args[1])
	}
	if args[2] != "*" {
		l.habit.typ, _ = wire.ParseType(args[2])
	}
	same := func(o lie) bool {
		return o.addr == l.addr && o.habit.typ == l.habit.typ && (o.habit.name == nil) == (l.habit.name == nil) && o.habit.name.Equal(l.habit.name)
	}
	w.lies = append(slices.DeleteFunc(w.lies, same), l)
	w.stale = true
}

func (w *world) upstream(forward bool, args []string) {
	z, stream := resolve.Zone{Name: w.parse(args[0]), Forward: forward}, slices.Contains(args[1:], "tcp")
	for _, a := range args[1:] {
		switch a {
		case "first":
			z.First = true
		case "prime":
			z.Prime = true
		case "tcp":
		default:
			z.Hosts = append(z.Hosts, resolve.Host{Stream: stream, Addresses: []netip.AddrPort{netip.AddrPortFrom(w.addr(a), 53)}})
		}
	}
	w.plan.resolve.Zones = append(slices.Clone(w.plan.resolve.Zones), z)
	if !z.Name.IsRoot() {
		w.plan.resolve.PrivateNames = append(w.plan.resolve.PrivateNames, z.Name)
	}
	if w.machine != nil {
		w.machine.configure(w.plan)
	}
}

// nta puts a negative trust anchor in, as `anyu control nta` does.
func (w *world) nta(name string, d time.Duration) {
	n := validate.NegativeAnchor{Name: w.parse(name), Owner: "ops", Reason: "scenario", Begin: w.now / 1e9, End: (w.now + int64(d)) / 1e9}
	if err := n.Check(); err != nil {
		w.fail("%v", err)
		return
	}
	w.plan.validate.Negative = append(slices.Clone(w.plan.validate.Negative), n)
	w.machine.configure(w.plan)
	w.machine.cache.Flush(n.Name, true)
}

// describe is a question on its way to a server.
func describeAddr(a netip.AddrPort) string {
	if a.Port() == 53 {
		return a.Addr().String()
	}
	return fmt.Sprint(a)
}
