package tap_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"anyu/event"
	"anyu/watch/tap"
)

// message is a DNS message with a question, and nothing else.
func message(id uint16, name string, typ uint16, reply bool) []byte {
	b := make([]byte, 12, 64)
	binary.BigEndian.PutUint16(b, id)
	if reply {
		b[2] = 0x80
	}
	b[5] = 1
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, byte(typ>>8), byte(typ), 0, 1)
}

// seen is a message as a tap shows it, at so many nanoseconds.
func seen(kind tap.Kind, wire []byte, at int64) *tap.Message {
	return &tap.Message{
		Kind: kind, Reply: tap.IsReply(wire), Has: event.HasClient | event.HasServer | event.HasTime, Time: at, Wire: wire,
		Client: [16]byte{10: 255, 11: 255, 12: 192, 14: 2, 15: 1}, ClientPort: 4000, ServerPort: 53,
	}
}

// script feeds messages to a table at their times and tells the transactions in short.
func script(t *testing.T, messages ...*tap.Message) (string, *tap.Table) {
	t.Helper()
	var got []string
	table := tap.NewTable(func(x *tap.Transaction) { got = append(got, short(x)) })
	latest := int64(0)
	for _, m := range messages {
		latest = max(latest, m.Time)
		table.Add(m, latest)
	}
	table.Close()
	return strings.Join(got, "; "), table
}

func short(x *tap.Transaction) string {
	text := fmt.Sprint(x.ID)
	switch {
	case x.Matched():
		text += " both"
	case x.Question != nil:
		text += " query"
	default:
		text += " reply"
	}
	if x.Has&event.HasLatency != 0 {
		text += fmt.Sprintf(" %d", x.Latency)
		if x.Clock == event.ClockTap {
			text += " told"
		}
	}
	if x.Has&event.HasTime == 0 {
		text += " no time"
	}
	if x.Has&event.TimeOfReply != 0 {
		text += " reply's time"
	}
	return text
}

const s = 1_000_000_000

