//go:build !linux && !freebsd

package trail

import "os"

func adviseRandom(*os.File) {}

func adviseSoon(*os.File, int64, int64) {}
