package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"anyu/dns/dnssec"
	"anyu/lab/internet"
)

// labFlags say which world it is.
type labFlags struct {
	conf            internet.Config
	prefix, prefix6 string
}

func (l *labFlags) define(f *flag.FlagSet) {
	f.Uint64Var(&l.conf.Seed, "seed", 1, "what everything in the simulated Internet comes from")
	f.IntVar(&l.conf.Size, "size", 100_000, "number of second-level zones")
	f.StringVar(&l.prefix, "address", "127.53.0.0/16", "`PREFIX` of the servers' addresses: of 127.0.0.0/8, or one that is routed to this system (ip route add local PREFIX dev lo)")
	f.StringVar(&l.prefix6, "address6", "", "`PREFIX` of IPv6 addresses of the same servers (default: none)")
	f.BoolVar(&l.conf.Healthy, "healthy", false, "break nothing")
}

// world makes it.
func (l *labFlags) world() (*internet.World, error) {
	var err error
	if l.conf.Prefix, err = netip.ParsePrefix(l.prefix); err != nil {
		return nil, fmt.Errorf("--address %s: write a prefix, for example 127.53.0.0/16", l.prefix)
	}
	if l.prefix6 != "" {
		if l.conf.Prefix6, err = netip.ParsePrefix(l.prefix6); err != nil {
			return nil, fmt.Errorf("--address6 %s: write a prefix, for example 2001:db8:53::/112", l.prefix6)
		}
	}
	return internet.Open(l.conf)
}

// runLabUp serves the simulated Internet until it is told to stop.
func runLabUp(args []string, std streams) int {
	var l labFlags
	f := flag.NewFlagSet("anyu lab up", flag.ContinueOnError)
	l.define(f)
	port := f.Uint("port", 53, "of all servers; resolvers that are not anyu know no other than 53")
	files := f.String("files", "anyu-lab", "`DIR` to write root hints and trust anchors to")
	var c internet.ServeConfig
	f.IntVar(&c.Workers, "workers", 2, "sockets and threads")
	f.BoolVar(&c.Fast, "fast", false, "let slow servers reply at once")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) > 0 || *port == 0 || *port > 65535 {
		return fail(std, errors.New("lab up takes flags only; --port is 1 to 65535"))
	}
	w, err := l.world()
	if err != nil {
		return fail(std, err)
	}
	if err := writeLab(w, *files); err != nil {
		return fail(std, err)
	}
	c.Port, c.Log = uint16(*port), slog.New(slog.NewTextHandler(std.err, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := w.Serve(ctx, c)
	if err != nil {
		return fail(std, err)
	}
	defer s.Close()
	conf := w.Config()
	fmt.Fprintf(std.out, "the simulated Internet: seed %d, %d second-level zones, %d servers in %s, port %d\n", conf.Seed, conf.Size, len(w.Servers()), conf.Prefix, s.Port)
	fmt.Fprintf(std.out, "root hints    %s\ntrust anchors %s (BIND: %s)\n", filepath.Join(*files, hintsFile), filepath.Join(*files, anchorsFile), filepath.Join(*files, bindFile))
	fmt.Fprintf(std.out, "its prefix must be exempt from guards: unbound do-not-query-localhost: no; pdns-recursor dont-query=; anyu recursion.permitted: [%s]\n", conf.Prefix)
	fmt.Fprintf(std.out, "names to ask: anyu lab names --seed %d --size %d --count 50000\n", conf.Seed, conf.Size)
	report(ctx, s, std)
	return done
}

// Names of the files that lab up writes.
const (
	hintsFile   = "root.hints"
	anchorsFile = "root.key"
	bindFile    = "bind-anchors.conf"
)

func writeLab(w *internet.World, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing root hints: %w", err)
	}
	for name, text := range map[string]string{hintsFile: w.HintsText(), anchorsFile: w.AnchorsText(), bindFile: w.BINDAnchorsText()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing root hints and trust anchors: %w", err)
		}
	}
	return nil
}

// reportEvery is how often lab up says what it did, while something happens.
const reportEvery = 10 * time.Second

func report(ctx context.Context, s *internet.Service, std streams) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	var last uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			var received uint64
			for _, t := range s.Statistics().Transports {
				received += t.Received
			}
			if received > last {
				fmt.Fprintf(std.out, "%s  %d questions, %.0f a second\n", time.Now().UTC().Format(time.TimeOnly), received, float64(received-last)/reportEvery.Seconds())
			}
			last = received
		}
	}
}

// runLabNames prints names to ask, one a line as dnsperf reads them, or with what must come of them.
func runLabNames(args []string, std streams) int {
	var l labFlags
	f := flag.NewFlagSet("anyu lab names", flag.ContinueOnError)
	l.define(f)
	count := f.Int("count", 50_000, "how many")
	sort := f.String("sort", "usual", "usual: what clients ask; crowd: names that exist by a wildcard, to fill a cache; attack: random names below a few zones")
	truth := f.Bool("truth", false, "add the rcode, security and reason that an honest resolver must come to, and ! where SERVFAIL is as right, ? where AD is not settled")
	not := f.String("without", "", "`ALGORITHMS` (numbers, comma between) that the resolver does not validate, for --truth")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) > 0 {
		return fail(std, fmt.Errorf("lab names takes flags only, not %q", words[0]))
	}
	w, err := l.world()
	if err != nil {
		return fail(std, err)
	}
	without := strings.Split(*not, ",")
	knows := func(a dnssec.Algorithm) bool {
		for _, n := range without {
			if n == fmt.Sprint(uint8(a)) {
				return false
			}
		}
		return a.Supported()
	}
	sorts := map[string]func(int) iter.Seq[internet.Question]{"usual": w.Questions, "crowd": w.Crowd, "attack": w.Attack}
	questions, ok := sorts[*sort]
	if !ok {
		return fail(std, fmt.Errorf("--sort %s: there are usual, crowd and attack", *sort))
	}
	out := bufio.NewWriter(std.out)
	for q := range questions(*count) {
		if !*truth {
			fmt.Fprintf(out, "%s %s\n", q.Name, q.Type)
			continue
		}
		printTruth(out, q, w.Truth(q.Name, q.Type, knows))
	}
	if err := out.Flush(); err != nil {
		return fail(std, fmt.Errorf("printing names: %w", err))
	}
	return done
}

func printTruth(out *bufio.Writer, q internet.Question, t internet.Truth) {
	marks := ""
	if t.Either {
		marks += "!"
	}
	if t.Unsettled {
		marks += "?"
	}
	reason := t.Reason
	if reason == "" {
		reason = "-"
	}
	fmt.Fprintf(out, "%s %s %s%s %s %s\n", q.Name, q.Type, t.Rcode, marks, t.Security, reason)
}
