package validate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/validate"

	"github.com/miekg/dns"
)

func mustName(t testing.TB, text string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// parseRR reads one record with a library that is not ours.
func parseRR(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil || rr == nil {
		t.Fatalf("record %q: %v", text, err)
	}
	return rr
}

// response makes a Response of records in text, as if it had come in a message.
func response(t testing.TB, qname string, qtype wire.Type, rcode int, sections ...[]dns.RR) *validate.Response {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(qname), uint16(qtype))
	m.Response, m.Rcode, m.Compress = true, rcode, true
	for i, s := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		if i < len(sections) {
			*s = sections[i]
		}
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := message.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return &validate.Response{Question: parsed.Question, Rcode: parsed.Rcode, Answer: parsed.Answer, Authority: parsed.Authority, Additional: parsed.Additional}
}

// world answers from a table.
type world struct {
	answers map[string]*validate.Response
	asked   []string
}

func (w *world) add(r *validate.Response) {
	if w.answers == nil {
		w.answers = map[string]*validate.Response{}
	}
	w.answers[strings.ToLower(r.Question.String())] = r
}

func (w *world) Fetch(q message.Question) (*validate.Response, error) {
	w.asked = append(w.asked, q.String())
	if r := w.answers[strings.ToLower(q.String())]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("nobody answers %v", q)
}

// anchors reads trust anchors in text.
func anchors(t testing.TB, records ...string) (list []validate.Anchor) {
	t.Helper()
	for _, text := range records {
		rr := parseRR(t, text)
		r := response(t, rr.Header().Name, wire.Type(rr.Header().Rrtype), 0, []dns.RR{rr})
		a := validate.Anchor{Zone: r.Answer[0].Name, Type: r.Answer[0].Type, Data: r.Answer[0].Data[0]}
		if err := a.Check(); err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}

func nanos(t time.Time) int64 { return t.UnixNano() }
