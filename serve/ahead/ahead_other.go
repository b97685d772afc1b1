//go:build !amd64 && !arm64

package ahead

import "unsafe"

// Line fetches the cache line at p.
func Line(unsafe.Pointer) {}

// Lines fetches four cache lines from p on.
func Lines(unsafe.Pointer) {}
