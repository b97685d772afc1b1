package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// commands are the indented lines of a README that a reader would type.
func commands(t *testing.T, file string) (list []string) {
	b, err := os.ReadFile(filepath.Join("..", "..", file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		if ok && (strings.HasPrefix(text, "go ") || strings.HasPrefix(text, "dig ")) {
			list = append(list, text)
		}
	}
	return list
}

// Every command of the READMEs works, and both show the same ones. The server's ports are the defaults there; here they are
// free ones, so that the test can run beside another anyu.
func TestReadme_commandsWork(t *testing.T) {
	list := commands(t, "README.md")
	if other := commands(t, "README.zh-CN.md"); !slices.Equal(list, other) {
		t.Fatalf("the READMEs differ:\n%q\n%q", list, other)
	}
	if len(list) < 8 || list[0] != "go run ./cmd/anyu serve" || !slices.Contains(list, "go test ./...") {
		t.Fatalf("commands: %q", list)
	}
	dir := t.TempDir()
	writeZone(t, dir, 1, 2)
	if err := os.WriteFile(filepath.Join(dir, "anyu.yaml"), []byte("zones:\n  - {name: example.org, file: example.org.zone}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The Internet of these commands is a server of ours: without the flags they would ask the real one.
	internet := serve(t, t.TempDir(), "--zone", "example.org="+filepath.Join(dir, "example.org.zone"))
	internet.waitFor(t, "www.example.org.", "192.0.2.2")
	here := []string{"--stub", "example.org=" + internet.dns, "--forward", ".=" + internet.dns, "--insecure", "example.org"}
	var running *process
	for _, text := range list {
		words := strings.Fields(text)
		rest, ours := strings.CutPrefix(text, "go run ./cmd/anyu ")
		switch {
		case text == "go test ./...": // what runs this
		case ours && words[3] == "serve":
			running = readmeServe(t, dir, append(strings.Fields(rest)[1:], here...))
		case ours:
			args := strings.Fields(rest)
			if words[3] == "control" {
				args = append(args, "--data", running.data)
			}
			if words[3] == "query" {
				args = append(args, here...)
			}
			cmd := exec.Command(anyu(t), args...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", text, err, out)
			}
		case words[0] == "dig":
			if _, err := exec.LookPath("dig"); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatal(err)
				}
				t.Log("SKIPPED: dig is not installed")
				continue
			}
			_, port, _ := strings.Cut(running.dns, ":")
			out, err := exec.Command("dig", strings.Fields(strings.Replace(strings.TrimPrefix(text, "dig "), "5300", port, 1))...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "status: NOERROR") {
				t.Errorf("%s: %v\n%s", text, err, out)
			}
		default:
			t.Errorf("no test runs %q", text)
		}
	}
}

// readmeServe starts a server with the flags of a README, in a folder with the files that it names.
func readmeServe(t *testing.T, dir string, flags []string) *process {
	t.Helper()
	for i, f := range flags {
		flags[i] = strings.ReplaceAll(f, "=example.org.zone", "="+filepath.Join(dir, "example.org.zone"))
	}
	p := serve(t, t.TempDir(), flags...)
	if slices.Contains(flags, "--lab") {
		p.waitFor(t, "mail.shop.lab.", "203.0.113.25")
	}
	if slices.Contains(flags, "--zone") { // before it is loaded the answer is SERVFAIL
		p.waitFor(t, "www.example.org.", "192.0.2.2")
	}
	for end := time.Now().Add(10 * time.Second); !strings.Contains(p.out.String(), "query log"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the first lines say nothing about the log:\n%s", p.out)
		}
	}
	return p
}
