package house_test

import (
	"os"
	"strings"
	"testing"
)

// docs/dependencies.md says why each module that go.mod requires directly is there, and names no other.
func TestDependencies_areExplained(t *testing.T) {
	read := func(file string) string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	doc := read("../docs/dependencies.md")
	direct := map[string]bool{}
	for line := range strings.Lines(read("../go.mod")) {
		words := strings.Fields(line)
		if len(words) != 2 || !strings.HasPrefix(words[1], "v") {
			continue // a module with "// indirect" has more words
		}
		direct[words[0]] = true
		if !strings.Contains(doc, "| "+words[0]+" |") {
			t.Errorf("docs/dependencies.md does not say why %s is there", words[0])
		}
	}
	if len(direct) < 10 {
		t.Fatalf("only %d modules found in go.mod", len(direct))
	}
	for line := range strings.Lines(doc) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.Contains(name, "/") && !direct[name] {
			t.Errorf("docs/dependencies.md names %s, which go.mod does not require", name)
		}
	}
}
