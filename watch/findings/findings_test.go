package findings_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"anyu/event"
	"anyu/watch/findings"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func raised(subject string, severity event.Severity, at time.Time) event.Finding {
	return event.Finding{Kind: "nx-share", Subject: subject, Node: "n1", Severity: severity, Opened: at, Updated: at, Facts: []event.Fact{{Name: "share", Value: "60 %"}}}
}

func ended(subject string, at time.Time) event.Finding {
	return event.Finding{Kind: "nx-share", Subject: subject, Opened: noon, Updated: at, Closed: at}
}

// told notes what notifiers are told.
type told struct{ text []string }

func (n *told) Notify(f event.Finding) {
	n.text = append(n.text, fmt.Sprint(f.Subject, " ", f.Severity, " ", f.Open()))
}

func open(t testing.TB, path string, notifiers ...findings.Notifier) *findings.Store {
	t.Helper()
	s, err := findings.Open(path, noon, nil, notifiers...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore_keepsOneOpenFindingASubject(t *testing.T) {
	path := filepath.Join(t.TempDir(), "findings.jsonl")
	n := &told{}
	s := open(t, path, n)
	s.Report(raised("a.example.", event.Warning, noon))
	s.Report(raised("b.example.", event.Info, noon))
	s.Report(raised("a.example.", event.Warning, noon.Add(time.Minute)))
	s.Report(raised("a.example.", event.Critical, noon.Add(2*time.Minute)))
	s.Report(raised("a.example.", event.Warning, noon.Add(3*time.Minute)))
	s.Report(ended("a.example.", noon.Add(4*time.Minute)))
	s.Report(ended("a.example.", noon.Add(5*time.Minute))) // never began
	s.Report(raised("a.example.", event.Warning, noon.Add(6*time.Minute)))
	if want := "[a.example. warning true b.example. info true a.example. critical true a.example. critical false a.example. warning true]"; fmt.Sprint(n.text) != want {
		t.Errorf("told %v", n.text)
	}
	check := func(s *findings.Store) {
		t.Helper()
		all, total := s.List(findings.Query{})
		got := fmt.Sprint(total)
		for _, r := range all {
			got += fmt.Sprint("\n", r.ID, " ", r.Severity, " ", r.Open(), " ", len(r.Facts), " ", r.AckedBy)
		}
		want := `3
nx-share-a.example.-20261123T120600Z warning true 1 ` + `
nx-share-b.example.-20261123T120000Z info true 1 zhang
nx-share-a.example.-20261123T120000Z critical false 1 `
		if got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if open := s.OpenCount(); open != [3]int{1, 1, 0} {
			t.Errorf("open %v", open)
		}
	}
	if err := s.Ack("nx-share-b.example.-20261123T120000Z", "zhang", noon); err != nil {
		t.Fatal(err)
	}
	if err := s.Ack("nx-share-none", "zhang", noon); !errors.Is(err, findings.ErrNoFinding) {
		t.Errorf("ack of nothing: %v", err)
	}
	check(s)
	if s.Counts()["nx-share"] != 3 {
		t.Errorf("counts %v", s.Counts())
	}
	s.Close()
	s = open(t, path)
	defer s.Close()
	check(s)
	if _, err := s.Get("nx-share-a.example.-20261123T120000Z"); err != nil {
		t.Error(err)
	}
}

func TestList_filters(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "findings.jsonl"))
	defer s.Close()
	s.Report(raised("a.example.", event.Warning, noon))
	s.Report(ended("a.example.", noon.Add(time.Hour)))
	s.Report(raised("b.example.", event.Critical, noon.Add(2*time.Hour)))
	other := raised("query-log", event.Info, noon)
	other.Kind, other.Closed = "log-cut", noon // over as it is reported
	s.Report(other)
	for _, c := range []struct {
		name string
		q    findings.Query
		want int
	}{
		{"all", findings.Query{}, 3},
		{"open", findings.Query{OnlyOpen: true}, 1},
		{"warnings and worse", findings.Query{Severity: event.Warning}, 2},
		{"kind", findings.Query{Kind: "log-cut"}, 1},
		{"subject", findings.Query{Subject: "a.example."}, 1},
		{"while the first lasted", findings.Query{From: noon.Add(30 * time.Minute), To: noon.Add(90 * time.Minute)}, 1},
		{"since", findings.Query{From: noon.Add(90 * time.Minute)}, 1},
		{"one of three", findings.Query{Limit: 1}, 3},
	} {
		page, total := s.List(c.q)
		if total != c.want || c.q.Limit > 0 && len(page) != c.q.Limit {
			t.Errorf("%s: %d of %d, want %d", c.name, len(page), total, c.want)
		}
	}
}