func TestTable_putsTogetherWhatBelongsTogether(t *testing.T) {
	q := func(id uint16, at int64) *tap.Message {
		return seen(tap.Client, message(id, "www.example", 1, false), at)
	}
	r := func(id uint16, at int64) *tap.Message {
		return seen(tap.Client, message(id, "wWw.eXample", 1, true), at)
	}
	with := func(m *tap.Message, change func(*tap.Message)) *tap.Message { change(m); return m }
	transfer := func(at int64, wire []byte) *tap.Message {
		return with(seen(tap.Client, wire, at), func(m *tap.Message) { m.Transport = event.TCP })
	}
	for name, c := range map[string]struct {
		messages []*tap.Message
		want     string
	}{
		"a pair":               {[]*tap.Message{q(1, s), r(1, s+500)}, "1 both 500"},
		"later than 5 s":       {[]*tap.Message{q(1, s), r(1, 6*s+1)}, "1 query; 1 reply reply's time"},
		"at 5 s":               {[]*tap.Message{q(1, s), r(1, 6*s)}, "1 both 5000000000"},
		"written before":       {[]*tap.Message{r(1, s+500), q(1, s)}, "1 both 500"},
		"10 us too early":      {[]*tap.Message{q(1, s+10_000), r(1, s)}, "1 both"},
		"more than 10 us":      {[]*tap.Message{q(1, s+10_001), r(1, s)}, "1 query; 1 reply reply's time"},
		"another id":           {[]*tap.Message{q(1, s), r(2, s+5)}, "1 query; 2 reply reply's time"},
		"another port":         {[]*tap.Message{q(1, s), with(r(1, s+5), func(m *tap.Message) { m.ClientPort++ })}, "1 query; 1 reply reply's time"},
		"another transport":    {[]*tap.Message{q(1, s), with(r(1, s+5), func(m *tap.Message) { m.Transport = event.TCP })}, "1 query; 1 reply reply's time"},
		"another name":         {[]*tap.Message{q(1, s), seen(tap.Client, message(1, "ww.example", 1, true), s+5)}, "1 query; 1 reply reply's time"},
		"another type":         {[]*tap.Message{q(1, s), seen(tap.Client, message(1, "www.example", 28, true), s+5)}, "1 query; 1 reply reply's time"},
		"asked and asking":     {[]*tap.Message{q(1, s), with(r(1, s+5), func(m *tap.Message) { m.Kind = tap.Resolver })}, "1 query; 1 reply reply's time"},
		"asked as another":     {[]*tap.Message{q(1, s), with(r(1, s+5), func(m *tap.Message) { m.Kind = tap.Auth })}, "1 both 5"},
		"asked twice":          {[]*tap.Message{q(1, s), q(1, s+100), r(1, s+200), r(1, s+300)}, "1 both 200; 1 both 200"},
		"answered twice":       {[]*tap.Message{q(1, s), r(1, s+200), r(1, s+300)}, "1 both 200; 1 reply reply's time"},
		"told by the reply":    {[]*tap.Message{q(1, s), with(r(1, s+500), func(m *tap.Message) { m.Asked = s + 100 })}, "1 both 400 told"},
		"false zero":           {[]*tap.Message{q(1, s), with(r(1, s+500), func(m *tap.Message) { m.Asked = s + 500 })}, "1 both 500"},
		"false zero, alone":    {[]*tap.Message{with(r(1, s+500), func(m *tap.Message) { m.Asked = s + 500 })}, "1 reply"},
		"told by a lone reply": {[]*tap.Message{with(r(1, s+500), func(m *tap.Message) { m.Asked = s })}, "1 reply 500 told"},
		"query in the reply":   {[]*tap.Message{with(r(1, s+500), func(m *tap.Message) { m.Query = message(1, "www.example", 1, false) })}, "1 both reply's time"},
		"both of them":         {[]*tap.Message{q(1, s), with(r(1, s+500), func(m *tap.Message) { m.Query = message(1, "www.example", 1, false) })}, "1 both 500"},
		"no times at all": {[]*tap.Message{with(q(1, 0), func(m *tap.Message) { m.Has &^= event.HasTime }),
			with(r(1, 0), func(m *tap.Message) { m.Has &^= event.HasTime })}, "1 both no time"},
		"no addresses": {[]*tap.Message{with(q(1, s), func(m *tap.Message) { m.Has = event.HasTime }), r(1, s+5)}, "1 both 5"},
		"transfer": {[]*tap.Message{transfer(s, message(1, "example", 252, false)), transfer(s+5, message(1, "example", 252, true)),
			transfer(s+6, message(1, "example", 252, true)), transfer(s+7, []byte{0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0})}, "1 both 5"},
		"unreadable": {[]*tap.Message{seen(tap.Client, []byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 64}, s)}, "1 query"},
	} {
		if got, _ := script(t, c.messages...); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// What comes out, and the counts, agree with what came in, whatever the order.
func TestTable_losesNothingWhenCrowded(t *testing.T) {
	out := tap.Counts{}
	table := tap.NewTable(func(x *tap.Transaction) {
		if x.Question != nil {
			out.Queries++
		}
		if x.Answer != nil {
			out.Responses++
		}
	})
	const n = 300_000
	for i := range n {
		m := seen(tap.Client, message(uint16(i), fmt.Sprintf("n%d.example", i%1000), 1, i%3 == 0), s)
		m.ClientPort = uint16(i >> 16)
		table.Add(m, s)
	}
	if w := table.Waiting(); w > 1<<17 {
		t.Errorf("%d wait", w)
	}
	if table.Crowded == 0 {
		t.Error("nothing was given up early")
	}
	table.Close()
	if out.Queries+out.Responses != n || table.Waiting() != 0 || table.Messages != n || table.Queries != out.Queries {
		t.Errorf("%d queries, %d responses of %d; %d wait", out.Queries, out.Responses, n, table.Waiting())
	}
	if table.Matched*2+table.UnmatchedQueries+table.UnmatchedResponses != n {
		t.Errorf("%+v", table.Counts)
	}
}

// One client's repetitions make no chain without end.
func TestTable_boundsEqualQueries(t *testing.T) {
	got, table := script(t, func() (list []*tap.Message) {
		for range 100 {
			list = append(list, seen(tap.Client, message(7, "a.example", 1, false), s))
		}
		return list
	}()...)
	if table.Crowded != 92 || strings.Count(got, "query") != 100 {
		t.Errorf("crowded %d: %s", table.Crowded, got)
	}
}

func TestTable_readsWhatEDNSSays(t *testing.T) {
	wire := message(1, "a.example", 1, false)
	wire[11] = 1
	// OPT with 1232 octets, DO, a client subnet 192.0.2.0/24.
	wire = append(wire, 0, 0, 41, 4, 0xD0, 0, 0, 0x80, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2)
	answer := message(1, "a.example", 1, true)
	answer[3], answer[11] = 0, 1
	// OPT with the upper part of BADVERS, and EDE 22.
	answer = append(answer, 0, 0, 41, 4, 0xD0, 1, 0, 0, 0, 0, 6, 0, 15, 0, 2, 0, 22)
	var got string
	table := tap.NewTable(func(x *tap.Transaction) {
		got = fmt.Sprint(x.Payload, x.DO, x.SubnetPrefix(), x.Rcode, x.Reason, x.From)
	})
	table.Add(seen(tap.Client, wire, s), s)
	table.Add(seen(tap.Client, answer, s+1), s+1)
	if want := "1232 true 192.0.2.0/24 16 22 unknown"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTable_allocatesNothing(t *testing.T) {
	table := tap.NewTable(func(*tap.Transaction) {})
	q, r := seen(tap.Client, message(1, "www.example", 1, false), s), seen(tap.Client, message(1, "www.example", 1, true), s+5)
	table.Add(q, s)
	table.Add(r, s)
	if n := testing.AllocsPerRun(100, func() { table.Add(q, s); table.Add(r, s) }); n != 0 {
		t.Errorf("%v allocations for a pair", n)
	}
}

func BenchmarkTable(b *testing.B) {
	table := tap.NewTable(func(*tap.Transaction) {})
	const ahead = 1000 // that wait
	var qs, rs [4096]*tap.Message
	for i := range qs {
		qs[i] = seen(tap.Client, message(uint16(i), fmt.Sprintf("n%d.example", i), 1, false), s)
		rs[i] = seen(tap.Client, message(uint16(i), fmt.Sprintf("n%d.example", i), 1, true), s+5)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		table.Add(qs[i%4096], s)
		table.Add(rs[(i+4096-ahead)%4096], s)
		i++
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
