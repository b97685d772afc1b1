package zone_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/house/corpora"
)

// files is a file system of strings.
type files map[string]string

func (f files) open(name string) (io.ReadCloser, error) {
	text, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (f files) load(t testing.TB, main string, block, workers int) (*zone.Zone, []zone.Warning, error) {
	return zone.Load(context.Background(), zone.LoadOptions{Name: mustName(t, "example."), File: main, Open: f.open,
		BlockSize: block, Workers: workers})
}

// hasLine tells whether the text of the zone has a record.
func hasLine(t *testing.T, z *zone.Zone, line string) {
	t.Helper()
	if !strings.Contains("\n"+textOf(t, z), "\n"+line+"\n") {
		t.Errorf("no record %q in\n%s", line, textOf(t, z))
	}
}

// RFC 1035, Section 5.1; RFC 2308, Section 4; RFC 3597, Section 5. (servers.md 5.1, cases 73 to 77)
func TestLoad_presentation(t *testing.T) {
	const head = "$TTL 1h30m\n@ SOA ns a 1 2 3 4 5\n NS ns\nns A 192.0.2.1\n"
	for _, c := range []struct{ name, text, want string }{
		{"units", "", "example. 5400 IN NS ns.example."},
		{"owner inherited", "x A 192.0.2.2\n  AAAA ::1\n", "x.example. 5400 IN AAAA ::1"},
		{"TTL then class", "x 7 IN A 192.0.2.2\n", "x.example. 7 IN A 192.0.2.2"},
		{"class then TTL", "x IN 7 A 192.0.2.2\n", "x.example. 7 IN A 192.0.2.2"},
		{"parentheses", "x ( 7\n IN ; comment (\n TXT \"a\nb\" ) \n", `x.example. 7 IN TXT "a\010b"`},
		{"escapes", `a\.b\032c A 192.0.2.2` + "\n", `a\.b\032c.example. 5400 IN A 192.0.2.2`},
		{"at sign", "$ORIGIN sub.example.\n@ MX 10 @\n", "sub.example. 5400 IN MX 10 sub.example."},
		{"relative origin", "$ORIGIN sub\nx A 192.0.2.2\n", "x.sub.example. 5400 IN A 192.0.2.2"},
		{"unknown type", `x TYPE731 \# 3 abcd ef` + "\n", `x.example. 5400 IN TYPE731 \# 3 abcdef`},
		{"known type generic", `x A \# 4 C0000202` + "\n", "x.example. 5400 IN A 192.0.2.2"},
		{"class number", "x CLASS1 TYPE1 192.0.2.2\n", "x.example. 5400 IN A 192.0.2.2"},
		{"TTL over 31 bits", "x 2147483648 A 192.0.2.2\n", "x.example. 0 IN A 192.0.2.2"},
		{"lowest TTL", "x 9 A 192.0.2.2\nx 8 A 192.0.2.3\n", "x.example. 8 IN A 192.0.2.2"},
		{"duplicate", "x MX 1 A.b.\nX MX 1 a.B.\n", "x.example. 5400 IN MX 1 A.b."},
		{"date", "x RRSIG A 13 2 60 20300101000000 20200101000000 1 example. AA==\n", "x.example. 5400 IN RRSIG A 13 2 60 20300101000000 20200101000000 1 example. AA=="},
		{"SVCB in any order", `x SVCB 1 . port=53 alpn="h2,h3" mandatory=port` + "\n", `x.example. 5400 IN SVCB 1 . mandatory="port" alpn="h2,h3" port="53"`},
		{"relay of type name (RFC 8777, Section 4.3.1)", "x AMTRELAY 128 1 3 -\n", "x.example. 5400 IN AMTRELAY 128 1 3 -.example."},
		{"relay of type IPv6", "x AMTRELAY 10 0 2 2001:db8::15\n", "x.example. 5400 IN AMTRELAY 10 0 2 2001:db8::15"},
		{"no relay", `x AMTRELAY \# 2 0080` + "\n", "x.example. 5400 IN AMTRELAY 0 1 0 ."},
		{"relay of an unknown type", `x AMTRELAY \# 4 01840102` + "\n", `x.example. 5400 IN AMTRELAY \# 4 01840102`},
		{"generate", "$GENERATE 2-4/2 h${1,2,d} A 192.0.2.$\n", "h05.example. 5400 IN A 192.0.2.4"},
		{"generate two fields", "$GENERATE 1-1 h$ MX \"$ m$\"\n", "h1.example. 5400 IN MX 1 m1.example."},
		{"CRLF", "x A 192.0.2.2\r\ny A 192.0.2.3\r\n", "y.example. 5400 IN A 192.0.2.3"},
		{"no line end", "x A 192.0.2.2", "x.example. 5400 IN A 192.0.2.2"},
		{"minimum for want of a TTL", "", "late.example. 5 IN A 192.0.2.1"},
		{"records before the SOA", "", "ns.example. 5400 IN A 192.0.2.1"},
	} {
		text := head + c.text
		if c.name == "records before the SOA" {
			text = "$TTL 1h30m\n@ NS ns\nns A 192.0.2.1\n@ SOA ns a 1 2 3 4 5\n"
		}
		if c.name == "minimum for want of a TTL" {
			text = "@ SOA ns a 1 2 3 4 5\n@ 7 NS ns\nlate A 192.0.2.1\n"
		}
		z, _, err := loadText(t, "example.", text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !strings.Contains("\n"+textOf(t, z), "\n"+c.want+"\n") {
			t.Errorf("%s: no %q in\n%s", c.name, c.want, textOf(t, z))
		}
	}
}

// Errors name file, line and column.
func TestLoad_errorsSayWhere(t *testing.T) {
	const head = "$TTL 60\n@ SOA ns a 1 2 3 4 5\n@ NS ns\n" // three lines
	for _, c := range []struct {
		text, at, says string
	}{
		{"x A 192.0.2.256\n", "4:5", "IPv4"},
		{"\n\nx IN BOGUS 1\n", "6:6", "BOGUS"},
		{"x A 192.0.2.1 192.0.2.2\n", "4:15", "left over"},
		{"x A\n", "4:4", "missing"},
		{"x TXT \"a\n", "4:7", "quote"},
		{"x TXT ( a\n", "5:1", "parenthesis"},
		{"x TXT )\n", "4:7", "parenthesis"},
		{"$ORIGIN\n", "4:8", "name"},
		{"$NOSUCH x\n", "4:1", "$NOSUCH"},
		{"x HS TXT a\ny IN TXT b\n", "5:3", "class IN in a zone of class HS"},
		{"x DS 1 2 2 abc\n", "4:15", "odd"},
		{strings.Repeat("a", 64) + " A 192.0.2.1\n", "4:1", "label"},
		{`x A \# 3 010203` + "\n", "4:16", "RDATA"},
		{"x MX 65536 a\n", "4:6", "65535"},
		{"x OPT a\n", "4:7", "cannot stand"},
		{"x SOA ns a 1 2 3 4 5\n", "", "SOA"},
		{"$GENERATE 1-99999999 h$ A 192.0.2.1\n", "4:11", "more than"},
		{"x TXT \"\\300\"\n", "4:7", "escape"},
		{"x SVCB 1 . key1=a key1=b\n", "4:19", "twice"},
		{"x NSAP 0x..\n", "4:8", "without a digit"},
		{"x AMTRELAY 1 0 1 2001:db8::15\n", "4:18", "IPv4"},
		{"x AMTRELAY 1 0 0 a\n", "4:18", "dot"},
	} {
		_, _, err := loadText(t, "example.", head+c.text)
		var se *zone.SyntaxError
		if !errors.As(err, &se) {
			t.Errorf("%q: %v is no SyntaxError", c.text, err)
			continue
		}
		if at := fmt.Sprintf("%d:%d", se.Line, se.Column); c.at != "" && at != c.at || se.File != "test.zone" || !strings.Contains(se.Text, c.says) {
			t.Errorf("%q: %v, want at %s with %q", c.text, err, c.at, c.says)
		}
	}
}

// RFC 1035, Section 5.1: $INCLUDE may name an origin and leaves ours alone.
func TestLoad_include(t *testing.T) {
	f := files{
		"dir/main":      "$TTL 60\n@ SOA ns a 1 2 3 4 5\n@ NS ns\n$INCLUDE sub/one sub.example.\nx A 192.0.2.1\n$INCLUDE sub/two\n",
		"dir/sub/one":   "$TTL 7\n$ORIGIN deep\nh A 192.0.2.2\n",
		"dir/sub/two":   "h A 192.0.2.3\n$INCLUDE three\n",
		"dir/sub/three": "i A 192.0.2.4\n",
	}
	z, _, err := f.load(t, "dir/main", 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"h.deep.sub.example. 7 IN A 192.0.2.2", "x.example. 60 IN A 192.0.2.1", "h.example. 60 IN A 192.0.2.3", "i.example. 60 IN A 192.0.2.4"} {
		hasLine(t, z, line)
	}
	f["dir/sub/three"] = "i A 192.0.2.400\n"
	_, _, err = f.load(t, "dir/main", 0, 2)
	var se *zone.SyntaxError
	if !errors.As(err, &se) || se.File != "dir/sub/three" || se.Line != 1 || se.Column != 5 {
		t.Errorf("error in an included file: %v", err)
	}
	f["dir/sub/three"] = "$INCLUDE three\n"
	if _, _, err = f.load(t, "dir/main", 0, 2); !errors.As(err, &se) || !strings.Contains(se.Text, "deeper") {
		t.Errorf("a file that includes itself: %v", err)
	}
	delete(f, "dir/sub/three")
	if _, _, err = f.load(t, "dir/main", 0, 2); !errors.As(err, &se) || se.File != "dir/sub/two" || se.Line != 2 {
		t.Errorf("a file that is not there: %v", err)
	}
}

// What is no zone is refused; what is outside is left out with a warning. (servers.md 5.1, cases 20, 67, 75)
func TestLoad_refuses(t *testing.T) {
	for _, c := range []struct {
		text string
		want error
	}{
		{"@ 1 NS ns\n", zone.ErrNoSOA},
		{"@ 1 SOA ns a 1 2 3 4 5\n", zone.ErrNoNS},
		{"@ 1 SOA ns a 1 2 3 4 5\n@ 1 SOA ns a 2 2 3 4 5\n@ 1 NS ns\n", zone.ErrSOAs},
		{treeBase + "x CNAME y\nx A 192.0.2.1\n", zone.ErrCNAME},
		{treeBase + "x CNAME y\nx CNAME z\n", zone.ErrMany},
	} {
		if _, _, err := loadText(t, "example.", c.text); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.text, err, c.want)
		}
	}
	z, warnings, err := loadText(t, "example.", treeBase+"x.test. A 192.0.2.1\n")
	if err != nil || len(warnings) != 1 || warnings[0].Code != zone.WarnOutside || warnings[0].Line != 4 {
		t.Errorf("outside: %v, warnings %v", err, warnings)
	} else if names, _, _ := z.Size(); names != 1 {
		t.Errorf("outside: %d names", names)
	}
}

