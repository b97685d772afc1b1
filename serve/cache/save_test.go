package cache_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/cache"
)

func saved(t testing.TB, c *cache.Cache) []byte {
	var b bytes.Buffer
	if err := c.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRestore_givesBackWhatWasSaved(t *testing.T) {
	c := cache.New(cache.Config{Seed: 1})
	fill(c, 1000)
	q := question(t, "x.example.", wire.TypeA)
	c.PutAnswer(&cache.Answer{Question: q, Rcode: wire.ServFail, Text: "why"}, 0, 300, 0)
	c.PutRRset(rrset(t, "old.example.", wire.TypeA, 10, "data"), cache.TrustAnswer, dnssec.Unchecked, 0)
	// Another seed and another size: nothing of these is in the file.
	d := cache.New(cache.Config{Seed: 2, Bytes: 64 << 20, Stale: 60})
	d.PutRRset(rrset(t, "before.example.", wire.TypeA, 1000, "data"), cache.TrustAnswer, dnssec.Unchecked, 0)
	n, err := d.Restore(bytes.NewReader(saved(t, c)), 100*second)
	if err != nil || n != 3001 {
		t.Fatalf("%d, %v", n, err)
	}
	for i := range 1000 {
		if e, ok := d.RRset(host(i), wire.TypeA, 100*second); !ok || e.Set.TTL != 3500 || !e.Set.SameData(address(i)) {
			t.Fatalf("RRset %d: %+v", i, e)
		}
		if a, ok := d.Answer(hostQuestion(i), 0, 100*second); !ok || len(a.Answer) != 1 {
			t.Fatalf("answer %d: %+v", i, a)
		}
		if p, ok := d.Packet(cache.AppendKey(nil, hostQuestion(i), 0), 100*second); !ok || !bytes.Equal(p.Body, addressPacket(i).Body) {
			t.Fatalf("packet %d: %+v", i, p)
		}
	}
	if a, ok := d.Answer(q, 0, 100*second); !ok || a.Text != "why" {
		t.Errorf("got %+v", a)
	}
	if _, ok := d.StaleRRset(name(t, "old.example."), wire.TypeA, 100*second); ok {
		t.Error("what is over was restored")
	}
	if _, ok := d.RRset(name(t, "before.example."), wire.TypeA, 100*second); ok {
		t.Error("what was there before is still there")
	}
	if n, err := d.Restore(bytes.NewReader(saved(t, c)), -1); err != nil || n == 0 {
		t.Errorf("at the beginning of time: %d, %v", n, err)
	}
}

func TestRestore_refusesDamageAsAWhole(t *testing.T) {
	c := cache.New(cache.Config{})
	fill(c, 4)
	good := saved(t, c)
	d := cache.New(cache.Config{Bytes: 4 << 20})
	fill(d, 5)
	before := d.Stats()
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := d.Restore(bytes.NewReader(bad), 0); !errors.Is(err, cache.ErrFormat) {
			t.Fatalf("octet %d changed: %v", i, err)
		}
		if _, err := d.Restore(bytes.NewReader(good[:i]), 0); !errors.Is(err, cache.ErrFormat) {
			t.Fatalf("cut after %d: %v", i, err)
		}
	}
	if after := d.Stats(); after != before {
		t.Errorf("changed: %+v, %+v", before, after)
	}
}

// FuzzRestore gives entries with a right checksum, so that what is behind it is reached, and then uses whatever was taken.
func FuzzRestore(f *testing.F) {
	c := cache.New(cache.Config{Bytes: 4 << 20})
	fill(c, 3)
	c.PutAnswer(&cache.Answer{
		Question: hostQuestion(9), Rcode: wire.NXDomain, Security: dnssec.Secure, Text: "text",
		Authority: []*message.RRset{address(1), address(9)},
	}, 0, 100, 0)
	good := saved(f, c)
	f.Add(good[:len(good)-sha256.Size])
	f.Fuzz(func(t *testing.T, data []byte) {
		sum := sha256.Sum256(data)
		d := cache.New(cache.Config{Bytes: 4 << 20})
		n, err := d.Restore(bytes.NewReader(append(bytes.Clone(data), sum[:]...)), second)
		if err != nil {
			if s := d.Stats(); n != 0 || s.Live != 0 {
				t.Fatalf("refused, and yet %+v", s)
			}
			return
		}
		for i := range 12 {
			d.StaleRRset(host(i), wire.TypeA, second)
			d.Answer(hostQuestion(i), 0, second)
			d.StaleAnswer(hostQuestion(i), 0, second)
			if p, ok := d.Packet(cache.AppendKey(nil, hostQuestion(i), 0), second); ok {
				p.Append(nil, 100*second)
			}
		}
		if m, err := cache.New(cache.Config{Bytes: 4 << 20}).Restore(bytes.NewReader(saved(t, d)), second); err != nil || m != n {
			t.Fatalf("saved again: %d, then %d, %v", n, m, err)
		}
		d.Flush(wire.Name{0}, true)
	})
}
