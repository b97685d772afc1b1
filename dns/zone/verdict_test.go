package zone_test

import (
	"path/filepath"
	"testing"

	"anyu/house/corpora"
)

// TestLoad_agreesWithThreeCheckers loads each file of verdicts.tsv about which BIND, Knot and NSD are of one mind. Files
// where we differ stand in testdata/verdict-exceptions.txt with the reason; they may be 2 % of them.
func TestLoad_agreesWithThreeCheckers(t *testing.T) {
	dir := corpora.Path(t, "zones")
	exceptions := map[string]string{}
	for _, row := range table(t, "testdata/verdict-exceptions.txt", false) {
		if len(row) != 2 {
			t.Fatalf("exception without a reason: %q", row)
		}
		exceptions[row[0]] = row[1]
	}
	checked, differs := 0, 0
	for _, row := range table(t, filepath.Join(dir, "verdicts.tsv"), true) {
		file, name, want := row[0], row[1], row[3]
		if row[4] != want || row[5] != want {
			continue
		}
		checked++
		_, _, err := loadFile(t, name, filepath.Join(dir, file))
		agrees := (err == nil) == (want == "ok")
		reason, excepted := exceptions[file]
		switch {
		case !agrees && !excepted:
			t.Errorf("%s (%s): the three say %s, we say %v", file, name, want, err)
		case agrees && excepted:
			t.Errorf("%s: listed as an exception (%s) and no longer one", file, reason)
		}
		if !agrees {
			differs++
		}
	}
	if checked < 600 {
		t.Fatalf("only %d files checked", checked)
	}
	t.Logf("%d files, %d differ", checked, differs)
	if differs*50 > checked {
		t.Errorf("%d of %d differ: more than 2 %%", differs, checked)
	}
}
