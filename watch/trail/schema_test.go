package trail_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/watch/trail"
)

// answered is a question with everything that can be observed, and a reply with three records and a signature.
func (s *setting) answered(t testing.TB) *event.Query {
	t.Helper()
	q := s.question(begin, 5)
	q.Has |= event.HasServer | event.HasUpstream | event.HasAsked | event.HasSubnet | event.HasPolicy
	q.Server, q.ServerPort, q.ID = netip.MustParseAddr("2001:db8::53").As16(), 853, 4711
	q.Upstream, q.UpstreamPort, q.UpstreamOver = netip.MustParseAddr("198.51.100.7").As16(), 53, event.TCP
	q.Asked, q.AskedTime, q.Subnet, q.SubnetBits = 3, 2_500_000, netip.MustParseAddr("203.0.113.0").As16(), 24
	q.Reply = s.reply(t, q)
	return q
}

func (s *setting) reply(t testing.TB, q *event.Query) []byte {
	t.Helper()
	target := wire.Name("\x03WWW\x07example\x03net\x00")
	var b wire.Builder
	b.Reset(make([]byte, 512))
	b.Question(wire.Name(q.Name), wire.Type(q.Type), wire.ClassIN)
	b.RR(wire.Answers, wire.Name(q.Name), wire.TypeCNAME, wire.ClassIN, 300, target)
	b.RR(wire.Answers, wire.Name(q.Name), wire.TypeRRSIG, wire.ClassIN, 300, append(make([]byte, 18), 0, 1, 2))
	b.RR(wire.Answers, target, wire.TypeAAAA, wire.ClassIN, 60, netip.MustParseAddr("2001:db8::7").AsSlice())
	b.RR(wire.Answers, target, wire.TypeTXT, wire.ClassIN, 90, []byte("\x05A \"b\""))
	b.RR(wire.Authorities, target, wire.TypeA, wire.ClassIN, 1, []byte{192, 0, 2, 99})
	return b.Finish(7, 0x8180)
}

