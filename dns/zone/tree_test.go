package zone_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// model is a zone as a plain map: key, then type, then RDATA in order.
type model map[string]map[wire.Type][]string

func (m model) keys() []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

const treeBase = "$TTL 1\n@ SOA . . 1 0 0 0 0\n@ NS .\n"

var treeTypes = []wire.Type{wire.TypeA, wire.TypeNS, wire.TypeNSEC, wire.TypeDNAME, wire.TypeTXT}

// rdataFor makes RDATA of a type from one octet.
func rdataFor(t wire.Type, b byte) []byte {
	switch t {
	case wire.TypeA:
		return []byte{192, 0, 2, b}
	case wire.TypeNSEC:
		return []byte{1, 'a' + b%26, 0, 0, 1, 0x40}
	case wire.TypeTXT:
		return append([]byte{200}, bytes.Repeat([]byte{b}, 200)...)
	}
	return []byte{1, 'a' + b%26, 0}
}

// nameFor makes a name of up to three labels from two octets, with octets that need care among them.
func nameFor(a, b byte) wire.Name {
	labels := []string{"a", "B", "ab", "\x00", "\x01", "a\x00", "*", "zz", "\xff", "host", "x-y", "0", "Q.q"}
	var n wire.Name
	for v := int(a)<<8 | int(b); v > 0 && n.Labels() < 3; v /= len(labels) * 3 {
		l := labels[v%len(labels)]
		l += strings.Repeat("n", v/len(labels)%3)
		n = append(append(n, byte(len(l))), l...)
		if len(n) > 100 {
			break
		}
	}
	return append(n, "\x07example\x00"...)
}

// applyEdits runs edits, four octets each, on a zone and on a model, a new version every so often.
func applyEdits(t *testing.T, script []byte) (*zone.Zone, model) {
	z := mustLoad(t, "example.", treeBase)
	m := model{"": {wire.TypeSOA: {string(first(t, z.ApexNode(), wire.TypeSOA))}, wire.TypeNS: {"\x00"}}}
	e := z.Edit()
	for i := 0; i+4 <= len(script); i += 4 {
		name, typ, b := nameFor(script[i], script[i+1]), treeTypes[int(script[i+2])%len(treeTypes)], script[i+3]
		key := string(wire.AppendKey(nil, name, z.Apex()))
		rdata := rdataFor(typ, b)
		have := m[key][typ]
		at, there := slices.BinarySearch(have, string(rdata))
		switch {
		case b%8 == 7:
			err := e.RemoveSet(name, typ)
			if (err == nil) != (len(have) > 0) || err != nil && !errors.Is(err, zone.ErrNotThere) {
				t.Fatalf("RemoveSet %v %v: %v", name, typ, err)
			}
			if err == nil {
				m.drop(key, typ)
			}
		case script[i+2] >= 128 && script[i+2] < 200:
			err := e.Remove(name, typ, rdata)
			if (err == nil) != there || err != nil && !errors.Is(err, zone.ErrNotThere) {
				t.Fatalf("Remove %v %v: %v", name, typ, err)
			}
			if there {
				if m[key][typ] = slices.Delete(have, at, at+1); len(m[key][typ]) == 0 {
					m.drop(key, typ)
				}
			}
		default:
			if err := e.Add(name, typ, 1, rdata); err != nil {
				t.Fatal(err)
			}
			if m[key] == nil {
				m[key] = map[wire.Type][]string{}
			}
			if !there {
				m[key][typ] = slices.Insert(slices.Clone(have), at, string(rdata))
			}
		}
		if b%16 == 3 {
			var err error
			if z, err = e.Done(); err != nil {
				t.Fatal(err)
			}
			e = z.Edit()
		}
	}
	z, err := e.Done()
	if err != nil {
		t.Fatal(err)
	}
	return z, m
}

func (m model) drop(key string, typ wire.Type) {
	delete(m[key], typ)
	if len(m[key]) == 0 {
		delete(m, key)
	}
}

