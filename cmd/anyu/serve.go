package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"anyu/config"
	"anyu/node"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// serveFlags are short forms of configuration keys; they win over the file.
type serveFlags struct {
	file, http, data          string
	dns, zones, taps          list
	resolving                 resolverFlags
	workers                   int
	noLimits, noQueryLog, lab bool
	verbose                   bool
}

func (s *serveFlags) define(f *flag.FlagSet) {
	f.StringVar(&s.file, "config", "", "YAML `FILE` to read the configuration from")
	f.Var(&s.dns, "dns", "`ADDR:PORT` to answer on, UDP and TCP (default 127.0.0.1:5300); may be repeated")
	f.StringVar(&s.http, "http", "", "`ADDR:PORT` of the console (default 127.0.0.1:8053), or off")
	f.StringVar(&s.data, "data", "", "`DIR` for history, journals and accounts (default ./anyu-data)")
	f.IntVar(&s.workers, "workers", 0, "number of UDP workers (default: the CPUs the process may use)")
	f.BoolVar(&s.noLimits, "no-limits", false, "switch rate limits off, for measurements")
	f.BoolVar(&s.noQueryLog, "no-query-log", false, "keep no query log, for measurements")
	f.Var(&s.zones, "zone", "`NAME=FILE` of a zone to serve; may be repeated")
	f.Var(&s.taps, "tap", "`NAME=FROM` of another server to watch; FROM is dnstap+unix:PATH, dnstap+tcp:ADDR:PORT, dnstap+tls:ADDR:PORT or capture:INTERFACE; may be repeated")
	s.resolving.define(f)
	f.BoolVar(&s.lab, "lab", false, "serve demonstration zones to simulated clients, so that there is something to see")
	f.BoolVar(&s.verbose, "verbose", false, "log debugging messages too")
}

// apply puts the flags over a configuration.
func (s *serveFlags) apply(c *config.Config) error {
	if s.data != "" {
		c.Data = s.data
	}
	if s.workers != 0 {
		c.Listen.Workers = s.workers
	}
	if len(s.dns) > 0 {
		c.Listen.DNS = nil
		for _, a := range s.dns {
			addr, err := netip.ParseAddrPort(a)
			if err != nil {
				return fmt.Errorf("--dns %s: write address and port, for example 127.0.0.1:53 or [::1]:53", a)
			}
			c.Listen.DNS = append(c.Listen.DNS, addr)
		}
	}
	if s.http == "off" {
		c.Console.Off = true
	} else if s.http != "" {
		addr, err := netip.ParseAddrPort(s.http)
		if err != nil {
			return fmt.Errorf("--http %s: write address and port, for example 127.0.0.1:8053, or off", s.http)
		}
		c.Console.Listen = addr
	}
	if err := s.resolving.apply(c); err != nil {
		return err
	}
	return s.applyZones(c)
}

// applyZones adds the zones of --zone; one with a name that the file has takes its place.
func (s *serveFlags) applyZones(c *config.Config) error {
	for _, z := range s.zones {
		name, file, ok := strings.Cut(z, "=")
		if !ok || name == "" || file == "" {
			return fmt.Errorf("--zone %s: write NAME=FILE, for example --zone example.org=example.org.zone", z)
		}
		kept := c.Zones[:0]
		for _, have := range c.Zones {
			if !sameName(have.Name, name) {
				kept = append(kept, have)
			}
		}
		c.Zones = append(kept, config.Zone{Name: name, File: file})
	}
	if err := s.applyTaps(c); err != nil {
		return err
	}
	c.Default()
	return c.Check()
}

// applyTaps adds those of --tap; one with a name that the file has takes its place.
func (s *serveFlags) applyTaps(c *config.Config) error {
	for _, t := range s.taps {
		name, from, ok := strings.Cut(t, "=")
		if !ok || name == "" || from == "" {
			return fmt.Errorf("--tap %s: write NAME=FROM, for example --tap edge=dnstap+unix:/run/anyu/edge.sock", t)
		}
		c.Taps = slices.DeleteFunc(c.Taps, func(have config.Tap) bool { return have.Name == name })
		c.Taps = append(c.Taps, config.Tap{Name: name, From: from})
	}
	return nil
}

// read gives the configuration of file and flags.
func (s *serveFlags) read() (*config.Config, error) {
	c := new(config.Config)
	if s.file != "" {
		var err error
		if c, err = config.Read(s.file); err != nil {
			return nil, err
		}
	}
	c.Default()
	if err := s.apply(c); err != nil {
		return nil, err
	}
	return c, nil
}

func runServe(args []string, std streams) int {
	var s serveFlags
	f := flag.NewFlagSet("anyu serve", flag.ContinueOnError)
	s.define(f)
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) > 0 {
		return fail(std, fmt.Errorf("serve takes flags only, not %q; zones are given as --zone NAME=FILE", words[0]))
	}
	level := slog.LevelInfo
	if s.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: level}))
	n, err := node.New(node.Options{
		SpareProcessors: os.Getenv("GOMAXPROCS") == "", Read: s.read, NoLimits: s.noLimits, NoQueryLog: s.noQueryLog, Lab: s.lab, Version: fullVersion(), Log: log, Out: std.out,
	})
	if err != nil {
		return fail(std, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	go func() {
		for range reload {
			if err := n.Reload(ctx, "signal", false); err != nil {
				log.Error("reload", "error", err)
			}
		}
	}()
	if err := n.Run(ctx); err != nil {
		return fail(std, err)
	}
	return done
}
