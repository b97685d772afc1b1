package chart

import "math"

// axis maps values to heights.
type axis struct {
	low, high float64
	log       bool
	height    float64
	ticks     []float64
}

// at is the vertical place of a value, kept inside of the plot.
func (a *axis) at(v float64) float64 {
	low, high := a.low, a.high
	if a.log {
		v, low, high = math.Log10(max(v, a.low)), math.Log10(low), math.Log10(high)
	}
	share := min(max((v-low)/(high-low), 0), 1)
	return padTop + (1-share)*(a.height-padTop-1)
}

func (c *Chart) axis() axis {
	least, most := math.Inf(1), math.Inf(-1)
	for _, s := range c.Series {
		for _, v := range s.Values {
			if !math.IsNaN(v) {
				least, most = min(least, v), max(most, v)
			}
		}
	}
	a := axis{log: c.Log, height: float64(c.Height)}
	if c.Log {
		a.decades(least, most)
		return a
	}
	a.low, a.high = c.Base, c.Top
	if a.high == 0 {
		a.high = max(most, c.Limit)
	}
	if !(a.high > a.low) { // also where there is no value at all
		a.high = a.low + 1
	}
	room := 2 + c.Height/50 // ticks that find room, about
	step := NiceStep((a.high - a.low) / float64(room))
	if c.Top == 0 {
		a.high = a.low + math.Ceil((a.high-a.low)/step-1e-9)*step
	}
	for i := 0; ; i++ {
		t := a.low + float64(i)*step
		if t > a.high+step*1e-6 {
			return a
		}
		a.ticks = append(a.ticks, t)
	}
}

// decades spans whole powers of ten, two at least.
func (a *axis) decades(least, most float64) {
	if !(least <= most) || most <= 0 {
		least, most = 1e-4, 1e-2
	}
	low, high := math.Floor(math.Log10(max(least, 1e-7))+1e-9), math.Ceil(math.Log10(max(most, 1e-7))-1e-9)
	if high-low < 2 {
		high = low + 2
	}
	a.low, a.high = math.Pow(10, low), math.Pow(10, high)
	for e := low; e <= high; e++ {
		a.ticks = append(a.ticks, math.Pow(10, e))
	}
}

// NiceStep is the least of 1, 2, 5 times a power of ten that is not below v.
func NiceStep(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range [...]float64{1, 2, 5} {
		if m*power >= v*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// RatioBase is where an axis of a ratio near one may begin, so that what is missing to one is seen: 0, 50, 90, 99 or 99.9 %.
func RatioBase(values []float64) float64 {
	least := 1.0
	for _, v := range values {
		if !math.IsNaN(v) {
			least = min(least, v)
		}
	}
	for _, base := range [...]float64{0.99, 0.9, 0.5} {
		if least >= base {
			return base
		}
	}
	return 0
}
