package console_test

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

var colourLine = regexp.MustCompile(`(--[a-z0-9]+): (#[0-9a-f]{6})`)

// colours are those of the first block of a style sheet.
func colours(css string) map[string]string {
	block := css[strings.Index(css, "--ground"):]
	block = block[:strings.Index(block, "}")]
	all := map[string]string{}
	for _, m := range colourLine.FindAllStringSubmatch(block, -1) {
		all[m[1]] = m[2]
	}
	return all
}

// contrast is that of WCAG 2.2: the ratio of the relative luminances.
func contrast(a, b string) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(colour string) float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			return 0
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
