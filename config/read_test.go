package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyu/config"
)

// Files in testdata/bad begin with a comment that is the wanted error; files in testdata/good load.
func TestRead_goodAndBadFiles(t *testing.T) {
	good, _ := filepath.Glob("testdata/good/*.yaml")
	bad, _ := filepath.Glob("testdata/bad/*.yaml")
	if len(good) == 0 || len(bad) == 0 {
		t.Fatal("no files")
	}
	for _, f := range good {
		if _, err := config.Read(f); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	for _, f := range bad {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(b), "\n")
		want := f + ":" + strings.TrimPrefix(first, "# ")
		if _, err := config.Read(f); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %v", f, err, want)
		}
	}
}

func TestSecret_isNeverPrinted(t *testing.T) {
	c, err := config.Parse("x", []byte("keys: [{name: k., secret: aGVsbG8=}]"))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := c.Keys[0].Secret.MarshalText()
	if strings.Contains(string(text)+c.Keys[0].Secret.String(), "aGVsbG8") || c.Keys[0].Secret.Reveal() != "aGVsbG8=" {
		t.Error("the secret shows, or is lost")
	}
}
