package store

import (
	"testing"
)

// That nothing is wrong is no finding: what it ends has no beginning of its own, else each start would be told and kept in the ledger as one.
func TestOpen_endsFindingsAndMakesNone(t *testing.T) {
	found := &sink{}
	s := pretend(t, t.TempDir(), found, 1<<30, map[string]*pretended{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range found.all {
		if !f.Open() && !f.Opened.IsZero() {
			t.Errorf("%s is a finding of a moment: %+v", f.Kind, f)
		}
	}
	if found.kinds() != "store-retention:false " {
		t.Errorf("findings %s", found.kinds())
	}
}
