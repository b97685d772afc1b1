package cache_test

import (
	"bytes"
	"testing"

	"anyu/dns/dnssec"
	"anyu/serve/cache"
)

// record is one with owner 0xC00C, type A, class IN.
func record(ttl byte, data ...byte) []byte {
	return append([]byte{0xC0, 12, 0, 1, 0, 1, 0, 0, 1, ttl, 0, byte(len(data))}, data...)
}

func TestPacket_givesBackWhatWasPutWithLowerTTLs(t *testing.T) {
	c := cache.New(cache.Config{})
	key := cache.AppendKey(nil, hostQuestion(1), 1)
	for length := range 9 { // all ways to end on a multiple of four, and not
		body := append(record(44, make([]byte, length)...), record(10, 1, 2, 3, 4)...)
		put := &cache.Packet{
			Body: body, Text: []byte("text"), Flags: 0x8180, AN: 1, NS: 1, Rcode: 3, Reason: 29, Security: dnssec.Secure, PrefetchAt: 80,
		}
		if !c.PutPacket(key, put, 100, 5*second) {
			t.Fatal("not kept")
		}
		p, ok := c.Packet(key, 104*second)
		if !ok || p.Stored != 5 || p.Expires != 105 {
			t.Fatalf("got %+v, %v", p, ok)
		}
		if !bytes.Equal(p.Body, body) || string(p.Text) != "text" || p.Flags != 0x8180 || p.AN != 1 || p.NS != 1 || p.AR != 0 ||
			p.Rcode != 3 || p.Reason != 29 || p.Security != dnssec.Secure || p.PrefetchAt != 80 {
			t.Errorf("got %+v", p)
		}
		want := append([]byte("before"), record(44, make([]byte, length)...)...)
		if got := p.Append([]byte("before"), 5*second); !bytes.Equal(got, append(want, record(10, 1, 2, 3, 4)...)) {
			t.Errorf("at once: %q", got)
		}
		want = append([]byte("before"), record(44, make([]byte, length)...)...)
		want = append(want, record(10, 1, 2, 3, 4)...)
		want[6+9] -= 24                         // 256+44-280 = 20, without a borrow to see it in one octet
		want[6+8], want[6+9] = 0, 20            // first: 300 - 280
		second1 := 6 + 12 + length              // start of the second record
		want[second1+8], want[second1+9] = 0, 0 // second: 266 - 280, which is 0
		if got := p.Append([]byte("before"), 285*second); !bytes.Equal(got, want) {
			t.Errorf("280 s later: %q, want %q", got, want)
		}
		if _, ok := c.Packet(key, 105*second); ok {
			t.Error("found after its time")
		}
	}
}

func TestPutPacket_refusesWhatIsNoRecords(t *testing.T) {
	c := cache.New(cache.Config{})
	key := cache.AppendKey(nil, hostQuestion(1), 1)
	body := record(44, 1, 2, 3, 4)
	for name, p := range map[string]*cache.Packet{
		"too few":   {Body: body, AN: 2},
		"too many":  {Body: body},
		"cut off":   {Body: body[:len(body)-1], AN: 1},
		"too long":  {Body: append(append([]byte{}, body...), 0), AN: 1},
		"endless":   {Body: bytes.Repeat(body, 10_000), AN: 10_000},
		"bad label": {Body: append([]byte{0x80}, body...), AN: 1},
	} {
		if c.PutPacket(key, p, 100, 0) {
			t.Errorf("%s: kept", name)
		}
	}
	good := &cache.Packet{Body: body, AN: 1}
	if c.PutPacket([]byte("\x05short"), good, 100, 0) || c.PutPacket(nil, good, 100, 0) || c.PutPacket(key, good, 0, 0) {
		t.Error("kept under a key that has no name, or for no time")
	}
	if s := c.Stats(); s.Packets != 0 {
		t.Errorf("got %+v", s)
	}
	if !c.PutPacket(key, good, 100, 0) {
		t.Error("a good one was refused")
	}
}
