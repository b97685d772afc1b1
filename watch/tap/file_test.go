package tap_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyu/house/corpora"
	"anyu/watch/tap"
	"anyu/watch/tap/capture"
	"anyu/watch/tap/dnstap"
	"anyu/watch/tap/framestream"
)

// read reads a file and gives its reader and its transactions as lines.
func read(t testing.TB, in []byte) (*tap.Reader, []string, error) {
	t.Helper()
	var lines []string
	r := &tap.Reader{Table: tap.NewTable(func(x *tap.Transaction) { lines = append(lines, tap.NewRow(x).Line()) })}
	r.Complain = func(place, text string) { lines = append(lines, place+": "+text) }
	err := r.Read(bytes.NewReader(in))
	r.Table.Close()
	return r, lines, err
}

// refused are the files of the corpora that are no observations, and why.
var refused = map[string]string{
	"fstrm/t/program_tests/test.fstrm": `octet 0: the frames are not of type "protobuf:dnstap.Dnstap"`,
}

// Every capture and dnstap file of the corpora is read, compressed ones too, and what goes in comes out: each message is in one transaction, or one
// of several of a transfer, or told as what it is.
func TestReader_readsTheCorpora(t *testing.T) {
	dir := corpora.Path(t, "pcap")
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isObservations(path) {
			return err
		}
		n++
		name, _ := filepath.Rel(dir, path)
		in, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r, _, err := read(t, in)
		if want, ok := refused[filepath.ToSlash(name)]; ok {
			if err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
			return nil
		}
		c := &r.Table.Counts
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case c.Messages != 2*c.Matched+c.UnmatchedQueries+c.UnmatchedResponses+c.Continued:
			t.Errorf("%s: %+v", name, c)
		case r.Frames == 0:
			t.Errorf("%s: nothing in it", name)
		}
		return nil
	})
	if err != nil || n < 150 {
		t.Errorf("%d files, %v", n, err)
	}
}

