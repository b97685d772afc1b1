package cdns_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"anyu/watch/tap/cdns"
)

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	m.Compress = true
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func record(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// items reads a file back; slices are copies.
func items(t testing.TB, file []byte) (list []cdns.Item) {
	t.Helper()
	r, err := cdns.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	err = r.Each(func(it *cdns.Item) {
		c := *it
		c.Query, c.Reply, c.Client, c.Server = bytes.Clone(it.Query), bytes.Clone(it.Reply), bytes.Clone(it.Client), bytes.Clone(it.Server)
		list = append(list, c)
	}, func(err error) { t.Error(err) })
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return list
}

func write(t testing.TB, list []cdns.Item) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := cdns.NewWriter(&b, "test", "host")
	for i := range list {
		err = errors.Join(err, w.Add(&list[i]))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// text is a message without what C-DNS does not keep: compression.
func text(t testing.TB, msg []byte) string {
	t.Helper()
	if msg == nil {
		return "none"
	}
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		return fmt.Sprintf("% x", msg)
	}
	return m.String()
}

// RFC 8618: what is written comes back: queries with EDNS and options, responses of all sections, either one alone, updates with empty RDATA, several questions,
// none, messages that cannot be read, IPv6, times of ns and of none.
func TestWriter_isReadBack(t *testing.T) {
	q := new(dns.Msg).SetQuestion("WWW.example.", dns.TypeA)
	q.SetEdns0(1232, true)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: 8, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}}}
	r := new(dns.Msg).SetReply(q)
	r.Authoritative, r.Rcode = true, dns.RcodeBadVers
	r.Answer = []dns.RR{record(t, "WWW.example. 300 IN CNAME host.example."), record(t, "host.example. 300 IN A 192.0.2.1"), record(t, "host.example. 300 IN MX 10 mail.example.")}
	r.Ns = []dns.RR{record(t, "example. 60 IN NS ns.example.")}
	r.SetEdns0(4096, true)
	update := new(dns.Msg).SetUpdate("example.")
	update.RemoveRRset([]dns.RR{record(t, "old.example. 0 IN A 192.0.2.9")})
	two := new(dns.Msg)
	two.Question = []dns.Question{{Name: "a.", Qtype: 1, Qclass: 1}, {Name: "b.", Qtype: 28, Qclass: 3}}
	bare := new(dns.Msg).SetRcode(new(dns.Msg), dns.RcodeFormatError)
	v4, v6 := []byte{192, 0, 2, 1}, append([]byte{0x20, 1, 0xd, 0xb8}, make([]byte, 12)...)
	const at = 1_700_000_000_123_456_789
	want := []cdns.Item{
		{Query: pack(t, q), Reply: pack(t, r), Timed: true, Time: at, Delayed: true, ReplyTime: at + 1_500_001, Client: v4, Server: v4, ClientPort: 40000, ServerPort: 53, Kind: cdns.KindAuthoritative, Hop: 64},
		{Query: pack(t, update), Timed: true, Time: at - 1e9, Client: v6, Server: v6, ClientPort: 1, ServerPort: 53, Transport: cdns.TCP, Kind: cdns.KindUnknown},
		{Query: pack(t, two), Client: v4, ClientPort: 7, Transport: cdns.TLS, Kind: cdns.KindClient},
		{Reply: pack(t, bare), Timed: true, Time: at + 5, Delayed: true, ReplyTime: at + 5, Client: v4, Server: v4, ClientPort: 9, ServerPort: 53, Transport: cdns.HTTPS, Kind: cdns.KindResolver},
		{Query: pack(t, q), Reply: pack(t, bare), Timed: true, Time: at, Delayed: true, ReplyTime: at - 7, Client: v4, Server: v4, ClientPort: 1, ServerPort: 53, Kind: cdns.KindUnknown, QuerySize: 100, ReplySize: 200, Partial: true},
		{Query: []byte("no message"), Timed: true, Time: at + 9, Client: v4, ClientPort: 3, Server: v4, ServerPort: 53, Kind: cdns.KindUnknown},
	}
	got := items(t, write(t, want))
	if len(got) != len(want) {
		t.Fatalf("%d items, not %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if w.QuerySize == 0 && i < 5 { // told from the message where nothing else is
			w.QuerySize, w.ReplySize = len(w.Query), len(w.Reply)
		}
		if text(t, g.Query) != text(t, w.Query) || i != 4 && text(t, g.Reply) != text(t, w.Reply) {
			t.Errorf("item %d:\n%s\n%s\nwant\n%s\n%s", i, text(t, g.Query), text(t, g.Reply), text(t, w.Query), text(t, w.Reply))
		}
		g.Query, g.Reply, w.Query, w.Reply = nil, nil, nil, nil
		if fmt.Sprint(g) != fmt.Sprint(w) {
			t.Errorf("item %d: %v, not %v", i, g, w)
		}
	}
}

// A block ends when it has enough in it, and times of microseconds are written as such.
func TestWriter_blocks(t *testing.T) {
	q := new(dns.Msg).SetQuestion("example.", dns.TypeA)
	msg := pack(t, q)
	var list []cdns.Item
	for i := range 25_000 {
		list = append(list, cdns.Item{Query: msg, Timed: true, Time: int64(i+1) * 1000, Kind: cdns.KindUnknown})
	}
	file := write(t, list)
	if perItem := len(file) / len(list); perItem > 16 {
		t.Errorf("%d octets an item", perItem)
	}
	got := items(t, file)
	if !slices.EqualFunc(list, got, func(a, b cdns.Item) bool { return a.Time == b.Time }) {
		t.Error("times differ")
	}
	r, err := cdns.NewReader(bytes.NewReader(file))
	if err == nil {
		err = r.Each(func(*cdns.Item) {}, func(error) {})
	}
	if r.Blocks() != 3 || !errors.Is(err, io.EOF) {
		t.Errorf("%d blocks, %v", r.Blocks(), err)
	}
}

// Whatever message is given, the file can be read, and what comes back, written again, is the same.
func FuzzWriter(f *testing.F) {
	q := new(dns.Msg).SetQuestion("www.example.", dns.TypeA)
	q.SetEdns0(1232, true)
	r := new(dns.Msg).SetReply(q)
	r.Answer = []dns.RR{record(f, "www.example. 300 IN MX 10 mail.example.")}
	f.Add(pack(f, q), pack(f, r))
	f.Add(pack(f, q), []byte{})
	f.Fuzz(func(t *testing.T, query, reply []byte) {
		it := cdns.Item{Query: query, Reply: reply, Timed: true, Time: 1e18, Delayed: true, ReplyTime: 1e18 + 1000, Kind: cdns.KindClient}
		if len(query) > 65535 || len(reply) > 65535 {
			return
		}
		if len(query) == 0 {
			it.Query = nil
		}
		if len(reply) == 0 {
			it.Reply = nil
		}
		first := items(t, write(t, []cdns.Item{it}))
		second := items(t, write(t, first))
		if len(first) != len(second) {
			t.Fatalf("%d items, then %d", len(first), len(second))
		}
		for i := range first {
			if !bytes.Equal(first[i].Query, second[i].Query) || !bytes.Equal(first[i].Reply, second[i].Reply) {
				t.Fatalf("item %d:\n% x\n% x\nthen\n% x\n% x", i, first[i].Query, first[i].Reply, second[i].Query, second[i].Reply)
			}
		}
	})
}
