package zone_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"anyu/dns/zone"
	"anyu/house/corpora"
)

// zoneNameOf finds the zone name for corpus files whose folder does not say it: the owner of the first SOA.
func zoneNameOf(t *testing.T, file string) string {
	switch base := filepath.Base(file); {
	case strings.Contains(base, "URI.ARPA"), strings.Contains(base, "example_a4"):
		return "uri.arpa."
	case strings.Contains(base, "ROOT-SERVERS"), strings.Contains(base, "example_a5"):
		return "root-servers.net."
	case strings.Contains(file, "unbound/"):
		if strings.Contains(base, "example_a") {
			return "example."
		}
		return "example.com."
	}
	return "example."
}

// RFC 8976, Section 4 and Appendix A: every ZONEMD case of the corpora gets the verdict of the independent verifier.
func TestCheckZONEMD_agreesWithVerifier(t *testing.T) {
	dir := corpora.Path(t, "zones")
	n := 0
	for _, row := range table(t, filepath.Join(dir, "zonemd-verdicts.tsv"), true) {
		file, want := row[0], row[1]
		// zonemd.example1: no ZONEMD; the verifier was told to require one. mixed-classes does not load.
		z, _, err := loadFile(t, zoneNameOf(t, file), filepath.Join(dir, file))
		var verdict zone.Verdict
		reason := fmt.Sprint(err)
		if err == nil {
			verdict, reason = z.CheckZONEMD()
		}
		n++
		switch {
		case want == "accept" && verdict != zone.ZONEMDVerified:
			t.Errorf("%s: %v (%s), want verified", file, verdict, reason)
		case want == "refuse" && err == nil && verdict == zone.ZONEMDVerified:
			t.Errorf("%s: verified, want another verdict", file)
		case strings.HasPrefix(want, "not judged"):
			// Only the signatures kept the verifier from a verdict: a file with a record has one from us.
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			has := regexp.MustCompile(`(?m)^[^;\n]*\sIN\s+(ZONEMD|TYPE63)\s`).Match(text)
			if has == (verdict == zone.ZONEMDAbsent) {
				t.Errorf("%s: %v (%s)", file, verdict, reason)
			}
		}
		t.Logf("%s: %v %s (%s)", file, verdict, reason, want)
	}
	if n < 20 {
		t.Errorf("only %d files", n)
	}
}

func TestCheckZONEMD_rootZones(t *testing.T) {
	dir := corpora.Path(t, "zones")
	for _, c := range []struct {
		file string
		want zone.Verdict
	}{
		{"root-20260731-signed-zonemd/root.zone", zone.ZONEMDVerified},
		{"root-20260105-signed-zonemd/*", zone.ZONEMDVerified},
		{"root-2026-norrsig/*", zone.ZONEMDFailed},
	} {
		files, _ := filepath.Glob(filepath.Join(dir, c.file))
		if len(files) == 0 {
			t.Fatalf("nothing at %s", c.file)
		}
		z, _, err := loadFile(t, ".", files[0])
		if err != nil {
			t.Fatal(err)
		}
		if verdict, reason := z.CheckZONEMD(); verdict != c.want {
			t.Errorf("%s: %v (%s), want %v", files[0], verdict, reason, c.want)
		}
	}
}

// The cases of another server's tests.
func TestCheckZONEMD_otherServersCases(t *testing.T) {
	dir := corpora.Path(t, "authcases", "powerdns", "zones")
	for file, want := range map[string]zone.Verdict{
		"zonemd-allunsup.zone": zone.ZONEMDUnsupported,
		// RFC 2181, Section 5: the two records are the same, so the set has one.
		"zonemd-duplicate.zone":      zone.ZONEMDVerified,
		"zonemd-invalid.zone":        zone.ZONEMDFailed,
		"zonemd-invalidscheme.zone":  zone.ZONEMDFailed,
		"zonemd-nozonemd.zone":       zone.ZONEMDAbsent,
		"zonemd-scheme0.zone":        zone.ZONEMDFailed,
		"zonemd-serialmismatch.zone": zone.ZONEMDFailed,
		"zonemd-sha512.zone":         zone.ZONEMDVerified,
		"zonemd1.zone":               zone.ZONEMDVerified,
		"zonemd2.zone":               zone.ZONEMDVerified,
		"zonemd3.zone":               zone.ZONEMDVerified,
		"zonemd4.zone":               zone.ZONEMDVerified,
		"zonemd5.zone":               zone.ZONEMDVerified,
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
			continue
		}
		name := regexp.MustCompile(`(?m)^(\S+)\s+\d+\s+IN\s+SOA`).FindSubmatch(text)
		z, _, err := loadFile(t, string(name[1]), filepath.Join(dir, file))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if verdict, reason := z.CheckZONEMD(); verdict != want {
			t.Errorf("%s: %v (%s), want %v", file, verdict, reason, want)
		}
	}
}

