// Package unit writes figures for people: a number of few digits and a symbol with an SI prefix.
//
// It promises: the same value gives the same text on every page and in the script's tables; what is not quite one hundred
// percent is never written as such; what is not a number is a dash. It refuses languages: digits and symbols are the same in
// Chinese and English.
package unit

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Unit is what a figure counts.
type Unit uint8

const (
	Count     Unit = iota
	PerSecond      // 1/s
	Ratio          // 0 to 1, written in percent
	Seconds
	Bytes
)

var words = [...]string{"count", "rate", "ratio", "seconds", "bytes"}

// String is the word the script knows the unit by.
func (u Unit) String() string { return words[u] }

// Unknown is written where there is no value.
const Unknown = "–"

// Text is number and symbol together.
func (u Unit) Text(v float64) string {
	number, symbol := u.Split(v)
	if symbol == "" || number == Unknown {
		return number
	}
	return number + "\u202f" + symbol
}

// Round is Text for round values, as they stand on axes and limits: no digits that say nothing.
func (u Unit) Round(v float64) string {
	number, symbol := u.Split(v)
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	if symbol == "" || number == Unknown {
		return number
	}
	return number + "\u202f" + symbol
}

// Split gives the number and its symbol.
func (u Unit) Split(v float64) (number, symbol string) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Unknown, u.bare()
	}
	switch u {
	case PerSecond:
		number, prefix := scale(v)
		return number, prefix + "/s"
	case Ratio:
		return percent(v), "%"
	case Seconds:
		return seconds(v)
	case Bytes:
		number, prefix := scale(v)
		return number, prefix + "B"
	}
	return scale(v)
}

func (u Unit) bare() string { return [...]string{"", "/s", "%", "ms", "B"}[u] }

// scale divides by a power of 1000. Numbers below 10,000 stay whole, so that small counts are exact.
func scale(v float64) (number, prefix string) {
	for _, p := range [...]struct {
		from, divisor float64
		prefix        string
	}{{1e13, 1e12, "T"}, {1e10, 1e9, "G"}, {1e7, 1e6, "M"}, {1e4, 1e3, "k"}} {
		if math.Abs(v) >= p.from*0.99995 {
			return digits(v / p.divisor), p.prefix
		}
	}
	return digits(v), ""
}

// digits writes three significant digits, more before the point where it takes them, and groups of thousands.
func digits(v float64) string {
	decimals := 0
	switch a := math.Abs(v); {
	case a == math.Trunc(a) && a < 1e15:
	case a < 0.995:
		decimals = 2
	case a < 99.95:
		decimals = 1
	}
	return Group(strconv.FormatFloat(v, 'f', decimals, 64))
}

// Group puts commas between thousands.
func Group(number string) string {
	whole, rest, _ := strings.Cut(number, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if rest != "" {
		rest = "." + rest
	}
	return sign + whole + rest
}

// percent has three decimals above 99 %, where they matter; it is cut, not rounded, so that 99.9996 % is not 100 %.
func percent(v float64) string {
	switch {
	case v == 1 || v == 0:
		return strconv.Itoa(int(v * 100))
	case v > 0.99 && v < 1:
		return strconv.FormatFloat(math.Floor(v*1e5)/1e3, 'f', 3, 64)
	case v < 0.0095 && v > 0:
		return strconv.FormatFloat(v*100, 'f', 2, 64)
	}
	return strconv.FormatFloat(v*100, 'f', 1, 64)
}

func seconds(v float64) (number, symbol string) {
	switch a := math.Abs(v); {
	case a == 0:
		return "0", "ms"
	case a < 1e-6:
		return digits(v * 1e9), "ns"
	case a < 1e-3:
		return digits(v * 1e6), "µs"
	case a < 1:
		return digits(v * 1e3), "ms"
	}
	return digits(v), "s"
}

// Span is a length of time in its largest whole unit, as it stands in addresses: 90s, 15m, 24h, 30d.
func Span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d >= time.Hour && d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d >= time.Minute && d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}
