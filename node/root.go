package node

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/resolve"
	"anyu/serve/validate"
	"anyu/serve/validate/anchor"
)

// rootAnchors are the keys of the root that IANA publishes at data.iana.org/root-anchors: KSK-2017 and KSK-2024.
const rootAnchors = `. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
`

const portDNS = 53

// readHints reads a file of root servers in master file form, as IANA offers it.
func readHints(file string) ([]resolve.Host, error) {
	if file == "" {
		return resolve.RootServers(), nil
	}
	addresses := map[string][]netip.AddrPort{}
	var names []wire.Name
	err := zone.Scan(context.Background(), zone.LoadOptions{Name: wire.Root(), File: file, Workers: 1, Open: openFile}, func(r zone.Record) {
		switch r.Type {
		case wire.TypeNS:
			if len(r.Owner) == 1 {
				names = append(names, wire.Name(string(r.RData)))
			}
		case wire.TypeA, wire.TypeAAAA:
			if a, ok := netip.AddrFromSlice(r.RData); ok {
				key := canonical(r.Owner)
				addresses[key] = append(addresses[key], netip.AddrPortFrom(a, portDNS))
			}
		}
	}, func(error) bool { return false })
	if err != nil {
		return nil, fmt.Errorf("recursion.hints: %w", err)
	}
	var list []resolve.Host
	for _, n := range names {
		if a := addresses[canonical(n)]; len(a) > 0 {
			list = append(list, resolve.Host{Name: n, Addresses: a})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("recursion.hints: %s names no root server with an address", file)
	}
	return list, nil
}

func openFile(name string) (io.ReadCloser, error) { return os.Open(name) }

// readAnchors gives the trust anchors of built-in root keys and files, by zone in lower case.
func readAnchors(files []string) (map[string][]validate.Anchor, error) {
	zones := map[string][]validate.Anchor{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("recursion.validation.anchors: %w", err)
		}
		text, err := io.ReadAll(io.LimitReader(f, anchor.MaxFile+1))
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("recursion.validation.anchors: %w", err)
		}
		list, err := anchor.Read(string(text))
		if err != nil {
			return nil, fmt.Errorf("recursion.validation.anchors: %s: %w", file, err)
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("recursion.validation.anchors: %s holds no DS or DNSKEY record", file)
		}
		for _, a := range list {
			key := canonical(a.Zone)
			zones[key] = append(zones[key], a)
		}
	}
	if zones["."] == nil {
		list, err := anchor.Read(rootAnchors)
		if err != nil {
			return nil, fmt.Errorf("the built-in trust anchors: %w", err)
		}
		zones["."] = list
	}
	return zones, nil
}

// anchorText writes anchors in master file form.
func anchorText(list []validate.Anchor) string {
	var b strings.Builder
	for _, a := range list {
		b.Write(zone.AppendRecordText(nil, zone.Record{Owner: a.Zone, Type: a.Type, TTL: 0, RData: a.Data}, wire.ClassIN))
		b.WriteByte('\n')
	}
	return b.String()
}
