//go:build !unobserved

package event

// observed is false in builds that show what observing costs (bench/udp.sh): -tags unobserved.
const observed = true
