// Package detect concludes from observations: one detector, one file, one folder of scenarios.
//
// It promises that a detector is pure (time comes as an argument, findings go out through a function), that its memory
// is bounded whatever clients ask, and that it explains itself: a Finding carries the figures it rests on.
// It refuses to act: a Finding is all that comes out.
// Limits today: one detector, nx-share. Detectors begin without a baseline after a restart.
package detect

import "strconv"

// percent prints a share for people, with one decimal.
func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }
