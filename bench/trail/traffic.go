package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"

	"anyu/dns/wire"
	"anyu/event"
)

// traffic is what clients ask a resolver and are told: names by Zipf's law, clients by their weight, answers from its cache or after a while.
type traffic struct {
	r       *rand.Rand
	names   []host
	clients [][16]byte
	zipf    *rand.Zipf
	who     *rand.Zipf
	msg     []byte
}

// host is a name and what is known of it.
type host struct {
	name  wire.Name
	reply [2][]byte // of A and AAAA, behind the question
	count [2]byte
	ttl   uint32
}

const (
	nameCount   = 1_000_000
	clientCount = 20_000
)

func newTraffic(seed uint64) *traffic {
	t := &traffic{r: rand.New(rand.NewPCG(seed, 7))}
	t.zipf = rand.NewZipf(t.r, 1.15, 12, nameCount-1)
	t.who = rand.NewZipf(t.r, 1.05, 40, clientCount-1)
	for i := range clientCount {
		addr := netip.AddrFrom4([4]byte{10, byte(20 + i%11), byte(i >> 8), byte(i)})
		if i%6 == 0 {
			addr = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i >> 12), byte(i >> 4), 0, 1, byte(t.r.Uint32()), byte(t.r.Uint32()), byte(t.r.Uint32()), 0xff, 0xfe, byte(t.r.Uint32()), byte(t.r.Uint32()), byte(i)})
		}
		t.clients = append(t.clients, addr.As16())
	}
	t.names = make([]host, nameCount)
	return t
}

var (
	tops     = []string{"cn", "com", "com.cn", "net", "org", "gov.cn", "edu.cn", "io", "com", "cn"}
	services = []string{"www", "api", "img", "cdn", "m", "static", "mail", "log", "push", "update", "dl", "ns1", "a", "b", "edge-%d", "node%d.cluster", "p%d.video", "s%d"}
	parts    = []string{"ba", "bei", "chu", "dao", "fei", "guo", "hua", "jing", "kai", "lan", "mei", "ning", "ou", "pin", "qi", "ren", "shan", "tian", "wei", "xin", "yun", "zhi"}
)

// host makes the n-th name; its zone is one of a few per hundred names.
func (t *traffic) host(n int) *host {
	h := &t.names[n]
	if h.name != nil {
		return h
	}
	r := rand.New(rand.NewPCG(uint64(n), 99))
	z := rand.New(rand.NewPCG(uint64(r.ExpFloat64()*nameCount/60), 5))
	domain := ""
	for range 2 + z.IntN(2) {
		domain += parts[z.IntN(len(parts))]
	}
	service := services[r.IntN(len(services))]
	if i := r.IntN(300); strings.Contains(service, "%d") {
		service = fmt.Sprintf(service, i)
	}
	name, err := wire.ParseName(fmt.Sprintf("%s.%s%d.%s.", service, domain, z.IntN(9), tops[z.IntN(len(tops))]))
	if err != nil {
		name, _ = wire.ParseName(fmt.Sprintf("x%d.%s.com.", n, domain)) // it is a name
	}
	h.name, h.ttl = name, []uint32{30, 60, 300, 300, 600, 3600, 86400}[r.IntN(7)]
	for kind := range h.reply {
		if kind == 1 && r.IntN(3) > 0 {
			continue // no IPv6
		}
		h.reply[kind], h.count[kind] = answer(r, kind)
	}
	return h
}

// answer is an answer section: sometimes an alias, then one to four addresses.
func answer(r *rand.Rand, kind int) (b []byte, count byte) {
	owner := []byte{0xC0, 12}
	if r.IntN(4) == 0 {
		target, _ := wire.ParseName(fmt.Sprintf("%s%d.cdn-%d.net.", parts[r.IntN(len(parts))], r.IntN(1000), r.IntN(20))) // it is a name
		b = record(b, owner, wire.TypeCNAME, target)
		owner, count = target, 1
	}
	for range 1 + r.IntN(4) {
		if kind == 0 {
			b = record(b, owner, wire.TypeA, []byte{byte(100 + r.IntN(90)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		} else {
			b = record(b, owner, wire.TypeAAAA, []byte{0x24, 0x08, 0x80, byte(r.Uint32()), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(r.Uint32()), byte(r.Uint32())})
		}
		count++
	}
	return b, count
}

func record(b, owner []byte, t wire.Type, rdata []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, owner...), uint16(t))
	b = append(b, 0, 1, 0, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(rdata))), rdata...)
}

