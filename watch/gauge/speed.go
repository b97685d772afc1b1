package gauge

import (
	"math/bits"
	"time"
)

// Speed counts durations in log-linear buckets: 16 in each doubling, from 1 us to 134 s. Bucket 0 is what took less,
// the last what took longer. A quantile read from it is wrong by at most 1/16 of itself.
type Speed [speedBuckets]uint64

const (
	speedSub     = 16
	speedOctaves = 27
	speedBuckets = 1 + speedOctaves*speedSub + 1
	speedTop     = int64(time.Microsecond) << speedOctaves
)

// speedBucket is the bucket of a duration in nanoseconds.
func speedBucket(ns int64) int {
	if ns < int64(time.Microsecond) {
		return 0
	}
	if ns >= speedTop {
		return speedBuckets - 1
	}
	u := uint64(ns) * speedSub / uint64(time.Microsecond) // sixteenths of a microsecond: 16 or more
	octave := bits.Len64(u) - 5                           // u is in [16 << octave, 32 << octave)
	return 1 + octave*speedSub + int(u>>octave) - speedSub
}

// speedFloor is the shortest duration of a bucket, in nanoseconds.
func speedFloor(bucket int) float64 {
	if bucket == 0 {
		return 0
	}
	octave, sub := (bucket-1)/speedSub, (bucket-1)%speedSub
	return float64(uint64(speedSub+sub)<<octave) / speedSub * float64(time.Microsecond)
}

// Add counts one duration.
func (s *Speed) Add(d time.Duration) { s[speedBucket(int64(d))]++ }

// Count is how many durations were added.
func (s *Speed) Count() uint64 {
	var n uint64
	for _, c := range s {
		n += c
	}
	return n
}

// Quantile is the duration that the share p of all did not exceed; 0 and false when nothing was added.
func (s *Speed) Quantile(p float64) (time.Duration, bool) {
	total := s.Count()
	if total == 0 {
		return 0, false
	}
	rank := p * float64(total)
	seen := 0.0
	for i, c := range s {
		if c == 0 {
			continue
		}
		if seen+float64(c) >= rank {
			low := speedFloor(i)
			high := low
			if i < speedBuckets-1 {
				high = speedFloor(i + 1)
			}
			return time.Duration(low + (high-low)*(rank-seen)/float64(c)), true
		}
		seen += float64(c)
	}
	return time.Duration(speedTop), true
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
	for i := 1; i < speedBuckets; i++ {
		if (i-1)%(speedSub/2) == 0 {
			bounds = append(bounds, Bound{Seconds: speedFloor(i) / 1e9, Count: seen})
		}
		seen += s[i]
	}
	return bounds
}
