package trail_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"anyu/dns/wire"
	"anyu/event"
	"anyu/watch/trail"
)

// crowd logs rows of many names, clients and hours; the last are in the append-only file still.
func crowd(t *testing.T, s *setting, rows, live int) *trail.Trail {
	t.Helper()
	l := s.open(t)
	r := rand.New(rand.NewPCG(3, 4))
	domains := []string{"example.org.", "example.com.", "xample.org.", "org.", "a-example.org."}
	var qs []*event.Query
	for n := range rows + live {
		q := s.question(begin, n)
		q.Time = begin.Add(time.Duration(r.IntN(3*3600)) * time.Second).UnixNano()
		name := domains[r.IntN(len(domains))]
		if k := r.IntN(4000); k > 20 {
			name = fmt.Sprintf("h%d.%s", k%700, name)
		}
		q.Name, _ = wire.ParseName(name)
		q.Client = netip.AddrFrom4([4]byte{192, 0, byte(r.IntN(3)), byte(r.IntN(200))}).As16()
		q.Type, q.Rcode = []uint16{1, 28, 65}[r.IntN(3)], uint16(3*r.IntN(2))
		if q.Type == 1 {
			var b wire.Builder
			b.Reset(make([]byte, 512))
			b.Question(q.Name, wire.TypeA, wire.ClassIN)
			for range 1 + r.IntN(2) {
				b.RR(wire.Answers, q.Name, wire.TypeA, wire.ClassIN, 60, []byte{203, 0, 113, byte(r.IntN(250))})
			}
			q.Reply = b.Finish(1, 0x8180)
		}
		qs = append(qs, q)
	}
	put(t, l, qs[:rows]...)
	if live > 0 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = s.open(t)
		put(t, l, qs[rows:]...)
	}
	return l
}

