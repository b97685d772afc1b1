package chart

import "time"

// Tick is a moment on the time axis with its label.
type Tick struct {
	At   time.Time
	Text string
}

const (
	day      = 24 * time.Hour
	maxTicks = 9
)

var tickSteps = [...]time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day, 5 * day, 10 * day,
}

// TimeTicks are round moments of a zone's clock in [from, to), nine at most. The day is told at midnight and at the first one
// where more than half a day is shown.
func TimeTicks(from, to time.Time, zone *time.Location) []Tick {
	if zone == nil {
		zone = time.UTC
	}
	step := tickSteps[len(tickSteps)-1]
	for _, s := range tickSteps {
		if to.Sub(from)/s < maxTicks {
			step = s
			break
		}
	}
	// Midnight of the zone's first day is round in every step.
	local := from.In(zone)
	at := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
	if step > day {
		days := int(step / day)
		at = at.AddDate(0, 0, -((local.YearDay() - 1) % days))
	}
	var ticks []Tick
	for ; at.Before(to) && len(ticks) < 2*maxTicks; at = next(at, step) {
		if at.Before(from) {
			continue
		}
		ticks = append(ticks, Tick{at, label(at, step, len(ticks) == 0 && to.Sub(from) > day/2)})
	}
	return ticks
}

// next keeps to the clock on the wall where it is put forward or back.
func next(at time.Time, step time.Duration) time.Time {
	if step >= day {
		return at.AddDate(0, 0, int(step/day))
	}
	return at.Add(step)
}

func label(at time.Time, step time.Duration, withDay bool) string {
	midnight := at.Hour() == 0 && at.Minute() == 0 && at.Second() == 0
	switch {
	case step >= day || midnight:
		return at.Format("01-02")
	case withDay:
		return at.Format("01-02 15:04")
	case step < time.Minute:
		return at.Format("15:04:05")
	}
	return at.Format("15:04")
}
