package serve_test

import (
	"fmt"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/house/corpora"
	"anyu/serve"
)

// Zones that break a rule on purpose. Where they load here, the answer is one that the four servers gave; where all four that
// loaded it agreed, it is theirs. testdata/ferret-invalid.txt lists the others with the RFC section that decides.
func TestAnswer_ferretInvalidZones(t *testing.T) {
	file := corpora.Path(t, "authcases", "ferret", "invalid.jsonl")
	known := judged(t, "testdata/ferret-invalid.txt")
	used := map[string]bool{}
	zones, refused, asked, bad := 0, 0, 0, 0
	server, w := newServer()
	eachCase(t, file, func(c ferretCase) {
		zones++
		z, err := tryLoad(soaOwner(c.Zone), c.Zone)
		if err != nil {
			refused++
			return
		}
		server.Change(serve.Change{Put: []serve.Zone{{Name: z.Apex(), Zone: z}}})
		defer server.Change(serve.Change{Remove: []wire.Name{z.Apex()}})
		for _, test := range c.Tests {
			if len(test.Expected) == 0 {
				continue
			}
			asked++
			key := fmt.Sprintf("%s %d %s %s", c.Cond, c.ID, test.Query.Name, test.Query.Type)
			got := ferretAnswer(t, w, test.Query.Name, test.Query.Type)
			matches := false
			for _, e := range test.Expected {
				matches = matches || sameAnswer(got, e.Response)
			}
			if rule := accepted(known, key); matches || rule != "" {
				used[rule] = true
				continue
			}
			if bad++; bad < 25 {
				t.Errorf("%s:\n%s\ngot  %s\nwant %s", key, c.Zone, strings.Join(got, "\n     "), expectations(test.Expected))
			}
		}
	})
	t.Logf("%d zones, %d refused at load, %d questions, %d differ", zones, refused, asked, bad)
	if zones < 400 || asked < 500 {
		t.Errorf("only %d zones, %d questions", zones, asked)
	}
}
