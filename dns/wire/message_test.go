package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/house/corpora"
)

// read is a whole message as values.
type read struct {
	header    wire.Header
	questions []string
	records   []string
	raw       []wire.RR // with decompressed RDATA
	asked     []wire.Question
}

func parse(msg []byte) (*read, error) {
	var p wire.Parser
	h, err := p.Start(msg)
	if err != nil {
		return nil, err
	}
	r := &read{header: h}
	for p.Section() == wire.Questions {
		q, err := p.Question()
		if err != nil {
			return nil, err
		}
		q.Name = bytes.Clone(q.Name)
		r.asked = append(r.asked, q)
		r.questions = append(r.questions, fmt.Sprint(strings.ToLower(q.Name.String()), q.Type, q.Class))
	}
	for p.Section() != wire.Done {
		rr, err := p.RR()
		if err != nil {
			return nil, err
		}
		rdata, err := wire.UnpackRData(msg, rr.Type, rr.RDataOff, len(rr.RData), nil)
		if err != nil {
			return nil, err
		}
		rr.RData, rr.Name = rdata, bytes.Clone(rr.Name)
		r.raw = append(r.raw, rr)
		canonical := wire.AppendCanonical(nil, rr.Type, rdata)
		r.records = append(r.records, fmt.Sprint(rr.Section, strings.ToLower(rr.Name.String()), rr.Type, rr.Class, rr.TTL, canonical))
	}
	return r, p.End()
}

// build writes the values into a new message.
func build(r *read, buf []byte) ([]byte, bool) {
	var b wire.Builder
	b.Reset(buf)
	for _, q := range r.asked {
		if !b.Question(q.Name, q.Type, q.Class) {
			return nil, false
		}
	}
	for _, rr := range r.raw {
		if !b.RR(rr.Section, rr.Name, rr.Type, rr.Class, rr.TTL, rr.RData) {
			return nil, false
		}
	}
	return b.Finish(r.header.ID, r.header.Flags), true
}

// What parses, builds, and parses to the same.
func FuzzMessage(f *testing.F) {
	m := new(dns.Msg)
	m.SetQuestion("www.example.org.", dns.TypeMX)
	m.Answer = append(m.Answer, &dns.MX{Hdr: dns.RR_Header{Name: "www.example.org.", Rrtype: dns.TypeMX, Class: 1, Ttl: 60}, Preference: 10, Mx: "mail.Example.org."})
	m.Compress = true
	b, _ := m.Pack()
	f.Add(b)
	f.Add([]byte("\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var q wire.Query
		q.Read(msg)
		first, err := parse(msg)
		if err != nil {
			return
		}
		out, ok := build(first, make([]byte, 1<<20))
		if !ok || len(out) > 1<<16 {
			return
		}
		second, err := parse(out)
		if err != nil {
			t.Fatalf("our message does not parse: %v\n%x", err, out)
		}
		if fmt.Sprint(first.header, first.questions, first.records) != fmt.Sprint(second.header, second.questions, second.records) {
			t.Fatalf("differs:\n%v\n%v", first.records, second.records)
		}
	})
}

// Every file of the corpus, raw and as hexadecimal text: nothing panics, and memory is bounded by the octets present.
func TestCorpus_neverPanicsOrGrows(t *testing.T) {
	files, messages := 0, 0
	err := filepath.WalkDir(corpora.Path(t, "wire"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		try := func(msg []byte) {
			var q wire.Query
			q.Read(msg)
			if r, err := parse(msg); err == nil {
				messages++
				build(r, make([]byte, 1<<16))
			}
			for off := range min(len(msg), 600) {
				wire.UnpackName(msg, off, nil)
			}
		}
		try(b)
		for line := range strings.Lines(string(b)) {
			if raw, err := hex.DecodeString(strings.Join(strings.Fields(line), "")); err == nil && len(raw) > 12 {
				try(raw)
			}
		}
		return nil
	})
	if err != nil || files < 100 || messages < 20 {
		t.Errorf("%d files, %d messages, %v", files, messages, err)
	}
}

func plain(name string, typ uint16, edns bool) []byte {
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	if edns {
		m.SetEdns0(4096, true)
	}
	b, _ := m.Pack()
	return b
}

func TestQuery_reads(t *testing.T) {
	var q wire.Query
	if v := q.Read(plain("www.Example.org.", 28, true)); v != wire.Good {
		t.Fatal(v)
	}
	if q.Name.String() != "www.Example.org." || q.Type != 28 || !q.DO || !q.HasEDNS || q.Payload != 4096 || q.Version != 0 {
		t.Errorf("%+v", q)
	}
}

