package replay_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"anyu/house/corpora"
	"anyu/lab/replay"
)

// files are the borrowed scenarios.
func files(t testing.TB) []string {
	t.Helper()
	var list []string
	for _, dir := range []string{"unbound", "deckard"} {
		found, err := filepath.Glob(filepath.Join(corpora.Path(t, "rpl", dir), "*.rpl"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no scenarios in %s: %v", dir, err)
		}
		list = append(list, found...)
	}
	return list
}

func TestParse_readsEveryLineOfEveryFile(t *testing.T) {
	for _, file := range files(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := replay.Parse(file, text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, want := s.Dialect.String(), filepath.Base(filepath.Dir(file)); got != want {
			t.Errorf("%s: taken for %s", file, got)
		}
		var skip *replay.Skip
		if _, err := s.Settings(); errors.As(err, &skip) {
			t.Logf("%s: %v", filepath.Base(file), err)
		} else if err != nil {
			t.Error(err)
		}
	}
}

// What does not fit the grammar is refused with its line.
func TestParse_saysWhatIsWrongAndWhere(t *testing.T) {
	const head = "server:\nCONFIG_END\nSCENARIO_BEGIN t\n"
	for _, c := range []struct {
		text string
		line int
	}{
		{"server:\n", 2}, {"server: name: \"x\nCONFIG_END\n", 1}, {"server:\nCONFIG_END\nSTEP 1 QUERY\n", 3}, {head, 4},
		{head + "STEP x QUERY\n", 4}, {head + "STEP 1 DANCE\n", 4}, {head + "STEP 1 QUERY\nSCENARIO_END\n", 4},
		{head + "STEP 2 NOTHING\nSTEP 1 NOTHING\nSCENARIO_END\n", 5}, {head + "RANGE_BEGIN 5 1\n", 4}, {head + "RANGE_BEGIN 0\n", 4},
		{head + "RANGE_BEGIN 0 1\nADDRESS 1.2.3\n", 5}, {head + "RANGE_BEGIN 0 1\nADDRESS 1.2.3.4\nADDRESS 1.2.3.5\n", 7},
		{head + "RANGE_BEGIN 0 1\nENTRY_BEGIN\nMATCH everything\n", 6}, {head + "RANGE_BEGIN 0 1\nENTRY_BEGIN\nREPLY MAYBE\n", 6},
		{head + "RANGE_BEGIN 0 1\nENTRY_BEGIN\nADJUST copy_all\n", 6}, {head + "RANGE_BEGIN 0 1\nENTRY_BEGIN\nSECTION OTHER\n", 6},
		{head + "RANGE_BEGIN 0 1\nENTRY_BEGIN\nSECTION ANSWER\na. A 1.2.3\n", 7}, {head + "RANGE_BEGIN 0 1\nENTRY_BEGIN\na.\n", 6},
		{head + "STEP 1 TIME_PASSES\n", 4}, {head + "STEP 1 ASSIGN x\n", 4}, {head + "STEP 1 CHECK_TEMPFILE f\nSCENARIO_END\n", 4},
		{head + "STEP 1 QUERY\nENTRY_BEGIN\nHEX_EDNSDATA_BEGIN\nzz\nHEX_EDNSDATA_END\n", 8},
		{"stub-addr: 1.2.3.4\nCONFIG_END\nSCENARIO_BEGIN t\nSTEP 1 TRAFFIC\n", 4},
		{"stub-addr: 1.2.3.4\nCONFIG_END\nSCENARIO_BEGIN t\nRANGE_BEGIN 0 1\nENTRY_BEGIN\nMATCH ttl\n", 6},
	} {
		_, err := replay.Parse("f", []byte(c.text))
		var e *replay.Error
		if !errors.As(err, &e) || e.Line != c.line {
			t.Errorf("%q: %v, want line %d", c.text, err, c.line)
		}
	}
}

// RDATA in the form of RFC 3597 is taken as it is, however wrong.
func TestParse_takesRawRData(t *testing.T) {
	s, err := replay.Parse("f", []byte("server:\nCONFIG_END\nSCENARIO_BEGIN t\nSTEP 1 QUERY\nENTRY_BEGIN\nSECTION ANSWER\na. 5 IN A \\# 3 01 0203 ; no address\nENTRY_END\nSCENARIO_END\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Steps[0].Entry.Packets[0].Message.Records[1][0]; string(r.RData) != "\x01\x02\x03" || r.TTL != 5 {
		t.Errorf("%d %x", r.TTL, r.RData)
	}
}

// Whatever a file holds, reading it ends with a scenario or an error that names a line of it.
func FuzzParse(f *testing.F) {
	f.Add("server:\nCONFIG_END\nSCENARIO_BEGIN t\nRANGE_BEGIN 0 9\nADDRESS 1.2.3.4@53\nENTRY_BEGIN\nMATCH all ttl ede=3\nREPLY QR DO\nSECTION ANSWER\na. A \\# 1 00\nEXTRA_PACKET\nHEX_ANSWER_BEGIN\n0\nHEX_ANSWER_END\nENTRY_END\nRANGE_END\nSTEP 1 TIME_PASSES EVAL ${time}\nSCENARIO_END\n")
	f.Add("stub-addr: 1.2.3.4 ; x\nCONFIG_END\nSCENARIO_BEGIN t\nSTEP 1 QUERY\nENTRY_BEGIN\nRAW\n00\nENTRY_END\nSCENARIO_END\n")
	f.Add("AUTOTRUST_FILE x\na. DNSKEY 257 3 5 AAAA ;;state=2\nAUTOTRUST_END\nTEMPFILE_CONTENTS y\nTEMPFILE_END\nlocal-zone: \"a\" static\nCONFIG_END\nSCENARIO_BEGIN t\nSCENARIO_END\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := replay.Parse("f", []byte(text))
		if err != nil {
			var e *replay.Error
			if !errors.As(err, &e) || e.Line < 0 || e.Line > len(text)+1 {
				t.Fatalf("%v", err)
			}
			return
		}
		if _, err := s.Settings(); err != nil {
			return
		}
		r := (&replay.Suite{System: newWalker}).Scenario(t.Context(), "f", []byte(text))
		if len(r.Reason) > 5 && r.Reason[:5] == "panic" {
			t.Fatal(r.Reason, r.Detail)
		}
	})
}

// What a configuration includes is part of it, where the scenario makes the file; a quote may be escaped.
func TestParse_includesFilesOfTheScenario(t *testing.T) {
	const text = "TEMPFILE_CONTENTS more\n# said elsewhere\nserver: cache-max-ttl: 7\nTEMPFILE_END\nserver:\n\tinclude:\nTEMPFILE_NAME more\n\tinclude: \"/etc/unbound/x\"\n" +
		"\tlocal-data: \"a. TXT \\\"b c\\\"\"\nCONFIG_END\nSCENARIO_BEGIN t\nSCENARIO_END\n"
	s, err := replay.Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Settings()
	if err != nil || c.MaxTTL != 7 || len(c.LocalData) != 1 {
		t.Errorf("%v: TTL %d, %d records", err, c.MaxTTL, len(c.LocalData))
	}
	loop := "TEMPFILE_CONTENTS x\ninclude: x\nTEMPFILE_END\nserver: include: x\nCONFIG_END\nSCENARIO_BEGIN t\nSCENARIO_END\n"
	if _, err := replay.Parse("f", []byte(loop)); err == nil {
		t.Error("a file that includes itself is taken")
	}
}
