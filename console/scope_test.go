package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

type overviewAnswer struct {
	Sources struct {
		Source string
		Known  []string
	}
	Now struct {
		PerSecond *float64 `json:"queries_per_second"`
		P50       *float64 `json:"p50_seconds"`
		CPU       *float64 `json:"cpu_ratio"`
	}
	Series map[string][]*float64
	Top    map[string]struct {
		Queries uint64
		OneIn   int `json:"one_in"`
		Lines   []struct {
			Name  string
			Count uint64
		}
	}
}

func (w *world) overview(t *testing.T, query string) (a overviewAnswer) {
	t.Helper()
	answer, text := w.get(t, "/api/anyu/overview?"+query)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", answer.Status, text)
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil && !strings.Contains(err.Error(), "distinct") {
		t.Fatal(err)
	}
	return a
}

func total(a overviewAnswer) (sum float64) {
	for _, v := range a.Series["queries_per_second"] {
		if v != nil {
			sum += *v
		}
	}
	return sum
}

// This server is shown unless somebody asks for more; a tap in front of it is not added by itself.
func TestScope_countsWhoIsChosen(t *testing.T) {
	w := newWorld(t)
	self, edge, all, node := w.overview(t, ""), w.overview(t, "source=edge"), w.overview(t, "source=*"), w.overview(t, "node=bj-2")
	if self.Sources.Source != "self" || strings.Join(self.Sources.Known, " ") != "self edge wire far" {
		t.Errorf("%+v", self.Sources)
	}
	if s, e, a := total(self), total(edge), total(all); s < 1.8*e || s > 2.2*e || a < 0.99*(s+e) || a > 1.01*(s+e) || total(node) != e {
		t.Errorf("self %v, edge %v, all %v, its node %v", s, e, a, total(node))
	}
	if self.Now.CPU == nil || *self.Now.CPU > 0.2 || edge.Now.CPU == nil || *edge.Now.CPU != 0.9876 {
		t.Errorf("load: self %v, edge %v", self.Now.CPU, edge.Now.CPU)
	}
	if *edge.Now.P50 < 200e-6 || *self.Now.P50 > 100e-6 {
		t.Errorf("p50: self %v, edge %v", *self.Now.P50, *edge.Now.P50)
	}
	clients := self.Top["client"]
	if len(clients.Lines) != 20 || clients.OneIn != 1 || !strings.HasPrefix(clients.Lines[0].Name, "192.0.2.") || clients.Lines[0].Count < clients.Lines[1].Count {
		t.Errorf("clients %+v", clients)
	}
	if domains := self.Top["domain"]; len(domains.Lines) < 6 || domains.Lines[0].Name != "bank.lab." {
		t.Errorf("domains %+v", domains)
	}
	if answer, _ := w.get(t, "/api/anyu/overview?source=nobody"); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("a source that is not there: %s", answer.Status)
	}
}

// The choice stands in the address and goes with the reader; the log behind a figure is that of the same source.
func TestScope_isInTheLinks(t *testing.T) {
	w := newWorld(t)
	_, text := w.get(t, "/?source=edge&lang=en")
	for _, want := range []string{`href="/zones?last=15m&amp;source=edge"`, `href="/log?last=15m&amp;source=edge"`, `id="scope"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	_, text = w.get(t, "/?lang=en")
	if !strings.Contains(text, `href="/log?last=15m&amp;source=self"`) || strings.Contains(text, "counts twice") {
		t.Error("the log behind this server's figures is not its own, or a sum is told of where there is none")
	}
	if !strings.Contains(text, `href="/log?client=192.0.2.`) || !strings.Contains(text, "no data for last week") {
		t.Error("a client does not lead to its queries, or last week is not told as unknown")
	}
	if _, text = w.get(t, "/?source=*&lang=en"); !strings.Contains(text, "counts twice") {
		t.Error("a sum is not told of")
	}
	if _, text = w.get(t, "/?source=nobody&lang=en"); !strings.Contains(text, "no such source") {
		t.Error("a source that is not there is not told")
	}
	if _, text = w.get(t, "/log?source=edge&lang=en"); strings.Contains(text, "table class=\"log") || !strings.Contains(text, "<option selected>edge</option>") {
		t.Error("the log shows rows of another source, or not which is chosen")
	}
	w.nothingResolved = true
	if _, text = w.get(t, "/log?lang=en"); !strings.Contains(text, `name="source"`) {
		t.Error("a source that was observed is no choice any more")
	}
}

func TestRSSAC_filesAreGivenOutByName(t *testing.T) {
	w := newWorld(t)
	_, text := w.get(t, "/rssac002?lang=en")
	for _, want := range []string{`href="/rssac002/2026/11/load-time/x-root-20261123-load-time.yaml"`, "x.root-servers.net", "&lt;not&gt; markup", "75 s of this day", "about"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	answer, text := w.get(t, "/rssac002/2026/11/load-time/x-root-20261123-load-time.yaml")
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "application/yaml" || !strings.Contains(text, "metric: load-time") {
		t.Errorf("%s: %s", answer.Status, text)
	}
	if answer, _ := w.get(t, "/rssac002/state-1.json"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("the state: %s", answer.Status)
	}
	if _, text := w.get(t, "/api/anyu/rssac002"); !strings.Contains(text, `"missing_seconds":75`) {
		t.Errorf("for programs: %s", text)
	}
	w.nothingResolved = true
	if _, text := w.get(t, "/rssac002?lang=en"); !strings.Contains(text, "Nothing is measured") {
		t.Error("it is not told that nothing is measured")
	}
}
