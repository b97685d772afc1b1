package console_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"anyu/console"
)

// The forecast says where growth ends, and what is reached before.
func TestStorage_forecast(t *testing.T) {
	now := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		name   string
		s      console.Storage
		perDay int64
		full   time.Time
	}{
		{"only today", console.Storage{Keep: 190, Free: 1, Days: []console.StoredDay{{"2026-11-24", 5}}}, 0, time.Time{}},
		{"it fits", console.Storage{Keep: 10, Octets: 300, Free: 701, Days: []console.StoredDay{{"2026-11-21", 100}, {"2026-11-22", 100}, {"2026-11-23", 100}, {"2026-11-24", 7}}}, 100, time.Time{}},
		{"the disk is full first", console.Storage{Keep: 10, Octets: 300, Free: 400, Days: []console.StoredDay{{"2026-11-22", 100}, {"2026-11-23", 100}}}, 100, now.Add(4 * day)},
		{"what is to stay free is not there", console.Storage{Keep: 10, Octets: 300, Free: 400, Reserve: 300, Days: []console.StoredDay{{"2026-11-22", 100}, {"2026-11-23", 100}}}, 100, now.Add(1 * day)},
		{"the limit is reached first", console.Storage{Keep: 10, Octets: 300, Free: 400, Limit: 500, Days: []console.StoredDay{{"2026-11-22", 100}, {"2026-11-23", 100}}}, 100, now.Add(2 * day)},
		{"days without rows count", console.Storage{Keep: 1, Octets: 100, Free: -1, Days: []console.StoredDay{{"2026-11-20", 100}}}, 25, time.Time{}},
		{"only the last week counts", console.Storage{Keep: 1, Free: -1, Days: []console.StoredDay{{"2026-11-15", 1e6}, {"2026-11-17", 70}, {"2026-11-18", 0}, {"2026-11-19", 0}, {"2026-11-20", 0}, {"2026-11-21", 0}, {"2026-11-22", 0}, {"2026-11-23", 0}}}, 10, time.Time{}},
	} {
		c.s.Forecast(now)
		if c.s.PerDay != c.perDay || !c.s.Full.Equal(c.full) {
			t.Errorf("%s: %d a day, full %v; want %d, %v", c.name, c.s.PerDay, c.s.Full, c.perDay, c.full)
		}
	}
}

func TestStorage_pageSaysWhatWaitsAndWhatIsDown(t *testing.T) {
	w := newWorld(t)
	_, text := w.get(t, "/storage?lang=en")
	for _, want := range []string{"ch1.bank.lab:9000", "connection refused", "/backup/monday", "12 files with", fmt.Sprint(time.Now().UTC().Format(time.DateOnly))} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if _, text := w.get(t, "/api/anyu/storage"); !strings.Contains(text, `"waiting_octets":180000000`) && !strings.Contains(text, `"waiting_octets": 180000000`) {
		t.Errorf("%.300s", text)
	}
}

// The log is searched where the form says; nobody who chose is sent elsewhere by the next link.
func TestLog_isSearchedWhereItIsToldTo(t *testing.T) {
	w := newWorld(t)
	_, here := w.get(t, "/log?lang=en")
	_, there := w.get(t, "/log?lang=en&store=cluster")
	if strings.Contains(here, "only.in.the.cluster.") || !strings.Contains(there, "only.in.the.cluster.") {
		t.Error("the place was not taken")
	}
	if !strings.Contains(there, `value="cluster" selected`) || !strings.Contains(there, "store=cluster") {
		t.Error("the place is not kept")
	}
}
