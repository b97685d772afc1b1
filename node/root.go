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

// rootServers are the addresses of X.root-servers.net as IANA publishes them (2024041801), to start from (RFC 9609, Section 2).
var rootServers = [...]struct{ letter, v4, v6 string }{
	{"a", "198.41.0.4", "2001:503:ba3e::2:30"}, {"b", "170.247.170.2", "2801:1b8:10::b"}, {"c", "192.33.4.12", "2001:500:2::c"},
	{"d", "199.7.91.13", "2001:500:2d::d"}, {"e", "192.203.230.10", "2001:500:a8::e"}, {"f", "192.5.5.241", "2001:500:2f::f"},
	{"g", "192.112.36.4", "2001:500:12::d0d"}, {"h", "198.97.190.53", "2001:500:1::53"}, {"i", "192.36.148.17", "2001:7fe::53"},
	{"j", "192.58.128.30", "2001:503:c27::2:30"}, {"k", "193.0.14.129", "2001:7fd::1"}, {"l", "199.7.83.42", "2001:500:9f::42"},
	{"m", "202.12.27.33", "2001:dc3::35"},
}

// rootAnchors are the keys of the root that IANA publishes at data.iana.org/root-anchors: KSK-2017 and KSK-2024.
const rootAnchors = `. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
`

const portDNS = 53

// builtinHints are the root servers without a file.
func builtinHints() (list []resolve.Host) {
	for _, s := range rootServers {
		name, _ := wire.ParseName(s.letter + ".root-servers.net.")
		list = append(list, resolve.Host{Name: name, Addresses: []netip.AddrPort{
			netip.AddrPortFrom(netip.MustParseAddr(s.v4), portDNS), netip.AddrPortFrom(netip.MustParseAddr(s.v6), portDNS),
		}})
	}
	return list
}

// readHints reads a file of root servers in master file form, as IANA offers it.
func readHints(file string) ([]resolve.Host, error) {
	if file == "" {
		return builtinHints(), nil
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
