package zone_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/zone"
	"anyu/house/corpora"
)

// testTime is when the corpora were put together: the good files among them are signed for longer.
var testTime = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

// refused tells whether a zone is refused by loading or by checking, and why.
func refused(t *testing.T, name, file string, opts zone.CheckOptions) (bool, any) {
	z, _, err := loadFile(t, name, file)
	if err != nil {
		return true, err
	}
	problems := zone.Check(z, opts)
	if !opts.SkipDNSSEC {
		problems = append(problems, dnssec.CheckZone(z, testTime, dnssec.Options{})...)
	}
	for _, p := range problems {
		if p.Severity == zone.Error {
			return true, p
		}
	}
	return false, nil
}

// TestCheck_asBIND demands what the tests of named-checkzone demand.
func TestCheck_asBIND(t *testing.T) {
	dir := corpora.Path(t, "zones", "bind9-checkzone")
	for _, row := range table(t, filepath.Join(dir, "expected.tsv"), true) {
		file, want, name := row[0], row[1], row[2]
		got, why := refused(t, name+".", filepath.Join(dir, file), zone.CheckOptions{StrictNames: strings.Contains(row[3], "strictly")})
		if got != (want == "refuse") {
			t.Errorf("%s: want %s, refused is %v: %v", file, want, got, why)
		}
	}
}

// TestCheck_asKnot demands what the semantic checks of kzonecheck demand; signatures and chains are for dns/dnssec.
func TestCheck_asKnot(t *testing.T) {
	dir := corpora.Path(t, "zones", "knot-semantic-check")
	n := 0
	for _, row := range table(t, filepath.Join(dir, "expected.tsv"), true) {
		file, want, name, signatures := row[0], row[1], row[2], row[3] == "yes"
		if name == "from the SOA" {
			name = "example.com"
		}
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
			continue
		}
		n++
		got, why := refused(t, name+".", filepath.Join(dir, file), zone.CheckOptions{SkipDNSSEC: !signatures})
		if got != (want == "refuse") {
			t.Errorf("%s (dnssec %v): want %s, refused is %v: %v %s", file, signatures, want, got, why, row[4])
		}
	}
	if n < 40 {
		t.Errorf("only %d rows", n)
	}
}
