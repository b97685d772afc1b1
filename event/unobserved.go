//go:build unobserved

package event

const observed = false
