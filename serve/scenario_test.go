package serve_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyu/lab/scene"
)

var update = flag.Bool("update", false, "write down what the scenarios in testdata give")

// The scenarios: testdata/cases of zones of our own (a comment names the case of servers.md 5.1), testdata/resolving of what is looked up,
// testdata/attacks of what is bounded. Their language is that of lab/scene.
func TestScenarios(t *testing.T) {
	files, _ := filepath.Glob("testdata/*/*.txt")
	if len(files) < 6 {
		t.Fatal("no scenarios")
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(f, "testdata/"), ".txt"), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			updated, mismatches, err := scene.Run(b, scene.Options{File: func(name string) ([]byte, error) { return os.ReadFile(filepath.Join("testdata", "zones", name)) }})
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			if *update {
				if err := os.WriteFile(f, updated, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, m := range mismatches {
				t.Errorf("%s: %s", f, m)
			}
		})
	}
}
