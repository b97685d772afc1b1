package detect_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch/detect"
)

var update = flag.Bool("update", false, "rewrite what the scenarios expect")

// A scenario is traffic, a line "----", and what is found. A line of traffic is how long, and then for each zone asked for
// at the time its name, rate and shares of rcodes, the rest being NOERROR:
//
//	5m  example.org. 100/s nx=2% servfail=1%
//
// What is found is one line for each finding opened or closed: when since the beginning, what, of which zone.
func TestNXShare_scenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/nx-share/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			traffic, want, ok := strings.Cut(string(text), "----\n")
			if !ok {
				t.Fatal("no line ----")
			}
			got := play(t, traffic)
			if *update {
				if err := os.WriteFile(file, []byte(traffic+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("found\n%swanted\n%s", got, want)
			}
		})
	}
}

// asked is what one zone is asked in a second.
type asked struct {
	zone   uint32
	rate   float64
	shares map[uint16]float64
	owed   map[uint16]float64 // parts of an answer carried over to the next second
}

func play(t *testing.T, traffic string) string {
	t.Helper()
	names := event.NewNames()
	d := detect.NewNXShare(names, "n1")
	begin := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	now := begin
	var out strings.Builder
	open := map[string]bool{}
	report := func(f event.Finding) {
		since := f.Updated.Sub(begin)
		switch {
		case !f.Open():
			delete(open, f.Subject)
			fmt.Fprintf(&out, "%v close %s %s\n", since, f.Kind, f.Subject)
		case !open[f.Subject]:
			open[f.Subject] = true
			fmt.Fprintf(&out, "%v open %s %s %v", since, f.Kind, f.Subject, f.Severity)
			for _, fact := range f.Facts {
				fmt.Fprintf(&out, "; %s %s", fact.Name, fact.Value)
			}
			out.WriteByte('\n')
		}
	}
	d.Tick(now, report)
	for line := range strings.Lines(traffic) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		span, err := time.ParseDuration(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		zones := parseAsked(t, names, fields[1:])
		for range int(span / time.Second) {
			for i := range zones {
				zones[i].second(d)
			}
			now = now.Add(time.Second)
			d.Tick(now, report)
		}
	}
	return out.String()
}

func parseAsked(t *testing.T, names *event.Names, fields []string) (all []asked) {
	t.Helper()
	rcodes := map[string]uint16{"nx": 3, "servfail": 2, "refused": 5}
	for _, f := range fields {
		word, share, isShare := strings.Cut(f, "=")
		if rate, ok := strings.CutSuffix(f, "/s"); ok {
			n, err := strconv.ParseFloat(rate, 64)
			if err != nil {
				t.Fatal(err)
			}
			all[len(all)-1].rate = n
		} else if isShare {
			n, err := strconv.ParseFloat(strings.TrimSuffix(share, "%"), 64)
			code, known := rcodes[word]
			if err != nil || !known {
				t.Fatal(f, err)
			}
			all[len(all)-1].shares[code] = n / 100
		} else {
			all = append(all, asked{zone: names.ID(f), shares: map[uint16]float64{}, owed: map[uint16]float64{}})
		}
	}
	return all
}

func (a *asked) second(d *detect.NXShare) {
	rest := 1.0
	put := func(rcode uint16, share float64) {
		a.owed[rcode] += a.rate * share
		for ; a.owed[rcode] >= 1; a.owed[rcode]-- {
			d.Observe(&event.Query{Has: event.HasZone | event.HasReply, Zone: a.zone, Rcode: rcode, ReplySize: 50})
		}
	}
	for rcode, share := range a.shares {
		put(rcode, share)
		rest -= share
	}
	put(0, rest)
}

func TestNXShare_boundsItsZones(t *testing.T) {
	names := event.NewNames()
	d := detect.NewNXShare(names, "n1")
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	d.Tick(now, nil)
	flood := func(from, to int) {
		for i := from; i < to; i++ {
			d.Observe(&event.Query{Has: event.HasZone | event.HasReply, Zone: names.ID(fmt.Sprintf("z%d.", i)), ReplySize: 50})
		}
	}
	flood(0, 20_000)
	found := 0
	late := names.ID("late.example.")
	for i := range 2 * 3600 { // after an hour the others are forgotten, and the late one has room
		rcode := uint16(0)
		if i > 2*3600-60 {
			rcode = 3
		}
		for range 10 {
			d.Observe(&event.Query{Has: event.HasZone | event.HasReply, Zone: late, Rcode: rcode, ReplySize: 50})
		}
		now = now.Add(time.Second)
		d.Tick(now, func(f event.Finding) {
			if f.Subject != "late.example." {
				t.Errorf("found %+v", f)
			}
			found++
		})
	}
	if found == 0 {
		t.Error("the late zone was never watched")
	}
}

func TestObserve_allocatesNothing(t *testing.T) {
	d := detect.NewNXShare(event.NewNames(), "n1")
	q := event.Query{Has: event.HasZone | event.HasReply, Zone: 1, ReplySize: 50}
	d.Observe(&q)
	if n := testing.AllocsPerRun(1000, func() { d.Observe(&q) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNXShare(b *testing.B) {
	d := detect.NewNXShare(event.NewNames(), "n1")
	q := event.Query{Has: event.HasZone | event.HasReply, Zone: 1, ReplySize: 50}
	for b.Loop() {
		d.Observe(&q)
	}
}
