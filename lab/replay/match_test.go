package replay_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/lab/replay"
)

// answering is a System that answers every client with one message and asks nobody.
type answering struct{ answer func(query []byte) []byte }

func (s answering) Timer() (int64, bool) { return 0, false }

func (s answering) Handle(_ int64, in replay.Input) []replay.Output {
	if in.Kind != replay.Client {
		return nil
	}
	return []replay.Output{{Kind: replay.Answer, To: in.From, TCP: in.TCP, Msg: s.answer(in.Msg)}}
}

// got is the message the table below compares: it is written as an entry is.
const got = `REPLY QR RD RA AD DO NOERROR
SECTION QUESTION
Www.Example.com. IN A
SECTION ANSWER
www.example.com. 300 IN A 192.0.2.1
www.example.com. 300 IN A 192.0.2.2
SECTION AUTHORITY
example.com. 300 IN NS NS.example.com.
SECTION ADDITIONAL
ns.example.com. 300 IN A 192.0.2.53
`

// same is an entry that is equal to got by every rule of `all`.
const same = `REPLY QR RD RA AD DO NOERROR
SECTION QUESTION
www.example.com. IN A
SECTION ANSWER
www.example.com. 60 IN A 192.0.2.2
WWW.example.com. 60 IN A 192.0.2.1
SECTION AUTHORITY
example.com. 60 IN NS ns.example.com.
SECTION ADDITIONAL
ns.example.com. 60 IN A 192.0.2.53
`

func TestMatch_followsTheWords(t *testing.T) {
	edit := func(old, new string) string { return strings.Replace(same, old, new, 1) }
	for _, c := range []struct {
		name, words, entry string
		want               bool
	}{
		{"nothing is asked for", "", "REPLY SERVFAIL\n", true},
		{"all, names and order aside", "all", same, true},
		{"all, a flag less", "all", edit("AD", ""), false},
		{"all, another flag", "all", edit("QR", "QR AA"), false},
		{"all, rcode", "all", edit("NOERROR", "NXDOMAIN"), false},
		{"all, opcode", "all", edit("QR", "QR NOTIFY"), false},
		{"all, no OPT", "all", edit("DO", ""), false},
		{"all_noedns, no OPT", "all_noedns", edit("DO", ""), true},
		{"all, TTL", "all ttl", same, false},
		{"answer, TTL", "answer ttl", strings.ReplaceAll(same, " 60 ", " 300 "), true},
		{"all, a record less", "all", edit("www.example.com. 60 IN A 192.0.2.2\n", ""), false},
		{"all, a record more", "all", edit("SECTION AUTHORITY", "www.example.com. IN A 192.0.2.3\nSECTION AUTHORITY"), false},
		{"all, a record twice", "all", edit("SECTION AUTHORITY", "www.example.com. IN A 192.0.2.1\nSECTION AUTHORITY"), false},
		{"all, wrong section", "all", edit("SECTION ADDITIONAL\n", ""), false},
		{"answer alone", "answer", "SECTION ANSWER\nwww.example.com. A 192.0.2.1\nwww.example.com. A 192.0.2.2\n", true},
		{"answer alone, other data", "answer", "SECTION ANSWER\nwww.example.com. A 192.0.2.1\n", false},
		{"qname", "qname", "SECTION QUESTION\nWWW.EXAMPLE.COM. IN MX\n", true},
		{"another qname", "qname", "SECTION QUESTION\nexample.com. IN A\n", false},
		{"qtype", "qtype", "SECTION QUESTION\nx. IN MX\n", false},
		{"question", "question", "SECTION QUESTION\nwww.example.com. IN A\n", true},
		{"another class", "question", "SECTION QUESTION\nwww.example.com. CH A\n", false},
		{"subdomain", "subdomain", "SECTION QUESTION\ncom. IN A\n", true},
		{"no subdomain", "subdomain", "SECTION QUESTION\nnet. IN A\n", false},
		{"DO", "DO", "", true}, {"CO", "CO", "", false}, {"noedns", "noedns", "", false},
		{"udp", "UDP", "", true}, {"tcp", "TCP", "", false},
		{"no EDE", "ede=any", "", false}, {"no cookie", "server_cookie", "", false}, {"no serial", "serial=1", "", false},
		{"EDNS data", "ednsdata", "", true},
		{"other EDNS data", "ednsdata", "HEX_EDNSDATA_BEGIN\n000a0000\nHEX_EDNSDATA_END\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkMatch(t, "MATCH "+c.words+"\n"+c.entry, got, nil, c.want)
		})
	}
}

