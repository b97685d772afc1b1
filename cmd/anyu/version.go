package main

import (
	"fmt"
	"runtime/debug"
)

// version is the release; the commit is appended where the build knows it.
const version = "0.1.0"

func runVersion(_ []string, std streams) int {
	fmt.Fprintln(std.out, "anyu "+fullVersion())
	return done
}

func fullVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return version + "-" + s.Value[:12]
		}
	}
	return version
}
