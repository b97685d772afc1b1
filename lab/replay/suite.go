package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Suite runs many files.
type Suite struct {
	Options
	System Factory
	// Workers is how many run at a time; 0 is the CPUs of the process.
	Workers int
	// Limit is how long one file may take; 0 is DefaultLimit. A system that does not come back by then is left behind.
	Limit time.Duration
	// Verbose keeps the trace of each run in its Result.
	Verbose bool
}

// DefaultLimit of one file. All borrowed files together are to take less than two minutes.
const DefaultLimit = 30 * time.Second

// Status of a file.
type Status string

// Statuses.
const (
	StatusPassed  Status = "passed"
	StatusFailed  Status = "failed"
	StatusSkipped Status = "skipped"
)

// Result is what came of one file.
type Result struct {
	File      string        `json:"file"`
	Dialect   string        `json:"dialect,omitempty"`
	Title     string        `json:"title,omitempty"`
	Status    Status        `json:"status"`
	Line      int           `json:"line,omitempty"`
	Step      int           `json:"step,omitempty"`
	Reason    string        `json:"reason,omitempty"`
	Detail    string        `json:"detail,omitempty"`
	Unmatched int           `json:"unmatched,omitempty"`
	Elapsed   time.Duration `json:"elapsed_ns"`
	Trace     []byte        `json:"-"`
}

// Find lists the .rpl files that paths name, folders with all below them, in order and each once.
func Find(paths []string) ([]string, error) {
	var list []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("finding scenarios: %w", err)
		}
		if !info.IsDir() {
			list = append(list, p)
			continue
		}
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".rpl") {
				list = append(list, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("finding scenarios: %w", err)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// Run runs the files, several at a time, and calls report for each in the order of files.
func (s *Suite) Run(ctx context.Context, files []string, report func(Result)) {
	workers := s.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	results := make([]chan Result, len(files))
	for i := range results {
		results[i] = make(chan Result, 1)
	}
	next := make(chan int)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := range next {
				results[i] <- s.file(ctx, files[i])
			}
		})
	}
	group.Go(func() {
		for i := range files {
			next <- i
		}
		close(next)
	})
	for i := range results {
		report(<-results[i])
	}
	group.Wait()
}

// file runs one file within the limit.
func (s *Suite) file(ctx context.Context, file string) Result {
	start := time.Now()
	text, err := os.ReadFile(file)
	if err != nil {
		return Result{File: file, Status: StatusFailed, Reason: err.Error()}
	}
	limit := s.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	done := make(chan Result, 1)
	go func() { done <- s.Scenario(ctx, file, text) }()
	var r Result
	select {
	case r = <-done:
	case <-time.After(limit + limit/10 + time.Second): // the run itself looks at ctx between rounds; this is for one that hangs inside
		r = Result{File: file, Status: StatusFailed, Reason: fmt.Sprintf("the system did not come back within %s", limit)}
	}
	r.Elapsed = time.Since(start)
	return r
}

// Scenario runs one scenario from its text.
func (s *Suite) Scenario(ctx context.Context, file string, text []byte) (r Result) {
	r = Result{File: file, Status: StatusPassed}
	var trace bytes.Buffer
	defer func() {
		if p := recover(); p != nil {
			r.Status, r.Reason, r.Detail = StatusFailed, fmt.Sprintf("panic: %v", p), string(debug.Stack())
		}
		r.Trace = trace.Bytes()
	}()
	sc, err := Parse(file, text)
	if err != nil {
		r.fill(err)
		return r
	}
	r.Dialect, r.Title = sc.Dialect.String(), sc.Title
	opts := s.Options
	if s.Verbose {
		opts.Trace = &trace
	}
	r.Unmatched, err = Run(ctx, sc, s.System, opts)
	r.fill(err)
	return r
}

// fill takes status and reason from what a run ended with.
func (r *Result) fill(err error) {
	var skip *Skip
	var fail *Failure
	var syntax *Error
	switch {
	case err == nil:
	case errors.As(err, &skip):
		r.Status, r.Reason = StatusSkipped, skip.Cause
	case errors.As(err, &fail):
		r.Status, r.Line, r.Step, r.Reason, r.Detail = StatusFailed, fail.Line, fail.Step, fail.Reason, fail.Detail
	case errors.As(err, &syntax):
		r.Status, r.Line, r.Reason = StatusFailed, syntax.Line, syntax.Text
	default:
		r.Status, r.Reason = StatusFailed, err.Error()
	}
}
