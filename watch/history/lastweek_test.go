package history_test

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"anyu/watch/history"
)

// An hour is compared with the same one seven days before; what is not known of that is said, not guessed.
func TestLastWeek_comparesTheSameHour(t *testing.T) {
	_, registry, count := world(t)
	s := history.New(history.Options{Dir: filepath.Join(t.TempDir(), "tsdb"), Registry: registry})
	if _, err := s.LastWeek(t.Context(), time.Now()); err == nil {
		t.Error("an answer before Open")
	}
	if _, _, err := s.Open(time.Now()); err != nil {
		t.Fatal(err)
	}
	defer s.Close(time.Now())
	now := time.Now().Truncate(15 * time.Second)
	fill := func(from, to time.Time, n int) {
		for at := from; !at.After(to); at = at.Add(15 * time.Second) {
			count(at, n)
			if err := s.Append(at); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := now.Add(-7 * 24 * time.Hour)
	fill(before.Add(-20*time.Minute), before, 30)
	if w, err := s.LastWeek(t.Context(), before); err != nil || w.Known != 0 || !math.IsNaN(w.Volume.Before) || math.IsNaN(w.Volume.Now) {
		t.Errorf("nothing is known a week before: %+v %v", w, err)
	}
	fill(now.Add(-time.Hour), now, 60)
	w, err := s.LastWeek(t.Context(), now, `source="self"`)
	if err != nil || w.Known < 19*time.Minute || w.Known > 21*time.Minute {
		t.Fatalf("%+v %v", w, err)
	}
	if w.Volume.Now < 3.9 || w.Volume.Now > 4.1 || w.Volume.Before < 1.8 || w.Volume.Before > 2.1 || w.Success.Now != 1 || w.Success.Before != 1 || w.CPU.Before != 0.25 {
		t.Errorf("%+v", w)
	}
	if w, _ := s.LastWeek(t.Context(), now, `source="nobody"`); !math.IsNaN(w.Volume.Now) {
		t.Errorf("a source that is not there: %+v", w)
	}
}
