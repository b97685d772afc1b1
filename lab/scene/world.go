package scene

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/lab/internet"
	"anyu/serve"
	"anyu/serve/exchange"
	"anyu/serve/health"
	"anyu/serve/resolve"
	"anyu/serve/validate"
	"anyu/serve/validate/anchor"
)

// world is a simulated Internet with anyu in it.
type world struct {
	read   func(string) (string, error)
	failed error

	now   int64
	order int
	mail  deliveries
	hosts map[netip.Addr]*host

	places   []place // zones and who serves them
	stale    bool    // places have changed since the hosts were made
	lies     []lie
	keys     internet.Keys
	plan     plan
	own      [][]string // words of zone steps
	hidden   [][2]string
	noAnchor bool
	follow   bool
	anchors  []validate.Anchor // of the root and of what is marked
	machine  *machine

	sent    []string
	answers []answered
	cookies map[netip.Addr]string
	client  []string // options of each query
	port    uint16
}

// place is a zone at a server.
type place struct {
	addr  netip.Addr
	name  wire.Name
	file  string
	words []string
}

type lie struct {
	addr  netip.Addr
	habit habit
}

// begin is when scenarios begin.
var begin = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

func newWorld(read func(string) (string, error)) *world {
	w := &world{read: read, now: begin.UnixNano(), plan: usual(), stale: true, cookies: map[netip.Addr]string{}}
	w.plan.resolve.Hints = []resolve.Host{{Name: w.parse("ns.root."), Addresses: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53")}}}
	return w
}

func (w *world) fail(format string, args ...any) {
	if w.failed == nil {
		w.failed = fmt.Errorf(format, args...)
	}
}

func (w *world) setDate(text string) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		w.fail("%v", err)
	}
	w.now = t.UnixNano()
}

func rateSeed() maphash.Seed { return maphash.MakeSeed() }

func (w *world) parse(name string) wire.Name {
	n, err := wire.ParseName(name)
	if err != nil {
		w.fail("%v", err)
	}
	return n
}

func (w *world) file(name string) string {
	text, err := w.read(name)
	if err != nil {
		w.fail("%v", err)
	}
	return text
}

var series = regexp.MustCompile(`\{(\d+)\.\.(\d+)\}`)

// expand writes the lines out that a {1..n} stands for.
func expand(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		m := series.FindStringSubmatch(line)
		if m == nil {
			out.WriteString(line)
			continue
		}
		from, _ := strconv.Atoi(m[1])
		to, _ := strconv.Atoi(m[2])
		for i := from; i <= to; i++ {
			out.WriteString(series.ReplaceAllString(line, strconv.Itoa(i)))
		}
	}
	return out.String()
}

func (w *world) load(name wire.Name, file string) *zone.Zone {
	text := expand(w.file(file))
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: name, File: file, Workers: 1,
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }})
	if err != nil {
		w.fail("%v", err)
		return nil
	}
	return z
}

// signingOf reads the words of a server step that are about signing; nil: the zone is not signed.
func (w *world) signingOf(p place) *signing {
	s := &signing{keyring: &w.keys, bad: map[string]bool{}, many: map[string]int{}, revoked: map[uint64]bool{}, keys: []uint64{1},
		first: begin.Add(-24 * time.Hour).Unix(), last: begin.Add(90 * 24 * time.Hour).Unix()}
	for _, word := range p.words {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "sign":
			s.algorithm = dnssec.Algorithm(cmp.Or(n, int(dnssec.Ed25519)))
		case "nsec3":
			s.nsec3, s.cycles = true, n
		case "optout":
			s.optOut = true
		case "zonemd":
			s.digest = true
		case "keys":
			s.keys = nil
			for k := range strings.SplitSeq(value, "+") {
				n, _ := strconv.Atoi(k)
				s.keys = append(s.keys, uint64(n))
			}
		case "revoked":
			s.revoked[uint64(n)] = true
		case "expired":
			s.last = begin.Add(-time.Hour).Unix()
		case "until":
			d, _ := time.ParseDuration(value)
			s.last = begin.Add(d).Unix()
		case "early":
			s.first = begin.Add(48 * time.Hour).Unix()
		case "bad":
			s.bad[value] = true
		case "impostors", "signatures", "ds", "extra":
			s.many[key] = n
		}
	}
	if s.algorithm == 0 {
		return nil
	}
	return s
}

// build makes the hosts, children before their parents, so that parents have their DS records.
func (w *world) build() {
	w.hosts, w.stale = map[netip.Addr]*host{}, false
	var anchors []validate.Anchor
	rooted := false
	order := slices.Clone(w.places)
	slices.SortStableFunc(order, func(a, b place) int { return b.name.Labels() - a.name.Labels() })
	delegations := map[string][][]byte{}
	for _, p := range order {
		z := w.load(p.name, p.file)
		if z == nil {
			return
		}
		s := w.signingOf(p)
		list := recordsOf(z)
		if s != nil {
			list = append(list, w.delegated(p.name, list, delegations)...)
			list = s.sign(p.name, list)
			if s.digest {
				var err error
				if list, err = s.digested(p.name, list); err != nil {
					w.fail("%s: %v", p.file, err)
					return
				}
			}
			delegations[string(p.name.AppendLower(nil))] = s.ds(p.name)
			if p.name.IsRoot() && !rooted || slices.Contains(p.words, "anchor") {
				rooted = rooted || p.name.IsRoot()
				for _, d := range s.ds(p.name) {
					anchors = append(anchors, validate.Anchor{Zone: p.name, Type: wire.TypeDS, Data: d})
				}
			}
		}
		made, err := zoneOf(p.name, list)
		if err != nil {
			w.fail("%s: %v", p.file, err)
			return
		}
		h := w.host(p)
		if p.name.IsRoot() {
			h.root = made
		}
		h.server.Change(serve.Change{Put: []serve.Zone{{Name: wire.Name(p.name.AppendLower(nil)), Zone: made}}})
	}
	for _, l := range w.lies {
		if h := w.hosts[l.addr]; h != nil {
			h.habits = append([]habit{l.habit}, h.habits...)
		}
	}
	if w.machine == nil {
		w.start(anchors)
	}
}

