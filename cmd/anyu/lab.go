package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/signal"
	"syscall"

	"anyu/lab/replay"
)

// runLab runs what the laboratory offers.
func runLab(args []string, std streams) int {
	if len(args) == 0 {
		return fail(std, errors.New("lab needs a word: replay FILE|DIR..., up, or names"))
	}
	switch args[0] {
	case "replay":
		return runReplay(args[1:], std)
	case "up":
		return runLabUp(args[1:], std)
	case "names":
		return runLabNames(args[1:], std)
	}
	return fail(std, fmt.Errorf("lab has no command %q; there are: replay, up, names", args[0]))
}

// runReplay runs .rpl scenarios against the resolver.
func runReplay(args []string, std streams) int {
	f := flag.NewFlagSet("anyu lab replay", flag.ContinueOnError)
	suite := replay.Suite{System: replay.NewSubject}
	report := replay.Report{Out: std.out}
	f.BoolVar(&report.JSON, "json", false, "one JSON object a line for each file, the counts last")
	f.BoolVar(&report.Family, "family", false, "also count by family, the file names' first word")
	f.BoolVar(&suite.Verbose, "verbose", false, "print all that happens in each run")
	f.BoolVar(&suite.Verbose, "v", false, "the same as --verbose")
	f.BoolVar(&suite.StrictOrder, "strict-order", false, "compare records inside a section in their order")
	f.BoolVar(&suite.ServfailUnmatched, "servfail-unmatched", false, "answer SERVFAIL to questions that an Unbound file does not know")
	f.Uint64Var(&suite.Seed, "seed", 1, "what all chance of the runs comes from")
	f.IntVar(&suite.Workers, "workers", 0, "files at a time; 0: the CPUs")
	f.DurationVar(&suite.Limit, "limit", replay.DefaultLimit, "how long one file may take")
	payload := f.Uint("payload", 0, "UDP size that OPT records of answers must name; 0: any")
	paths, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if *payload > 65535 {
		return fail(std, fmt.Errorf("--payload %d is no UDP size", *payload))
	}
	suite.Payload, report.Verbose = uint16(*payload), suite.Verbose
	if len(paths) == 0 {
		return fail(std, errors.New("lab replay needs a file or a folder"))
	}
	files, err := replay.Find(paths)
	if err != nil {
		return fail(std, err)
	}
	if len(files) == 0 {
		return fail(std, errors.New("there is no .rpl file there"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	suite.Run(ctx, files, report.Add)
	report.End()
	if report.Total().Failed > 0 {
		return notRight
	}
	return done
}
