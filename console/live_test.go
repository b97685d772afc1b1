package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Where nothing has changed the script is given an empty list to go through, not null.
func TestLive_partsAreAListAlsoWhenThereAreNone(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/live?page=zone&name=bank.lab.", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 4<<20)
	for n := 0; n < 2; {
		if !lines.Scan() {
			t.Fatalf("the stream ended after %d updates: %v", n, lines.Err())
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var u struct{ Parts json.RawMessage }
		if err := json.Unmarshal([]byte(data), &u); err != nil {
			t.Fatal(err)
		}
		if n == 0 && len(u.Parts) < 100 {
			t.Errorf("the first update has %s", u.Parts)
		}
		if n == 1 && string(u.Parts) != "[]" { // lists come each five seconds
			t.Errorf("the second update has %.100s", u.Parts)
		}
		n++
	}
}