// However a file is cut in blocks and however many are parsed at a time, the zone is the same: directives, inherited owners
// and TTLs reach across blocks.
func TestLoad_sameForAnyBlocks(t *testing.T) {
	var text strings.Builder
	text.WriteString("$ORIGIN example.\n@ 60 SOA ns a 1 2 3 4 5\n NS ns\n")
	for i := range 400 {
		switch i % 8 {
		case 0:
			fmt.Fprintf(&text, "$ORIGIN o%d.example.\n", i)
		case 3:
			fmt.Fprintf(&text, "h%d %d A 192.0.2.1\n", i, i+1)
		case 4:
			fmt.Fprintf(&text, "  AAAA ::%x\n", i)
		case 5:
			fmt.Fprintf(&text, "h%d TXT ( a\n \"b ; c\" ; comment (\n )\n", i%40)
		case 6:
			if i > 200 {
				fmt.Fprintf(&text, "$TTL %d\n", i)
			}
		default:
			fmt.Fprintf(&text, "h%d MX %d h\n\tMX %d g\n", i%30, i, i+1)
		}
	}
	f := files{"z": text.String()}
	whole, _, err := f.load(t, "z", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := textOf(t, whole)
	for _, block := range []int{64, 100, 257, 1000, 5000} {
		for _, workers := range []int{1, 2, 5} {
			z, _, err := f.load(t, "z", block, workers)
			if err != nil {
				t.Fatalf("blocks of %d, %d workers: %v", block, workers, err)
			}
			if got := textOf(t, z); got != want {
				t.Errorf("blocks of %d, %d workers: another zone", block, workers)
			}
		}
	}
	f["z"] += "x A 192.0.2.300\n"
	line := strings.Count(f["z"], "\n")
	var se *zone.SyntaxError
	if _, _, err := f.load(t, "z", 100, 3); !errors.As(err, &se) || se.Line != line {
		t.Errorf("error in a late block: %v, want line %d", err, line)
	}
}

// Every zone of the corpora that loads is written to a text that loads to an equal zone.
func TestWriteText_roundTrip(t *testing.T) {
	dir := corpora.Path(t, "zones")
	n := 0
	for _, row := range table(t, filepath.Join(dir, "verdicts.tsv"), true) {
		z, _, err := loadFile(t, row[1], filepath.Join(dir, row[0]))
		if err != nil {
			continue
		}
		text := textOf(t, z)
		again, warnings, err := loadText(t, row[1], text)
		if err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		for _, w := range warnings {
			t.Errorf("%s: %v", row[0], w)
		}
		if textOf(t, again) != text {
			t.Errorf("%s: the text of the text differs", row[0])
		}
		fail := func(r zone.Record) error {
			return fmt.Errorf("%s", zone.AppendRecordText(nil, r, z.Class()))
		}
		if err := zone.Diff(z, again, fail, fail); err != nil {
			t.Errorf("%s: the zones differ: %v", row[0], err)
		}
		n++
	}
	if n < 600 {
		t.Errorf("only %d zones", n)
	}
}

// Two dated root zones: the difference, applied to the old one, gives the new one.
func TestDiff_appliedGivesTheOther(t *testing.T) {
	dir := corpora.Path(t, "zones")
	var zones []*zone.Zone
	for _, pattern := range []string{"root-20260105*/*", "root-20260731*/root.zone"} {
		match, _ := filepath.Glob(filepath.Join(dir, pattern))
		if len(match) == 0 {
			t.Fatalf("nothing at %s", pattern)
		}
		z, _, err := loadFile(t, ".", match[0])
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, z)
	}
	e := zones[0].Edit()
	type add struct {
		owner wire.Name
		typ   wire.Type
		ttl   uint32
		rdata []byte
	}
	var adds []add
	err := zone.Diff(zones[0], zones[1],
		func(r zone.Record) error { return e.Remove(r.Owner, r.Type, r.RData) },
		func(r zone.Record) error {
			adds = append(adds, add{append(wire.Name(nil), r.Owner...), r.Type, r.TTL, append([]byte(nil), r.RData...)})
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range adds {
		if err := e.Add(a.owner, a.typ, a.ttl, a.rdata); err != nil {
			t.Fatal(err)
		}
	}
	got, err := e.Done()
	if err != nil {
		t.Fatal(err)
	}
	if textOf(t, got) != textOf(t, zones[1]) {
		t.Error("the zone made from the difference is another")
	}
	if verdict, reason := got.CheckZONEMD(); verdict != zone.ZONEMDVerified {
		t.Errorf("its digest: %v %s", verdict, reason)
	}
}

// A zone filled by AXFR, record by record, is the loaded zone.
func TestNewEmpty_filled(t *testing.T) {
	dir := corpora.Path(t, "zones")
	z, _, err := loadFile(t, ".", filepath.Join(dir, "root-20260731-signed-zonemd", "root.zone"))
	if err != nil {
		t.Fatal(err)
	}
	e := zone.NewEmpty(z.Apex(), z.Class())
	for n := range z.All() {
		owner := n.AppendOwner(nil, z.Apex())
		for s := range n.Sets() {
			for it := s.Iter(); it.Next(); {
				if err := e.Add(owner, s.Type(), s.TTL(), it.RData()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	got, err := e.Done()
	if err != nil {
		t.Fatal(err)
	}
	if textOf(t, got) != textOf(t, z) {
		t.Error("another zone")
	}
}

// What comes by transfer is kept as text, which is read when the server starts again: RDATA whose text would not load is refused as it comes.
func TestEdit_takesOnlyWhatLoadsAgain(t *testing.T) {
	for _, c := range []struct {
		typ   wire.Type
		rdata string // hexadecimal
		takes bool
	}{
		{wire.TypeAMTRELAY, "0a0101020304", true}, {wire.TypeAMTRELAY, "0a04", true}, {wire.TypeAMTRELAY, "0a84ffee", true},
		{wire.TypeAMTRELAY, "0a0000", false}, {wire.TypeAMTRELAY, "0a03c002", false}, {wire.TypeAMTRELAY, "0a", false},
		{wire.TypeIPSECKEY, "0a0402", false}, {wire.TypeNSAP, "", false}, {wire.TypeNSAP, "00", true}, {wire.TypeCAA, "0000", false}, {wire.TypeDS, "00010802", false},
		{wire.TypeAPL, "", true}, {wire.Type(731), "", true},
	} {
		z, _, err := loadText(t, "example.", treeBase)
		if err != nil {
			t.Fatal(err)
		}
		e := z.Edit()
		rdata, err := hex.DecodeString(c.rdata)
		if err != nil {
			t.Fatal(err)
		}
		owner, _ := wire.ParseName("x.example.")
		if err := e.Add(owner, c.typ, 60, rdata); (err == nil) != c.takes || err != nil {
			if err == nil || c.takes {
				t.Errorf("%v %s: %v", c.typ, c.rdata, err)
			}
			continue
		}
		next, err := e.Done()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := loadText(t, "example.", textOf(t, next)); err != nil {
			t.Errorf("%v %s: %v in\n%s", c.typ, c.rdata, err, textOf(t, next))
		}
	}
}