func first(t *testing.T, n zone.Node, typ wire.Type) []byte {
	s, ok := n.Set(typ)
	if !ok {
		t.Fatalf("no %v at %q", typ, n.Key())
	}
	return s.First()
}

// agree compares all that a reader may ask of the zone with the model.
func agree(t *testing.T, z *zone.Zone, m model) {
	t.Helper()
	keys := m.keys()
	i, records := 0, 0
	for n := range z.All() {
		if i >= len(keys) || string(n.Key()) != keys[i] {
			t.Fatalf("node %d has key %q", i, n.Key())
		}
		sets := 0
		for s := range n.Sets() {
			want := m[keys[i]][s.Type()]
			k := 0
			for it := s.Iter(); it.Next(); k++ {
				if k >= len(want) || string(it.RData()) != want[k] {
					t.Fatalf("%q %v: RDATA %d is %x", n.Key(), s.Type(), k, it.RData())
				}
			}
			if k != len(want) || s.Len() != k {
				t.Fatalf("%q %v: %d records of %d, Len %d", n.Key(), s.Type(), k, len(want), s.Len())
			}
			records += k
			sets++
		}
		if sets != len(m[keys[i]]) {
			t.Fatalf("%q: %d sets of %d", n.Key(), sets, len(m[keys[i]]))
		}
		_, ns := m[keys[i]][wire.TypeNS]
		_, dname := m[keys[i]][wire.TypeDNAME]
		if n.IsCut() != (ns && keys[i] != "") || n.HasDNAME() != dname {
			t.Fatalf("%q: flags", n.Key())
		}
		i++
	}
	if names, recs, _ := z.Size(); i != len(keys) || names != len(keys) || recs != records {
		t.Fatalf("%d nodes, Size %d names %d records; want %d and %d", i, names, recs, len(keys), records)
	}
	var nsecs []string
	for _, key := range keys {
		if _, ok := m[key][wire.TypeNSEC]; ok {
			nsecs = append(nsecs, key)
		}
	}
	for _, key := range probes(keys) {
		askAt(t, z, m, keys, nsecs, key)
	}
}

// probes are the keys of the model and keys near them.
func probes(keys []string) []string {
	out := slices.Clone(keys)
	for _, k := range keys {
		out = append(out, k+"a\x00", k+"\xff\x00", k+"\x01\x01\x00")
		if i := strings.LastIndexByte(strings.TrimSuffix(k, "\x00"), 0); i >= 0 {
			out = append(out, k[:i+1])
		}
	}
	return out
}

func askAt(t *testing.T, z *zone.Zone, m model, keys, nsecs []string, key string) {
	t.Helper()
	_, exists := m[key]
	if n, ok := z.Find([]byte(key)); ok != exists || ok && string(n.Key()) != key {
		t.Fatalf("Find %q: %v", key, ok)
	}
	at, there := slices.BinarySearch(keys, key)
	if there {
		at++
	}
	below := at < len(keys) && strings.HasPrefix(keys[at], key)
	if got := z.HasBelow([]byte(key)); got != below {
		t.Fatalf("HasBelow %q: %v", key, got)
	}
	at, there = slices.BinarySearch(nsecs, key)
	if there {
		at++
	}
	n, ok := z.Prev([]byte(key))
	if ok != (len(nsecs) > 0) || ok && string(n.Key()) != nsecs[(at+len(nsecs)-1)%len(nsecs)] {
		t.Fatalf("Prev %q: %v %q", key, ok, n.Key())
	}
}

// FuzzTree: any sequence of edits leaves zone and model in agreement.
func FuzzTree(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4})
	f.Add(bytes.Repeat([]byte{9, 200, 2, 11, 7, 7, 130, 19}, 50))
	f.Fuzz(func(t *testing.T, script []byte) {
		z, m := applyEdits(t, script[:min(len(script), 4000)])
		agree(t, z, m)
	})
}

