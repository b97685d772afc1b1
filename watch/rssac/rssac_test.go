package rssac_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"anyu/event"
	"anyu/watch/rssac"
)

var midnight = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

func options(dir string) rssac.Options {
	return rssac.Options{Dir: dir, Service: "x.root-servers.net", Version: "rssac002v4", Zones: []string{"."}, Node: "n1"}
}

func open(t *testing.T, o rssac.Options, now time.Time) *rssac.Counter {
	t.Helper()
	c, err := rssac.Open(o, now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// query is one from a client, answered.
func query(at time.Time, client string, over event.Transport, rcode uint16, asked, answered int) *event.Query {
	q := &event.Query{Has: event.HasClient | event.HasTime | event.HasQuery | event.HasReply, Time: at.UnixNano(), Client: netip.MustParseAddr(client).As16(),
		Transport: over, Rcode: rcode, QuerySize: uint16(asked), ReplySize: uint16(answered)}
	return q
}

type findings []event.Finding

func (f *findings) report(one event.Finding) { *f = append(*f, one) }

// run lets a counter live from one moment to another.
func run(c *rssac.Counter, from, to time.Time, f *findings) {
	for at := from; !at.After(to); at = at.Add(time.Second) {
		c.Tick(at, f.report)
		c.Keep(at, f.report)
	}
}

func traffic(c *rssac.Counter, at time.Time) {
	c.Observe(query(at, "192.0.2.1", event.UDP, 0, 40, 4096))
	c.Observe(query(at, "192.0.2.1", event.UDP, 3, 15, 512))
	c.Observe(query(at, "192.0.2.2", event.TCP, 3, 287, 9000))
	c.Observe(query(at, "2001:db8::1", event.UDP, 0, 288, 100))
	c.Observe(query(at, "2001:db8::2", event.UDP, 2, 300, 100))
	c.Observe(query(at, "2001:db8:0:1::2", event.TCP, 23, 30, 47))
	c.Observe(query(at, "192.0.2.9", event.QUIC, 0, 40, 40)) // no keys for it
	c.Observe(query(at, "192.0.2.1", event.UDP, 5, 40, 0))   // dropped on purpose
	other := query(at, "198.51.100.1", event.UDP, 0, 40, 40) // of a tap
	other.Source = 3
	c.Observe(other)
	response := query(at, "203.0.113.1", event.UDP, 0, 0, 50) // its question was not seen
	response.Has &^= event.HasQuery
	c.Observe(response)
}

const volumeText = `dns-udp-queries-received-ipv4: 3
dns-udp-queries-received-ipv6: 2
dns-tcp-queries-received-ipv4: 1
dns-tcp-queries-received-ipv6: 1
dns-udp-responses-sent-ipv4: 3
dns-udp-responses-sent-ipv6: 2
dns-tcp-responses-sent-ipv4: 1
dns-tcp-responses-sent-ipv6: 1
`

// monitoring.md B1: keys and shape are those of the published files, a day is one of UTC, a bin has 16 octets.
func TestFiles_areAsOperatorsPublishThem(t *testing.T) {
	dir := t.TempDir()
	c := open(t, options(dir), midnight)
	var f findings
	run(c, midnight, midnight.Add(10*time.Second), &f)
	noon := midnight.Add(12 * time.Hour)
	traffic(c, noon)
	c.ZoneServed(".", 2026112400, noon.Add(-15*time.Second), noon, 1_300_000)
	c.ZoneServed(".", 2026112400, noon.Add(-15*time.Second), noon.Add(time.Hour), 1_300_000) // again: not published again
	c.ZoneServed("example.", 7, noon, noon, 1)
	for at := midnight; at.Before(midnight.Add(24*time.Hour + 2*time.Minute)); at = at.Add(30 * time.Second) {
		c.Tick(at, f.report)
		if at.Equal(midnight.Add(24*time.Hour + 30*time.Second)) {
			c.Observe(query(midnight.Add(24*time.Hour-time.Millisecond), "192.0.2.77", event.TCP, 0, 20, 20)) // late: of the day before
		}
		c.Keep(at, f.report)
	}
	head := func(metric string) string {
		return "---\nversion: rssac002v4\nservice: x.root-servers.net\nstart-period: '2026-11-24T00:00:00Z'\nmetric: " + metric + "\n"
	}
	for metric, want := range map[string]string{
		"traffic-volume": strings.NewReplacer("tcp-queries-received-ipv4: 1", "tcp-queries-received-ipv4: 2", "tcp-responses-sent-ipv4: 1", "tcp-responses-sent-ipv4: 2").Replace(volumeText),
		"traffic-sizes": `udp-request-sizes:
  0-15: 1
  32-47: 2
  288-: 2
udp-response-sizes:
  48-63: 1
  96-111: 2
  512-527: 1
  4096-: 1
tcp-request-sizes:
  16-31: 2
  272-287: 1
tcp-response-sizes:
  16-31: 1
  32-47: 1
  4096-: 1
`,
		"rcode-volume":   "0: 4\n2: 1\n3: 2\n23: 1\n",
		"unique-sources": "num-sources-ipv4: 3\nnum-sources-ipv6: 3\nnum-sources-ipv6-aggregate: 2\n",
		"load-time":      "time:\n  2026112400: 15\n",
		"zone-size":      "size:\n  2026112400: 1300000\n",
	} {
		b, err := os.ReadFile(filepath.Join(dir, "2026/11", metric, "x-root-20261124-"+metric+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		text := uncommented(string(b))
		if text != head(metric)+want {
			t.Errorf("%s:\n%swant:\n%s", metric, b, head(metric)+want)
		}
		var tree map[string]any
		if err := yaml.Unmarshal(b, &tree); err != nil || tree["metric"] != metric {
			t.Errorf("%s is no YAML: %v", metric, err)
		}
		if strings.Contains(string(b), "s of this day") {
			t.Errorf("%s says that a whole day is not whole:\n%s", metric, b)
		}
	}
	if len(f) != 1 || f[0].Closed.IsZero() || !f[0].Opened.IsZero() { // with both times it would be a finding by itself
		t.Errorf("findings of a whole day: %+v", f)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "state-20781.json")); len(left) > 0 {
		t.Errorf("the state of the day is still there")
	}
}

func uncommented(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// What was counted survives a stop and a kill; what is missing is said in every file, and in a finding.
func TestCounter_survivesAStopAndSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	var f findings
	c := open(t, options(dir), midnight)
	run(c, midnight, midnight.Add(time.Minute), &f)
	traffic(c, midnight.Add(time.Minute))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := midnight.Add(11 * time.Minute)
	c = open(t, options(dir), again)
	traffic(c, again)
	run(c, again, again.Add(11*time.Second), &f) // saved once
	c.Observe(query(again, "192.0.2.200", event.UDP, 0, 40, 40))
	// killed here
	later := midnight.Add(time.Hour)
	c = open(t, options(dir), later)
	day := c.Today(later.Add(time.Second))
	if day.Queries != 14 || day.Answers != 14 || day.Unique["ipv4"] != 2 || day.Unique["ipv6"] != 3 || day.Unique["ipv6_64"] != 2 || !day.Exact {
		t.Errorf("after a stop and a kill: %+v", day)
	}
	if day.Missing < 10*60+48*60 || day.Missing > 10*60+50*60 {
		t.Errorf("missing %v s", day.Missing)
	}
	text := day.Files[0].Text
	if !strings.Contains(text, "# The day is not over: counted up to 2026-11-24T01:00:01Z.\n") || !strings.Contains(text, "Counted: 00:00:00 to 00:01:00, 00:11:00 to 00:11:10, 01:00:00 to") {
		t.Errorf("the day so far says:\n%s", text)
	}
	// A day that ends while nothing runs is finished by the next start.
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	next := midnight.Add(30 * time.Hour)
	c = open(t, options(dir), next)
	b, err := c.File("2026/11/unique-sources/x-root-20261124-unique-sources.yaml")
	if err != nil || !strings.Contains(string(b), "# Not counted: 8") || !strings.Contains(string(b), "num-sources-ipv4: 2\n") {
		t.Errorf("the day that ended meanwhile: %v\n%s", err, b)
	}
	if day := c.Today(next); day.Queries != 0 || len(day.Kept) != 6 || day.Missing != 6*3600 {
		t.Errorf("the new day: %+v", day)
	}
}

func TestCounter_tellsAFindingOfADayThatIsNotWhole(t *testing.T) {
	var f findings
	c := open(t, options(t.TempDir()), midnight.Add(time.Hour))
	run(c, midnight.Add(24*time.Hour-time.Minute), midnight.Add(24*time.Hour+time.Minute), &f)
	if len(f) != 1 || !f[0].Closed.IsZero() || f[0].Kind != "rssac-incomplete" || f[0].Subject != "x.root-servers.net" || f[0].Facts[0].Value != "2026-11-24" {
		t.Errorf("%+v", f)
	}
}

// Sources are counted one by one up to a million of a kind; beyond it their number is an estimate, which goes through a restart and is told.
func TestSources_areEstimatedBeyondTheBound(t *testing.T) {
	if testing.Short() {
		t.Skip("a million addresses")
	}
	dir := t.TempDir()
	var f findings
	c := open(t, options(dir), midnight)
	const n = 1_300_000
	send := func(from, to int) {
		q := query(midnight, "192.0.2.1", event.UDP, 0, 40, 40)
		for i := from; i < to; i++ {
			q.Client = netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}).As16()
			c.Observe(q)
		}
	}
	send(0, 1_200_000)
	run(c, midnight, midnight.Add(time.Second), &f)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, options(dir), midnight.Add(2*time.Second))
	send(0, n) // those of before again
	day := c.Today(midnight.Add(3 * time.Second))
	if got := float64(day.Unique["ipv4"]); day.Exact || got < 0.98*n || got > 1.02*n {
		t.Errorf("%v of %d, exact %v", got, n, day.Exact)
	}
	i := slices.IndexFunc(day.Files, func(f rssac.File) bool { return f.Metric == "unique-sources" })
	if text := day.Files[i].Text; !strings.Contains(text, "# Estimated: the number of IPv4 sources") || strings.Contains(text, "IPv6 sources, by") {
		t.Errorf("%s", text)
	}
}

