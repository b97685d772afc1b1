package replay_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyu/house/corpora"
	"anyu/lab/replay"
)

// The scenarios of others: at least 95 % of those that are not skipped pass, at most 20 % are skipped, and each that fails stands in
// testdata/rpl-failures.txt with its cause.
func TestReplay_ofTheBorrowedScenarios(t *testing.T) {
	root := corpora.Path(t, "rpl")
	files, err := replay.Find([]string{root})
	if err != nil {
		t.Fatal(err)
	}
	known := failures(t)
	suite := replay.Suite{System: replay.NewSubject, Limit: replay.DefaultLimit}
	suite.Seed = 1
	passed, failed, skipped := 0, 0, 0
	suite.Run(context.Background(), files, func(r replay.Result) {
		name, _ := filepath.Rel(root, r.File)
		switch r.Status {
		case replay.StatusPassed:
			passed++
			if known[name] {
				t.Errorf("%s passes: it is to be taken from the list", name)
			}
		case replay.StatusFailed:
			failed++
			if !known[name] {
				t.Errorf("%s: %s", name, r.Reason)
			}
		default:
			skipped++
		}
	})
	t.Logf("%d passed, %d failed, %d skipped", passed, failed, skipped)
	if passed*100 < 95*(passed+failed) || skipped*5 > len(files) {
		t.Errorf("%d of %d pass and %d of %d are skipped; at least 95 %% and at most 20 %% are wanted", passed, passed+failed, skipped, len(files))
	}
}

func failures(t *testing.T) map[string]bool {
	text, err := os.ReadFile("../../testdata/rpl-failures.txt")
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string]bool)
	for line := range bytes.Lines(text) {
		if name, cause, ok := strings.Cut(strings.TrimSpace(string(line)), " "); ok && name != "#" {
			if cause == "" {
				t.Errorf("%s fails without a cause", name)
			}
			list[name] = true
		}
	}
	return list
}
