package language_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"anyu/console/language"
)

var placeholder = regexp.MustCompile(`\{[a-z0-9]+\}`)

func load(t *testing.T) language.Catalogues {
	t.Helper()
	all, err := language.Load()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCatalogues_haveTheSameKeysAndPlaceholders(t *testing.T) {
	all := load(t)
	zh, en := all[language.Chinese], all[language.English]
	for _, pair := range [][2]*language.Catalogue{{zh, en}, {en, zh}} {
		for _, key := range pair[0].Keys() {
			if !pair[1].Has(key) {
				t.Errorf("%s is in %s only", key, pair[0].Tag)
				continue
			}
			mine, theirs := placeholder.FindAllString(pair[0].Text(key), -1), placeholder.FindAllString(pair[1].Text(key), -1)
			slices.Sort(mine)
			slices.Sort(theirs)
			if !slices.Equal(mine, theirs) {
				t.Errorf("%s has %v in %s and %v in %s", key, mine, pair[0].Tag, theirs, pair[1].Tag)
			}
		}
	}
}

// dynamic are keys that are made of a word known when the page is shown: by these beginnings.
var dynamic = []string{"span.", "kind.", "about.", "fact.", "advice.", "state.", "role.", "severity.", "from.", "dropped.", "top.", "chart.", "figure.", "zone.", "findings.", "error.", "recursion.", "sources.", "keystate.", "localanswer.", "origin.", "entry.", "movers.kind.", "log.show.", "log.upstream"}

func TestCatalogues_holdWhatPagesUseAndNothingElse(t *testing.T) {
	all := load(t)
	zh := all[language.Chinese]
	source := ""
	for _, pattern := range []string{"../*.go", "../pages/*.html"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("no sources at %s: %v", pattern, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			source += string(b)
		}
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:T\(|T |httpError\{[a-zA-Z.]+, |key := [a-zA-Z.]+, )"([a-z][a-z0-9.-]*)"`).FindAllStringSubmatch(source, -1) {
		used[m[1]] = true
		if !zh.Has(m[1]) && !strings.HasSuffix(m[1], ".") && !strings.Contains(m[1], "%") {
			t.Errorf("a page uses %s, which is in no catalogue", m[1])
		}
	}
	if len(used) < 100 {
		t.Fatalf("only %d uses found: the pattern of this test does not fit the pages any more", len(used))
	}
	for _, key := range zh.Keys() {
		made := slices.ContainsFunc(dynamic, func(d string) bool { return strings.HasPrefix(key, d) })
		if !used[key] && !made && !strings.Contains(source, `"`+key+`"`) {
			t.Errorf("%s is used nowhere", key)
		}
	}
}

// One rule for the gap between Han and Latin: a space; and full-width punctuation in Chinese.
func TestChinese_isSetByOneRule(t *testing.T) {
	zh := load(t)[language.Chinese]
	glued := regexp.MustCompile(`\p{Han}[A-Za-z0-9]|[A-Za-z0-9]\p{Han}`)
	half := regexp.MustCompile(`\p{Han}[,;?!]`)
	for _, key := range zh.Keys() {
		text := placeholder.ReplaceAllString(zh.Text(key), "")
		if glued.MatchString(text) || half.MatchString(text) {
			t.Errorf("%s: %s", key, text)
		}
	}
}

func TestChoose_takesTheFirstThatIsKnown(t *testing.T) {
	all := load(t)
	for _, c := range []struct{ asked, cookie, accept, configured, want string }{
		{"zh", "en", "en", "en", "zh"}, {"", "zh", "en", "en", "zh"}, {"", "", "zh-CN,en;q=0.5", "en", "zh"}, {"", "", "de, fr;q=0.5", "zh", "zh"}, {"x", "y", "z", "", "en"},
	} {
		if got := all.Choose(c.asked, c.cookie, c.accept, c.configured); got.Tag != c.want {
			t.Errorf("%+v: %s", c, got.Tag)
		}
	}
}
