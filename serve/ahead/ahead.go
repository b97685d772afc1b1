//go:build amd64 || arm64

// Package ahead asks the CPU to fetch memory that will be needed, without waiting for it. Go has no words for this. It promises nothing but speed:
// without it every result is the same, and on processors other than amd64 and arm64 it does nothing.
package ahead

import "unsafe"

// Line fetches the cache line at p.
//
//go:noescape
func Line(p unsafe.Pointer)

// Lines fetches four cache lines from p on. They need not all be mapped: a fetch never faults.
//
//go:noescape
func Lines(p unsafe.Pointer)
