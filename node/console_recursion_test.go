package node_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"anyu/house/port"
)

// The console shows the resolver of the node as it is.
func TestConsole_showsTheResolver(t *testing.T) {
	at, web := fmt.Sprintf("127.0.0.1:%d", port.Free(t)), fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	silent := fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	n := startAt(t, at, fmt.Sprintf("listen: {dns: [%q]}\nconsole: {listen: %q}\nrecursion:\n  forward: [{name: corp.example, servers: [{address: %q}]}]\n  local_root: {sources: [\"file:/does/not/exist\"]}\n", at, web, silent))
	control(t, n, "nta", "add", "broken.example", "ops", "the key is lost", "1h")
	eventually(t, "the page", func() bool {
		r, err := http.Get("http://" + web + "/recursion?lang=en")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return false
		}
		for _, want := range []string{"forward corp.example.", "broken.example.", "the key is lost", "20326", "38696", "no usable copy", "/does/not/exist", "127.0.0.0/8"} {
			if !strings.Contains(string(b), want) {
				return false
			}
		}
		return true
	})
}
