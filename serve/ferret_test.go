package serve_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/house/corpora"
	"anyu/serve"
)

type ferretCase struct {
	Cond  string
	ID    int
	Zone  string
	Tests []struct {
		Query    struct{ Name, Type string }
		Expected []struct {
			Servers  string `json:"Server/s"`
			Response []string
		} `json:"Expected Response"`
	}
}

// Every case of the Ferret set where all four servers agreed must give their answer; where they differ the answer must be
// one of theirs, or the case stands in testdata/ferret.txt with the RFC section that decides it.
func TestAnswer_ferret(t *testing.T) {
	long(t)
	dir := corpora.Path(t, "authcases", "ferret")
	known := judged(t, "testdata/ferret.txt")
	files, _ := filepath.Glob(filepath.Join(dir, "valid-*.jsonl"))
	if len(files) == 0 {
		t.Fatal("no cases")
	}
	agreed, split, bad := 0, 0, 0
	server, w := newServer()
	for _, f := range files {
		eachCase(t, f, func(c ferretCase) {
			z, err := tryLoad(soaOwner(c.Zone), c.Zone)
			if err != nil {
				bad++
				if bad < 15 {
					t.Errorf("%d: load: %v", c.ID, err)
				}
				return
			}
			server.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z}}})
			defer server.Change(serve.Change{Remove: []wire.Name{z.Apex()}})
			for _, test := range c.Tests {
				key := fmt.Sprintf("%d %s %s", c.ID, test.Query.Name, test.Query.Type)
				got := ferretAnswer(t, w, test.Query.Name, test.Query.Type)
				matches := false
				for _, e := range test.Expected {
					matches = matches || sameAnswer(got, e.Response)
				}
				if len(test.Expected) == 1 {
					agreed++
				} else {
					split++
				}
				if matches || known[key] != "" {
					delete(known, key)
					continue
				}
				if bad++; bad < 1500 {
					t.Errorf("%s:\n%s\ngot  %s\nwant %s", key, c.Zone, strings.Join(got, "\n     "), expectations(test.Expected))
				}
			}
		})
	}
	t.Logf("%d cases where all agree, %d where they differ, %d differ from ours", agreed, split, bad)
	if bad > 0 {
		t.Errorf("%d cases differ", bad)
	}
	for key := range known {
		t.Errorf("testdata/ferret.txt: %q is listed but needs no exception", key)
	}
}

func expectations(list []struct {
	Servers  string `json:"Server/s"`
	Response []string
}) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "[%s] %s\n", e.Servers, strings.Join(e.Response, "\n     "))
	}
	return b.String()
}

func eachCase(t *testing.T, file string, do func(ferretCase)) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var c ferretCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		do(c)
	}
}

// judged reads a list of exceptions: "key # reason".
func judged(t *testing.T, file string) map[string]string {
	list := map[string]string{}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, reason, ok := strings.Cut(line, " # ")
		if !ok || !strings.Contains(reason, "RFC ") {
			t.Errorf("%s: %q gives no RFC section", file, line)
		}
		list[strings.TrimSpace(key)] = reason
	}
	return list
}

func soaOwner(text string) string {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if slices.Contains(f, "SOA") {
			return f[0]
		}
	}
	return "."
}

// ferretAnswer gives an answer in the set's notation.
func ferretAnswer(t *testing.T, w *serve.Worker, name, typ string) []string {
	r := ask(t, w, query(name, dns.StringToType[typ]), event.TCP)
	flags := "flags QR"
	if r.Authoritative {
		flags += " AA"
	}
	out := []string{"rcode " + dns.RcodeToString[r.Rcode], flags, ";ANSWER"}
	for _, s := range []struct {
		title string
		rrs   []dns.RR
	}{{"", r.Answer}, {";AUTHORITY", r.Ns}, {";ADDITIONAL", r.Extra}} {
		if s.title != "" {
			out = append(out, s.title)
		}
		for _, rr := range s.rrs {
			out = append(out, strings.Join(strings.Fields(rr.String()), " "))
		}
	}
	return out
}

// sameAnswer compares RCODE, AA and the sections as sets. The NS set of the apex beside a positive answer, and addresses in
// the additional section of an answer, are at the server's discretion (RFC 1034, Section 4.3.2; RFC 9471 for referrals).
func sameAnswer(got, want []string) bool {
	g, w := split(got), split(want)
	if g["rcode"][0] != w["rcode"][0] || strings.Contains(g["flags"][0], "AA") != strings.Contains(w["flags"][0], "AA") {
		return false
	}
	if !sameSet(g[";ANSWER"], w[";ANSWER"]) {
		return false
	}
	if len(g[";AUTHORITY"]) == 0 && strings.Contains(w["flags"][0], "AA") && len(w[";ANSWER"]) > 0 {
		for _, rr := range w[";AUTHORITY"] {
			if !strings.Contains(rr, " ns ") {
				return false
			}
		}
		return true
	}
	return sameSet(withoutSOATTL(g[";AUTHORITY"]), withoutSOATTL(w[";AUTHORITY"]))
}

// withoutSOATTL drops the TTL of SOA records: the set shows BIND's answer for all that agreed with it, and BIND gives TTL 0 to
// questions for SOA, which RFC 2308, Section 3 does not ask for.
func withoutSOATTL(rrs []string) (out []string) {
	for _, rr := range rrs {
		if f := strings.Fields(rr); len(f) > 4 && f[3] == "soa" {
			f[1] = "-"
			rr = strings.Join(f, " ")
		}
		out = append(out, rr)
	}
	return out
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func split(lines []string) map[string][]string {
	m := map[string][]string{}
	section := ""
	for _, l := range lines {
		first, rest, _ := strings.Cut(l, " ")
		switch {
		case strings.HasPrefix(l, ";"):
			section = l
		case section == "":
			m[first] = []string{rest}
		default:
			m[section] = append(m[section], strings.ToLower(l))
		}
	}
	return m
}
