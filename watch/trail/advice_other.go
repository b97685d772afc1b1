//go:build !linux && !freebsd

package trail

func adviseRandom(int) {}

func adviseSoon(int, int64, int64) {}
