package unit_test

import (
	"math"
	"testing"
	"time"

	"anyu/console/unit"
)

func TestText_isShortAndHonest(t *testing.T) {
	for _, c := range []struct {
		unit unit.Unit
		v    float64
		want string
	}{
		{unit.Ratio, 1, "100\u202f%"}, {unit.Ratio, 0.999999, "99.999\u202f%"}, {unit.Ratio, 0.99982, "99.982\u202f%"}, {unit.Ratio, 0.5, "50.0\u202f%"},
		{unit.Ratio, 0, "0\u202f%"}, {unit.Ratio, 0.0001, "0.01\u202f%"},
		{unit.PerSecond, 0, "0\u202f/s"}, {unit.PerSecond, 4.26, "4.3\u202f/s"}, {unit.PerSecond, 0.25, "0.25\u202f/s"}, {unit.PerSecond, 318.4, "318\u202f/s"},
		{unit.PerSecond, 9999, "9,999\u202f/s"}, {unit.PerSecond, 12345, "12.3\u202fk/s"}, {unit.PerSecond, 12.4e6, "12.4\u202fM/s"},
		{unit.Seconds, 0.0000123, "12.3\u202fµs"}, {unit.Seconds, 0.018, "18\u202fms"}, {unit.Seconds, 2.5, "2.5\u202fs"}, {unit.Seconds, 0, "0\u202fms"},
		{unit.Bytes, 381e6, "381\u202fMB"}, {unit.Bytes, 5e6, "5,000\u202fkB"}, {unit.Count, 1204, "1,204"}, {unit.Count, 1204567, "1,205\u202fk"},
		{unit.PerSecond, math.NaN(), "–"},
	} {
		if got := c.unit.Text(c.v); got != c.want {
			t.Errorf("%v of %v is %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestSpan_isAsInAddresses(t *testing.T) {
	for d, want := range map[time.Duration]string{90 * time.Second: "90s", 15 * time.Minute: "15m", 24 * time.Hour: "24h", 30 * 24 * time.Hour: "30d", 90 * time.Minute: "90m"} {
		if got := unit.Span(d); got != want {
			t.Errorf("%v is %q", d, got)
		}
	}
}
