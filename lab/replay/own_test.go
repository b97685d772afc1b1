package replay_test

import (
	"context"
	"testing"

	"anyu/lab/replay"
)

// The scenarios of testdata/own were written for anyu, from the RFCs: each passes, none is skipped.
func TestReplay_ofOurOwnScenarios(t *testing.T) {
	files, err := replay.Find([]string{"testdata/own"})
	if err != nil {
		t.Fatal(err)
	}
	suite := replay.Suite{System: replay.NewSubject, Limit: replay.DefaultLimit}
	suite.Seed = 1
	suite.Run(context.Background(), files, func(r replay.Result) {
		if r.Status != replay.StatusPassed {
			t.Errorf("%s: %s: %s\n%s", r.File, r.Status, r.Reason, r.Detail)
		}
	})
}