func isObservations(path string) bool {
	for _, end := range []string{".pcap", ".pcapng", ".pcap.gz", ".gz", ".zst", ".lz4", ".dnstap", ".fstrm", ".cbor", ".cbor02", ".cbor05", ".cdns"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

// Files whose transactions are known.
func TestReader_tellsWhatHappened(t *testing.T) {
	for name, want := range map[string][]string{
		"dnstap/oarc-dnswire-test.dnstap": {
			"2019-11-14T11:22:47.000083Z tool ? > 172.17.0.1:53 udp 34080 google.com. IN A NOERROR 65.733 ms 28/44 octets"},
		"go-dnscollector/dnstap/dnstap.fstrm": {
			"2024-06-05T18:49:49.590209Z client 172.19.0.1:46390 > 172.19.0.2:53 udp [dnsdist] 37578 www.google.com. IN A NOERROR 11.744 ms 55/59 octets"},
		"compactor/unmatched.pcap": nil,
		"arkime/dns-notify.pcap":   nil,
		"suricata-verify/dns/dns-udp-double-request-response/dns-udp-double-request-response.pcap": nil,
	} {
		in, err := os.ReadFile(corpora.Path(t, append([]string{"pcap"}, strings.Split(name, "/")...)...))
		if err != nil {
			t.Fatal(err)
		}
		_, lines, err := read(t, in)
		if err != nil || want != nil && fmt.Sprint(lines) != fmt.Sprint(want) || len(lines) == 0 {
			t.Errorf("%s: %v\n%s", name, err, strings.Join(lines, "\n"))
		}
	}
}

// frames is a dnstap file of messages.
func frames(t testing.TB, messages ...dnstap.Message) []byte {
	t.Helper()
	var b bytes.Buffer
	w := framestream.NewWriter(&b, nil, framestream.ContentType)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := w.Frame(m.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What lacks is shown as lacking, and events without a message are no queries.
func TestReader_countsNoEventAsAQuery(t *testing.T) {
	domain := []byte("\x03new\x07example\x00")
	r, lines, err := read(t, frames(t,
		dnstap.Message{Type: dnstap.ClientQuery, QueryZone: domain},
		dnstap.Message{Type: dnstap.ClientQuery, Query: message(1, "a.example", 1, false)},
		dnstap.Message{Type: dnstap.ClientResponse, Response: message(1, "a.example", 1, true)},
		dnstap.Message{Type: 99, Query: message(2, "b.example", 1, false), Has: dnstap.HasProtocol, Protocol: 77},
	))
	want := []string{
		"- client ? > ? other 1 a.example. IN A NOERROR 27/27 octets",
		"- unknown ? > ? other 2 b.example. IN A (no reply seen) 27 octets",
	}
	if err != nil || fmt.Sprint(lines) != fmt.Sprint(want) || r.Table.Queries != 2 || r.Table.Malformed[tap.NoMessage] != 1 || r.Unknown != 1 {
		t.Errorf("%v, %+v\n%s", err, r.Table.Counts, strings.Join(lines, "\n"))
	}
}

// A broken frame is told with its place, the rest is read.
func TestReader_goesOnBehindABrokenFrame(t *testing.T) {
	whole := frames(t, dnstap.Message{Type: dnstap.ClientQuery, Query: message(1, "a.example", 1, false)},
		dnstap.Message{Type: dnstap.ClientQuery, Query: message(2, "b.example", 1, false)})
	whole[46] = 0xFF
	r, lines, err := read(t, whole[:len(whole)-12])
	want := "octet 42, frame 1: octet 1 of the frame: no protobuf: field 14 is cut or wrong;" +
		fmt.Sprintf("octet %d: the file ends without STOP: whoever wrote it did not end regularly, or goes on;", len(whole)-12) +
		"- client ? > ? other 2 b.example. IN A (no reply seen) 27 octets;"
	got := strings.Join(lines, ";") + ";"
	if err != nil || r.Broken != 2 || !strings.HasPrefix(got, "octet 42, frame 1: octet ") || !strings.HasSuffix(got, want[strings.Index(want, ";")+1:]) {
		t.Errorf("%v, %d broken\n%s\nwant\n%s", err, r.Broken, got, want)
	}
}

func TestReader_refusesWhatItCannotRead(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "nothing is there: the file is empty",
		"hello world, what is it?": "neither dnstap (Frame Streams), pcap, pcapng nor C-DNS: the file begins with 68656c6c6f20776f726c642c20776861",
		"\xFD7zXZ\x00":             "xz is not read here: xz -dc FILE | anyu tap -",
		"\x1F\x8Bxx":               "decompressing: unexpected EOF",
		"\xD4\xC3\xB2\xA1":         "octet 0, after frame 0: the file ends inside a record: 4 octets of 24 are there",
	} {
		if _, _, err := read(t, []byte(in)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}

// dnstap made of captured messages, and captures made of dnstap, tell the same transactions.
func TestMessage_survivesConversion(t *testing.T) {
	in, err := os.ReadFile(corpora.Path(t, "pcap", "oarc-dnsjit", "pellets.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	var dnstapFile, pcapFile bytes.Buffer
	frameWriter := framestream.NewWriter(&dnstapFile, nil, framestream.ContentType)
	packetWriter, err := capture.NewWriter(&pcapFile)
	if err != nil {
		t.Fatal(err)
	}
	frameWriter.Start()
	var want []string
	r := &tap.Reader{Table: tap.NewTable(func(x *tap.Transaction) { want = append(want, tap.NewRow(x).Line()) })}
	r.Each = func(m *tap.Message) {
		var d dnstap.Message
		var c capture.Message
		m.ToDnstap(&d)
		m.ToCapture(&c)
		if err := frameWriter.Frame(d.Append(nil)); err != nil {
			t.Error(err)
		}
		if err := packetWriter.Write(&c); err != nil {
			t.Error(err)
		}
	}
	if err := r.Read(bytes.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	r.Table.Close()
	frameWriter.Stop()
	packetWriter.Flush()
	for name, file := range map[string][]byte{"dnstap": dnstapFile.Bytes(), "pcap": pcapFile.Bytes()} {
		_, got, err := read(t, file)
		if err != nil || len(got) == 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// All fourteen types pair, and a type tells who asked.
func TestMessage_knowsAllTypes(t *testing.T) {
	for typ := dnstap.AuthQuery; typ.Known(); typ += 2 {
		d := dnstap.Message{Type: typ, Query: message(1, "a.example", 1, false)}
		e := dnstap.Message{Type: typ + 1, Response: message(1, "a.example", 1, true)}
		r, _, err := read(t, frames(t, d, e))
		if err != nil || r.Table.Matched != 1 {
			t.Errorf("%v: %v, %+v", typ, err, r.Table.Counts)
		}
		var m tap.Message
		var back dnstap.Message
		m.FromDnstap(&e)
		if m.ToDnstap(&back); back.Type != e.Type || !m.Reply {
			t.Errorf("%v became %v", e.Type, back.Type)
		}
		if out := m.Kind.Outgoing(); out != strings.Contains("RESOLVER_QUERY FORWARDER_QUERY STUB_QUERY TOOL_QUERY", typ.String()) {
			t.Errorf("%v is outgoing: %v", typ, out)
		}
	}
}

// No file makes the reader panic, and every message is accounted for.
func FuzzReader(f *testing.F) {
	f.Add(frames(f, dnstap.Message{Type: dnstap.ClientQuery, Query: message(1, "a.example", 1, false)}, dnstap.Message{Type: dnstap.ClientResponse, Response: message(1, "a.example", 1, true)}))
	f.Add([]byte("\xD4\xC3\xB2\xA1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x65\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, _, _ := read(t, in)
		c := &r.Table.Counts
		if c.Messages != 2*c.Matched+c.UnmatchedQueries+c.UnmatchedResponses+c.Continued && c.Queries+c.Responses != c.Messages {
			t.Errorf("%+v", c)
		}
		if r.Table.Waiting() != 0 {
			t.Error("something waits after the end")
		}
	})
}
