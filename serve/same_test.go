package serve_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/house/corpora"
	"anyu/serve"
)

// answers gives the reply of a worker to a message, copied.
func answers(w *serve.Worker, msg []byte, transport event.Transport) []byte {
	out := make([]byte, 65535)
	n := w.Answer(msg, client(transport), out)
	if n <= 0 {
		return nil
	}
	return out[:n]
}

// same asks a message twice of a worker that keeps finished answers, and once of one that keeps nothing.
func same(t testing.TB, keeps, keepsNot *serve.Worker, msg []byte, transport event.Transport) {
	first := answers(keeps, msg, transport)
	second := answers(keeps, msg, transport)
	slow := answers(keepsNot, msg, transport)
	if !bytes.Equal(first, slow) || !bytes.Equal(second, slow) {
		t.Fatalf("fast and slow differ for %x over %v:\nfirst  %x\nsecond %x\nslow   %x", msg, transport, first, second, slow)
	}
}

// variants are the ways a client may ask: sizes, DO, options, case.
func variants(name string, typ uint16) (list [][]byte) {
	for _, edns := range []struct {
		size uint16
		do   bool
	}{{0, false}, {512, true}, {1232, false}, {1232, true}, {4096, true}} {
		m := query(name, typ)
		m.Id = 7
		m.RecursionDesired = edns.do
		if edns.size > 0 {
			m.SetEdns0(edns.size, edns.do)
		}
		if b, err := m.Pack(); err == nil {
			list = append(list, b)
			upper := bytes.Clone(b)
			for i := 12; i < len(upper) && upper[i] != 0; i++ {
				if c := upper[i]; c >= 'a' && c <= 'z' && i%2 == 0 {
					upper[i] = c - 32
				}
			}
			list = append(list, upper)
		}
	}
	return list
}

// For every zone in the corpus that loads: the compiled answers are the bytes of the slow path, for names of the zone, below
// them and beside them.
func TestAnswer_fastEqualsSlow(t *testing.T) {
	long(t)
	types := []uint16{dns.TypeA, dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypeMX, dns.TypeTXT, dns.TypeANY, dns.TypeRRSIG, dns.TypeCNAME, dns.TypeDNSKEY, dns.TypeNSEC}
	loaded, asked := 0, 0
	r := rand.New(rand.NewPCG(1, 2))
	server, w := newServer()
	slow := server.NewWorker(nil, 0)
	err := filepath.WalkDir(corpora.Path(t, "zones"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		z := anyZone(path)
		if z == nil {
			return nil
		}
		loaded++
		server.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z}}})
		defer server.Change(serve.Change{Remove: []wire.Name{z.Apex()}})
		var room [256]byte
		names, _, _ := z.Size()
		for node := range z.All() {
			if names > 200 && r.IntN(names) > 200 {
				continue
			}
			owner := wire.Name(node.AppendOwner(room[:0], z.Apex())).String()
			for _, name := range []string{owner, "x." + owner, "*." + owner} {
				typ := types[r.IntN(len(types))]
				transport := event.Transport(r.IntN(2))
				for _, msg := range variants(name, typ) {
					same(t, w, slow, msg, transport)
					asked++
				}
			}
		}
		return nil
	})
	t.Logf("%d zones, %d questions", loaded, asked)
	if err != nil || loaded < 300 {
		t.Errorf("%d zones loaded, %v", loaded, err)
	}
}

// anyZone loads a file whose zone name is that of its SOA; nil where there is none or it does not load.
func anyZone(path string) *zone.Zone {
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(b, []byte("SOA")) {
		return nil
	}
	apex := soaOwner(string(b))
	if apex == "@" || !strings.HasSuffix(apex, ".") {
		apex = "example.com."
	}
	n, err := wire.ParseName(apex)
	if err != nil {
		return nil
	}
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: n, File: path, Workers: 1,
		Open: func(f string) (io.ReadCloser, error) { return os.Open(f) }})
	if err != nil {
		return nil
	}
	return z
}

const fuzzZone = `
$ORIGIN example.org.
@ 3600 IN SOA ns hostmaster 1 7200 3600 1209600 300
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
www AAAA 2001:db8::2
mail MX 10 www
alias CNAME www
loop CNAME loop
out CNAME elsewhere.example.net.
*.wild TXT "w"
*.c.wild CNAME www
sub NS ns.sub
sub NS ns.other
ns.sub A 192.0.2.3
ns.other A 192.0.2.4
d DNAME www
ent.below A 192.0.2.5
_sip._tcp SRV 1 2 3 www
svc HTTPS 1 . alpn=h2
`

// Whatever the message: the answer of a worker that has answered before equals that of a fresh one, and parses.
func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"www.example.org.", "alias.example.org.", "a.b.wild.example.org.", "x.sub.example.org.", "q.d.example.org.", "nx.example.org.", "localhost.", "example.com."} {
		for _, msg := range variants(name, dns.TypeA) {
			f.Add(msg, uint8(0))
		}
	}
	s, w := newServer(load(f, "example.org.", fuzzZone))
	slow := s.NewWorker(nil, 0)
	f.Fuzz(func(t *testing.T, msg []byte, transport uint8) {
		tr := event.Transport(transport % event.Transports)
		same(t, w, slow, msg, tr)
		reply := answers(w, msg, tr)
		if reply == nil {
			return
		}
		var m dns.Msg
		if err := m.Unpack(reply); err != nil {
			t.Fatalf("our answer does not parse: %v\nquery %x\nreply %x", err, msg, reply)
		}
		if !m.Response || len(msg) > 1 && m.Id != uint16(msg[0])<<8|uint16(msg[1]) {
			t.Fatalf("not an answer to the question: %v", m)
		}
		if tr == event.UDP && len(reply) > 1232 {
			t.Fatalf("%d octets over UDP", len(reply))
		}
	})
}

// Zero allocations an answer, hit or miss.
func TestAnswer_allocatesNothing(t *testing.T) {
	s, w := newServer(load(t, "example.org.", fuzzZone))
	out := make([]byte, 65535)
	from := client(event.UDP)
	for _, name := range []string{"www.example.org.", "alias.example.org.", "a.b.wild.example.org.", "x.sub.example.org.", "q.d.example.org.", "nx.example.org.", "localhost.", "example.com.", "mail.example.org."} {
		for _, msg := range variants(name, dns.TypeMX) {
			if n := testing.AllocsPerRun(50, func() { w.Answer(msg, from, out) }); n != 0 {
				t.Errorf("%s: %v allocations with finished answers kept", name, n)
			}
			slow := s.NewWorker(event.NewRing(0), 0)
			if n := testing.AllocsPerRun(50, func() { slow.Answer(msg, from, out) }); n != 0 {
				t.Errorf("%s: %v allocations without", name, n)
			}
		}
	}
}
