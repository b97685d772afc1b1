package gauge

import (
	"math"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// Speed counts durations in the buckets of a DDSketch, 16 in each doubling, from 1 us to 134 s. Bucket 0 is what took less,
// the last what took longer. A quantile read from it is wrong by at most 1/32 of itself.
//
// The bucket is the library's, by its mapping; counting in an array of fixed length costs a seventh of the library's own store, and
// arrays add up (docs/decisions/0002-sketches.md). Quantiles are the library's again.
type Speed [speedBuckets]uint64

const (
	speedSub     = 16
	speedOctaves = 27
	speedBuckets = 1 + speedOctaves*speedSub + 1
	speedTop     = int64(time.Microsecond) << speedOctaves
)

// speedMapping gives microseconds their index. It is not changed.
var speedMapping = newSpeedMapping()

func newSpeedMapping() *mapping.LinearlyInterpolatedMapping {
	m, err := mapping.NewLinearlyInterpolatedMappingWithGamma(math.Exp2(1.0/speedSub), 0)
	if err != nil {
		panic(err) // gamma is a constant greater than 1
	}
	return m
}

// speedBucket is the bucket of a duration in nanoseconds.
func speedBucket(ns int64) int {
	if ns < int64(time.Microsecond) {
		return 0
	}
	if ns >= speedTop {
		return speedBuckets - 1
	}
	return 1 + min(max(speedMapping.Index(float64(ns)/1e3), 0), speedOctaves*speedSub-1)
}

// Add counts one duration.
func (s *Speed) Add(d time.Duration) { s[speedBucket(int64(d))]++ }

func (s *Speed) addStep(step *speedStep) {
	for i, n := range &step.counts {
		s[i] += uint64(n)
	}
}

// Count is how many durations were added.
func (s *Speed) Count() uint64 {
	var n uint64
	for _, c := range s {
		n += c
	}
	return n
}

// Quantiles are the durations that the shares p of all did not exceed; false when nothing was added.
func (s *Speed) Quantiles(p ...float64) ([]time.Duration, bool) {
	counts := store.NewDenseStore()
	for i, n := range s {
		if n > 0 && i > 0 {
			counts.AddWithCount(i-1, float64(n))
		}
	}
	sketch := ddsketch.NewDDSketch(speedMapping, counts, store.NewDenseStore())
	if s[0] > 0 {
		sketch.AddWithCount(0, float64(s[0])) // zero and a positive count are always taken
	}
	values, err := sketch.GetValuesAtQuantiles(p)
	if err != nil {
		return make([]time.Duration, len(p)), false // empty
	}
	all := make([]time.Duration, len(p))
	for i, v := range values {
		all[i] = time.Duration(v * 1e3)
	}
	return all, true
}

// Bound is an upper limit of the classic histogram: how many durations were at most Seconds long.
type Bound struct {
	Seconds float64
	Count   uint64
}

// Bounds are the cumulative counts below 1, 1.5, 2, 3, 4, 6 ... us, up to 100 s: two limits a doubling, which all fall on borders
// of buckets, so that no count is a guess.
func (s *Speed) Bounds() []Bound {
	bounds := make([]Bound, 0, 2*speedOctaves)
	seen := s[0]
	for i := range speedOctaves * speedSub {
		if i%(speedSub/2) == 0 {
			octave, half := i/speedSub, i%speedSub
			bounds = append(bounds, Bound{Seconds: float64(uint64(speedSub+half)<<octave) / speedSub / 1e6, Count: seen})
		}
		seen += s[i+1]
	}
	return bounds
}
