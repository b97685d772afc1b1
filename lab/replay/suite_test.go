package replay_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"anyu/lab/replay"
)

// A resolver of 100 lines passes what needs no more, and nothing that needs more: the runner neither fails nor passes everything.
func TestSuite_tellsGoodFromBad(t *testing.T) {
	list := files(t)
	var report replay.Report
	var out bytes.Buffer
	report.Out = &out
	passed := map[string]bool{}
	suite := replay.Suite{System: newWalker, Limit: 10 * time.Second}
	suite.Run(context.Background(), list, func(r replay.Result) {
		report.Add(r)
		name := r.File[strings.LastIndexByte(r.File, '/')+1:]
		passed[name] = passed[name] || r.Status == replay.StatusPassed
		if strings.HasPrefix(r.Reason, "panic") {
			t.Errorf("%s: %s\n%s", r.File, r.Reason, r.Detail)
		}
	})
	report.End()
	for _, name := range []string{"fwd.rpl", "fwd_timeout.rpl", "fwd_error.rpl"} {
		if !passed[name] {
			t.Errorf("%s does not pass", name)
		}
	}
	for name := range passed {
		if passed[name] && (strings.HasPrefix(name, "autotrust") || strings.Contains(name, "bogus") || strings.HasPrefix(name, "serve_expired_client")) {
			t.Errorf("%s passes with a resolver that cannot do what it tests", name)
		}
	}
	if c := report.Total(); c.Skipped*5 > len(list) {
		t.Errorf("%d of %d files are skipped", c.Skipped, len(list))
	}
	t.Log(out.String())
}