const unsigned = "$TTL 300\n@ SOA ns a 7 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n"

// digested is the zone unsigned with these ZONEMD records.
func digested(t *testing.T, records ...string) *zone.Zone {
	return mustLoad(t, "example.", unsigned+strings.Join(records, "\n")+"\n")
}

// RFC 8976, Sections 2.2 and 4: what makes a record unusable, and that one good record is enough.
func TestCheckZONEMD_unusableRecords(t *testing.T) {
	z := mustLoad(t, "example.", unsigned)
	d384, err := z.Digest(zone.SchemeSimple, zone.DigestSHA384)
	if err != nil {
		t.Fatal(err)
	}
	d512, err := z.Digest(zone.SchemeSimple, zone.DigestSHA512)
	if err != nil {
		t.Fatal(err)
	}
	// The TTL of the ZONEMD set is not part of the digest, nor is the set.
	good := fmt.Sprintf("@ 60 ZONEMD 7 1 1 %x", d384)
	good512 := fmt.Sprintf("@ ZONEMD 7 1 2 %x", d512)
	for _, c := range []struct {
		name    string
		records []string
		want    zone.Verdict
		reason  string
	}{
		{"absent", nil, zone.ZONEMDAbsent, "no ZONEMD"},
		{"good", []string{good}, zone.ZONEMDVerified, ""},
		{"sha512", []string{good512}, zone.ZONEMDVerified, ""},
		{"one good of two", []string{good, fmt.Sprintf("@ ZONEMD 7 240 1 %x", d384)}, zone.ZONEMDVerified, ""},
		{"serial", []string{fmt.Sprintf("@ ZONEMD 8 1 1 %x", d384)}, zone.ZONEMDFailed, "serial"},
		{"scheme", []string{fmt.Sprintf("@ ZONEMD 7 2 1 %x", d384)}, zone.ZONEMDUnsupported, "scheme 2"},
		{"algorithm", []string{fmt.Sprintf("@ ZONEMD 7 1 9 %x", d384)}, zone.ZONEMDUnsupported, "algorithm 9"},
		{"short", []string{"@ ZONEMD 7 1 1 00112233445566778899aa"}, zone.ZONEMDFailed, "too short"},
		{"length", []string{fmt.Sprintf("@ ZONEMD 7 1 1 %x", d512)}, zone.ZONEMDFailed, "64 octets"},
		{"twice", []string{good, fmt.Sprintf("@ 60 ZONEMD 7 1 1 %x", make([]byte, 48))}, zone.ZONEMDFailed, "2 records"},
		{"wrong", []string{fmt.Sprintf("@ ZONEMD 7 1 1 %x", make([]byte, 48))}, zone.ZONEMDFailed, "does not match"},
	} {
		verdict, reason := digested(t, c.records...).CheckZONEMD()
		if verdict != c.want || !strings.Contains(reason, c.reason) {
			t.Errorf("%s: %v %q, want %v with %q", c.name, verdict, reason, c.want, c.reason)
		}
	}
}

// RFC 8976, Section 3.3.1: ZONEMD below the apex is data as any other, glue counts, case does not.
func TestDigest_whatCounts(t *testing.T) {
	digest := func(text string) []byte {
		d, err := mustLoad(t, "example.", text).Digest(zone.SchemeSimple, zone.DigestSHA384)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	base := digest(unsigned)
	if !bytes.Equal(base, digest(strings.ReplaceAll(unsigned, "NS ns", "NS NS.EXAMPLE."))) {
		t.Error("case of a name in RDATA changes the digest")
	}
	if !bytes.Equal(base, digest(unsigned+"NS A 192.0.2.1\nother.test. A 192.0.2.1\n")) {
		t.Error("a duplicate or a record outside the zone changes the digest")
	}
	for _, more := range []string{"sub NS ns.sub\nns.sub A 192.0.2.9\n", "x ZONEMD 7 1 1 " + strings.Repeat("00", 48) + "\n"} {
		if bytes.Equal(base, digest(unsigned+more)) {
			t.Errorf("%q does not change the digest", more)
		}
	}
	if _, err := mustLoad(t, "example.", unsigned).Digest(2, 1); err == nil {
		t.Error("an unknown scheme gives a digest")
	}
}
