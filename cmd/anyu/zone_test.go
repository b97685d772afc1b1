package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"anyu/house/corpora"
)

// checked runs `anyu check zone` and gives its status and what it wrote.
func checked(args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	status = run(append([]string{"check", "zone"}, args...), streams{strings.NewReader(""), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

// The command gives the verdicts that the suites of BIND and Knot demand, whatever the day is.
func TestCheckZone_verdictsOfOthers(t *testing.T) {
	n := 0
	for _, dir := range []string{"bind9-checkzone", "knot-semantic-check", "knot-dnssec-validate"} {
		root := corpora.Path(t, "zones", dir)
		text, err := os.ReadFile(filepath.Join(root, "expected.tsv"))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			row := strings.Split(line, "\t")
			if i == 0 || row[1] != "accept" && row[1] != "refuse" {
				continue
			}
			args := []string{"--time", "2026-08-01T00:00:00Z"}
			if dir == "knot-semantic-check" && row[3] == "no" {
				args = append(args, "--no-dnssec")
			}
			if strings.Contains(line, "strictly") {
				args = append(args, "--strict")
			}
			name := row[2]
			if name == "from the SOA" {
				name = "example.com"
			}
			n++
			want := map[string]int{"accept": done, "refuse": notRight}[row[1]]
			if status, out, errs := checked(append(args, name, filepath.Join(root, row[0]))...); status != want {
				t.Errorf("%s/%s %v: status %d, want %d\n%s%s", dir, row[0], args, status, want, out, errs)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d files", n)
	}
}

const rightZone = "$TTL 60\n@ SOA ns a 7 7200 3600 604800 60\n@ NS ns\nns A 192.0.2.1\n"

// Statuses and lines that scripts rely on (docs/check-zone.md).
func TestCheckZone_statusAndLines(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	right, warned := write("right", rightZone), write("warned", rightZone+"@ MX 10 nowhere\n")
	wrong, syntax := write("wrong", rightZone+"d NS x\n"), write("syntax", rightZone+"  x A 1.2.3\n")
	signs := "../../serve/testdata/zones/nsec3.zone"
	for _, c := range []struct {
		args   string
		status int
		want   string // in what is written
	}{
		{"example " + right, done, "example.: serial 7, 2 names, 3 records, 0 errors, 0 warnings: right"},
		{"example.org " + signs, done, "signed with [ECDSAP256SHA256], NSEC3"},
		{"--time 2037-01-01T00:00:00Z example.org " + signs, notRight, "error rrsig-expired example.org.: "},
		{"--time 2025-01-01T00:00:00Z example.org " + signs, notRight, "error rrsig-not-yet example.org.: "},
		{"--time 2037-01-01T00:00:00Z --ignore-time example.org " + signs, done, "(times ignored)"},
		{"--time 2037-01-01T00:00:00Z --no-dnssec example.org " + signs, done, "DNSSEC: not-checked"},
		{"--time 2037-01-01T00:00:00Z --syntax example.org " + signs, done, ": right"},
		{"--time 2037-01-01T00:00:00Z example.org " + signs, notRight, " more rrsig-expired"},
		{"example " + warned, done, warned + ": warning mx-no-address example.: "},
		{"--strict example " + warned, notRight, "1 warnings: not right"},
		{"--syntax --strict example " + warned, done, ": right"},
		{"example " + wrong, notRight, wrong + ": error glue-missing d.example.: "},
		{"--syntax example " + wrong, done, ": right"},
		{"example " + syntax, notRight, syntax + ":5:"},
		{"example " + dir + "/none", failed, "no such file"},
		{"example " + dir, failed, "is a directory"},
		{"example", failed, "takes NAME and FILE"},
		{"--time yesterday example " + right, failed, "--time takes a time"},
		{"--unknown example " + right, failed, "flag provided but not defined"},
		{"exa..mple " + right, failed, "empty"},
	} {
		status, out, errs := checked(strings.Fields(c.args)...)
		if status != c.status || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: status %d, want %d and %q in\n%s%s", c.args, status, c.status, c.want, out, errs)
		}
		if (status == failed) == (errs == "") {
			t.Errorf("%s: status %d and on stderr %q", c.args, status, errs)
		}
	}
}

// What a file says must not reach the terminal as it is.
func TestCheckZone_controlCharacters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(rightZone+"$\x1b[2J\xff x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, out, _ := checked("example", file); status != notRight || strings.Contains(out, "\x1b") || !utf8.ValidString(out) || !strings.Contains(out, `\027`) {
		t.Errorf("status %d: %q", status, out)
	}
}

// The keys of the JSON stay.
func TestCheckZone_json(t *testing.T) {
	status, out, _ := checked("--json", "--time", "2026-08-01T00:00:00Z", "example.org", "../../serve/testdata/zones/optout.zone")
	var r map[string]any
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != done {
		t.Fatalf("status %d, %v\n%s", status, err, out)
	}
	for _, key := range []string{"file", "zone", "right", "serial", "names", "records", "errors", "warnings", "dnssec", "zonemd", "problems"} {
		if _, ok := r[key]; !ok {
			t.Errorf("no key %q in %s", key, out)
		}
	}
	d := r["dnssec"].(map[string]any)
	if d["state"] != "signed" || d["denial"] != "NSEC3 with opt-out" || d["first_expiry"] != "2036-01-01T00:00:00Z" || d["valid_signatures"].(float64) < 100 {
		t.Errorf("dnssec: %v", d)
	}
	if list, ok := r["problems"].([]any); !ok || len(list) != 0 {
		t.Errorf("problems: %v", r["problems"])
	}
}
