package internet_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/lab/internet"
)

func open(t testing.TB, c internet.Config) *internet.World {
	t.Helper()
	w, err := internet.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// query is a question with EDNS and DO.
func query(id uint16, name wire.Name, typ wire.Type) []byte {
	m := binary.BigEndian.AppendUint16(nil, id)
	m = append(append(m, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1), name...)
	m = append(binary.BigEndian.AppendUint16(m, uint16(typ)), 0, 1)
	return append(m, 0, 0, byte(wire.TypeOPT), 4, 0xD0, 0, 0, 0x80, 0, 0, 0)
}

// authoritative asks all servers until one answers with authority.
func authoritative(t testing.TB, w *internet.World, name wire.Name, typ wire.Type) *message.Message {
	t.Helper()
	for _, server := range w.Servers() {
		reply, _, ok := w.Handle(server, query(1, name, typ), true)
		if !ok || len(reply) < wire.HeaderSize || binary.BigEndian.Uint16(reply[2:])&wire.FlagAA == 0 {
			continue
		}
		m, err := message.Parse(reply)
		if err != nil {
			t.Fatalf("%v %v: %v", name, typ, err)
		}
		return m
	}
	return nil
}

func TestHandle_sameSeedSaysTheSameOctets(t *testing.T) {
	a, b, other := open(t, internet.Config{Seed: 7}), open(t, internet.Config{Seed: 7}), open(t, internet.Config{Seed: 8})
	r := rand.New(rand.NewPCG(1, 1))
	servers, different, replies := a.Servers(), 0, 0
	for q := range a.Questions(2000) {
		server := servers[r.IntN(len(servers))]
		if replies%2 == 0 {
			server = servers[r.IntN(4)] // most others refuse
		}
		msg := query(uint16(r.Uint32()), q.Name, q.Type)
		x, delayX, okX := a.Handle(server, msg, true)
		y, delayY, okY := b.Handle(server, msg, true)
		if !bytes.Equal(x, y) || delayX != delayY || okX != okY {
			t.Fatalf("%v %v at %v: %x and %x", q.Name, q.Type, server, x, y)
		}
		if z, _, _ := other.Handle(server, msg, true); !bytes.Equal(x, z) {
			different++
		}
		replies++
	}
	if different < replies/3 {
		t.Errorf("another seed says the same: %d of %d replies differ", different, replies)
	}
}

// Every algorithm, in zones of the size that resolvers meet: each signature of an answer verifies with the keys of the zone.
func TestHandle_signaturesOfEveryAlgorithmVerify(t *testing.T) {
	w := open(t, internet.Config{Seed: 3, Healthy: true})
	seen := map[dnssec.Algorithm]int{}
	for i := 0; i < w.Size() && len(seen) < 9 || i < 300; i++ {
		apex := w.Registered(i * 7919 % w.Size())
		keys := authoritative(t, w, apex, wire.TypeDNSKEY)
		if keys == nil {
			t.Fatalf("nobody answers for %v", apex)
		}
		set := message.Find(keys.Answer, apex, wire.TypeDNSKEY)
		if set == nil {
			continue
		}
		key, err := dnssec.ParseKey(set.Data[0])
		if err != nil {
			t.Fatalf("%v: %v", apex, err)
		}
		if seen[key.Algorithm] >= 3 {
			continue
		}
		seen[key.Algorithm]++
		verify(t, set, set)
		for _, label := range []string{"www", "no-such-name"} {
			name := append(append(wire.Name{byte(len(label))}, label...), apex...)
			m := authoritative(t, w, name, wire.TypeA)
			for _, s := range append(m.Answer, m.Authority...) {
				verify(t, s, set)
			}
		}
	}
	for _, a := range []dnssec.Algorithm{5, 7, 8, 10, 13, 14, 15, 16, 17} {
		if seen[a] == 0 {
			t.Errorf("no zone with algorithm %v", a)
		}
	}
}

// verify checks the first signature of a set with the keys of a zone.
func verify(t *testing.T, set, keys *message.RRset) {
	t.Helper()
	if len(set.Sigs) == 0 {
		if set.Type != wire.TypeCNAME { // that of a DNAME has none
			t.Errorf("%v has no signature", set)
		}
		return
	}
	sig, err := dnssec.ParseSignature(set.Sigs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := sig.ValidAt(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Errorf("%v: %v", set, err)
	}
	for _, k := range keys.Data {
		key, err := dnssec.ParseKey(k)
		if err != nil {
			t.Fatal(err)
		}
		if key.Tag != sig.Tag || !sig.Signer.Equal(keys.Name) {
			continue
		}
		var v dnssec.Verifier
		if err := v.Verify(dnssec.Set{Owner: set.Name, Class: set.Class, Type: set.Type, RData: set.Data}, &sig, key); err == nil {
			return
		}
	}
	t.Errorf("%v of algorithm %v does not verify", set, sig.Algorithm)
}

func TestOpen_aWorldOfMillionsCostsNoMemory(t *testing.T) {
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, start := used(), time.Now()
	w := open(t, internet.Config{Seed: 1, Size: 5_000_000})
	if took := time.Since(start); took > time.Second {
		t.Errorf("made in %v", took)
	}
	if grown := int64(used()) - int64(before); grown > 4<<20 {
		t.Errorf("a new world takes %d octets", grown)
	}
	for q := range w.Questions(20_000) {
		w.Truth(q.Name, q.Type, nil)
	}
	if grown := int64(used()) - int64(before); grown > 96<<20 {
		t.Errorf("after 20,000 zones it takes %d octets", grown)
	}
	runtime.KeepAlive(w)
}

func TestQuestions_areDifferentAndCoverAllKinds(t *testing.T) {
	w := open(t, internet.Config{Seed: 1})
	names, kinds, secure := map[string]bool{}, map[string]int{}, 0
	const count = 30_000
	for q := range w.Questions(count) {
		if names[q.Name.String()] {
			t.Fatalf("%v comes twice", q.Name)
		}
		names[q.Name.String()] = true
		truth := w.Truth(q.Name, q.Type, nil)
		kinds[truth.Reason]++
		if truth.Security == dnssec.Secure {
			secure++
		}
	}
	for _, k := range internet.Kinds() {
		if kinds[k.Name] == 0 {
			t.Errorf("no question meets %s", k.Name)
		}
	}
	if broken := count - kinds[""]; broken < count/20 || broken > count/8 {
		t.Errorf("%d of %d are broken", broken, count)
	}
	if secure < count/8 || secure > count/3 {
		t.Errorf("%d of %d are secure", secure, count)
	}
}

// Names of a registry are found again, and the neighbours that a denial names are the right ones: nothing lies between them.
func TestHandle_denialsOfARegistryNameNeighbours(t *testing.T) {
	w := open(t, internet.Config{Seed: 5})
	org, _ := wire.ParseName("org.")
	inside := map[string]bool{}
	for i := range w.Size() {
		if n := w.Registered(i); n.Parent().Equal(org) {
			inside[n.String()] = true
		}
	}
	r := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		label := make([]byte, 1+r.IntN(10))
		for i := range label {
			label[i] = "abcdefghijklmnopqrstuvwxyz0123456789-"[r.IntN(37)]
		}
		name := append(append(wire.Name{byte(len(label))}, label...), org...)
		m := authoritative(t, w, name, wire.TypeA)
		if m.Rcode != wire.NXDomain {
			continue
		}
		key := wire.AppendKey(nil, name, org)
		covered := false
		for _, s := range m.Authority {
			if s.Type != wire.TypeNSEC {
				continue
			}
			end, _ := wire.SkipName(s.Data[0], 0)
			from, to := wire.AppendKey(nil, s.Name, org), wire.AppendKey(nil, wire.Name(s.Data[0][:end]), org)
			covered = covered || bytes.Compare(from, key) < 0 && (bytes.Compare(key, to) < 0 || len(to) == 0)
			for n := range inside {
				parsed, _ := wire.ParseName(n)
				if k := wire.AppendKey(nil, parsed, org); bytes.Compare(from, k) < 0 && bytes.Compare(k, to) < 0 {
					t.Fatalf("%v is between %v and the next name", n, s.Name)
				}
			}
		}
		if !covered {
			t.Errorf("nothing covers %v", name)
		}
	}
}

func TestOpen_refusesWhatHasNoRoom(t *testing.T) {
	for _, c := range []internet.Config{{Size: 10}, {Size: 1 << 30}, {Prefix: netip.MustParsePrefix("127.0.0.0/24")}, {Prefix: netip.MustParsePrefix("::/64")}} {
		if _, err := internet.Open(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestHandle_malformedQuestionsMakeNoTrouble(t *testing.T) {
	w := open(t, internet.Config{Seed: 1})
	r := rand.New(rand.NewPCG(9, 9))
	name, _ := wire.ParseName("www.example.com.")
	for range 5000 {
		m := query(9, name, wire.Type(r.Uint32()))
		for range 1 + r.IntN(6) {
			m[r.IntN(len(m))] = byte(r.Uint32())
		}
		m = m[:r.IntN(len(m)+1)]
		if reply, _, ok := w.Handle(w.Servers()[r.IntN(len(w.Servers()))], m, r.IntN(2) == 0); ok && len(reply) < wire.HeaderSize {
			t.Fatalf("%x: reply of %d octets", m, len(reply))
		}
	}
}

func BenchmarkHandle(b *testing.B) {
	w := open(b, internet.Config{Seed: 1})
	var questions [][]byte
	for q := range w.Questions(1000) {
		questions = append(questions, query(1, q.Name, q.Type))
	}
	servers := w.Servers()
	for name, list := range map[string][]netip.Addr{"root": servers[:4], "registry": servers[4:7], "all": servers} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				w.Handle(list[i%len(list)], questions[i%1000], false)
			}
		})
	}
}
