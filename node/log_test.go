package node_test

import (
	"slices"
	"testing"

	"anyu/config"
	"anyu/watch/trail"
)

// What the configuration may leave out of the log is what the log can leave out.
func TestLogColumns_areThoseOfTheLog(t *testing.T) {
	if a, b := config.LogColumns(), trail.Optional(); !slices.Equal(a, b) {
		t.Errorf("configuration: %v\nlog: %v", a, b)
	}
}