// everything reads the whole log without any of what makes a search fast.
func everything(t *testing.T, l *trail.Trail, dir string) (all []trail.Row) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "date=*", "hour=*", "*.parquet"))
	for _, file := range files {
		rows, err := parquet.ReadFile[trail.Row](file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rows...)
	}
	if _, err := l.Each(t.Context(), trail.Filter{}, func(r *trail.Row) error {
		if r.Segment == "" {
			all = append(all, *r)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func line(r *trail.Row) string {
	return fmt.Sprintf("%020d %s %s %s %s %v %s", r.Time, r.Client, r.Name, r.Type, r.Rcode, r.Answers, r.Zone)
}

// A search finds what reading everything finds, whatever filters, marks, dictionaries and pages ruled out.
func TestSearch_findsWhatReadingEverythingFinds(t *testing.T) {
	s := settle(t)
	l := crowd(t, s, 12_000, 500)
	defer l.Close()
	all := everything(t, l, s.opts.Dir)
	if len(all) != 12_500 {
		t.Fatalf("%d rows", len(all))
	}
	for name, c := range map[string]struct {
		filter trail.Filter
		fits   func(*trail.Row) bool
	}{
		"all":            {trail.Filter{}, func(*trail.Row) bool { return true }},
		"name":           {trail.Filter{Name: "H42.example.org"}, func(r *trail.Row) bool { return r.Name == "h42.example.org." }},
		"first name":     {trail.Filter{Name: "example.com."}, func(r *trail.Row) bool { return r.Name == "example.com." }},
		"last name":      {trail.Filter{Name: "h99.xample.org"}, func(r *trail.Row) bool { return r.Name == "h99.xample.org." }},
		"top":            {trail.Filter{Name: "org."}, func(r *trail.Row) bool { return r.Name == "org." }},
		"below":          {trail.Filter{Name: "*.example.org"}, func(r *trail.Row) bool { return strings.HasSuffix(r.Name, ".example.org.") }},
		"below a top":    {trail.Filter{Name: "*.org"}, func(r *trail.Row) bool { return strings.HasSuffix(r.Name, ".org.") }},
		"below the root": {trail.Filter{Name: "*."}, func(r *trail.Row) bool { return true }},
		"no such name":   {trail.Filter{Name: "h42.example.net"}, func(r *trail.Row) bool { return false }},
		"client":         {trail.Filter{Client: netip.MustParsePrefix("192.0.2.7/32")}, func(r *trail.Row) bool { return r.Client == "192.0.2.7" }},
		"network":        {trail.Filter{Client: netip.MustParsePrefix("192.0.2.0/24")}, func(r *trail.Row) bool { return strings.HasPrefix(r.Client, "192.0.2.") }},
		"answer":         {trail.Filter{Answer: netip.MustParsePrefix("203.0.113.7/32")}, func(r *trail.Row) bool { return slices.Contains(r.AnswerIPs, "203.0.113.7") }},
		"answers": {trail.Filter{Answer: netip.MustParsePrefix("203.0.113.0/29")}, func(r *trail.Row) bool {
			return slices.ContainsFunc(r.AnswerIPs, func(a string) bool { return len(a) == len("203.0.113.7") && a < "203.0.113.8" })
		}},
		"several": {trail.Filter{Name: "*.example.org", Client: netip.MustParsePrefix("192.0.0.0/23"), Type: "A", Rcode: "NXDOMAIN"}, func(r *trail.Row) bool {
			return strings.HasSuffix(r.Name, ".example.org.") && !strings.HasPrefix(r.Client, "192.0.2") && r.Type == "A" && r.Rcode == "NXDOMAIN"
		}},
		"type": {trail.Filter{Type: "HTTPS"}, func(r *trail.Row) bool { return r.Type == "HTTPS" }},
		"times": {trail.Filter{From: begin.Add(time.Minute), To: begin.Add(2 * time.Hour)}, func(r *trail.Row) bool {
			return !r.At().Before(begin.Add(time.Minute)) && r.At().Before(begin.Add(2*time.Hour))
		}},
		"times of a name": {trail.Filter{Name: "org.", From: begin.Add(time.Minute), To: begin.Add(2 * time.Hour)}, func(r *trail.Row) bool {
			return r.Name == "org." && !r.At().Before(begin.Add(time.Minute)) && r.At().Before(begin.Add(2*time.Hour))
		}},
	} {
		var want []string
		for i := range all {
			if c.fits(&all[i]) {
				want = append(want, line(&all[i]))
			}
		}
		slices.Sort(want)
		compareSearch(t, l, name, c.filter, want)
	}
}

func compareSearch(t *testing.T, l *trail.Trail, name string, filter trail.Filter, want []string) {
	t.Helper()
	var each, stream []string
	if _, err := l.Each(t.Context(), filter, func(r *trail.Row) error { each = append(each, line(r)); return nil }); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	filter.Limit = 1_000_000
	last := int64(1 << 62)
	found, err := l.Stream(t.Context(), filter, func(r *trail.Row) error {
		if r.Time > last {
			t.Errorf("%s: %d after %d", name, r.Time, last)
		}
		last = r.Time
		stream = append(stream, line(r))
		return nil
	})
	slices.Sort(each)
	slices.Sort(stream)
	if err != nil || !found.Complete || !slices.Equal(each, want) || !slices.Equal(stream, want) {
		t.Errorf("%s: %d rows are right; each gave %d, stream %d (complete %v), %v", name, len(want), len(each), len(stream), found.Complete, err)
	}
	// In pages, each row once; a page may end between rows of one time only where the next page begins with them again.
	filter.Limit = 500
	var paged []string
	for {
		page, err := l.Rows(t.Context(), filter)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range page.Rows {
			paged = append(paged, line(&page.Rows[i]))
		}
		if page.Complete {
			break
		}
		filter.To = page.Since
	}
	slices.Sort(paged)
	if !slices.Equal(paged, want) {
		t.Errorf("%s: %d rows are right, pages gave %d", name, len(want), len(paged))
	}
}

// What is not wanted is not there, and costs nothing.
func TestSearch_readsOnlyTheColumnsWanted(t *testing.T) {
	s := settle(t)
	l := crowd(t, s, 2000, 100)
	for _, where := range []string{"with both", "segments"} {
		n := 0
		_, err := l.Each(t.Context(), trail.Filter{Type: "A", Columns: []string{"client", "zone"}}, func(r *trail.Row) error {
			n++
			if r.Client == "" || r.Zone != "example.org." || r.Time == 0 || r.Segment != "" && (r.Name != "" || r.Type != "" || r.Latency != nil) || r.Answers != nil || r.AnswerIPs != nil {
				return fmt.Errorf("%+v", r)
			}
			return nil
		})
		if err != nil || n < 500 {
			t.Errorf("%s: %d rows, %v", where, n, err)
		}
		if where == "segments" {
			break
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l, err = trail.Look(s.opts.Dir); err != nil {
			t.Fatal(err)
		}
	}
}

// Who stops asking is not asked again, and nothing is left running.
func TestSearch_stops(t *testing.T) {
	s := settle(t)
	l := crowd(t, s, 5000, 10)
	defer l.Close()
	enough := errors.New("enough")
	n := 0
	if _, err := l.Each(t.Context(), trail.Filter{}, func(*trail.Row) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
		t.Errorf("each: %d rows, %v", n, err)
	}
	if _, err := l.Stream(t.Context(), trail.Filter{Limit: 100}, func(*trail.Row) error { n++; return enough }); !errors.Is(err, enough) || n != 2 {
		t.Errorf("stream: %d rows, %v", n, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	found, err := l.Stream(ctx, trail.Filter{Limit: 100_000}, func(*trail.Row) error { stop(); return nil })
	if err != nil || found.Complete {
		t.Errorf("stopped: complete %v, %v", found.Complete, err)
	}
}

// A segment that is damaged anywhere is named, no other is lost for it, and nothing breaks.
func TestSearch_damagedSegments(t *testing.T) {
	s := settle(t)
	l := crowd(t, s, 3000, 0)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(s.opts.Dir, "date=*", "hour=*", "*.parquet"))
	if len(files) < 3 {
		t.Fatal(files)
	}
	whole, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	look, err := trail.Look(s.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	count := func() (rows, damaged int) {
		found, err := look.Stream(t.Context(), trail.Filter{Limit: 100_000}, func(*trail.Row) error { rows++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		_, err = look.Each(t.Context(), trail.Filter{}, func(*trail.Row) error { return nil })
		if (err != nil) != (len(found.Damaged) > 0) {
			t.Errorf("each: %v, stream: %v", err, found.Damaged)
		}
		return rows, len(found.Damaged)
	}
	total, damaged := count()
	if damaged != 0 {
		t.Fatal(damaged)
	}
	told := 0
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 300 {
		text := slices.Clone(whole)
		switch i % 3 {
		case 0:
			text[r.IntN(len(text))] ^= byte(1 + r.IntN(255))
		case 1:
			text = text[:r.IntN(len(text))]
		default: // in the footer
			text[len(text)-1-r.IntN(min(len(text), 9000))] ^= byte(1 << r.IntN(8))
		}
		if err := os.WriteFile(files[1], text, 0o600); err != nil {
			t.Fatal(err)
		}
		rows, damaged := count()
		told += damaged
		if rows < total*3/5 && damaged == 0 {
			t.Errorf("%d: %d of %d rows and no word", i, rows, total)
		}
	}
	if told < 100 {
		t.Errorf("%d of 300 damaged segments were told", told)
	}
}

// Where the row after the last that is asked for has the same time, the search still tells that there are older ones: from append-only files, and from segments.
func TestSearch_saysThatThereIsMore(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	var qs []*event.Query
	for _, second := range []int{1, 2, 2, 3, 3} {
		qs = append(qs, s.question(begin.Add(time.Duration(second)*time.Second), 7))
	}
	put(t, l, qs...)
	l.Flush()
	for _, where := range []string{"append-only file", "segment"} {
		for limit, want := range map[int]string{1: "2 false", 2: "2 false", 3: "4 false", 4: "4 false", 5: "5 true", 6: "5 true"} {
			found, err := l.Rows(t.Context(), trail.Filter{Limit: limit})
			if got := fmt.Sprint(len(found.Rows), found.Complete); got != want || err != nil {
				t.Errorf("%s, at most %d: %s, want %s, %v", where, limit, got, want, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = s.open(t)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whenever a search is ended by the clock, it has everything from the time on that it says, and nothing is passed over by who goes on from there.
func TestSearch_endedByTimeSaysHowFarItCame(t *testing.T) {
	s := settle(t)
	l := crowd(t, s, 20_000, 0)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := trail.Look(s.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	filter := trail.Filter{Limit: 20_000, Name: "*.example.org."}
	all, err := l.Rows(t.Context(), filter)
	if err != nil || !all.Complete || len(all.Rows) < 1000 {
		t.Fatalf("%d rows, complete %v, %v", len(all.Rows), all.Complete, err)
	}
	ended := 0
	for limit := 50 * time.Microsecond; limit < time.Second; limit = limit * 8 / 7 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		some, err := l.Rows(ctx, filter)
		cancel()
		if some.Complete {
			break
		}
		ended++
		count := func(rows []trail.Row) (n int) {
			for i := range rows {
				if !rows[i].At().Before(some.Since) {
					n++
				}
			}
			return n
		}
		if got, want := count(some.Rows), count(all.Rows); got != want || got != len(some.Rows) || err != nil {
			t.Errorf("after %v: %d rows since %v, %d of them are to be; %v", limit, len(some.Rows), some.Since, want, err)
		}
	}
	if ended == 0 {
		t.Error("no search was ended")
	}
}
