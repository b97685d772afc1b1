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
