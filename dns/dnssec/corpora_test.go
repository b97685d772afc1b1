package dnssec_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/dns/zone"
)

// missing ends a test that lacks something of the machine: a skip for a user, a failure in CI.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// tool is the path of a peer's program.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "no "+name+" on this machine")
	}
	return path
}

func mustName(t testing.TB, text string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func openFile(name string) (io.ReadCloser, error) { return os.Open(name) }

// loadFile loads a zone from disk; the name "" is that of its SOA record.
func loadFile(t testing.TB, name, file string) *zone.Zone {
	t.Helper()
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: mustName(t, name), File: file, Open: openFile})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// loadText loads a zone from a string.
func loadText(t testing.TB, name, text string) *zone.Zone {
	t.Helper()
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: mustName(t, name), File: "test.zone", Workers: 1,
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return z
}

// table reads the fields of a tab-separated file but for its first line; lines that begin with # are left out.
func table(t testing.TB, file string) (rows [][]string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for first := true; s.Scan(); first = false {
		if line := s.Text(); !first && line != "" && line[0] != '#' {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// errorsOf are the problems that are errors.
func errorsOf(problems []zone.Problem) (list []zone.Problem) {
	for _, p := range problems {
		if p.Severity == zone.Error {
			list = append(list, p)
		}
	}
	return list
}

// codes are the codes of the problems, errors with !, each once.
func codes(problems []zone.Problem) string {
	var list []string
	seen := map[string]bool{}
	for _, p := range problems {
		code := p.Code
		if p.Severity == zone.Error {
			code = "!" + code
		}
		if !seen[code] {
			seen[code] = true
			list = append(list, code)
		}
	}
	return strings.Join(list, " ")
}

// whenSigned is a time at which the SOA record's first signature counts.
func whenSigned(t testing.TB, z *zone.Zone) time.Time {
	t.Helper()
	sigs, ok := z.ApexNode().Sigs(wire.TypeSOA)
	if !ok {
		t.Fatalf("%v: the SOA record is not signed", z.Apex())
	}
	s, err := dnssec.ParseSignature(sigs.First())
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(int64(s.Inception)+1, 0)
}

func date(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
