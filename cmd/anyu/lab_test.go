package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestLabNames_sayWhatMustComeOfEach(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run([]string{"lab", "names", "--seed", "1", "--count", "500", "--truth"}, streams{nil, &out, &errs}); status != done {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	found := map[string]bool{}
	for _, line := range lines {
		words := strings.Fields(line)
		if len(words) != 5 {
			t.Fatalf("%q", line)
		}
		found[words[3]] = true
	}
	if len(lines) != 500 || !found["secure"] || !found["insecure"] || !found["bogus"] {
		t.Errorf("%d lines, %v", len(lines), found)
	}
}

func TestLab_wrongUseSaysWhatToWrite(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"names --address 127.0.0.0/33", "write a prefix"},
		{"names --sort other", "there are usual"},
		{"names --size 5", "at least"},
		{"up --address 127.0.0.0/28", "room for"},
		{"up --port 0", "--port"},
		{"down", "replay, up, names"},
	} {
		var out, errs bytes.Buffer
		status := run(append([]string{"lab"}, strings.Fields(c.args)...), streams{nil, &out, &errs})
		if status != failed || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: status %d, %q", c.args, status, errs.String())
		}
	}
}
