package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// typed runs anyu with lines on its standard input.
func typed(t *testing.T, lines string, args ...string) (out string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), anyu(t), args...)
	cmd.Stdin = strings.NewReader(lines)
	b, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// Clients stand in the log under pseudonyms; two people show them, one does not, nobody after the key is destroyed; and the ledger tells who did.
func TestPseudonyms(t *testing.T) {
	dir := t.TempDir()
	data, public, files := filepath.Join(dir, "data"), [2]string{}, [2]string{}
	for i := range files {
		files[i] = filepath.Join(dir, fmt.Sprintf("person%d", i))
		out, status := typed(t, "a long passphrase\n", "pseudonym", "holder", files[i])
		if public[i] = strings.SplitN(out, "\n", 2)[0]; status != 0 || !strings.HasPrefix(public[i], "age1") {
			t.Fatal(out)
		}
	}
	config := filepath.Join(dir, "anyu.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "log: {clients: {pseudonyms: {first: [%s], second: [%s]}}}\n", public[0], public[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	p := serve(t, data, "--config", config, "--zone", "example.org="+writeZone(t, dir, 1, 2))
	p.waitFor(t, "www.example.org.", "192.0.2.2")
	p.stopped(t)
	out, status := run(t, "trace", "--data", data, "--name", "www.example.org")
	hidden := regexp.MustCompile(`~[0-9a-f]{8}\.[0-9a-v]{26}`).FindString(out)
	if status != 0 || hidden == "" || strings.Contains(out, "127.0.0.1") {
		t.Fatal(out)
	}
	if out, status := run(t, "trace", "--data", data, "--client", hidden, "--top", "client"); status != 0 || !strings.Contains(out, hidden) {
		t.Error(out)
	}
	if out, status := run(t, "trace", "--data", data, "--client", "127.0.0.1"); status != 1 {
		t.Error(out)
	}
	both := []string{"--holder", files[0], "--holder", files[1]}
	passphrases := "a long passphrase\na long passphrase\n"
	out, status = typed(t, passphrases, append([]string{"trace", "--data", data, "--client", "127.0.0.1", "--reason", "case 9"}, both...)...)
	if status != 0 || !strings.Contains(out, "127.0.0.1") || strings.Contains(out, hidden) {
		t.Error(out)
	}
	for _, who := range [][]string{{"--holder", files[0]}, {"--holder", files[0], "--holder", files[0]}} {
		if out, status := typed(t, passphrases, append([]string{"trace", "--data", data}, who...)...); status != 2 || strings.Contains(out, "127.0.0.1") {
			t.Errorf("%d %s", status, out)
		}
	}
	if out, status := typed(t, passphrases, append([]string{"pseudonym", "--data", data, "--reason", "case 9", "show", hidden}, both...)...); status != 0 || !strings.Contains(out, hidden+"  127.0.0.1") {
		t.Errorf("%d %s", status, out)
	}
	key := hidden[1:9]
	if out, status := run(t, "pseudonym", "--data", data, "destroy", key); status != 2 || !strings.Contains(out, "--reason is needed") {
		t.Errorf("%d %s", status, out)
	}
	if out, status := run(t, "pseudonym", "--data", data, "--reason", "asked for", "destroy", key); status != 0 {
		t.Errorf("%d %s", status, out)
	}
	if out, status := typed(t, passphrases, append([]string{"pseudonym", "--data", data, "show", hidden}, both...)...); status == 0 || strings.Contains(out, "127.0.0.1") {
		t.Errorf("%d %s", status, out)
	}
	out, _ = run(t, "ledger", "list", "--data", data)
	for _, want := range []string{"case 9", "asked for"} {
		if !strings.Contains(out, want) {
			t.Errorf("the ledger does not tell of %q:\n%s", want, out)
		}
	}
	if out, status := run(t, "ledger", "verify", "--data", data); status != 0 {
		t.Error(out)
	}
}
