package trail_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch/trail"
)

// What is left out is counted, each row says for how many questions it stands, a finding is open, and the log tells when.
func TestSample_isNeverSilent(t *testing.T) {
	s := settle(t)
	s.opts.Sample = 10
	s.opts.Rules = []trail.Rule{
		{Clients: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, OneOf: 0},
		{Names: []string{"\x04n005\x07example\x03org\x00"}, Sources: []string{"self"}, OneOf: 1},
		{Sources: []string{"a-tap"}, OneOf: 0},
	}
	l := s.open(t)
	const total = 20_000
	for n := range total {
		l.Observe(s.question(begin, n))
		l.Flush()
		for l.Pending() > 8 {
			time.Sleep(time.Millisecond)
		}
	}
	sampled, err := l.Sampled(time.Time{}, time.Time{})
	if err != nil || len(sampled) != 1 || sampled[0].OneOf != 10 || sampled[0].Rules != 3 || !sampled[0].To.IsZero() {
		t.Errorf("sampled %+v %v", sampled, err)
	}
	check := func(where string) {
		t.Helper()
		rows, stand := 0, int64(0)
		_, err := l.Each(t.Context(), trail.Filter{}, func(r *trail.Row) error {
			rows++
			switch {
			case r.Client == "192.0.2.1":
				t.Errorf("%s: a client that is not logged: %+v", where, r)
			case r.Name == "n005.example.org.":
				if r.Sample != nil {
					t.Errorf("%s: %s stands for %d", where, r.Name, *r.Sample)
				}
				stand++
			case r.Sample == nil || *r.Sample != 10:
				t.Errorf("%s: a sampled row does not say so: %+v", where, r)
			default:
				stand += *r.Sample
			}
			return nil
		})
		logged := total * 6 / 7
		if err != nil || stand < int64(logged*9/10) || stand > int64(logged*11/10) {
			t.Errorf("%s: %d rows stand for %d questions of %d, %v", where, rows, stand, logged, err)
		}
		if rows+int(l.LeftOut())+int(l.Dropped()) != total {
			t.Errorf("%s: %d rows, %d left out, %d dropped", where, rows, l.LeftOut(), l.Dropped())
		}
	}
	for end := time.Now().Add(5 * time.Second); l.Pending() > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		l.Flush()
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	check("segments")
	if got := s.found.kinds(); got != "log-sampled:true " {
		t.Errorf("findings %s", got)
	}
	s.opts.Sample, s.opts.Rules = 0, nil
	l = s.open(t)
	defer l.Close()
	sampled, err = l.Sampled(time.Now().Add(-time.Hour), time.Now())
	if err != nil || len(sampled) != 1 || sampled[0].To.IsZero() {
		t.Errorf("afterwards %+v %v", sampled, err)
	}
	if sampled, err = l.Sampled(time.Now(), time.Time{}); err != nil || len(sampled) != 0 {
		t.Errorf("now %+v %v", sampled, err)
	}
}

func TestSampled_passesOverWhatIsNoLine(t *testing.T) {
	s := settle(t)
	s.opts.Sample = 3
	l := s.open(t)
	l.Close()
	path := filepath.Join(s.opts.Dir, "sampled.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"{", "null\n", strings.Repeat("x", 100_000) + "\n", "\x00\n{\"from\":7}\n"} {
		if err := os.WriteFile(path, append([]byte(bad), text...), 0o600); err != nil {
			t.Fatal(err)
		}
		if list, err := l.Sampled(time.Time{}, time.Time{}); err == nil && len(list) > 1 {
			t.Errorf("%.20q: %+v", bad, list)
		}
	}
}

// On a disk that fills up, what is older than six months goes first, then rows are sampled; nothing younger is deleted, and it ends when there is room.
func TestDisk_oldestGoesFirstThenRowsAreSampled(t *testing.T) {
	s := settle(t)
	const day = 24 * time.Hour
	s.opts.Disk = func(string) (trail.Disk, error) { return trail.Disk{Free: 1000, Size: 10_000}, nil }
	s.opts.Reserve = 100
	l := s.open(t)
	now := time.Now().UTC().Truncate(time.Hour)
	for _, days := range []int{0, 1, 183, 186, 188} {
		put(t, l, s.question(now.Add(-time.Duration(days)*day), 1))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	left := func() int {
		dirs, _ := filepath.Glob(filepath.Join(s.opts.Dir, "date=*", "hour=*"))
		return len(dirs)
	}
	for _, c := range []struct {
		name     string
		free     int64
		left     int
		pressure int64
		findings string
	}{
		{"enough", 101, 5, 1, ""},
		{"one hour makes room", 99, 4, 1, "log-space:true "},
		{"all that may go goes", -1 << 40, 3, 1024, "log-space:true log-sampled:true "},
		{"a half", 49, 3, 4, "log-sampled:true "},
		{"nearly", 99, 3, 2, "log-sampled:true "},
		{"it does not come and go", 110, 3, 2, ""},
		{"room again", 125, 3, 1, "log-space:false log-sampled:false "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.found.mu.Lock()
			s.found.all = nil
			s.found.mu.Unlock()
			s.opts.Disk = func(string) (trail.Disk, error) { return trail.Disk{Free: c.free, Size: 10_000}, nil }
			l.Guard(s.opts, now)
			if left() != c.left || l.Pressure() != c.pressure || s.found.kinds() != c.findings {
				t.Errorf("%d hours, one of %d, findings %s", left(), l.Pressure(), s.found.kinds())
			}
		})
	}
	list, err := l.Sampled(time.Time{}, time.Time{})
	if err != nil || len(list) != 3 || list[0].Pressure != 1024 || list[2].To.IsZero() {
		t.Errorf("%+v %v", list, err)
	}
}

func TestLoss_ofAProcessThatWasKilledIsSaid(t *testing.T) {
	s := settle(t)
	l := s.open(t)
	put(t, l, s.question(begin, 1))
	mark := filepath.Join(s.opts.Dir, "wal", "running")
	text, err := os.ReadFile(mark)
	if err != nil || string(text) != "5ms\n" {
		t.Fatalf("%q %v", text, err)
	}
	l.Close()
	l = s.open(t)
	l.Close()
	if got := s.found.kinds(); got != "" {
		t.Errorf("closed in order: findings %s", got)
	}
	if err := os.WriteFile(mark, text, 0o600); err != nil {
		t.Fatal(err)
	}
	l = s.open(t)
	defer l.Close()
	if got := s.found.kinds(); got != "log-loss:false " {
		t.Errorf("findings %s", got)
	}
	facts := s.found.all[0].Facts
	if len(facts) != 3 || facts[1] != (event.Fact{Name: "lost-at-most", Value: "5ms"}) {
		t.Errorf("facts %+v", facts)
	}
}

func TestRetention_belowSixMonthsIsSaid(t *testing.T) {
	s := settle(t)
	s.opts.Retain = 183 * 24 * time.Hour
	s.open(t).Close()
	if got := s.found.kinds(); got != "log-retention:true " {
		t.Errorf("findings %s", got)
	}
}
