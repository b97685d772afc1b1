package scene

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/exchange"
	"anyu/serve/filter"
	"anyu/serve/listen"
)

// roundTrip is how long a reply takes where the scenario says nothing else; over a stream twice that, for connecting.
const roundTrip = 10 * time.Millisecond

// host is a server of the simulated Internet: anyu's own authoritative side, with zones, and habits.
type host struct {
	server *serve.Server
	worker *serve.Worker
	habits []habit
	root   *zone.Zone // the one it serves; nil: none
}

// habit is how a server treats some questions: words of a server or lie step.
type habit struct {
	name  wire.Name // nil: any
	typ   wire.Type // 0: any
	words []string
	left  map[string]int // of words that wear out, as lost=2
}

func newHost(payload int, cookies bool) *host {
	c := &serve.Config{Payload: uint16(payload), Clients: filter.Everybody(), NoReasons: true}
	if cookies {
		c.Cookies = &filter.Cookies{Current: filter.Secret{1}}
	}
	s := serve.New(c, event.NewNames(), nil, nil)
	return &host{server: s, worker: s.NewWorker(nil, 0)}
}

// delivery is something that happens later.
type delivery struct {
	at    int64
	order int
	do    func()
}

type deliveries []delivery

func (h deliveries) Len() int { return len(h) }
func (h deliveries) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h deliveries) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *deliveries) Push(x any)   { *h = append(*h, x.(delivery)) }
func (h *deliveries) Pop() any {
	old := *h
	d := old[len(old)-1]
	*h = old[:len(old)-1]
	return d
}

func (w *world) later(after time.Duration, do func()) {
	w.order++
	heap.Push(&w.mail, delivery{w.now + int64(after), w.order, do})
}

// send implements network.
func (w *world) send(id uint64, x *exchange.Exchange) {
	msg, stream := bytes.Clone(x.Message()), x.Stream()
	w.sent = append(w.sent, w.describe(x, msg, stream))
	h := w.hosts[x.Server().Addr()]
	if h == nil {
		return // nobody is there
	}
	l := &lying{w: w, h: h, id: id, query: msg, stream: stream, to: x.Server().Addr(), delay: roundTrip, words: h.words(x.Ask().Question.Name, x.Ask().Question.Type)}
	if stream {
		l.delay += roundTrip
	}
	l.answer()
}

// words are the habits that concern a question, the special ones first.
func (h *host) words(name wire.Name, t wire.Type) (list []*habit) {
	for i := range h.habits {
		b := &h.habits[i]
		if (b.name == nil || b.name.Equal(name)) && (b.typ == 0 || b.typ == t) {
			list = append(list, b)
		}
	}
	return list
}

// lying is one reply on its way out of a server.
type lying struct {
	w      *world
	h      *host
	id     uint64
	query  []byte
	stream bool
	to     netip.Addr
	delay  time.Duration
	words  []*habit
}

// word finds KEY or KEY=VALUE among the habits.
func (l *lying) word(key string) (value string, ok bool) {
	for _, b := range l.words {
		for _, word := range b.words {
			if k, v, _ := strings.Cut(word, "="); k == key {
				return v, true
			}
		}
	}
	return "", false
}

func (l *lying) has(key string) bool { _, ok := l.word(key); return ok }

func (l *lying) number(key string) int {
	v, _ := l.word(key)
	n, _ := strconv.Atoi(v)
	return n
}

func (l *lying) duration(key string) time.Duration {
	v, _ := l.word(key)
	d, _ := time.ParseDuration(v)
	return d
}

// worn uses a word up: KEY=N counts N times.
func (l *lying) worn(key string) bool {
	for _, b := range l.words {
		for _, word := range b.words {
			k, v, counted := strings.Cut(word, "=")
			if k != key {
				continue
			}
			if b.left == nil {
				b.left = map[string]int{}
			}
			n, err := strconv.Atoi(v)
			b.left[key]++
			return !counted || err != nil || b.left[key] <= n
		}
	}
	return false
}

func (l *lying) deliver(msg []byte) {
	l.w.later(l.delay, func() {
		l.w.machine.tell(l.id, func(x *exchange.Exchange) exchange.Action { return x.Heard(l.w.now, bytes.Clone(msg)) })
	})
}

// answer sends what the server sends, or nothing.
func (l *lying) answer() {
	edns := binary.BigEndian.Uint16(l.query[10:]) > 0
	switch {
	case l.has("silent"), l.worn("lost"), l.has("udp-silent") && !l.stream, l.has("mute-edns") && edns:
		return
	case l.has("unreachable"):
		l.w.later(0, func() {
			l.w.machine.tell(l.id, func(x *exchange.Exchange) exchange.Action { return x.Unreachable(l.w.now) })
		})
		return
	case l.stream && l.has("no-tcp"), l.has("closed"):
		l.w.later(l.delay, func() {
			l.w.machine.tell(l.id, func(x *exchange.Exchange) exchange.Action { return x.Broken(l.w.now) })
		})
		return
	}
	l.delay += l.duration("slow")
	msg := l.honest()
	if msg == nil {
		return
	}
	msg = l.bend(msg, edns)
	l.forge(msg)
	if l.has("wrong-id") && !l.stream {
		msg[0] ^= 0xff
	}
	l.deliver(msg)
	for range l.number("again") {
		l.delay += time.Millisecond
		l.deliver(msg)
	}
}

