package trail_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"anyu/event"
	"anyu/watch/trail"
)

const victimEnv = "ANYU_TRAIL_VICTIM"

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(victimEnv); dir != "" {
		victim(dir)
		return
	}
	os.Exit(m.Run())
}

// victim logs without end and says how many rows are safe.
func victim(dir string) {
	s := &setting{names: event.NewNames()}
	l, err := trail.Open(trail.Options{Dir: dir, Node: "n1", Names: s.names, Findings: &noted{}, SyncEvery: 2 * time.Millisecond, SegmentRows: 3000})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	for n := 0; ; n++ {
		l.Observe(s.question(begin, n))
		l.Flush()
		if n%100 == 0 {
			fmt.Println(l.Kept())
			time.Sleep(time.Millisecond)
		}
	}
}

// kill -9 at some moment, also while segments are made: every acknowledged row is there, and none twice.
func TestKill_losesNoAcknowledgedRow(t *testing.T) {
	for round := range 4 {
		s := settle(t)
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), victimEnv+"="+s.opts.Dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		safe := 0
		lines := bufio.NewScanner(out)
		for end := time.Now().Add(time.Duration(150+77*round) * time.Millisecond); lines.Scan() && (safe == 0 || time.Now().Before(end)); {
			if safe, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(lines.Text())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		l := s.open(t)
		if err := l.Close(); err != nil { // makes the segments
			t.Fatal(err)
		}
		seen := map[int64]bool{}
		filter := trail.Filter{Limit: 10_000}
		for complete := false; !complete; {
			page, err := l.Rows(t.Context(), filter)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Rows {
				if seen[r.Time] {
					t.Fatalf("row of %d twice", r.Time)
				}
				seen[r.Time] = true
			}
			filter.To, complete = page.Since, page.Complete
		}
		if safe == 0 || len(seen) < safe {
			t.Errorf("round %d: %d rows, %d were acknowledged (findings %s)", round, len(seen), safe, strings.TrimSpace(s.found.kinds()))
		}
		t.Logf("round %d: %d acknowledged, %d found", round, safe, len(seen))
	}
}
