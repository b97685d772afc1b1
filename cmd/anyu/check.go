package main

import (
	"errors"
	"flag"
	"fmt"

	"anyu/config"
)

func runCheck(args []string, std streams) int {
	if len(args) == 0 {
		return fail(std, errors.New("check takes `config FILE` or `zone [--syntax] NAME FILE`"))
	}
	switch args[0] {
	case "config":
		return checkConfig(args[1:], std)
	case "zone":
		return checkZone(args[1:], std)
	}
	return fail(std, fmt.Errorf("there is no check %q: there are config and zone", args[0]))
}

func checkConfig(args []string, std streams) int {
	f := flag.NewFlagSet("anyu check config FILE", flag.ContinueOnError)
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) != 1 {
		return fail(std, errors.New("check config takes one FILE"))
	}
	c, err := config.Read(words[0])
	var at *config.Error
	switch {
	case errors.As(err, &at):
		fmt.Fprintln(std.err, err)
		return notRight
	case err != nil:
		return fail(std, err)
	}
	fmt.Fprintf(std.out, "%s: right, %d zones\n", words[0], len(c.Zones))
	return done
}
