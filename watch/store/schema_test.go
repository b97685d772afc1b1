package store

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"anyu/watch/trail"
)

var discard = slog.New(slog.DiscardHandler)

// Every column of the query log is one of the table: a new one appears in both.
func TestColumns_areThoseOfTheQueryLog(t *testing.T) {
	all, err := columns()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range trail.Columns() {
		if !slices.ContainsFunc(all, func(own column) bool { return own.name == c.Name }) {
			t.Errorf("the table has no column %s", c.Name)
		}
	}
	statements, err := (&Tables{Database: "anyu", Table: "queries", Cluster: "two", Replicated: true}).Statements()
	if err != nil || len(statements) != 3 {
		t.Fatal(statements, err)
	}
	for _, want := range []string{"`client_port` Nullable(Int32)", "`do` Nullable(UInt8)", "`time` Int64", "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/anyu/queries_local', '{replica}')"} {
		if !strings.Contains(statements[1], want) {
			t.Errorf("%s is not in\n%s", want, statements[1])
		}
	}
	if want := "ENGINE = Distributed(two, anyu, queries_local)"; !strings.Contains(statements[2], want) {
		t.Errorf("%s is not in\n%s", want, statements[2])
	}
}

// A table of an older anyu gets what it lacks; one whose columns are of another kind is refused.
func TestMissing_addsColumns(t *testing.T) {
	all, err := columns()
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]string{}
	for _, c := range all {
		has[c.name] = c.kind
	}
	if list, err := missing("d.q", has); err != nil || len(list) != 0 {
		t.Errorf("%q %v", list, err)
	}
	delete(has, "zone")
	if list, err := missing("d.q", has); err != nil || len(list) != 1 || list[0] != "ALTER TABLE d.q ADD COLUMN `zone` String" {
		t.Errorf("%q %v", list, err)
	}
	has["time"] = "DateTime"
	if _, err := missing("d.q", has); err == nil {
		t.Error("a time of another kind is taken")
	}
}

func TestNameKey_turnsLabelsRound(t *testing.T) {
	for name, want := range map[string]string{"": "", ".": ".", "org.": "org.", "www.example.org.": "org.example.www.", `a\.b.example.org.`: `org.example.a\.b.`, `a\\.org.`: `org.a\\.`} {
		if got := nameKey(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestPrefixRange_isFromFirstToLast(t *testing.T) {
	for prefix, want := range map[string]string{"192.0.2.0/24": "::ffff:192.0.2.0 ::ffff:192.0.2.255", "192.0.2.7/32": "::ffff:192.0.2.7 ::ffff:192.0.2.7", "2001:db8::/33": "2001:db8:: 2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"} {
		first, last := prefixRange(netip.MustParsePrefix(prefix))
		if got := netip.AddrFrom16(first).String() + " " + netip.AddrFrom16(last).String(); got != want {
			t.Errorf("%s: %s, want %s", prefix, got, want)
		}
	}
}

func FuzzReadSteps(f *testing.F) {
	f.Add("{\"segment\":\"a\",\"rows\":1,\"end\":2}\n{\"seg")
	f.Add("{}\n")
	f.Fuzz(func(t *testing.T, text string) {
		steps, err := readSteps(strings.NewReader(text))
		for name, s := range steps {
			if err == nil && (name == "" || s.Rows < 0 || s.End < 0) {
				t.Errorf("%+v was taken", s)
			}
		}
	})
}
