// Package corpora finds the borrowed test data that stands beside the project and never inside it. It is for tests only.
//
// It promises that a test without the data says so: it skips on a user's machine and fails where CI=true. It refuses to
// read anything; the tests do.
package corpora

import (
	"os"
	"path/filepath"
	"testing"
)

// Path is a file or folder of the data: below ANYU_CORPORA, or ../shared/corpora beside the folder that holds go.mod.
func Path(t testing.TB, parts ...string) string {
	t.Helper()
	root := os.Getenv("ANYU_CORPORA")
	if root == "" {
		root = filepath.Join(module(t), "..", "shared", "corpora")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the corpora are missing: %v", err)
		}
		t.Skipf("SKIPPED: the corpora are missing: %v", err)
	}
	return path
}

// module is the folder that holds go.mod, at or above the one the test runs in.
func module(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("no go.mod above the test: %v", err)
	return ""
}