// forge sends what strangers send before the reply comes: spoof=N with other IDs.
func (l *lying) forge(msg []byte) {
	if l.stream {
		return
	}
	delay := l.delay
	for i := range l.number("spoof") {
		forged := bytes.Clone(msg)
		binary.BigEndian.PutUint16(forged, binary.BigEndian.Uint16(forged)+uint16(i)+1)
		l.delay = delay / 2
		l.deliver(forged)
	}
	if n := l.number("spoof-question"); n > 0 {
		for range n {
			forged := bytes.Clone(msg)
			forged[13] ^= 1 // another name
			l.delay = delay / 2
			l.deliver(forged)
		}
	}
	for range l.number("garbage") {
		l.delay = delay / 2
		l.deliver(append(bytes.Clone(msg[:12]), 0xff, 0xff, 0xff))
	}
	l.delay = delay
}

// honest is the reply of the server's zones, or the one that the scenario wrote down.
func (l *lying) honest() []byte {
	if file, ok := l.word("says"); ok {
		return l.w.canned(file, l.query)
	}
	transport := event.UDP
	if l.stream {
		transport = event.TCP
	}
	from := &listen.Client{Remote: netip.MustParseAddrPort("192.0.2.53:5353"), Local: netip.AddrPortFrom(l.to, 53), Arrived: l.w.now, Transport: transport}
	query := bytes.Clone(l.query)
	if l.has("big") && !l.stream { // it pays no heed to what was asked for
		from.Transport = event.TCP
	}
	out := make([]byte, listen.MaxMessage)
	n := l.h.worker.Answer(query, from, out)
	if n <= 0 {
		return nil
	}
	return out[:n]
}

// bends are the habits that change records; only a reply that they are for is put together anew. The library spoils what is signed of types that it
// does not know.
func bends() []string {
	return []string{"rcode", "noedns", "badvers", "lame", "empty", "tc", "tc-always", "drop", "noopt", "flip", "cookie", "add", "ttl", "lowercase", "noquestion"}
}

// bend changes a reply as the habits say.
func (l *lying) bend(msg []byte, edns bool) []byte {
	if l.has("noaa") {
		msg[2] &^= wire.FlagAA >> 8
	}
	if l.has("ra") {
		msg[3] |= wire.FlagRA
	}
	if !slices.ContainsFunc(bends(), l.has) {
		return msg
	}
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		return msg
	}
	refuse := func(rcode int) {
		m.Rcode, m.Answer, m.Ns, m.Extra, m.Authoritative = rcode, nil, nil, nil, false
	}
	switch rcode, ok := l.word("rcode"); {
	case ok:
		refuse(dns.StringToRcode[strings.ToUpper(rcode)])
	case l.has("noedns") && edns:
		refuse(dns.RcodeFormatError)
	case l.has("badvers") && edns:
		m.Rcode, m.Answer, m.Ns, m.Extra, m.Authoritative = dns.RcodeBadVers, nil, nil, []dns.RR{&dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}}, false
	case l.has("lame"):
		m.Answer, m.Authoritative = nil, false
		m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: 1, Ttl: 60}, Ns: "ns.root."}}
	case l.has("empty"):
		m.Answer, m.Ns, m.Rcode = nil, nil, 0
	case l.has("tc") && !l.stream || l.has("tc-always"):
		m.Truncated, m.Answer, m.Ns = true, nil, nil
	}
	m.Answer, m.Ns, m.Extra = l.trim(m.Answer), l.trim(m.Ns), l.trim(m.Extra)
	l.add(m)
	if l.has("lowercase") {
		m.Question[0].Name = strings.ToLower(m.Question[0].Name)
	}
	if l.has("noquestion") {
		m.Question = nil
	}
	m.Compress = true
	b, err := m.Pack()
	if err != nil {
		l.w.fail("packing a reply: %v", err)
		return msg
	}
	return b
}

// add puts records of add=FILE to what the zone says, and gives those of the answer the TTL of ttl=N.
func (l *lying) add(m *dns.Msg) {
	if file, ok := l.word("add"); ok {
		if err := fillCanned(m, expand(l.w.file(file)), m.Question[0].Name); err != nil {
			l.w.fail("%s: %v", file, err)
		}
	}
	if ttl := l.number("ttl"); ttl > 0 {
		for _, rr := range m.Answer {
			rr.Header().Ttl = uint32(ttl)
		}
	}
}

// trim drops records: drop=TYPE or drop=TYPE@OWNER of a section, noopt, cookie=none or wrong; flip=TYPE breaks the signatures of a type.
func (l *lying) trim(list []dns.RR) []dns.RR {
	var drops []string
	for _, b := range l.words {
		for _, word := range b.words {
			if v, ok := strings.CutPrefix(word, "drop="); ok {
				drops = append(drops, v)
			}
		}
	}
	flip, _ := l.word("flip")
	cookie, _ := l.word("cookie")
	list = slices.DeleteFunc(list, func(rr dns.RR) bool {
		t := dns.TypeToString[rr.Header().Rrtype]
		if sig, ok := rr.(*dns.RRSIG); ok && slices.Contains(drops, dns.TypeToString[sig.TypeCovered]+"@"+strings.ToLower(sig.Hdr.Name)) {
			return true
		}
		return slices.Contains(drops, t) || slices.Contains(drops, t+"@"+strings.ToLower(rr.Header().Name)) || t == "OPT" && l.has("noopt")
	})
	for i, rr := range list {
		switch rr := rr.(type) {
		case *dns.RRSIG:
			if flip == dns.TypeToString[rr.TypeCovered] {
				bad := *rr
				bad.Signature = "AAAA" + bad.Signature[4:]
				list[i] = &bad
			}
		case *dns.OPT:
			for j, o := range rr.Option {
				c, ok := o.(*dns.EDNS0_COOKIE)
				switch {
				case ok && cookie == "wrong":
					c.Cookie = "00" + c.Cookie[2:]
				case ok && cookie == "none":
					rr.Option = slices.Delete(rr.Option, j, j+1)
				}
			}
		}
	}
	return list
}