func TestMatch_takesNamedOptionsOut(t *testing.T) {
	ede := func(m *replay.Message) { m.OPT.Data = append([]byte{0, 15, 0, 5, 0, 6}, "why"...) }
	cookie := func(m *replay.Message) { m.OPT.Data = append([]byte{0, 10, 0, 24}, make([]byte, 24)...) }
	for _, c := range []struct {
		name, words string
		change      func(*replay.Message)
		want        bool
	}{
		{"the code", "all ede=6", ede, true}, {"any code", "all ede:any", ede, true}, {"another code", "all ede=7", ede, false},
		{"an option nobody named", "all", ede, false}, {"not looked at", "all_noedns", ede, true},
		{"a server cookie", "all server_cookie", cookie, true}, {"no client cookie", "all client_cookie", cookie, false},
	} {
		t.Run(c.name, func(t *testing.T) { checkMatch(t, "MATCH "+c.words+"\n"+same, got, c.change, c.want) })
	}
}

// Deckard's `all` looks at neither EDNS nor TTL; it wants flags and the extended rcode.
func TestMatch_deckardLooksAtLess(t *testing.T) {
	for _, c := range []struct {
		words, entry string
		want         bool
	}{
		{"all", strings.Replace(same, "DO", "", 1), true},
		{"all", strings.Replace(same, "AD", "", 1), false},
		{"flags rcode", "REPLY QR RD RA AD NOERROR\n", true},
		{"rcode", "REPLY BADVERS\n", false},
		{"qcase", "SECTION QUESTION\nwww.example.com. IN A\n", false},
		{"qcase", "SECTION QUESTION\nWww.Example.com. IN A\n", true},
		{"authority", "SECTION AUTHORITY\nexample.com. NS ns.example.com.\n", true},
		{"additional", "SECTION ADDITIONAL\n", false},
	} {
		t.Run(c.words, func(t *testing.T) {
			text := "query-minimization: off\nCONFIG_END\nSCENARIO_BEGIN t\nSTEP 1 QUERY\nENTRY_BEGIN\nREPLY RD\nSECTION QUESTION\nwww.example.com. IN A\nENTRY_END\n" +
				"STEP 2 CHECK_ANSWER\nENTRY_BEGIN\nMATCH " + c.words + "\n" + c.entry + "ENTRY_END\nSCENARIO_END\n"
			expect(t, text, answerer(t, got, nil), c.want)
		})
	}
}

// checkMatch lets a scenario compare the message with the entry.
func checkMatch(t *testing.T, entry, message string, change func(*replay.Message), want bool) {
	t.Helper()
	text := "server:\nCONFIG_END\nSCENARIO_BEGIN t\nSTEP 1 QUERY\nENTRY_BEGIN\nREPLY RD\nSECTION QUESTION\nwww.example.com. IN A\nENTRY_END\n" +
		"STEP 2 CHECK_ANSWER\nENTRY_BEGIN\n" + entry + "ENTRY_END\nSCENARIO_END\n"
	expect(t, text, answerer(t, message, change), want)
}

// answerer is a Factory of a System that answers with what an entry describes, under the query's ID.
func answerer(t *testing.T, entry string, change func(*replay.Message)) replay.Factory {
	t.Helper()
	s, err := replay.Parse("t", []byte("server:\nCONFIG_END\nSCENARIO_BEGIN t\nSTEP 1 QUERY\nENTRY_BEGIN\n"+entry+"ENTRY_END\nSCENARIO_END\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := s.Steps[0].Entry.Packets[0].Message.Copy()
	if change != nil {
		change(m)
	}
	return func(replay.Settings) (replay.System, error) {
		return answering{func(query []byte) []byte {
			m.ID = binary.BigEndian.Uint16(query)
			return m.Encode()
		}}, nil
	}
}

func TestDecode_keepsWhatEncodeWrote(t *testing.T) {
	s, err := replay.Parse("t", []byte("server:\nCONFIG_END\nSCENARIO_BEGIN t\nSTEP 1 QUERY\nENTRY_BEGIN\n"+got+"ENTRY_END\nSCENARIO_END\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := &s.Steps[0].Entry.Packets[0].Message
	back := replay.Decode(m.Encode())
	if back.Odd != nil || back.Text("") != m.Text("") {
		t.Errorf("%v\n%s\nis not\n%s", back.Odd, back.Text(""), m.Text(""))
	}
	if h := wire.ReadHeader(m.Encode()); h.AN != 2 || h.AR != 2 {
		t.Errorf("counts are %d and %d, OPT is one of the latter", h.AN, h.AR)
	}
}
