package internet

import (
	"fmt"
	"iter"
	"sort"

	"anyu/dns/wire"
)

// Question is one that a client might ask.
type Question struct {
	Name wire.Name
	Type wire.Type
}

// Questions are count different names that clients ask, most of which exist, in an order that has nothing to do with theirs. Each is in
// another registered zone as long as there are enough; broken zones have their share.
func (w *World) Questions(count int) iter.Seq[Question] {
	return func(yield func(Question) bool) {
		size := w.conf.Size
		step := int(float64(size) * 0.6180339887)
		for gcd(step, size) != 1 {
			step++
		}
		at := int(w.mix(ofQuestion) % uint64(size))
		for i := range count {
			if !yield(w.question(at, i/size)) {
				return
			}
			at = (at + step) % size
		}
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Registered is the name of a registered zone, 0 to Size-1.
func (w *World) Registered(number int) wire.Name {
	s, _ := w.find(number)
	return s.name(number - s.first)
}

// KindOf names what is wrong with a registered zone; nil: nothing.
func (w *World) KindOf(number int) *Kind {
	s, _ := w.find(number)
	return w.kindOf(s, number-s.first)
}

func (w *World) find(number int) (*stretch, *zone) {
	i := sort.Search(len(w.stretches), func(i int) bool { return w.stretches[i].first > number }) - 1
	return w.stretches[i], w.homes[i]
}

// question draws a question about a registered zone.
func (w *World) question(number, round int) Question {
	name := w.Registered(number)
	if round > 0 {
		return Question{under(fmt.Sprintf("u%d.user", round), name), wire.TypeA}
	}
	h := w.mix(ofQuestion, uint64(number))
	typ := wire.TypeA
	if h>>8%4 == 0 {
		typ = wire.TypeAAAA
	}
	at := func(labels string, t wire.Type) Question { return Question{under(labels, name), t} }
	switch x := h >> 16 % 100; {
	case x < 45:
		return at("www", typ)
	case x < 60:
		return Question{name, typ}
	case x < 66:
		return Question{name, [...]wire.Type{wire.TypeMX, wire.TypeTXT, wire.TypeHTTPS, wire.TypeNS, wire.TypeSOA, wire.TypeCAA}[h>>24%6]}
	case x < 86:
		return at(services[h>>24%uint64(len(services))], typ)
	case x < 90:
		return at("mail", typ)
	case x < 92:
		return at("_sip._tcp", wire.TypeSRV)
	case x < 94:
		return at(fmt.Sprintf("u%d.user", h>>24%1000), wire.TypeA)
	case x < 96:
		return at("www.dept", typ)
	case x < 97:
		return at("a.old", wire.TypeA)
	case x < 98:
		return at("svc", wire.TypeSVCB)
	}
	return at(fmt.Sprintf("nx%d", h>>24%1000), typ)
}

// Crowd are count different names that exist because of a wildcard, in an unsigned zone: cheap to resolve, to fill a cache.
func (w *World) Crowd(count int) iter.Seq[Question] {
	return func(yield func(Question) bool) {
		apex := mustName(w.networkDomain(0))
		for n := range networks { // an unsigned one, if there is one
			if path := w.path(mustName(w.networkDomain(n)), wire.TypeA); !path[len(path)-1].policy.signed() {
				apex = mustName(w.networkDomain(n))
				break
			}
		}
		for i := range count {
			if !yield(Question{under(fmt.Sprintf("n%d.e%d", i, i%edges), apex), wire.TypeA}) {
				return
			}
		}
	}
}

// Attack are count different names that do not exist, below a few registered zones whose servers are in order: a random-subdomain attack.
func (w *World) Attack(count int) iter.Seq[Question] {
	const victims = 20
	return func(yield func(Question) bool) {
		var zones []wire.Name
		for i := 0; len(zones) < victims; i++ {
			if w.KindOf(i) == nil {
				zones = append(zones, w.Registered(i))
			}
		}
		for i := range count {
			if !yield(Question{under(fmt.Sprintf("%012x", w.mix(ofQuestion, uint64(i))&(1<<48-1)), zones[i%victims]), wire.TypeA}) {
				return
			}
		}
	}
}
