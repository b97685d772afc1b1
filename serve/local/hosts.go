package local

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// ttl of records whose file gives none.
const ttl = 3600

// MaxRecords of all local data: what a mistyped path or a $GENERATE may make of a file is refused before memory is gone.
const MaxRecords = 10_000_000

var errTooMany = errors.New("too many records: of all local data together there may be " + fmt.Sprint(MaxRecords))

// Hosts reads a file in the form of /etc/hosts: an address and its names; room is how many records there may be. Errors begin with file:line:column.
func Hosts(r io.Reader, file string, room int) (list []Record, err error) {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		wrong := func(word, format string, args ...any) error {
			return fmt.Errorf("%s:%d:%d: %s", file, n, strings.Index(text, word)+1, fmt.Sprintf(format, args...))
		}
		a, err := netip.ParseAddr(words[0])
		if err != nil {
			return nil, wrong(words[0], "%q is no address", words[0])
		}
		if len(words) == 1 {
			return nil, wrong(words[0], "%s has no name", words[0])
		}
		for _, word := range words[1:] {
			if strings.EqualFold(word, "localhost") || strings.EqualFold(word, "broadcasthost") {
				continue // RFC 6761, Section 6.3
			}
			name, err := wire.ParseName(word)
			if err != nil {
				return nil, wrong(word, "%v", err)
			}
			if list = append(list, address(name, a)); len(list) > room {
				return nil, wrong(word, "%v", errTooMany)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return list, nil
}

func address(name wire.Name, a netip.Addr) Record {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return Record{name, wire.TypeA, ttl, a.AsSlice()}
	}
	return Record{name, wire.TypeAAAA, ttl, a.AsSlice()}
}

// Lines reads records as a zone file has them, names in full; room is how many there may be. Errors begin with file:line:column.
func Lines(scan func(record func(zone.Record), bad func(error) bool) error, file string, room int) (list []Record, err error) {
	var first error
	err = scan(func(r zone.Record) {
		if r.Owner.IsWildcard() && first == nil {
			first = fmt.Errorf("%s: %s is a wildcard: write a rule with redirect", file, r.Owner)
		}
		if len(list) >= room && first == nil {
			first = fmt.Errorf("%s: %w", file, errTooMany)
		}
		if first == nil {
			list = append(list, Record(r.Clone()))
		}
	}, func(bad error) bool {
		first = errors.Join(first, bad)
		return false
	})
	if first != nil {
		return nil, first
	}
	return list, err
}

// Reverse makes the PTR records of addresses that have none. Addresses that stand for no machine are left out, as those of lists of names to be blocked.
func Reverse(list []Record) (made []Record) {
	have := map[string]bool{}
	for _, r := range list {
		if r.Type == wire.TypePTR {
			have[string(r.Owner.AppendLower(nil))] = true
		}
	}
	for _, r := range list {
		a, ok := netip.AddrFromSlice(r.RData)
		if !ok || r.Type != wire.TypeA && r.Type != wire.TypeAAAA || a.IsUnspecified() || a.IsLoopback() {
			continue
		}
		if n := ReverseName(a); !have[string(n)] {
			have[string(n)] = true // the first name of an address is its name
			made = append(made, Record{n, wire.TypePTR, r.TTL, r.Owner})
		}
	}
	return made
}

// ReverseName is where the PTR record of an address stands (RFC 1035, Section 3.5; RFC 3596, Section 2.5).
func ReverseName(a netip.Addr) wire.Name {
	b := a.AsSlice()
	var n wire.Name
	for i := len(b) - 1; i >= 0; i-- {
		if a.Is4() {
			digits := fmt.Sprint(b[i])
			n = append(append(n, byte(len(digits))), digits...)
			continue
		}
		const hex = "0123456789abcdef"
		n = append(n, 1, hex[b[i]&15], 1, hex[b[i]>>4])
	}
	if a.Is4() {
		return append(n, "\x07in-addr\x04arpa\x00"...)
	}
	return append(n, "\x03ip6\x04arpa\x00"...)
}