// Enough edits for a tree of several levels, with removals that empty it again.
func TestEdit_agreesWithModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{40, 4000, 60000} {
		script := make([]byte, n)
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		z, m := applyEdits(t, script)
		agree(t, z, m)
		e := z.Edit()
		for _, key := range m.keys() {
			name := wire.AppendNameOfKey(nil, []byte(key), z.Apex())
			for typ := range m[key] {
				if typ == wire.TypeSOA {
					continue
				}
				if err := e.RemoveSet(name, typ); err != nil {
					t.Fatal(err)
				}
				m.drop(key, typ)
			}
		}
		old := textOf(t, z)
		empty, err := e.Done()
		if err != nil {
			t.Fatal(err)
		}
		agree(t, empty, m)
		if textOf(t, z) != old {
			t.Error("an edit changed the version it came from")
		}
	}
}

// RFC 4034, Section 6.1: the example of canonical order, and that order is total.
func TestAll_canonicalOrder(t *testing.T) {
	z := mustLoad(t, "example.", treeBase+`
\200.z A 192.0.2.1
*.z A 192.0.2.1
\001.z A 192.0.2.1
zABC.a A 192.0.2.1
Z.a A 192.0.2.1
z A 192.0.2.1
yljkjljk.a A 192.0.2.1
a A 192.0.2.1
`)
	want := []string{"example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.example.", "z.example.", `\001.z.example.`, "*.z.example.", `\200.z.example.`}
	var got []string
	for n := range z.All() {
		got = append(got, wire.Name(n.AppendOwner(nil, z.Apex())).String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
}

func TestFind_allocatesNothing(t *testing.T) {
	z, _ := applyEdits(t, bytes.Repeat([]byte{9, 200, 0, 11, 77, 7, 2, 19, 3, 4, 5, 6, 7, 8}, 500))
	key := wire.AppendKey(nil, nameFor(9, 200), z.Apex())
	if _, ok := z.Find(key); !ok {
		t.Fatal("no such name")
	}
	sum := 0
	if n := testing.AllocsPerRun(100, func() {
		n, _ := z.Find(key)
		s, _ := n.Set(wire.TypeA)
		for it := s.Iter(); it.Next(); {
			sum += len(it.RData())
		}
		n.Sigs(wire.TypeA)
		z.HasBelow(key)
		z.Prev(key)
		z.FindNSEC3(key)
		z.CoverNSEC3(key)
		z.Find(key[:2])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if sum == 0 {
		t.Error("nothing read")
	}
}

// An edit costs what it changes: one record in a zone of 100,000 names makes a few pages.
func TestEdit_costsWhatItChanges(t *testing.T) {
	var text strings.Builder
	text.WriteString(treeBase)
	for i := range 100_000 {
		text.WriteString("h")
		for v := i; v > 0; v /= 26 {
			text.WriteByte('a' + byte(v%26))
		}
		text.WriteString("q NS ns\n")
	}
	z := mustLoad(t, "example.", text.String())
	name := mustName(t, "hbbq.example.")
	got := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			e := z.Edit()
			if err := e.Add(name, wire.TypeNS, 1, []byte{2, 'x', 'a' + byte(i%26), 0}); err != nil {
				b.Fatal(err)
			}
			if _, err := e.Done(); err != nil {
				b.Fatal(err)
			}
		}
	})
	if bytes := got.AllocedBytesPerOp(); bytes > 100_000 {
		t.Errorf("one record costs %d octets", bytes)
	}
	y := z.Edit()
	if err := y.Add(name, wire.TypeTXT, 1, []byte("\x01x")); err != nil {
		t.Fatal(err)
	}
	next, err := y.Done()
	if err != nil {
		t.Fatal(err)
	}
	var changes []string
	note := func(sign string) func(zone.Record) error {
		return func(r zone.Record) error {
			changes = append(changes, sign+string(zone.AppendRecordText(nil, r, wire.ClassIN)))
			return nil
		}
	}
	if err := zone.Diff(z, next, note("-"), note("+")); err != nil {
		t.Fatal(err)
	}
	if want := []string{`+hbbq.example. 1 IN TXT "x"`}; !slices.Equal(changes, want) {
		t.Errorf("diff %q, want %q", changes, want)
	}
}
