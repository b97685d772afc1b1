package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"time"

	"anyu/node"
)

// eraseClient has the running node take a client's personal data out of the query log.
func eraseClient(args []string, std streams) int {
	f := flag.NewFlagSet("anyu ledger erase --client PREFIX --reason TEXT", flag.ContinueOnError)
	data := f.String("data", defaultData, "`DIR` of the running node's data folder")
	client := f.String("client", "", "`PREFIX` or address whose client, client_port and ecs are emptied; the rows stay")
	since := f.String("from", "", "only of this `TIME` and later: how far back (30d), or a time (2026-11-01); default: everything kept")
	until := f.String("until", "", "only before this `TIME`; default: now")
	reason := f.String("reason", "", "why: `TEXT` for the ledger, which keeps it for good; do not name the person")
	asJSON := f.Bool("json", false, "print JSON")
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) > 0 || *client == "" || *reason == "" {
		return fail(std, errors.New("ledger erase takes --client PREFIX and --reason TEXT"))
	}
	prefix, err := netip.ParsePrefix(*client)
	if err != nil {
		addr, err := netip.ParseAddr(*client)
		if err != nil {
			return fail(std, fmt.Errorf("--client %s: write an address or a prefix, for example 192.0.2.0/24", *client))
		}
		prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
	}
	words = []string{prefix.Masked().String()}
	now := time.Now()
	for _, text := range []string{*since, *until} {
		at, err := instant(text, now)
		if err != nil {
			return fail(std, err)
		}
		if at.IsZero() {
			words = append(words, "")
		} else {
			words = append(words, at.UTC().Format(time.RFC3339))
		}
	}
	result, err := node.Control(*data, "erase", append(words, *reason)...)
	if errors.Is(err, node.ErrNotRunning) {
		return fail(std, fmt.Errorf("%w: start the node, which alone may rewrite its log", err))
	}
	if err != nil {
		return fail(std, err)
	}
	var erased node.Erased
	if err := json.Unmarshal(result, &erased); err != nil {
		return fail(std, err)
	}
	if *asJSON {
		fmt.Fprintln(std.out, string(result))
		return done
	}
	fmt.Fprintf(std.out, "%d rows in %d segments have no client any more; each segment is an entry of the ledger\n", erased.Rows, erased.Segments)
	if erased.Store {
		fmt.Fprintln(std.out, "ClickHouse does the same on each server, one that is down when it is back")
	}
	fmt.Fprintln(std.out, "not in backups and copies made before, findings, and notes of traces: these are yours to look through")
	return done
}