// one logs q, and gives the row from the append-only file and from the segment.
func (s *setting) one(t *testing.T, q *event.Query) (rows [2]trail.Row) {
	t.Helper()
	l := s.open(t)
	put(t, l, q)
	for i := range rows {
		found, err := l.Rows(t.Context(), trail.Filter{})
		if err != nil || len(found.Rows) != 1 {
			t.Fatal(found.Rows, err)
		}
		rows[i] = found.Rows[0]
		if i == 0 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if l, err = trail.Look(s.opts.Dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	return rows
}

func TestRow_saysWhatWasAskedAndAnswered(t *testing.T) {
	s := settle(t)
	s.opts.Without = []string{}
	for i, r := range s.one(t, s.answered(t)) {
		where := []string{"append-only file", "segment"}[i]
		text, err := json.Marshal(r)
		want := `"server":"2001:db8::53","server_port":853,"id":4711,"policy":"none","ecs":"203.0.113.0/24","upstream":"198.51.100.7","upstream_port":53,"upstream_transport":"tcp","asked":3,"asked_us":2500,` +
			`"answers":["n005.example.org. CNAME www.example.net.","www.example.net. AAAA 2001:db8::7","www.example.net. TXT \"A \\\"b\\\"\""],"answer_ttl":60,"answers_left_out":0,"answer_ips":["2001:db8::7"]}`
		if err != nil || !strings.HasSuffix(string(text), want) {
			t.Errorf("%s: got %s\nwant %s", where, text, want)
		}
	}
	look, err := trail.Look(s.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]int{"2001:db8::7/128": 1, "2001:db8::/32": 1, "192.0.2.99/32": 0} {
		found, err := look.Rows(t.Context(), trail.Filter{Answer: netip.MustParsePrefix(answer)})
		if err != nil || len(found.Rows) != want || want == 0 && found.Scanned != 0 {
			t.Errorf("answer %s: %d rows of %d, %v", answer, len(found.Rows), found.Scanned, err)
		}
	}
}

// What the copy does not show is counted: it ends early, it is broken, it says more than there is, its names unfold without end.
func TestAnswers_ofAnyReply(t *testing.T) {
	s := settle(t)
	q := s.answered(t)
	whole := slices.Clone(q.Reply)
	many := func(count byte, record ...byte) []byte {
		msg := slices.Clone(whole[:12+len(q.Name)+4])
		msg[6], msg[7], msg[9] = 0, count, 0
		for range count {
			msg = append(msg, record...)
		}
		return msg
	}
	a := []byte{0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1}
	for name, c := range map[string]struct {
		reply         []byte
		texts, left   int // left -1: unknown
		ips, firstTTL int
	}{
		"none seen":             {nil, 0, -1, 0, -1},
		"shorter than a header": {whole[:11], 0, -1, 0, -1},
		"cut in the first":      {whole[:60], 0, 4, 0, -1},
		"cut in the last":       {whole[:len(whole)-20], 2, 1, 1, 60},
		"no answers":            {many(0), 0, 0, 0, -1},
		"the same address":      {many(9, a...), 9, 0, 1, 9},
		"more than are kept":    {many(33, a...)[:512], 29, 4, 1, 9},
		"a wrong address":       {many(1, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 3, 192, 0, 2), 0, 1, 0, -1},
		"another class":         {many(1, 0xC0, 12, 0, 1, 0, 3, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1), 0, 1, 0, -1},
		"a loop":                {many(1, 0xC0, byte(12+len(q.Name)+4), 0, 1, 0, 1, 0, 0, 0, 9, 0, 0), 0, 1, 0, -1},
		"TTL, highest bit":      {many(1, 0xC0, 12, 0, 1, 0, 1, 0x80, 0, 0, 9, 0, 4, 192, 0, 2, 1), 1, 0, 1, 0}, // RFC 2181, Section 8
		"another question":      {append([]byte{0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 'x', 0, 0, 1, 0, 1}, a...), 1, 0, 1, 9},
	} {
		s := settle(t)
		q.Reply = c.reply
		for i, r := range s.one(t, q) {
			left, ttl := -1, -1
			if r.LeftOut != nil {
				left = int(*r.LeftOut)
			}
			if r.AnswerTTL != nil {
				ttl = int(*r.AnswerTTL)
			}
			if len(r.Answers) != c.texts || left != c.left || len(r.AnswerIPs) != c.ips || ttl != c.firstTTL {
				t.Errorf("%s, %d: %d answers %q, %d left out, addresses %v, TTL %d", name, i, len(r.Answers), r.Answers, left, r.AnswerIPs, ttl)
			}
		}
	}
}

func TestWithout_columnsAreNotKept(t *testing.T) {
	s := settle(t)
	s.opts.Without = []string{"client", "answers", "server", "qname_asked", "upstream", "ecs", "asked", "policy", "zone", "latency_us", "ede", "client_port"}
	l := s.open(t)
	put(t, l, s.answered(t))
	raw, err := os.ReadFile(onlyFile(t, filepath.Join(s.opts.Dir, "wal", "*.wal")))
	if err != nil || strings.Contains(string(raw), "\xcb\x00\x71") || strings.Contains(string(raw), "\xc0\x00\x02\x05") || strings.Contains(string(raw), "WWW") {
		t.Errorf("client, subnet or answers are in the append-only file (%v)", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	look, _ := trail.Look(s.opts.Dir)
	found, err := look.Rows(t.Context(), trail.Filter{})
	if err != nil || len(found.Rows) != 1 {
		t.Fatal(found, err)
	}
	text, _ := json.Marshal(found.Rows[0])
	want := `{"time":1795438799005000,"node":"n1","source":"self","transport":"tls","qname":"n005.example.org.","qtype":"AAAA","qclass":"IN","rcode":"NXDOMAIN","query_flags":256,"flags":34176,` +
		`"edns_payload":1232,"do":true,"query_size":40,"reply_size":90,"from":"authority","id":4711}`
	if string(text) != want {
		t.Errorf("got %s\nwant %s", text, want)
	}
}

// What anyu wrote until November 2026, before there were answers, is read as it was, from the file that a crash then left and from segments.
func TestSchema1_isStillRead(t *testing.T) {
	for name, files := range map[string][2]string{"append-only file": {"anyulog1.wal", "wal/20261123T125959.000000000Z.wal"}, "segment": {"hour12.parquet", "date=2026-11-23/hour=12/n1.parquet"}} {
		dir := t.TempDir()
		text, err := os.ReadFile(filepath.Join("testdata", "schema1", files[0]))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(files[1]))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		look, err := trail.Look(dir)
		if err != nil {
			t.Fatal(err)
		}
		found, err := look.Rows(t.Context(), trail.Filter{Name: "n050.example.org", To: begin.Add(time.Second)})
		if err != nil || len(found.Rows) != 1 {
			t.Fatalf("%s: %d rows, %v", name, len(found.Rows), err)
		}
		got, _ := json.Marshal(found.Rows[0])
		want := `{"time":1795438799550000,"node":"n1","source":"self","client":"192.0.2.1","client_port":1074,"transport":"tls","qname":"n050.example.org.","qname_asked":"n050.Example.org.",` +
			`"qtype":"AAAA","qclass":"IN","rcode":"NOERROR","query_flags":256,"flags":34176,"edns_payload":1232,"do":true,"query_size":40,"reply_size":90,"latency_us":1500,"from":"authority","zone":"example.org."}`
		if string(got) != want {
			t.Errorf("%s: got %s\nwant %s", name, got, want)
		}
		found, err = look.Rows(t.Context(), trail.Filter{Answer: netip.MustParsePrefix("192.0.2.1/32")})
		if err != nil || len(found.Rows) != 0 {
			t.Errorf("%s, by answer: %d rows, %v", name, len(found.Rows), err)
		}
	}
}

// A reply is what anybody sends: whatever it is, its row is kept, and within bounds.
func FuzzAnswers_surviveAnyReply(f *testing.F) {
	s := &setting{names: event.NewNames()}
	f.Add(s.reply(f, s.question(begin, 5)))
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 9, 0, 0, 0, 0, 1, 'x', 0, 0, 1, 0, 1, 0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xC0, 12})
	f.Fuzz(func(t *testing.T, reply []byte) {
		q := s.question(begin, 5)
		q.Reply = reply
		r := trail.RowOf(q)
		size := 0
		for _, text := range r.Answers {
			size += len(text)
			if strings.Count(text, " ") < 2 {
				t.Errorf("answer %q", text)
			}
		}
		if len(r.Answers) > 32 || size > 2048 || len(r.AnswerIPs) > len(r.Answers) || r.LeftOut != nil && *r.LeftOut < 0 {
			t.Errorf("%+v", r)
		}
	})
}
