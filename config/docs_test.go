package config_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
)

//go:generate go test -run TestDocs -update .

var update = flag.Bool("update", false, "write docs/config.md")

// docs/config.md is made from the comments of the fields, so that there is one description of each key.
func TestDocs_describeEveryKey(t *testing.T) {
	var decls []ast.Decl
	for _, file := range []string{"config.go", "recursion.go", "clickhouse.go", "hide.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		decls = append(decls, f.Decls...)
	}
	types := map[string]*ast.StructType{}
	docs := map[string]string{}
	for _, d := range decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, s := range g.Specs {
			spec := s.(*ast.TypeSpec)
			if st, ok := spec.Type.(*ast.StructType); ok {
				types[spec.Name.Name], docs[spec.Name.Name] = st, g.Doc.Text()
			}
		}
	}
	var out bytes.Buffer
	out.WriteString("# Configuration\n\nMade from the comments in config/config.go and config/recursion.go by `go generate ./config`. The file is YAML, read strictly: an unknown key is an\nerror with its line and column. `anyu check config FILE` reads it; flags of `anyu serve` win over it.\n")
	describe(t, &out, types, docs, "Config", "")
	path := "../docs/config.md"
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(have, out.Bytes()) {
		t.Errorf("docs/config.md is not current (%v): go generate ./config", err)
	}
}

func describe(t *testing.T, out *bytes.Buffer, types map[string]*ast.StructType, docs map[string]string, name, path string) {
	title := path
	if title == "" {
		title = "top level"
	}
	fmt.Fprintf(out, "\n## %s\n\n%s\n", title, strings.TrimSpace(docs[name]))
	fmt.Fprintf(out, "\n| key | type | meaning |\n|---|---|---|\n")
	type section struct{ typ, path string }
	var below []section
	for _, field := range types[name].Fields.List {
		key := reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("yaml")
		if key == "-" {
			continue // a flag's
		}
		kind := typeText(field.Type)
		inner := strings.TrimLeft(kind, "[]*")
		meaning := strings.Join(strings.Fields(field.Doc.Text()), " ")
		if _, ok := types[inner]; ok {
			child := strings.TrimPrefix(path+"."+key, ".")
			if strings.HasPrefix(kind, "[]") {
				child += "[]"
			}
			if meaning == "" {
				meaning = strings.TrimSpace(docs[inner])
			}
			below = append(below, section{inner, child})
			kind = "see below"
		} else if meaning == "" {
			t.Errorf("%s.%s has no comment", name, key)
		}
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", key, words(kind), strings.ReplaceAll(meaning, "|", `\|`))
	}
	seen := map[string]bool{}
	for _, s := range below {
		if !seen[s.typ] {
			describe(t, out, types, docs, s.typ, s.path)
		}
		seen[s.typ] = true
	}
}

func typeText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return typeText(e.X)
	case *ast.ArrayType:
		return "[]" + typeText(e.Elt)
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return "?"
}

// words says a type to people.
func words(kind string) string {
	if inner, ok := strings.CutPrefix(kind, "[]"); ok {
		return "list of " + words(inner)
	}
	switch kind {
	case "AddrPort":
		return "address:port"
	case "Addr":
		return "address"
	case "Time":
		return "date and time"
	case "Prefix":
		return "prefix"
	case "string", "Secret":
		return "text"
	case "int":
		return "number"
	case "bool":
		return "true or false"
	case "Duration":
		return "duration (10s, 5m, 2h, 30d)"
	case "Size":
		return "size (64MiB, 10GB)"
	}
	return kind
}
