package zone_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyu/dns/zone"
)

// refused tells whether a zone is refused by loading or by checking, and why.
func refused(t *testing.T, name, file string, opts zone.CheckOptions) (bool, any) {
	z, _, err := loadFile(t, name, file)
	if err != nil {
		return true, err
	}
	for _, p := range zone.Check(z, opts) {
		if p.Severity == zone.Error {
			return true, p
		}
	}
	return false, nil
}

// TestCheck_asBIND demands what the tests of named-checkzone demand.
func TestCheck_asBIND(t *testing.T) {
	dir := corpora(t, "zones", "bind9-checkzone")
	for _, row := range table(t, filepath.Join(dir, "expected.tsv"), true) {
		file, want, name := row[0], row[1], row[2]
		got, why := refused(t, name+".", filepath.Join(dir, file), zone.CheckOptions{StrictNames: strings.Contains(row[3], "strictly")})
		if got != (want == "refuse") {
			t.Errorf("%s: want %s, refused is %v: %v", file, want, got, why)
		}
	}
}

// TestCheck_asKnot demands what the semantic checks of kzonecheck demand, as far as no signature is to be verified and no
// chain of NSEC or NSEC3 to be followed: those files stand in testdata/dnssec-later.txt for the room that does that.
func TestCheck_asKnot(t *testing.T) {
	dir := corpora(t, "zones", "knot-semantic-check")
	later := map[string]bool{}
	for _, row := range table(t, "testdata/dnssec-later.txt", false) {
		later[row[0]] = true
	}
	n := 0
	for _, row := range table(t, filepath.Join(dir, "expected.tsv"), true) {
		file, want, name, dnssec := row[0], row[1], row[2], row[3] == "yes"
		if name == "from the SOA" {
			name = "example.com"
		}
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
			continue
		}
		n++
		got, why := refused(t, name+".", filepath.Join(dir, file), zone.CheckOptions{SkipDNSSEC: !dnssec})
		if later[file] && dnssec {
			if got {
				t.Errorf("%s: listed for later and refused now: %v", file, why)
			}
			continue
		}
		if got != (want == "refuse") {
			t.Errorf("%s (dnssec %v): want %s, refused is %v: %v %s", file, dnssec, want, got, why, row[4])
		}
	}
	if n < 40 {
		t.Errorf("only %d rows", n)
	}
}
