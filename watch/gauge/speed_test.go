package gauge_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch/gauge"
)

func TestSpeed_quantilesAreWithinAThirtieth(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var s gauge.Speed
	all := make([]time.Duration, 20_000)
	for i := range all {
		all[i] = time.Duration(float64(time.Microsecond) * (1 + rnd.ExpFloat64()*rnd.ExpFloat64()*5000))
		s.Add(all[i])
	}
	slices.Sort(all)
	for _, p := range []float64{0.01, 0.5, 0.95, 0.99, 0.999} {
		got, _ := s.Quantiles(p)
		near(t, "quantile", got[0], all[int(p*float64(len(all)))])
	}
}

func TestSpeed_endsHoldWhatIsBeyond(t *testing.T) {
	var s gauge.Speed
	if _, ok := s.Quantiles(0.5); ok {
		t.Error("a quantile of nothing")
	}
	for _, d := range []time.Duration{0, 999, time.Microsecond, 134 * time.Second, time.Hour, 1<<63 - 1} {
		s.Add(d)
	}
	if s.Count() != 6 {
		t.Errorf("count %d", s.Count())
	}
	if got, _ := s.Quantiles(0, 1); got[0] != 0 || got[1] < 128*time.Second {
		t.Errorf("longest %v", got)
	}
}

func TestBounds_areExact(t *testing.T) {
	var s gauge.Speed
	for _, d := range []time.Duration{500, 1000, 1499, 1500, 1999, 2000, time.Millisecond} {
		s.Add(d)
	}
	want := map[float64]uint64{1e-6: 1, 1.5e-6: 3, 2e-6: 5, 3e-6: 6, 0.000768: 6, 0.001024: 7}
	last := 0.0
	for _, b := range s.Bounds() {
		if b.Seconds <= last {
			t.Errorf("bounds not rising at %v", b.Seconds)
		}
		last = b.Seconds
		for le, n := range want {
			if diff := b.Seconds/le - 1; diff < 1e-9 && diff > -1e-9 && b.Count != n {
				t.Errorf("up to %v: %d, want %d", le, b.Count, n)
			}
		}
	}
	if last < 100 {
		t.Errorf("last bound %v", last)
	}
}

func TestOutcome_ofEachKindOfAnswer(t *testing.T) {
	const all = event.HasReply | event.HasReason
	for _, c := range []struct {
		name string
		q    event.Query
		want gauge.Outcome
	}{
		{"answer", event.Query{Has: all, ReplySize: 40, Reason: event.NoReason}, gauge.Success},
		{"truncated answer", event.Query{Has: all, ReplySize: 40, Flags: 0x8200, Reason: event.NoReason}, gauge.Success},
		{"no such name", event.Query{Has: all, ReplySize: 40, Rcode: 3, Reason: event.NoReason}, gauge.Success},
		{"name too long by DNAME", event.Query{Has: all, ReplySize: 40, Rcode: 6, Reason: event.NoReason}, gauge.Success},
		{"server failure", event.Query{Has: all, ReplySize: 40, Rcode: 2, Reason: event.NoReason}, gauge.Failure},
		{"bogus", event.Query{Has: all, ReplySize: 40, Rcode: 2, Reason: 6}, gauge.Failure},
		{"bogus, asked with CD", event.Query{Has: all, ReplySize: 40, Rcode: 0, Reason: 6}, gauge.Success},
		{"stale", event.Query{Has: all, ReplySize: 40, Reason: 3}, gauge.Success},
		{"zone still loading", event.Query{Has: all, ReplySize: 40, Rcode: 5, Reason: 14}, gauge.Failure},
		{"not our zone", event.Query{Has: all, ReplySize: 40, Rcode: 5, Reason: 20}, gauge.Undeserving},
		{"refused without a reason", event.Query{Has: all, ReplySize: 40, Rcode: 5, Reason: event.NoReason}, gauge.Undeserving},
		{"malformed", event.Query{Has: all, ReplySize: 12, Rcode: 1, From: event.FromError, Reason: event.NoReason}, gauge.Undeserving},
		{"not implemented", event.Query{Has: all, ReplySize: 12, Rcode: 4, Reason: event.NoReason}, gauge.Undeserving},
		{"blocked name", event.Query{Has: all, ReplySize: 40, Rcode: 3, Reason: 15}, gauge.Undeserving},
		{"rate limit slips", event.Query{Has: all, ReplySize: 40, Flags: 0x8200, From: event.FromPolicy, Reason: event.NoReason}, gauge.Undeserving},
		{"rate limit drops", event.Query{Has: all, From: event.FromPolicy, Reason: event.NoReason}, gauge.Undeserving},
		{"garbage dropped", event.Query{Has: all, From: event.FromError, Reason: event.NoReason}, gauge.Undeserving},
		{"timed out", event.Query{Has: all, From: event.FromRecursion, Reason: event.NoReason}, gauge.Failure},
		{"bad cookie", event.Query{Has: all, ReplySize: 40, Rcode: 23, Reason: event.NoReason}, gauge.Undeserving},
		{"odd rcode", event.Query{Has: all, ReplySize: 40, Rcode: 4000, Reason: event.NoReason}, gauge.Failure},
		{"reason nobody knows yet", event.Query{Has: all, ReplySize: 40, Rcode: 2, Reason: 9999}, gauge.Failure},
		{"reason 0 without the bit", event.Query{Has: event.HasReply, ReplySize: 40, Rcode: 0}, gauge.Success},
		{"reply not observed", event.Query{Rcode: 2}, gauge.Unknown},
	} {
		if got := gauge.OutcomeOf(&c.q); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
