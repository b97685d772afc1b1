// Command failed reads what `go test -json` says and prints the packages in which something failed, after what they said. CI runs these once more.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
}

func main() {
	output := map[string][]string{}
	var failed []string
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch {
		case e.Action == "output":
			output[e.Package] = append(output[e.Package], e.Output)
		case e.Action == "build-output":
			fmt.Fprint(os.Stderr, e.Output)
		case e.Action == "fail" && e.Test == "" && !slices.Contains(failed, e.Package):
			failed = append(failed, e.Package)
		}
	}
	for _, p := range failed {
		for _, line := range output[p] {
			fmt.Fprint(os.Stderr, line)
		}
		fmt.Println(p)
	}
}
