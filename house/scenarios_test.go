package house_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"anyu/house/corpora"
)

var scenarioName = regexp.MustCompile("`(\\w+)#(\\w+)`")

// scenarios are the names that files of serve/testdata give, as FILE#NAME.
func scenarios(t *testing.T) map[string]bool {
	t.Helper()
	have := map[string]bool{}
	for _, folder := range []string{"attacks", "resolving"} {
		files, _ := filepath.Glob(filepath.Join("..", "serve", "testdata", folder, "*.txt"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^scenario (\w+)$`).FindAllStringSubmatch(string(b), -1) {
				name := strings.TrimSuffix(filepath.Base(f), ".txt") + "#" + m[1]
				if have[name] {
					t.Errorf("%s is there twice", name)
				}
				have[name] = true
			}
		}
	}
	return have
}

// Every scenario that the tables of RFCs, attacks and corner cases name exists, each row of resolving names one or says who shows it, and the
// borrowed ones of the corner cases exist as well.
func TestScenarios_thatDocumentsNameExist(t *testing.T) {
	have := scenarios(t)
	if len(have) < 100 {
		t.Fatalf("only %d scenarios found", len(have))
	}
	root := corpora.Path(t, "rpl")
	for _, doc := range []string{"attacks.md", "rfc.md", "corner-cases.md"} {
		b, err := os.ReadFile(filepath.Join("..", "docs", doc))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range scenarioName.FindAllStringSubmatch(string(b), -1) {
			if name := m[1] + "#" + m[2]; !have[name] {
				t.Errorf("docs/%s: no scenario %s", doc, name)
			}
		}
		for _, m := range regexp.MustCompile(`\b([ud])/([\w*]+)`).FindAllStringSubmatch(string(b), -1) {
			folder := map[string]string{"u": "unbound", "d": "deckard"}[m[1]]
			if files, _ := filepath.Glob(filepath.Join(root, folder, m[2]+".rpl")); len(files) == 0 && doc == "corner-cases.md" {
				t.Errorf("docs/%s: %s/%s is not among the borrowed scenarios", doc, m[1], m[2])
			}
		}
	}
	for row := range strings.Lines(resolvingTable(t)) {
		cells := strings.Split(row, "|")
		shown := scenarioName.MatchString(row) || strings.Contains(row, "node tests") || strings.Contains(row, "| words |")
		if len(cells) > 6 && !shown && !strings.HasPrefix(row, "| RFC") && !strings.HasPrefix(row, "|---") {
			t.Errorf("docs/rfc.md: nothing shows %s", cells[1])
		}
	}
}

func resolvingTable(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "rfc.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(b), "## Resolving")
	if !ok {
		t.Fatal("docs/rfc.md has no part about resolving")
	}
	return table
}
