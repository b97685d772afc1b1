package history_test

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"anyu/event"
	"anyu/watch/gauge"
	"anyu/watch/history"
)

// listed are the metrics and labels that scripts and dashboards may rely on; a change here is a change of the contract.
const listed = `
anyu_answer_seconds node source transport
anyu_build_info go version
anyu_connections node
anyu_cpu_ratio node
anyu_cpu_seconds_total node
anyu_distinct_clients node source
anyu_distinct_names node source
anyu_dropped_total where
anyu_findings_total kind
anyu_host_cpu_ratio node
anyu_log_rows_total node
anyu_memory_heap_bytes node
anyu_memory_resident_bytes node
anyu_network_outcomes_total network node outcome source
anyu_outcomes_total node outcome source zone
anyu_queries_total node rcode source transport type zone
anyu_ring_used_ratio node
anyu_server_outcomes_total node outcome server source
anyu_start_timestamp_seconds node
`

// world is a gauge with its exporter, counting one zone.
func world(t *testing.T) (*gauge.Gauge, *prometheus.Registry, func(now time.Time, n int)) {
	t.Helper()
	names := event.NewNames()
	g := gauge.New(names, "n1", maphash.MakeSeed())
	g.SetNetworks([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&history.Figures{
		Gauge: g, Node: "n1", Version: "test", Started: time.Now(),
		CPUTime:  func() time.Duration { return time.Second },
		Dropped:  func() []history.Count { return []history.Count{{Name: "ring", N: 3}} },
		Findings: func() []history.Count { return []history.Count{{Name: "nx-share", N: 1}} },
		Rows:     func() uint64 { return 5 },
	})
	zone := names.ID("example.org.")
	return g, registry, func(now time.Time, n int) {
		g.Tick(now, gauge.Load{CPU: 0.25})
		g.Lock(now)
		defer g.Unlock()
		for range n {
			g.Observe(&event.Query{
				Has: event.HasTime | event.HasLatency | event.HasReply | event.HasZone | event.HasServer | event.HasClient, Zone: zone, Time: now.UnixNano(),
				Latency: 1_200_000, Clock: event.ClockSelf, Type: 28, Transport: event.TCP, ReplySize: 40, Reason: event.NoReason,
			})
		}
	}
}

func TestFigures_haveTheListedNamesAndLabels(t *testing.T) {
	_, registry, count := world(t)
	count(time.Now(), 1)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	got.WriteByte('\n')
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		fmt.Fprintln(&got, f.GetName(), strings.Join(labels, " "))
	}
	if got.String() != listed {
		t.Errorf("got %s want %s", got.String(), listed)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestStore_answersPromQLOverHTTP(t *testing.T) {
	_, registry, count := world(t)
	s := history.New(history.Options{Dir: filepath.Join(t.TempDir(), "tsdb"), Registry: registry, Version: "test"})
	server := httptest.NewServer(s.Handler())
	defer server.Close()

	if code, body := get(t, server.URL+"/api/v1/query?query=up"); code != http.StatusServiceUnavailable || !strings.Contains(body, "not open") {
		t.Errorf("before Open: %d %s", code, body)
	}
	if _, _, err := s.Open(time.Now()); err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-10 * time.Minute).Truncate(15 * time.Second)
	for i := range 40 {
		at := begin.Add(time.Duration(i) * 15 * time.Second)
		count(at, 150)
		if err := s.Append(at); err != nil {
			t.Fatal(err)
		}
	}
	end := begin.Add(39 * 15 * time.Second)
	ask := func(path string, form ...string) string {
		t.Helper()
		v := url.Values{}
		for i := 0; i < len(form); i += 2 {
			v.Add(form[i], form[i+1])
		}
		code, body := get(t, server.URL+"/api/v1"+path+"?"+v.Encode())
		if code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
		return body
	}
	at := fmt.Sprint(end.Unix())
	for _, c := range []struct{ got, want string }{
		{ask("/query", "query", `round(sum(rate(anyu_queries_total{source="self",zone="example.org.",type="AAAA",transport="tcp",rcode="NOERROR"}[1m])), 0.001)`, "time", at), `"10"]`},
		{ask("/query_range", "query", `sum(anyu_queries_total)`, "start", fmt.Sprint(begin.Unix()), "end", at, "step", "15"), `"6000"]]`},
		{ask("/query", "query", `histogram_quantile(0.5, sum by (le) (rate(anyu_answer_seconds_bucket[1m]))) < 0.0016`, "time", at), `"0.0012`},
		{ask("/query", "query", `anyu_cpu_ratio`, "time", at), `"0.25"]`},
		{ask("/labels", "start", fmt.Sprint(begin.Unix()), "end", at), `"rcode"`},
		{ask("/label/zone/values"), `["example.org."]`},
		{ask("/series", "match[]", "anyu_queries_total"), `"type":"AAAA"`},
		{ask("/metadata", "metric", "anyu_queries_total"), `"type":"counter"`},
		{ask("/status/buildinfo"), `"version":"3.15.0"`},
		{ask("/rules"), `"groups":[]`},
		{ask("/alerts"), `"alerts":[]`},
		{ask("/format_query", "query", "sum(up)"), `"sum(up)"`},
		{ask("/parse_query", "query", "sum(up)"), `"type":"aggregation"`},
		{ask("/status/runtimeinfo"), `"success"`},
	} {
		if !strings.Contains(c.got, c.want) || !json.Valid([]byte(c.got)) {
			t.Errorf("got %s\nwant %s", c.got, c.want)
		}
	}
	checkRefusals(t, server.URL)

	series, err := s.Range(t.Context(), `sum(increase(anyu_outcomes_total{outcome="success"}[1m]))`, begin.Add(2*time.Minute), end, time.Minute)
	if err != nil || len(series) != 1 || len(series[0].Samples) != 8 || series[0].Samples[3].Value != 600 {
		t.Errorf("range: %+v %v", series, err)
	}
	if one, err := s.At(t.Context(), `anyu_dropped_total`, end); err != nil || one[0].Labels["where"] != "ring" || one[0].Samples[0].Value != 3 {
		t.Errorf("at: %+v %v", one, err)
	}
	if _, err := s.Range(t.Context(), `sum(`, begin, end, time.Minute); err == nil {
		t.Error("nonsense was answered")
	}
	if _, err := s.Range(t.Context(), `up`, begin, end, time.Millisecond); err == nil {
		t.Error("a range of 600,000 points was answered")
	}

	if err := s.Close(end.Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	reopened(t, s, end)
}

// reopened: what was stored is there after a restart, and the stop shows as a gap.
func reopened(t *testing.T, s *history.Store, end time.Time) {
	t.Helper()
	if _, err := s.At(t.Context(), "up", end); err == nil {
		t.Error("a closed store answers")
	}
	if aside, _, err := s.Open(time.Now()); err != nil || aside != "" {
		t.Fatal(aside, err)
	}
	defer s.Close(end.Add(time.Minute))
	if one, err := s.At(t.Context(), `sum(anyu_queries_total)`, end); err != nil || len(one) != 1 || one[0].Samples[0].Value != 6000 {
		t.Errorf("after a restart: %+v %v", one, err)
	}
	if one, err := s.At(t.Context(), `anyu_cpu_ratio`, end.Add(20*time.Second)); err != nil || len(one) != 0 {
		t.Errorf("a stop is painted over: %+v %v", one, err)
	}
}

func checkRefusals(t *testing.T, base string) {
	t.Helper()
	for _, c := range []struct{ method, path string }{
		{"POST", "/api/v1/admin/tsdb/delete_series?match[]=anyu_queries_total"},
		{"PUT", "/api/v1/admin/tsdb/snapshot"},
		{"POST", "/api/v1/write"}, {"POST", "/api/v1/read"}, {"POST", "/api/v1/otlp/v1/metrics"},
		{"GET", "/api/v1/status/config"}, {"GET", "/api/v1/targets"}, {"GET", "/api/v1/query_exemplars?query=up"}, {"GET", "/api/v1/notifications/live"},
		{"GET", "/api/v1/../../metrics"}, {"DELETE", "/api/v1/query"}, {"OPTIONS", "/api/v1/query"},
		{"POST", "/api/v1/label/zone/values"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, base+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "http://evil.example")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode < 400 || answer.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s: %d %v", c.method, c.path, answer.StatusCode, answer.Header)
		}
	}
	answer, err := http.PostForm(base+"/api/v1/query", url.Values{"query": {"1+1"}})
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("a query by form: %v %v", answer, err)
	}
	answer.Body.Close()
}