// Whatever a crash left of the file: it opens, gives findings that were written whole, and takes new ones.
func TestOpen_readsAFileCutAnywhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "findings.jsonl")
	s := open(t, path)
	for i := range 3 {
		s.Report(raised(fmt.Sprintf("z%d.example.", i), event.Warning, noon))
	}
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if cut%41 != 0 && cut < len(whole)-2 {
			continue
		}
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, path)
		_, before := s.List(findings.Query{})
		if want := strings.Count(string(whole[:cut]), "}\n"); before < want || before > want+1 {
			t.Errorf("cut at %d: %d findings, want %d", cut, before, want)
		}
		s.Report(raised("new.example.", event.Info, noon))
		s.Close()
		s = open(t, path)
		if _, after := s.List(findings.Query{}); after != before+1 {
			t.Errorf("cut at %d: %d findings, then %d", cut, before, after)
		}
		s.Close()
	}
}

func FuzzOpen_survivesAnyFile(f *testing.F) {
	f.Add([]byte("{\"id\":\"x\"}\n"))
	f.Add([]byte("{\"id\":\"x\",\"severity\":200,\"facts\":null}\n\x00\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "findings.jsonl")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, path)
		s.OpenCount()
		s.List(findings.Query{})
		s.Close()
	})
}

func TestStore_isBoundedAndRewritesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "findings.jsonl")
	s := open(t, path)
	const total = 12_000
	for i := range total {
		at := noon.Add(time.Duration(i) * time.Second)
		f := raised(fmt.Sprintf("z%d.example.", i), event.Warning, at)
		if i%2 == 0 {
			f.Closed = at
		}
		s.Report(f)
	}
	_, held := s.List(findings.Query{})
	if held < 9_800 || held > 10_000 || s.Dropped() != 0 {
		t.Errorf("%d held, %d dropped", held, s.Dropped())
	}
	for i := range 4000 { // with 6000 before: only open ones are left in the end
		s.Report(raised(fmt.Sprintf("y%d.example.", i), event.Warning, noon))
	}
	if s.Dropped() != 0 {
		t.Errorf("%d dropped while closed ones could go", s.Dropped())
	}
	s.Report(raised("one-too-many.example.", event.Warning, noon))
	if s.Dropped() != 1 {
		t.Errorf("%d dropped", s.Dropped())
	}
	s.Close()
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") > 16_000 {
		t.Errorf("%d lines, %v", strings.Count(string(text), "\n"), err)
	}
	s = open(t, path)
	if _, again := s.List(findings.Query{}); again != 10_000 {
		t.Errorf("%d after a restart", again)
	}
	s.Close()
}

func TestStore_closesWhatNobodySawAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "findings.jsonl")
	s := open(t, path)
	s.Report(raised("gone.example.", event.Warning, noon))
	s.Report(raised("lasts.example.", event.Warning, noon))
	s.Close()
	synctest.Test(t, func(t *testing.T) {
		n := &told{}
		s, err := findings.Open(path, time.Now(), nil, n)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		s.Report(raised("lasts.example.", event.Warning, time.Now()))
		time.Sleep(10 * time.Minute)
		s.Close()
		list, _ := s.List(findings.Query{OnlyOpen: true})
		if len(list) != 1 || list[0].Subject != "lasts.example." {
			t.Errorf("open: %v", list)
		}
		if fmt.Sprint(n.text) != "[gone.example. warning false]" {
			t.Errorf("told %v", n.text)
		}
	})
}

// A disk that takes nothing: findings stay in memory and are written when it takes them again.
func TestStore_writesLaterWhatTheDiskRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	path := filepath.Join(dir, "findings.jsonl")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		s.Report(raised("a.example.", event.Warning, noon))
		time.Sleep(time.Minute)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "a.example.") {
			t.Errorf("%s %v", text, err)
		}
		s.Close()
	})
}
