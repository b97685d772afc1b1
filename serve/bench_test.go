package serve_test

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"anyu/event"
)

// BenchmarkAnswer is the slow path: answers that are made anew each time.
func BenchmarkAnswer(b *testing.B) {
	for _, c := range []struct{ zone, name string }{
		{"base", "www.example.org."}, {"base", "nx%d.example.org."}, {"nsec", "nx%d.example.org."}, {"nsec3", "nx%d.example.org."}, {"nsec3", "x%d.wild.example.org."}, {"nsec3", "x%d.sub.example.org."},
	} {
		b.Run(c.zone+"/"+c.name, func(b *testing.B) {
			z, err := loadFile("example.org.", "testdata/zones/"+c.zone+".zone")
			if err != nil {
				b.Fatal(err)
			}
			s, _ := newServer(z)
			w := s.NewWorker(nil, 0)
			var list [][]byte
			for i := range 1000 {
				name := c.name
				if name[0] != 'w' {
					name = fmt.Sprintf(c.name, i)
				}
				m := query(name, dns.TypeA)
				m.SetEdns0(1232, true)
				list = append(list, packed(m))
			}
			out, from, i := make([]byte, 65535), client(event.UDP), 0
			for b.Loop() {
				w.Answer(list[i%len(list)], from, out)
				i++
			}
		})
	}
}
