package gauge

// sampleRate is how many observations a second go into the lists of who asked most; of more, every n-th does and counts n times. An
// observation costs these lists some 0.9 us (docs/bench/2026-11-24-keep.md), so they take half a hundredth of a core.
const sampleRate = 5_000

// sampler chooses them, at random distances: a client that asks in step with a counter would be seen always or never.
type sampler struct {
	state  uint64
	second int64
	seen   int // in it
	every  int
	left   int // to be passed over
}

func newSampler(state uint64) sampler { return sampler{state: state | 1, every: 1} }

// take tells how often this observation counts: not at all, or for all those that were passed over.
func (s *sampler) take(second int64) uint64 {
	if second != s.second {
		gone := int(max(1, second-s.second))
		s.every = 1 + s.seen/gone/sampleRate
		s.second, s.seen = second, 0
	}
	s.seen++
	if s.seen == 2*sampleRate*s.every {
		s.every *= 2 // a flood began within this second
	}
	if s.every == 1 {
		s.left = 0
		return 1
	}
	if s.left > 0 {
		s.left--
		return 0
	}
	// xorshift64 (Marsaglia 2003)
	s.state ^= s.state << 13
	s.state ^= s.state >> 7
	s.state ^= s.state << 17
	s.left = int(s.state>>33) % (2*s.every - 1) // its mean is every - 1
	return uint64(s.every)
}
