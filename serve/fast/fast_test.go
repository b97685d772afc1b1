package fast_test

import (
	"bytes"
	"fmt"
	"testing"

	"anyu/dns/wire"
	"anyu/serve/fast"
)

func question(t testing.TB, name string, typ wire.Type, do bool) *wire.Query {
	n, err := wire.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	return &wire.Query{Name: n, Type: typ, Class: wire.ClassIN, DO: do}
}

func TestTable_findsWhateverTheCapitalsAndKeepsKindsApart(t *testing.T) {
	tab := fast.New(1 << 20)
	add := func(q *wire.Query, body string) {
		if _, ok := tab.Find(q); !ok {
			tab.Add(fast.Answer{Flags: 0x8400, AN: 1, Body: []byte(body), Stamp: fast.Stamp{1, 2, 3}, Tag: 9})
		}
	}
	add(question(t, "WWW.EXAMPLE.ORG.", wire.TypeA, false), "plain")
	add(question(t, "www.example.org.", wire.TypeA, false), "lower")
	add(question(t, "www.example.org.", wire.TypeA, true), "signed")
	add(question(t, "www.example.org.", wire.TypeAAAA, false), "six")
	for _, c := range []struct {
		q    *wire.Query
		want string
	}{
		{question(t, "www.ExAmPlE.org.", wire.TypeA, false), "plain"},
		{question(t, "www.example.org.", wire.TypeA, false), "lower"},
		{question(t, "www.example.org.", wire.TypeA, true), "signed"},
		{question(t, "www.example.org.", wire.TypeAAAA, false), "six"},
	} {
		a, ok := tab.Find(c.q)
		if !ok || string(a.Body) != c.want || a.Stamp != (fast.Stamp{1, 2, 3}) || a.Tag != 9 || a.AN != 1 || a.Flags != 0x8400 {
			t.Errorf("%v %v: %v %+v", c.q.Name, c.q.Type, ok, a)
		}
	}
	// '[' follows 'Z' and '@' precedes 'A' in ASCII: neighbours of letters must not fold.
	if _, ok := tab.Find(question(t, `w[w\@example.org.`, wire.TypeA, false)); ok {
		t.Error("folded an octet that is no letter")
	}
}

func TestTable_staysWithinItsRoomAndAnswersRight(t *testing.T) {
	tab := fast.New(2 << 20)
	body := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 20) }
	for i := range 60_000 {
		q := question(t, fmt.Sprintf("n%d.example.org.", i), wire.TypeA, false)
		if _, ok := tab.Find(q); ok {
			t.Fatalf("%d was there before", i)
		}
		tab.Add(fast.Answer{Body: body(i)})
	}
	s := tab.Stats()
	if s.Resets == 0 || s.Bytes > 4<<20 {
		t.Errorf("%+v", s)
	}
	found := 0
	for i := range 60_000 {
		if a, ok := tab.Find(question(t, fmt.Sprintf("n%d.example.org.", i), wire.TypeA, false)); ok {
			found++
			if !bytes.Equal(a.Body, body(i)) {
				t.Fatalf("%d has another's answer", i)
			}
		}
	}
	if found == 0 {
		t.Error("nothing kept")
	}
}

func TestTable_findAllocatesNothing(t *testing.T) {
	tab := fast.New(1 << 20)
	q := question(t, "www.example.org.", wire.TypeA, false)
	tab.Find(q)
	tab.Add(fast.Answer{Body: []byte("x")})
	if n := testing.AllocsPerRun(1000, func() { tab.Find(q) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFind(b *testing.B) {
	tab := fast.New(64 << 20)
	qs := make([]*wire.Query, 100_000)
	for i := range qs {
		qs[i] = question(b, fmt.Sprintf("host%d.example.org.", i*7919%100_000), wire.TypeA, false)
		tab.Find(qs[i])
		tab.Add(fast.Answer{Body: make([]byte, 30)})
	}
	i, lost := 0, 0
	for b.Loop() {
		if _, ok := tab.Find(qs[i]); !ok {
			lost++
		}
		if i++; i == len(qs) {
			i = 0
		}
	}
	if lost > b.N/1000 {
		b.Errorf("%d of %d lost", lost, b.N)
	}
}
