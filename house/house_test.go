package house_test

import (
	"bufio"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rules say who may import whom, as "rooms: what of ours they may import". A room not listed here is an error: a new one needs
// a rule. `*` at the end is a prefix.
const rules = `
anyu/dns/*:          anyu/dns/*
anyu/event:
anyu/serve/listen:   anyu/event anyu/dns/wire
anyu/serve/outbound: anyu/dns/* anyu/event anyu/serve anyu/serve/*
anyu/serve/*:        anyu/dns/* anyu/event anyu/serve/*
anyu/serve:          anyu/dns/* anyu/event anyu/serve/*
anyu/watch/*:        anyu/dns/* anyu/event anyu/watch/*
anyu/watch:          anyu/dns/* anyu/event anyu/watch/*
anyu/act/*:          anyu/event anyu/act/*
anyu/config:         anyu/dns/wire anyu/dns/zone
anyu/lab:            anyu/dns/*
anyu/lab/replay:     anyu/dns/* anyu/event anyu/serve anyu/serve/*
anyu/lab/internet:   anyu/dns/* anyu/event anyu/serve anyu/serve/*
anyu/lab/scene:      anyu/dns/* anyu/event anyu/serve anyu/serve/* anyu/watch/detect anyu/lab/internet
anyu/console:        anyu/event anyu/dns/wire anyu/watch/* anyu/console/*
anyu/console/*:      anyu/event anyu/dns/wire anyu/watch/* anyu/console/*
anyu/node:           anyu/*
anyu/cmd/anyu:       anyu/watch/pseudonym anyu/watch/ledger anyu/watch/ledger/witness anyu/watch/trail anyu/watch/store anyu/lab/* anyu/config anyu/node anyu/dns/* anyu/console/* anyu/watch/tap anyu/watch/tap/*
anyu/bench/trail:    anyu/event anyu/dns/wire anyu/watch/trail anyu/watch/tap
anyu/bench/taps:     anyu/dns/wire anyu/watch/tap/capture anyu/watch/tap/dnstap anyu/watch/tap/framestream
anyu/bench/*:
anyu/house/*:
anyu/house:
`

// pure rooms take sockets, files, clock and randomness as arguments, or not at all.
var pure = []string{"anyu/dns/wire", "anyu/dns/tsig", "anyu/dns/dnssec", "anyu/dns/message", "anyu/event", "anyu/serve/filter", "anyu/serve/fast",
	"anyu/serve/authority", "anyu/serve/reply", "anyu/dns/denial", "anyu/serve/cache", "anyu/serve/nameserver", "anyu/serve/validate", "anyu/serve/resolve", "anyu/serve/pending", "anyu/serve/exchange", "anyu/serve/health", "anyu/serve/local", "anyu/watch/gauge", "anyu/watch/detect", "anyu/watch/trail/column", "anyu/lab/scene"}

var impure = []string{"net", "os", "os/exec", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "syscall", "golang.org/x/sys/unix"}

type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles", "anyu/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestImports_followTheRules(t *testing.T) {
	type rule struct {
		of      string
		allowed []string
	}
	var table []rule
	for line := range strings.Lines(rules) {
		if of, allowed, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			table = append(table, rule{of, strings.Fields(allowed)})
		}
	}
	fits := func(pattern, path string) bool {
		prefix, star := strings.CutSuffix(pattern, "*")
		return pattern == path || star && strings.HasPrefix(path, prefix)
	}
	for _, p := range packages(t) {
		i := slices.IndexFunc(table, func(r rule) bool { return fits(r.of, p.ImportPath) })
		if i < 0 {
			t.Errorf("%s: no rule says what it may import", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			ours := strings.HasPrefix(imported, "anyu/")
			if ours && !slices.ContainsFunc(table[i].allowed, func(a string) bool { return fits(a, imported) }) {
				t.Errorf("%s imports %s, which the rules do not allow", p.ImportPath, imported)
			}
			if slices.Contains(pure, p.ImportPath) && slices.Contains(impure, imported) {
				t.Errorf("%s is pure and imports %s", p.ImportPath, imported)
			}
		}
	}
}

// The clock is no import of its own: what reads it, or waits for it, is looked for in the code. A scenario with seconds of simulated time must not be
// able to wait for one of them, and an engine that reads the clock cannot be driven by a scenario.
func TestPure_noneReadsTheClock(t *testing.T) {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
	for _, p := range packages(t) {
		if !slices.Contains(pure, p.ImportPath) {
			continue
		}
		for _, name := range p.GoFiles {
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, s.Sel.Name) {
						t.Errorf("%v: time.%s in a pure room", files.Position(s.Pos()), s.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

// Every package says what it promises, what it refuses and its limits; functions and files stay readable.
func TestPackages_haveDocsAndBounds(t *testing.T) {
	const maxFunction, maxFile = 100, 800
	for _, p := range packages(t) {
		documented := false
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || len(f.Doc.Text()) > 60
			if n := files.Position(f.End()).Line; n > maxFile {
				t.Errorf("%s: %d lines, at most %d", path, n, maxFile)
			}
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				if n := files.Position(fn.End()).Line - files.Position(fn.Pos()).Line + 1; n > maxFunction {
					t.Errorf("%s: %s has %d lines, at most %d", path, fn.Name.Name, n, maxFunction)
				}
				if fn.Name.Name == "init" && fn.Recv == nil {
					t.Errorf("%s: init() hides order", path)
				}
			}
		}
		if !documented && p.ImportPath != "anyu/house" {
			t.Errorf("%s: no package comment", p.ImportPath)
		}
	}
}

// A skip must say why, and an open promise must not be left in the code.
func TestSources_leaveNoPromises(t *testing.T) {
	root := ".."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasPrefix(filepath.Base(path), "house_test") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		for lines, n := bufio.NewScanner(f), 1; lines.Scan(); n++ {
			for _, word := range []string{"TODO", "FIXME", "XXX", `t.Skip()`} {
				// A fuzz target may pass over an input; a test may not without a word.
				if strings.Contains(lines.Text(), word) && !(word == "t.Skip()" && strings.HasSuffix(path, "fuzz_test.go")) {
					t.Errorf("%s:%d: %s", path, n, word)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
