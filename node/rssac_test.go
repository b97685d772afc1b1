package node_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyu/house/port"
	"anyu/node"
)

// A node counts what it is asked and measures the versions it serves; what it counted is there after a restart, with what is missing.
func TestRSSAC_countsWhatTheNodeIsAsked(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(t.TempDir(), "zone"), zoneText(1))
	conf := fmt.Sprintf("recursion: {off: true}\nzones:\n- {name: %s, file: %s}\n", peerZone, file) + fmt.Sprintf("rssac002:\n  service: x.root-servers.net\n  zones: [%s]\n", peerZone)
	n := startIn(t, dir, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), conf)
	for range 5 {
		serial(n.address())
	}
	time.Sleep(1100 * time.Millisecond) // another time of the file
	write(t, file, zoneText(2))
	eventually(t, "version 2", func() bool { reload(t, n); return serial(n.address()) == 2 })
	day := func() (d struct {
		Queries uint64
		Unique  map[string]uint64 `json:"unique_sources"`
		Files   []struct{ Metric, Text string }
		Missing float64 `json:"missing_seconds"`
	}) {
		result, err := node.Control(n.data, "rssac002")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(result, &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	text := func(metric string) string {
		for _, f := range day().Files {
			if f.Metric == metric {
				return f.Text
			}
		}
		return ""
	}
	eventually(t, "six queries counted", func() bool { return day().Queries >= 6 })
	if got := text("zone-size"); !strings.Contains(got, "size:\n  2: ") {
		t.Errorf("zone-size:\n%s", got)
	}
	if got := text("load-time"); !strings.Contains(got, "time:\n  2: ") {
		t.Errorf("load-time:\n%s", got)
	}
	counted := day().Queries
	n.stop()
	n = startIn(t, dir, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), conf)
	eventually(t, "the control socket", func() bool { _, err := node.Control(n.data, "rssac002"); return err == nil }) // it answers queries a moment before
	if again := day(); again.Queries < counted || again.Unique["ipv4"] != 1 || again.Missing == 0 && time.Now().UTC().Sub(time.Now().UTC().Truncate(24*time.Hour)) > time.Minute {
		t.Errorf("after a restart %+v, before %d queries", again, counted)
	}
}
