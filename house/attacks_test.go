package house_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"anyu/house/corpora"
)

// shows finds a scenario or a test of our own in a row.
var shows = regexp.MustCompile("`(?:\\w+#\\w+|(?:Test|Fuzz)\\w+)`|lab/replay/testdata/own/\\w+\\.rpl")

// Every test that docs/attacks.md names as proof of a bound exists, and so does every borrowed scenario; and each row has a scenario or a test.
func TestAttacks_nameWhatShowsThem(t *testing.T) {
	text, err := os.ReadFile("../docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	have := testFunctions(t)
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(text), -1) {
		if !have[m[1]] {
			t.Errorf("%s is not to be found", m[1])
		}
	}
	for row := range strings.Lines(string(text)) {
		if cells := strings.Split(row, "|"); len(cells) > 6 && !strings.HasPrefix(row, "| attack |") && !strings.HasPrefix(row, "|---") && !shows.MatchString(row) {
			t.Errorf("docs/attacks.md: nothing of ours shows the bound on %s", cells[1])
		}
	}
	root := corpora.Path(t, "rpl")
	for _, m := range regexp.MustCompile(`\b([ud])/([\w*]+)`).FindAllStringSubmatch(string(text), -1) {
		folder := map[string]string{"u": "unbound", "d": "deckard"}[m[1]]
		if files, _ := filepath.Glob(filepath.Join(root, folder, m[2]+".rpl")); len(files) == 0 {
			t.Errorf("%s/%s is not among the borrowed scenarios", m[1], m[2])
		}
	}
}

func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	have := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(b), -1) {
			have[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}