func TestOpen_movesAnUnreadableStoreAside(t *testing.T) {
	_, registry, count := world(t)
	dir := filepath.Join(t.TempDir(), "tsdb")
	s := history.New(history.Options{Dir: dir, Registry: registry})
	now := time.Now()
	if _, _, err := s.Open(now); err != nil {
		t.Fatal(err)
	}
	count(now, 1)
	if err := s.Append(now); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	// A folder where a segment should be cannot be read or repaired.
	if err := os.MkdirAll(filepath.Join(dir, "wal", "00000002"), 0o700); err != nil {
		t.Fatal(err)
	}
	aside, why, err := s.Open(now)
	if err != nil || aside == "" || why == nil {
		t.Fatalf("aside %q, because %v, error %v", aside, why, err)
	}
	defer s.Close(now.Add(time.Minute))
	if _, err := os.Stat(filepath.Join(aside, "wal", "00000000")); err != nil {
		t.Errorf("the old store is gone: %v", err)
	}
	if err := s.Append(now); err != nil {
		t.Error(err)
	}
}

// A write-ahead log that was cut or damaged in the middle opens with what is whole.
func TestOpen_repairsADamagedWriteAheadLog(t *testing.T) {
	_, registry, count := world(t)
	dir := filepath.Join(t.TempDir(), "tsdb")
	s := history.New(history.Options{Dir: dir, Registry: registry})
	now := time.Now().Truncate(time.Second)
	if _, _, err := s.Open(now); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		count(now, 1)
		if err := s.Append(now.Add(time.Duration(i-20) * 15 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	segment := filepath.Join(dir, "wal", "00000000")
	if err := s.Close(now); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 0xFF
	if err := os.WriteFile(segment, text, 0o600); err != nil {
		t.Fatal(err)
	}
	aside, why, err := s.Open(now)
	if err != nil || aside != "" {
		t.Fatalf("aside %q, because %v, error %v", aside, why, err)
	}
	defer s.Close(now.Add(time.Minute))
	if one, err := s.At(t.Context(), `anyu_cpu_ratio`, now.Add(-19*15*time.Second)); err != nil || len(one) != 1 {
		t.Errorf("the whole part: %+v %v", one, err)
	}
}

func TestOpen_saysWhoHoldsTheFolder(t *testing.T) {
	_, registry, _ := world(t)
	dir := filepath.Join(t.TempDir(), "tsdb")
	first, second := history.New(history.Options{Dir: dir, Registry: registry}), history.New(history.Options{Dir: dir, Registry: registry})
	if _, _, err := first.Open(time.Now()); err != nil {
		t.Fatal(err)
	}
	defer first.Close(time.Now())
	if _, _, err := second.Open(time.Now()); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second: %v", err)
	}
}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	answer, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}