// A torn record at the end of the addresses' file is left out, and what is appended after it is read again.
func TestSources_survivesATornRecord(t *testing.T) {
	dir := t.TempDir()
	c := open(t, options(dir), midnight)
	traffic(c, midnight)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "sources-*"))
	file, err := os.OpenFile(paths[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	file.Write([]byte{1, 2, 3})
	file.Close()
	for i := range 2 {
		c = open(t, options(dir), midnight.Add(time.Second))
		c.Observe(query(midnight, fmt.Sprintf("198.51.100.%d", i), event.UDP, 0, 40, 40))
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if day := open(t, options(dir), midnight.Add(2*time.Second)).Today(midnight.Add(2 * time.Second)); day.Unique["ipv4"] != 4 || day.Unique["ipv6"] != 3 {
		t.Errorf("%+v", day.Unique)
	}
}

func TestFile_givesNothingElse(t *testing.T) {
	dir := t.TempDir()
	c := open(t, options(dir), midnight)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(filepath.Dir(dir), "secret.yaml"), []byte("x"), 0o600)
	for _, path := range []string{"", "state-20781.json", "../secret.yaml", "2026/11/../../../secret.yaml", "2026/11/x/../../../../secret.yaml", "/etc/passwd", "2026/11/x/..yaml"} {
		if b, err := c.File(path); err == nil {
			t.Errorf("%q gives %q", path, b)
		}
	}
}

// Several zones, which RSSAC002 does not foresee, have files of their own.
func TestFiles_ofSeveralZones(t *testing.T) {
	o := options(t.TempDir())
	o.Service, o.Zones = "ns1.example.cn", []string{"example.cn.", "example.org."}
	c := open(t, o, midnight)
	c.ZoneServed("example.org.", 5, midnight, midnight.Add(2*time.Second), 400)
	var got []string
	for _, f := range c.Today(midnight).Files {
		if f.Metric == "load-time" {
			got = append(got, f.Path+strings.ReplaceAll(uncommented(f.Text)[len("---\nversion: rssac002v4\nservice: ns1.example.cn\nstart-period: '2026-11-24T00:00:00Z'\nmetric: load-time\n"):], "\n", "|"))
		}
	}
	want := []string{"2026/11/load-time/ns1.example.cn-20261124-load-time-example.cn.yamlzone: 'example.cn.'|time: {}|", "2026/11/load-time/ns1.example.cn-20261124-load-time-example.org.yamlzone: 'example.org.'|time:|  5: 2|"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A state file that somebody damaged is moved aside, whatever is in it, and counting begins anew.
func FuzzOpen_anyState(f *testing.F) {
	f.Add([]byte(`{"Service":"x.root-servers.net","Day":20781,"Watched":[{"From":1,"To":2}],"Sources":{"Key":[1,2],"Estimates":["AAAA",null,null]}}`), []byte{0, 1, 2, 3, 4, 9})
	f.Add([]byte(`{`), []byte{})
	f.Add([]byte(`{"Day":20781,"Rcodes":null,"Sources":{}}`), []byte{2, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, state, sources []byte) {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "state-20781.json"), state, 0o600)
		os.WriteFile(filepath.Join(dir, "sources-20781-0000000000000001"), sources, 0o600)
		c, err := rssac.Open(options(dir), midnight)
		if err != nil {
			t.Fatal(err)
		}
		traffic(c, midnight)
		c.Today(midnight.Add(time.Second))
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	c, err := rssac.Open(options(b.TempDir()), midnight)
	if err != nil {
		b.Fatal(err)
	}
	q := query(midnight, "192.0.2.1", event.UDP, 0, 40, 100)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		q.Client[14], q.Client[15] = byte(i>>8), byte(i)
		c.Observe(q)
		i++
	}
}