// servers.md 5.1, cases 54, 55, 58: which malformed queries get FORMERR, which get silence.
func TestQuery_verdicts(t *testing.T) {
	good := plain("a.example.", 1, false)
	edns := plain("a.example.", 1, true)
	edit := func(b []byte, f func(b []byte) []byte) []byte { return f(bytes.Clone(b)) }
	opt := edns[len(good):]
	for _, c := range []struct {
		name string
		msg  []byte
		want wire.Verdict
	}{
		{"shorter than a header (case 55)", good[:11], wire.Silent},
		{"a reply (case 55)", edit(good, func(b []byte) []byte { b[2] |= 0x80; return b }), wire.Silent},
		{"two questions (case 54)", edit(good, func(b []byte) []byte { b[5] = 2; return append(b, b[12:]...) }), wire.Malformed},
		{"no question, no cookie (case 54)", good[:12:12], wire.Malformed},
		{"cut in the question", good[:len(good)-1], wire.Malformed},
		{"octets after the end", append(bytes.Clone(good), 0), wire.Malformed},
		{"compressed question", []byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"), wire.Malformed},
		{"two OPT (case 58)", edit(edns, func(b []byte) []byte { b[11] = 2; return append(b, opt...) }), wire.Malformed},
		{"OPT not at the root (case 58)", edit(edns, func(b []byte) []byte {
			return append(append(bytes.Clone(good[:10]), 0, 1), append(append(bytes.Clone(good[12:]), 1, 'x'), opt...)...)
		}), wire.Malformed},
		{"count says more than there is", edit(good, func(b []byte) []byte { b[11] = 9; return b }), wire.Malformed},
		{"status", edit(good, func(b []byte) []byte { b[2] = 2 << 3; return b }), wire.Unknown},
		{"plain", good, wire.Good},
		{"EDNS", edns, wire.Good},
	} {
		var q wire.Query
		if got := q.Read(c.msg); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// A flood of options is skipped past the limit, and the message still read to its end (CVE-2026-41292).
func TestQuery_optionFlood(t *testing.T) {
	msg := plain("a.example.", 1, true)
	options := bytes.Repeat([]byte{0, 3, 0, 0}, 10_000)
	binary.BigEndian.PutUint16(msg[len(msg)-2:], uint16(len(options)))
	var q wire.Query
	if v := q.Read(append(msg, options...)); v != wire.Good || q.Wants != wire.WantsNSID {
		t.Errorf("%v %+v", v, q)
	}
}

// RFC 3597, Section 4: RDATA names are compressed for the types of RFC 1035 only. (servers.md 5.1, case 62)
func TestBuilder_compression(t *testing.T) {
	var b wire.Builder
	b.Reset(make([]byte, 512))
	owner := name(t, "www.example.org.")
	b.Question(owner, wire.TypeMX, wire.ClassIN)
	base := b.Len()
	b.RR(wire.Answers, owner, wire.TypeMX, wire.ClassIN, 1, append([]byte{0, 1}, name(t, "mail.example.org.")...))
	if got := b.Len() - base; got != 2+10+2+5+2 {
		t.Errorf("MX takes %d", got)
	}
	// RFC 4343, Section 4.1: the case of RDATA is kept, so only equal octets are pointed to. (case 11)
	base = b.Len()
	b.RR(wire.Answers, owner, wire.TypeMX, wire.ClassIN, 1, append([]byte{0, 1}, name(t, "mail.EXAMPLE.org.")...))
	if got := b.Len() - base; got != 2+10+2+5+8+2 {
		t.Errorf("MX with capitals takes %d", got)
	}
	base = b.Len()
	b.RR(wire.Answers, owner, wire.TypeSRV, wire.ClassIN, 1, append([]byte{0, 1, 0, 1, 0, 1}, owner...))
	if got := b.Len() - base; got != 2+10+6+len(owner) {
		t.Errorf("SRV takes %d", got)
	}
}

func TestBuilder_roomAndBack(t *testing.T) {
	var b wire.Builder
	b.Reset(make([]byte, 60, 512))
	owner := name(t, "www.example.org.")
	b.Question(owner, wire.TypeA, wire.ClassIN)
	n := 0
	for b.RR(wire.Answers, owner, wire.TypeA, wire.ClassIN, 1, []byte{1, 2, 3, 4}) {
		n++
	}
	if n != 1 || b.Len() > 60 {
		t.Errorf("%d records, %d octets", n, b.Len())
	}
	m := b.Mark()
	b.Reserve(-200)
	b.RR(wire.Answers, name(t, "other.example.net."), wire.TypeA, wire.ClassIN, 1, []byte{1, 2, 3, 4})
	b.Back(m)
	if b.Count(wire.Answers) != 1 {
		t.Error("the record was not taken back")
	}
}

func TestWire_allocatesNothing(t *testing.T) {
	msg := plain("www.example.org.", 1, true)
	var q wire.Query
	var p wire.Parser
	var b wire.Builder
	buf := make([]byte, 512)
	rdata := append([]byte{0, 1}, name(t, "mail.example.org.")...)
	if n := testing.AllocsPerRun(100, func() {
		q.Read(msg)
		p.Start(msg)
		p.Question()
		p.RR()
		b.Reset(buf)
		b.Question(q.Name, q.Type, q.Class)
		b.RR(wire.Answers, q.Name, wire.TypeMX, wire.ClassIN, 1, rdata)
		b.Finish(1, 2)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkQueryRead(b *testing.B) {
	msg := plain("www.example.org.", 1, true)
	var q wire.Query
	for b.Loop() {
		q.Read(msg)
	}
}
