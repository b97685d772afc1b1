package serve_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/tools/txtar"

	"anyu/event"
	"anyu/serve"
)

var update = flag.Bool("update", false, "rewrite the expected answers of the scenarios in testdata/cases")

// A scenario is a text archive: steps first, zone files after.
//
//	zone NAME FILE                    serve the zone
//	query NAME TYPE [+do] [+tcp] [+bufsize=N] [+noedns] [+rd] [+cd] [+class=CH]
//	----
//	RCODE flags                       then one line a record: AN, NS or AR and the record as dig prints it, signatures cut short
//
// A comment above a query names the case of servers.md 5.1 it shows and its RFC section.
func TestAnswer_scenarios(t *testing.T) {
	files, _ := filepath.Glob("testdata/cases/*.txt")
	if len(files) == 0 {
		t.Fatal("no scenarios")
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScenario(t, f) })
	}
}

func runScenario(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := txtar.Parse(b)
	server, w := newServer()
	var out strings.Builder
	lines := strings.Split(string(a.Comment), "\n")
	for i := 0; i < len(lines); i++ {
		words := strings.Fields(lines[i])
		fmt.Fprintln(&out, lines[i])
		switch {
		case len(words) == 3 && words[0] == "zone":
			server.Change(serve.Change{Put: []serve.Zone{{Name: mustName(t, words[1]), Zone: load(t, words[1], scenarioZone(t, a, words[2]))}}})
		case len(words) >= 3 && words[0] == "query":
			got := scenarioAnswer(t, w, words[1], words[2], words[3:])
			var want string
			if i+1 < len(lines) && lines[i+1] == "----" {
				for i += 2; i < len(lines) && lines[i] != ""; i++ {
					want += lines[i] + "\n"
				}
				i--
			}
			if got != want && !*update {
				t.Errorf("%s: %s\ngot:\n%swant:\n%s", file, strings.Join(words, " "), got, want)
			}
			fmt.Fprint(&out, "----\n", got)
		}
	}
	if *update {
		a.Comment = bytes.TrimRight([]byte(out.String()), "\n")
		a.Comment = append(a.Comment, "\n\n"...)
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// scenarioZone is a file of the archive, or of testdata/zones.
func scenarioZone(t *testing.T, a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	b, err := os.ReadFile(filepath.Join("testdata", "zones", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func scenarioAnswer(t *testing.T, w *serve.Worker, name, typ string, options []string) string {
	m := query(name, dns.StringToType[typ])
	transport, size, edns := event.UDP, 1232, true
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "+do":
		case "+tcp":
			transport = event.TCP
		case "+bufsize":
			size, _ = strconv.Atoi(value)
		case "+noedns":
			edns = false
		case "+rd":
			m.RecursionDesired = true
		case "+cd":
			m.CheckingDisabled = true
		case "+class":
			m.Question[0].Qclass = dns.StringToClass[value]
		default:
			t.Fatalf("option %s", o)
		}
	}
	if edns {
		m.SetEdns0(uint16(size), slices.Contains(options, "+do"))
	}
	r := ask(t, w, m, transport)
	if r == nil {
		return "no answer\n"
	}
	return printAnswer(r)
}

func printAnswer(r *dns.Msg) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s qr", dns.RcodeToString[r.Rcode])
	for _, f := range []struct {
		set  bool
		name string
	}{{r.Authoritative, "aa"}, {r.Truncated, "tc"}, {r.RecursionDesired, "rd"}, {r.RecursionAvailable, "ra"}, {r.AuthenticatedData, "ad"}, {r.CheckingDisabled, "cd"}} {
		if f.set {
			b.WriteString(" " + f.name)
		}
	}
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				fmt.Fprintf(&b, " ede=%d", e.InfoCode)
			}
		}
	}
	b.WriteString("\n")
	for _, s := range []struct {
		name string
		rrs  []dns.RR
	}{{"AN", r.Answer}, {"NS", r.Ns}, {"AR", r.Extra}} {
		for _, rr := range s.rrs {
			switch rr := rr.(type) {
			case *dns.OPT:
			case *dns.RRSIG:
				fmt.Fprintf(&b, "%s %s %d RRSIG %s labels=%d\n", s.name, rr.Hdr.Name, rr.Hdr.Ttl, dns.TypeToString[rr.TypeCovered], rr.Labels)
			default:
				fmt.Fprintf(&b, "%s %s\n", s.name, strings.Join(strings.Fields(rr.String()), " "))
			}
		}
	}
	return b.String()
}