// next makes the observation of time ns.
func (t *traffic) next(q *event.Query, ns int64) {
	r := t.r
	h := t.host(int(t.zipf.Uint64()))
	client := int(t.who.Uint64())
	*q = event.Query{
		Has:  event.HasClient | event.HasServer | event.HasTime | event.HasLatency | event.HasQuery | event.HasReply | event.HasPolicy,
		Time: ns, Clock: event.ClockSelf, Client: t.clients[client], Server: netip.AddrFrom4([4]byte{10, 0, 0, 53}).As16(), ServerPort: 53, ClientPort: uint16(1024 + r.IntN(64000)),
		ID: uint16(r.Uint32()), QueryFlags: 0x0100, Flags: 0x8180, Type: uint16(wire.TypeA), Class: 1, Reason: event.NoReason, Name: h.name, From: event.FromCache,
		Latency: int64(12_000 * math.Exp(r.NormFloat64()*0.5)),
	}
	kind, edns := 0, client%3 > 0
	switch p := r.IntN(100); {
	case p < 30:
		kind, q.Type = 1, uint16(wire.TypeAAAA)
	case p < 38:
		kind, q.Type = 1, uint16(wire.TypeHTTPS)
	case p < 40:
		kind, q.Type = 1, uint16(wire.TypeTXT)
	}
	q.QuerySize = uint16(12 + len(h.name) + 4)
	if edns {
		q.Payload, q.QuerySize, q.DO = 1232, q.QuerySize+11, client%9 == 1
	}
	if client%40 == 7 {
		q.Transport = event.TLS
	}
	if r.IntN(100) < 15 { // it was not here
		q.From, q.Latency = event.FromRecursion, int64(9_000_000*math.Exp(r.NormFloat64()*1.1))
		q.Has |= event.HasUpstream | event.HasAsked
		q.Upstream, q.UpstreamPort = netip.AddrFrom4([4]byte{198, 51, byte(100 + len(h.name)%3), byte(h.ttl)}).As16(), 53
		q.Asked, q.AskedTime = uint16(1+r.IntN(4)), q.Latency-40_000
	}
	if q.Type == uint16(wire.TypeHTTPS) || q.Type == uint16(wire.TypeTXT) {
		t.reply(q, h, nil, 0, edns)
	} else {
		t.reply(q, h, h.reply[kind], h.count[kind], edns)
	}
	switch p := r.IntN(1000); {
	case p < 40: // a name that is not there
		q.Rcode, q.Flags = 3, 0x8183
		t.reply(q, h, nil, 0, edns)
	case p < 45:
		q.Rcode, q.Flags, q.Latency, q.From = 2, 0x8182, 2_000_000_000, event.FromError
		t.reply(q, h, nil, 0, edns)
	}
}

// reply is a message as the cache gives it, its TTL older each time.
func (t *traffic) reply(q *event.Query, h *host, section []byte, count byte, edns bool) {
	b := append(t.msg[:0], byte(q.ID>>8), byte(q.ID), byte(q.Flags>>8), byte(q.Flags), 0, 1, 0, count, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(append(b, h.name...), q.Type)
	b = append(b, 0, 1)
	at := len(b)
	b = append(b, section...)
	ttl := h.ttl - uint32(t.r.IntN(int(h.ttl)))
	for i := 0; i < int(count); i++ {
		end, err := wire.SkipName(b, at)
		if err != nil {
			panic(err) // made above
		}
		binary.BigEndian.PutUint32(b[end+4:], ttl)
		at = end + 10 + int(binary.BigEndian.Uint16(b[end+8:]))
	}
	if count == 0 {
		b = append(b, make([]byte, 70)...) // an SOA, in the section behind
	}
	if edns {
		b = append(b, make([]byte, 11)...)
	}
	t.msg = b
	q.Reply, q.ReplySize = b, uint16(len(b))
}
