package trail_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"anyu/watch/trail"
)

// What is erased is gone from every row, the client subnet too, and the rest of the rows is as it was, in the file that was being written, too.
func TestErase_emptiesTheClientAndNothingElse(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	with := s.answered(t) // its client subnet is 203.0.113.0/24
	put(t, l, s.question(begin, 1), s.question(begin, 2), with)
	victim := netip.MustParsePrefix("192.0.2.1/32")
	read := func() (rows map[string]trail.Row) {
		t.Helper()
		rows = map[string]trail.Row{}
		if _, err := l.Each(t.Context(), trail.Filter{}, func(r *trail.Row) error { rows[r.Name] = *r; return nil }); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	before := read()
	var noted []trail.Replacement
	note := func(r trail.Replacement) error {
		noted = append(noted, r)
		return nil
	}
	segments, rows, err := l.Erase(t.Context(), trail.Erasure{Client: victim}, note)
	if err != nil || segments != 1 || rows != 1 || len(noted) != 1 || noted[0].Rows != 3 || noted[0].Erased != 1 {
		t.Fatal(segments, rows, noted, err)
	}
	if segments, rows, err := l.Erase(t.Context(), trail.Erasure{Client: netip.MustParsePrefix("203.0.113.77/32"), From: begin}, note); err != nil || segments != 1 || rows != 1 {
		t.Error(segments, rows, err)
	}
	if segments, _, err := l.Erase(t.Context(), trail.Erasure{Client: netip.MustParsePrefix("192.0.2.2/32"), To: begin}, note); err != nil || segments != 0 {
		t.Error("rows of another time were rewritten", err)
	}
	for name, row := range read() {
		old := before[name]
		switch {
		case within(victim, old.Client):
			old.Client, old.ClientPort = "", nil
		case old.Subnet != "":
			old.Subnet = ""
		}
		row.Segment, old.Segment = "", ""
		if got, want := asJSON(t, row), asJSON(t, old); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if found, err := l.Rows(t.Context(), trail.Filter{Client: victim}); err != nil || len(found.Rows) > 0 {
		t.Error(found.Rows, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// What cannot be noted is not erased; and a crash between the note and the new file is finished, one before it forgotten.
func TestErase_standsOrFallsWithItsNote(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	defer l.Close()
	put(t, l, s.question(begin, 1))
	no := errors.New("no")
	if _, _, err := l.Erase(t.Context(), trail.Erasure{Client: netip.MustParsePrefix("192.0.2.0/24")}, func(trail.Replacement) error { return no }); !errors.Is(err, no) {
		t.Fatal(err)
	}
	list, err := trail.Segments(s.opts.Dir)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	path := filepath.Join(s.opts.Dir, list[0].Path)
	aside := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".erased")
	if _, err := os.Stat(aside); err == nil {
		t.Error("the refused replacement is still there")
	}
	for _, noted := range []bool{false, true} {
		if err := os.WriteFile(aside, []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := trail.FinishErasures(s.opts.Dir, func(name, file string) (bool, error) {
			if name != list[0].Path || file != aside {
				t.Errorf("%s %s", name, file)
			}
			return noted, nil
		}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || (string(text) == "new") != noted {
			t.Errorf("noted %v: %d octets, %v", noted, len(text), err)
		}
		if _, err := os.Stat(aside); err == nil {
			t.Error("the replacement is still there")
		}
	}
}

func within(p netip.Prefix, text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && p.Contains(addr)
}

func asJSON(t *testing.T, r trail.Row) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
