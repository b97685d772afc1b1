package main

import (
	"errors"
	"flag"
	"fmt"

	"anyu/config"
	"anyu/node"
)

// runClickHouse prints or makes the tables of the query log in a ClickHouse cluster.
func runClickHouse(args []string, std streams) int {
	f := flag.NewFlagSet("anyu clickhouse tables --config FILE", flag.ContinueOnError)
	file := f.String("config", "", "configuration `FILE` with log.clickhouse (default: the names that it would have)")
	create := f.Bool("create", false, "make the tables on each server of log.clickhouse.addresses, and the columns that are missing")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) != 1 || words[0] != "tables" {
		return fail(std, errors.New("clickhouse takes a command: tables, which prints what makes the tables, or makes them with --create"))
	}
	c := &config.Config{}
	c.Default()
	if *file != "" {
		var err error
		if c, err = config.Read(*file); err != nil {
			return fail(std, err)
		}
	}
	statements, err := node.MakeTables(c, *create)
	if err != nil {
		return fail(std, err)
	}
	if *create {
		fmt.Fprintf(std.out, "the tables are there, on %d servers\n", len(c.Log.ClickHouse.Addresses))
		return done
	}
	for _, s := range statements {
		fmt.Fprintf(std.out, "%s;\n", s)
	}
	return done
}
