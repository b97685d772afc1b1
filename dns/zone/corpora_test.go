package zone_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// openFile is LoadOptions.Open on the file system.
func openFile(name string) (io.ReadCloser, error) { return os.Open(name) }

func mustName(t testing.TB, text string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// loadFile loads a file from disk.
func loadFile(t testing.TB, name, file string) (*zone.Zone, []zone.Warning, error) {
	t.Helper()
	return zone.Load(context.Background(), zone.LoadOptions{Name: mustName(t, name), File: file, Open: openFile})
}

// loadText loads a zone from a string.
func loadText(t testing.TB, name, text string) (*zone.Zone, []zone.Warning, error) {
	t.Helper()
	return zone.Load(context.Background(), zone.LoadOptions{Name: mustName(t, name), File: "test.zone", Workers: 1,
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }})
}

// mustLoad is loadText for text that is right.
func mustLoad(t testing.TB, name, text string) *zone.Zone {
	t.Helper()
	z, _, err := loadText(t, name, text)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func textOf(t testing.TB, z *zone.Zone) string {
	t.Helper()
	var b strings.Builder
	if err := z.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// table reads the fields of a tab-separated file but for its first line; lines that begin with # are left out.
func table(t testing.TB, file string, header bool) (rows [][]string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if header {
			header = false
			continue
		}
		if line := s.Text(); line != "" && line[0] != '#' {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}
