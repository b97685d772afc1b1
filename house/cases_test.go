package house_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// authoritativeCases is how many corner cases of authoritative servers the reference lists (servers.md 5.1). Each has a test or a
// scenario that names its number, as "case 42" or "cases 14, 42".
const authoritativeCases = 78

var caseNumbers = regexp.MustCompile(`\bcases? (\d+(?:(?:, | and | to )\d+)*)`)

func TestCases_everyOneHasATest(t *testing.T) {
	found := map[int]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		isTest := strings.HasSuffix(path, "_test.go") || strings.Contains(path, filepath.Join("testdata", "cases"))
		if err != nil || d.IsDir() || !isTest || strings.Contains(path, "house") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range caseNumbers.FindAllStringSubmatch(string(b), -1) {
			for _, number := range regexp.MustCompile(`\d+`).FindAllString(m[1], -1) {
				n, _ := strconv.Atoi(number)
				found[n] = path
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var missing []int
	for n := 1; n <= authoritativeCases; n++ {
		if found[n] == "" {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		t.Errorf("no test names these cases: %v", missing)
	}
}
