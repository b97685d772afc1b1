package watch_test

import (
	"context"
	"hash/maphash"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"anyu/event"
	"anyu/watch"
	"anyu/watch/detect"
	"anyu/watch/findings"
	"anyu/watch/gauge"
	"anyu/watch/history"
	"anyu/watch/trail"
)

// desk is somebody who is told.
type desk struct{ told chan event.Finding }

func (d desk) Notify(f event.Finding) { d.told <- f }

// The whole flow, with a simulated clock: answers of a worker become figures, log rows and a finding, that somebody is told of, and
// that ends when the flood does.
func TestFlow_floodBecomesAFindingAndEnds(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		names := event.NewNames()
		zone := names.ID("example.org.")
		told := desk{make(chan event.Finding, 10)}
		store, err := findings.Open(filepath.Join(dir, "findings.jsonl"), time.Now(), nil, told)
		if err != nil {
			t.Fatal(err)
		}
		log, err := trail.Open(trail.Options{Dir: filepath.Join(dir, "log"), Node: "n1", Names: names, Findings: store})
		if err != nil {
			t.Fatal(err)
		}
		g := gauge.New(names, "n1", maphash.MakeSeed())
		w := watch.New(watch.Parts{Gauge: g, Log: log, Detectors: []watch.Detector{detect.NewNXShare(names, "n1")}, Findings: store})
		ring := event.NewRing(0)
		remove := w.Add(ring)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()

		total := 0
		answer := func(span time.Duration, nxOf10 int) {
			for range int(span / time.Second) {
				for i := range 100 {
					q := event.Query{
						Has: event.HasTime | event.HasReply | event.HasZone, Zone: zone, Time: time.Now().UnixNano(), ReplySize: 50, Reason: event.NoReason,
						Name: []byte("\x01a\x07example\x03org\x00"), Type: 1, Class: 1,
					}
					if i%10 < nxOf10 {
						q.Rcode = 3
					}
					ring.Put(&q)
					total++
				}
				time.Sleep(time.Second)
			}
		}
		answer(3*time.Minute, 1)
		answer(time.Minute, 9)
		if open, _ := store.List(findings.Query{OnlyOpen: true}); len(open) != 1 || open[0].Subject != "example.org." {
			t.Errorf("open: %+v", open)
		}
		answer(3*time.Minute, 1)
		remove()
		stop()
		<-done
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		store.Close()

		if first, second := <-told.told, <-told.told; first.Kind != "nx-share" || !first.Open() || second.Open() {
			t.Errorf("told %+v, %+v", first, second)
		}
		if w.Dropped() != 0 || log.Dropped() != 0 || int(log.Kept()) != total {
			t.Errorf("of %d: ring dropped %d, log kept %d and dropped %d", total, w.Dropped(), log.Kept(), log.Dropped())
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(&history.Figures{Gauge: g, Node: "n1", Findings: func() (all []history.Count) {
			for kind, n := range store.Counts() {
				all = append(all, history.Count{Name: kind, N: n})
			}
			return all
		}})
		want := `
# HELP anyu_findings_total Findings opened.
# TYPE anyu_findings_total counter
anyu_findings_total{kind="nx-share"} 1
# HELP anyu_queries_total Questions observed.
# TYPE anyu_queries_total counter
anyu_queries_total{node="n1",rcode="NOERROR",source="self",transport="udp",type="A",zone="example.org."} 33000
anyu_queries_total{node="n1",rcode="NXDOMAIN",source="self",transport="udp",type="A",zone="example.org."} 9000
`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "anyu_findings_total", "anyu_queries_total"); err != nil {
			t.Error(err)
		}
	})
}
