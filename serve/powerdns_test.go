package serve_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/house/corpora"
	"anyu/serve"
)

// PowerDNS's regression questions on unsigned zones: RCODE, AA and the sections as sets. testdata/powerdns.txt lists those
// that ask for something else than an authoritative server of standard zones gives.
func TestAnswer_powerdnsPlain(t *testing.T) {
	dir := corpora.Path(t, "authcases", "powerdns")
	known := judged(t, "testdata/powerdns.txt")
	f, err := os.Open(filepath.Join(dir, "cases.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	workers := map[string]*serve.Worker{"zones": zonesOf(t, filepath.Join(dir, "zones")), "zones-root": zonesOf(t, filepath.Join(dir, "zones-root"))}
	checked := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c struct {
			ID, Zones string
			Queries   []string
			Expected  map[string]string
			Flags     []string
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if c.Expected["plain"] == "" || slices.Contains(c.Flags, "skip.nodnssec") || len(c.Queries) != 1 {
			continue
		}
		checked++
		got := powerdnsAnswer(t, workers[c.Zones], c.Queries[0])
		want := powerdnsWant(c.Expected["plain"])
		if !slices.Equal(got, want) && accepted(known, c.ID) == "" {
			t.Errorf("%s %q\ngot  %s\nwant %s", c.ID, c.Queries[0], strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	if checked < 35 {
		t.Errorf("only %d cases", checked)
	}
}

func zonesOf(t *testing.T, dir string) *serve.Worker {
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	server, w := newServer()
	for _, f := range files {
		name := filepath.Base(f)
		if strings.HasSuffix(name, ".zone") || strings.HasSuffix(name, ".orig") {
			continue // for other tests
		}
		if name == "ROOT" {
			name = "."
		}
		if z := lenient(t, name, f); z != nil {
			server.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z}}})
		}
	}
	return w
}

// lenient loads a file without the lines that only PowerDNS reads: a character string over 255 octets (RFC 1035, Section
// 3.3.14), a SvcParamKey with leading zeros (RFC 9460, Section 2.1), generated records.
func lenient(t *testing.T, name, file string) *zone.Zone {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	for i, line := range lines {
		// CNAME beside other data is refused here (RFC 2181, Section 10.1).
		if strings.HasPrefix(line, "*.mixed-wc") && strings.Contains(line, "CNAME") {
			lines[i] = "\n"
		}
	}
	for range 10 {
		z, err := tryLoad(dns.Fqdn(name), strings.Join(lines, ""))
		var at *zone.SyntaxError
		if err == nil {
			return z
		}
		if !errors.As(err, &at) || at.Line == 0 || at.Line > len(lines) {
			t.Logf("%s: not loaded: %v", name, err)
			return nil
		}
		t.Logf("%s: left out: %v", name, err)
		lines[at.Line-1] = "\n"
	}
	return nil
}

// powerdnsAnswer gives RCODE and records in the set's notation: section, owner, TTL, class, type, RDATA.
func powerdnsAnswer(t *testing.T, w *serve.Worker, q string) []string {
	q = strings.ReplaceAll(q, "'space name'", `space\032name`)
	words := strings.Fields(q)
	typ, ok := wire.ParseType(words[1])
	if !ok {
		t.Fatalf("type %s", words[1])
	}
	m := query(dns.Fqdn(words[0]), uint16(typ))
	transport := event.UDP
	for _, o := range words[2:] {
		switch o {
		case "dnssec":
			m.SetEdns0(2800, true)
		case "tcp":
			transport = event.TCP
		}
	}
	r := ask(t, w, m, transport)
	out := []string{"Rcode " + dns.RcodeToString[r.Rcode]}
	if !r.Authoritative {
		out[0] += " no aa"
	}
	for i, section := range [][]dns.RR{r.Answer, r.Ns, r.Extra} {
		for _, rr := range section {
			if rr.Header().Rrtype != dns.TypeOPT {
				out = append(out, string(rune('0'+i))+" "+strings.Replace(strings.ToLower(strings.Join(strings.Fields(rr.String()), " ")), "class1 type", "in type", 1))
			}
		}
	}
	slices.Sort(out)
	return out
}

var powerdnsRcodes = map[string]string{"0": "NOERROR", "2": "SERVFAIL", "3": "NXDOMAIN", "5": "REFUSED", "6": "YXDOMAIN"}

func powerdnsWant(text string) (out []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "Rcode: "):
			rcode := "Rcode " + powerdnsRcodes[line[7:8]]
			if strings.Contains(line, "AA: 0") {
				rcode += " no aa"
			}
			out = append(out, rcode)
		case line != "" && line[0] >= '0' && line[0] <= '2':
			if rr := strings.ToLower(strings.Join(strings.Fields(line), " ")); !strings.HasSuffix(rr, " in opt") {
				out = append(out, rr)
			}
		}
	}
	slices.Sort(out)
	return out
}