// delegated are the DS records of signed zones that this one delegates.
func (w *world) delegated(apex wire.Name, list []record, of map[string][][]byte) (ds []record) {
	seen := map[string]bool{}
	for _, r := range list {
		n := string(r.owner.AppendLower(nil))
		if r.typ != wire.TypeNS || r.owner.Equal(apex) || seen[n] {
			continue
		}
		seen[n] = true
		for _, d := range of[n] {
			ds = append(ds, record{r.owner, wire.TypeDS, 3600, d})
		}
	}
	return ds
}

func (w *world) host(p place) *host {
	h := w.hosts[p.addr]
	if h == nil {
		h = newHost(cmp.Or(atoi(p.words, "payload"), exchange.Payload), slices.Contains(p.words, "cookies"))
		w.hosts[p.addr] = h
	}
	h.habits = append(h.habits, habit{words: p.words})
	return h
}

func atoi(words []string, key string) int {
	for _, word := range words {
		if v, ok := strings.CutPrefix(word, key+"="); ok {
			n, _ := strconv.Atoi(v)
			return n
		}
	}
	return 0
}

// start makes the machine.
func (w *world) start(anchors []validate.Anchor) {
	w.anchors = anchors
	if !w.noAnchor {
		w.plan.validate.Anchors = anchors
	}
	if w.follow {
		var text strings.Builder
		for _, a := range anchors {
			text.WriteString(string(zone.AppendRecordText(nil, zone.Record{Owner: a.Zone, Type: a.Type, RData: a.Data}, wire.ClassIN)))
		}
		p, err := anchor.Parse(text.String())
		if err != nil {
			w.fail("%v", err)
			return
		}
		w.plan.points = []*anchor.Point{p}
	}
	w.machine = newMachine(w.plan, func() int64 { return w.now }, w)
	for _, z := range w.own {
		w.serve(z)
	}
	for _, z := range w.hidden {
		name := w.parse(z[0])
		w.machine.held.Put(name, w.load(name, z[1]))
	}
}

// maxTurns of one step; what needs more goes in circles.
const maxTurns = 200_000

// run lets things happen until nothing is under way, or until end where it is not 0.
func (w *world) run(end int64) {
	m := w.machine
	for range maxTurns {
		at, ok := m.due()
		if end == 0 && !m.busy() {
			ok = false
		}
		if len(w.mail) > 0 && (!ok || w.mail[0].at <= at) {
			at, ok = w.mail[0].at, true
		}
		if !ok || end != 0 && at > end {
			w.pass(end)
			return
		}
		w.pass(at)
		if len(w.mail) > 0 && w.mail[0].at <= w.now {
			heap.Pop(&w.mail).(delivery).do()
			continue
		}
		m.tick()
	}
	w.fail("this goes on for ever")
}

// pass moves the clock; detectors look at each second that ends.
func (w *world) pass(to int64) {
	from := max(w.now, to-int64(time.Hour)) // of a longer time detectors see the end: nothing was observed meanwhile
	for next := (from/1e9 + 1) * 1e9; next <= to; next += 1e9 {
		w.observe()
		for _, d := range w.machine.detectors {
			d.Tick(time.Unix(0, next).UTC(), w.machine.Report)
		}
	}
	w.now = max(w.now, to)
	w.machine.showRoot(w.now)
}

// observe reads what the workers observed.
func (w *world) observe() {
	w.machine.ring.Drain(1<<20, func(q *event.Query) {
		for _, d := range w.machine.detectors {
			d.Observe(q)
		}
		w.events(q)
	})
}

// health asks what node asks to know whether the resolver can do its work.
func (w *world) health() {
	m := w.machine
	ask := func(q message.Question, o resolve.Options) (answer *resolve.Answer) {
		m.engine.Resolve(w.now, q, o, func(a *resolve.Answer) { answer = a })
		m.settle()
		for range maxTurns {
			if answer != nil || !m.busy() && len(w.mail) == 0 {
				return answer
			}
			w.run(w.now + 1e8)
		}
		return answer
	}
	f, ok := health.Reach(ask(health.ReachQuestion(), health.ReachOptions()), len(m.servers.List(w.now)), nodeName, time.Unix(0, w.now))
	m.Report(f)
	if ok {
		f, _ = health.Keys(ask(health.KeyQuestion(), health.KeyOptions()), nodeName, time.Unix(0, w.now))
		m.Report(f)
	}
}

// restart saves the cache, and begins anew with what was saved.
func (w *world) restart() {
	var saved bytes.Buffer
	if err := w.machine.cache.Save(&saved); err != nil {
		w.fail("%v", err)
	}
	w.mail = nil
	w.machine = nil
	w.build()
	if w.machine == nil {
		return
	}
	if _, err := w.machine.cache.Restore(&saved, w.now); err != nil {
		w.fail("%v", err)
	}
}
