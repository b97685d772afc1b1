package store

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"anyu/watch/trail"
)

// The statements that make the tables and the questions are plain enough for Debian's server of 2018, which the other tests use, and for a current engine, which
// is this one: both give what segments give.
func TestStatements_areTakenByACurrentEngine(t *testing.T) {
	engines := os.Getenv("ANYU_ENGINES")
	if home, err := os.UserHomeDir(); engines == "" && err == nil {
		engines = filepath.Join(home, ".cache", "anyu-engines")
	}
	if _, err := os.Stat(filepath.Join(engines, "node_modules", "chdb")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no current ClickHouse: %v; .ci/engines puts it there", err)
		}
		t.Skipf("SKIPPED: %v: that a current ClickHouse takes the same statements is not tried; .ci/engines gets it", err)
	}
	dir := t.TempDir()
	segmentsOf(t, filepath.Join(dir, "log"), 3000)
	segments, err := trail.Look(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := trail.Segments(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	tables := Tables{Database: "anyu", Table: "queries"}
	statements, err := tables.Statements()
	if err != nil {
		t.Fatal(err)
	}
	all, err := columns()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if err := trail.EachBlock(filepath.Join(dir, "log", filepath.FromSlash(f.Path)), 0, 500, func(rows []trail.Row) error {
			statements = append(statements, insertion(tables.written(), all, rows, f.Path))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	// What an older anyu's table lacks is added, and a day goes as a whole.
	statements = append(statements, "ALTER TABLE anyu.queries DROP COLUMN `zone`")
	lacking := map[string]string{}
	for _, c := range all {
		if c.name != "zone" {
			lacking[c.name] = c.kind
		}
	}
	added, err := missing("anyu.queries", lacking)
	if err != nil {
		t.Fatal(err)
	}
	statements = append(statements, added...)
	before := len(statements)
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	filters := []trail.Filter{
		{}, {Name: "www.example.org"}, {Name: "*.org"}, {Name: "*.example.org"}, {Name: "*.www.example.org"}, {Client: netip.MustParsePrefix("192.0.2.0/24")}, {Client: netip.MustParsePrefix("::/0")},
		{Answer: netip.MustParsePrefix("192.0.2.0/24")}, {Type: "A", From: begin.Add(time.Second), To: begin.Add(2 * time.Second)}, {Source: `'\`},
	}
	for _, f := range filters {
		from, to := bounds(f, time.Now())
		statements = append(statements, "SELECT "+readColumns(all)+" FROM anyu.queries"+where(f, from, to))
	}
	// A number that is none, or that would run over, counts as trail.Row.Questions says.
	statements = append(statements, "SELECT "+questions+" AS n FROM (SELECT arrayJoin([9223372036854775807, 9223372036854775807, -5, 0, 10, NULL]) AS sample)")
	statements = append(statements, "ALTER TABLE anyu.queries DROP PARTITION 20261123", "SELECT count() AS n FROM anyu.queries")
	answers := engine(t, engines, statements)
	for i, f := range filters {
		want := map[string]bool{}
		if _, err := segments.Each(t.Context(), f, func(r *trail.Row) error { want[fmt.Sprint(r.Time, r.Name, r.Segment)] = true; return nil }); err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, row := range answers[before+i] {
			got[fmt.Sprint(json.Number(fmt.Sprint(row["time"])), row["qname"], row["segment"])] = true
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("question %d %+v: %d rows, segments give %d", i, f, len(got), len(want))
		}
	}
	if n, want := fmt.Sprint(answers[len(answers)-3][0]["n"]), fmt.Sprint(2*trail.MaxQuestions+13); n != want {
		t.Errorf("questions are counted as %s, want %s", n, want)
	}
	if n := fmt.Sprint(answers[len(answers)-1][0]["n"]); n != "0" {
		t.Errorf("%s rows are left of a day that was dropped", n)
	}
}

// insertion writes rows as a statement, with the values that the driver is given.
func insertion(table string, all []column, rows []trail.Row, segment string) string {
	var names []string
	for _, c := range all {
		names = append(names, "`"+c.name+"`")
	}
	tuples := make([][]string, len(rows))
	for _, c := range all {
		v := reflect.ValueOf(values(c, rows, segment, 0))
		for i := range rows {
			tuples[i] = append(tuples[i], literal(v.Index(i)))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", table, strings.Join(names, ", "))
	for i, tuple := range tuples {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%s)", strings.Join(tuple, ", "))
	}
	return b.String()
}

func literal(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "NULL"
		}
		return literal(v.Elem())
	case reflect.Slice:
		var list []string
		for i := range v.Len() {
			list = append(list, literal(v.Index(i)))
		}
		return "[" + strings.Join(list, ", ") + "]"
	case reflect.String:
		if s := v.String(); strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			return "unhex('" + hex.EncodeToString([]byte(s)) + "')"
		}
		return quote(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// engine runs statements in a current ClickHouse.
func engine(t *testing.T, engines string, statements []string) (answers [][]map[string]any) {
	t.Helper()
	in, err := json.Marshal(statements)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/session.mjs", engines, filepath.Join(t.TempDir(), "tables"))
	var problems bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chdb: %v\n%s", err, problems.String())
	}
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	if err := d.Decode(&answers); err != nil {
		t.Fatalf("chdb: %v in %.300s", err, out)
	}
	if len(answers) != len(statements) {
		t.Fatalf("%d answers to %d statements", len(answers), len(statements))
	}
	return answers
}
