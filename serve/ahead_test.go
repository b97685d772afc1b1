package serve_test

import (
	"math/rand/v2"
	"testing"

	"github.com/miekg/dns"
)

func TestAhead_takesAnyOctetsAndAllocatesNothing(t *testing.T) {
	_, w, _ := newResolver(t)
	var batch [][]byte
	for i := range 64 {
		msg := aQuestion(t, "www.example.", func(q *dns.Msg) { q.SetEdns0(1232, true) })
		askAs(t, w, msg, "127.0.0.1:999") // there is something to fetch
		switch {
		case i%4 == 1:
			msg = msg[:rand.IntN(len(msg))]
		case i%4 == 2:
			for range 5 {
				msg[rand.IntN(len(msg))] = byte(rand.Int())
			}
		case i%4 == 3:
			msg = nil
		}
		batch = append(batch, msg)
	}
	for n := range len(batch) {
		w.Ahead(batch[:n])
	}
	w.Ahead(append(batch, batch...))
	if n := testing.AllocsPerRun(100, func() { w.Ahead(batch) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
