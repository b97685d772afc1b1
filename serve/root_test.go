package serve_test

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"anyu/house/corpora"
)

// The real queries that a root server saw in 2011, answered from the root zone of that day as NSD and Knot answer them.
func TestAnswer_realQueriesToTheRoot(t *testing.T) {
	long(t)
	file := corpora.Path(t, "zones", "root-2011-nsd", "root.zone")
	known := judged(t, "testdata/root.txt")
	z, err := loadFile(".", file)
	if err != nil {
		t.Fatal(err)
	}
	list := replay(t, corpora.Path(t, "zones", "root-2011-nsd", "root.qfile.orig"))
	for _, p := range peers[:2] {
		t.Run(p.name, func(t *testing.T) {
			at := p.start(t, ".", file)
			_, w := wideServer(z)
			differ := 0
			for _, q := range list {
				for _, do := range []bool{false, true} {
					diff := compare(t, w, at, q, do)
					if diff == "" || accepted(known, p.name+" "+strings.ToLower(q.Question[0].Name)+" "+dns.TypeToString[q.Question[0].Qtype]) != "" {
						continue
					}
					if differ++; differ < 10 {
						t.Errorf("%v do=%v\n%s", q.Question[0], do, diff)
					}
				}
			}
			t.Logf("%d questions with and without DO, %d differ", len(list), differ)
		})
	}
}

// replay reads "query NAME CLASS TYPE" lines and drops repetitions, and what no server answers alike: other classes.
func replay(t *testing.T, file string) (list []*dns.Msg) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		w := strings.Fields(lines.Text())
		if len(w) < 4 || w[0] != "query" || w[2] != "IN" || seen[lines.Text()] {
			continue
		}
		seen[lines.Text()] = true
		typ, ok := dns.StringToType[w[3]]
		if !ok || typ == dns.TypeANY || typ == dns.TypeAXFR || typ == dns.TypeIXFR {
			continue
		}
		m := query(w[1], typ)
		if _, err := m.Pack(); err == nil {
			list = append(list, m)
		}
	}
	if len(list) < 10_000 {
		t.Fatalf("only %d questions", len(list))
	}
	return list
}
