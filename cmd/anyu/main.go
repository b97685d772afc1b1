// Command anyu runs, watches, defends, inspects and drills a domain name system. One file a subcommand; this one only
// finds the subcommand. Exit status: 0 done, 1 the thing looked at is not right, 2 wrong use or the work could not be done.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// Exit statuses that scripts may rely on.
const (
	done     = 0
	notRight = 1
	failed   = 2
)

// command is one subcommand.
type command struct {
	name, usage, summary string
	run                  func(args []string, std streams) int
}

// streams are where a command reads and writes, so that tests can look.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func commands() []command {
	return []command{
		{"serve", "[flags]", "answer queries, keep figures and logs, show the console", runServe},
		{"check", "config FILE | zone [flags] NAME FILE", "check a configuration or a zone file", runCheck},
		{"query", "NAME [TYPE] [--at SERVER] [--trace] [--dnssec]", "ask a server, or resolve here and show the walk", runQuery},
		{"control", "status | zones | reload | flush NAME | nta ... | recursion", "talk to the running node", runControl},
		{"tap", "[--json] [--quiet] [--to FORMAT --out FILE] FILE|-", "print or convert dnstap, pcap, pcapng and C-DNS", runTap},
		{"user", "add NAME | list | remove NAME", "accounts of the console", runUser},
		{"backup", "DIR", "copy the data folder's state into DIR", runBackup},
		{"restore", "DIR", "put a backup into an empty data folder", runRestore},
		{"trace", "[flags]", "search the query log: rows, tops, evidence packages", runTrace},
		{"ledger", "verify | checkpoint | list | prove ... | check FILE | erase | witness", "prove that what was kept is unaltered", runLedger},
		{"pseudonym", "holder FILE | list | show ... | destroy KEY", "clients of the query log that two people together can show", runPseudonym},
		{"clickhouse", "tables [--config FILE] [--create]", "tables of the query log in ClickHouse", runClickHouse},
		{"lab", "replay FILE|DIR...", "run scenarios in a simulated Internet", runLab},
		{"version", "", "print the version", runVersion},
	}
}

func main() {
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

func run(args []string, std streams) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(std.out)
		if len(args) == 0 {
			return failed
		}
		return done
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(args[1:], std)
		}
	}
	fmt.Fprintf(std.err, "anyu: there is no command %q; `anyu help` lists them\n", args[0])
	return failed
}

func usage(w io.Writer) {
	fmt.Fprint(w, "anyu 安域 runs, watches, defends, inspects and drills a domain name system.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  anyu %-10s %-64s %s\n", c.name, c.usage, c.summary)
	}
	fmt.Fprint(w, "\n`anyu COMMAND --help` lists the flags of a command.\n")
}

// parse reads flags that may stand before and after the other words, which it returns. ok is false when the command is to
// stop with status.
func parse(f *flag.FlagSet, args []string, std streams) (words []string, status int, ok bool) {
	f.SetOutput(std.err)
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, done, false
			}
			return nil, failed, false
		}
		if f.NArg() == 0 {
			return words, done, true
		}
		words = append(words, f.Arg(0))
		args = f.Args()[1:]
	}
}

// fail prints an error and gives the status for it.
func fail(std streams, err error) int {
	fmt.Fprintf(std.err, "anyu: %v\n", err)
	return failed
}
