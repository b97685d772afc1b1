package internet

import (
	"fmt"
	"net/netip"
	"strings"

	"anyu/dns/wire"
)

// Hint is a root server.
type Hint struct {
	Name      wire.Name
	Addresses []netip.Addr
}

// Hints are the root servers.
func (w *World) Hints() (list []Hint) {
	for _, h := range w.root.hosts {
		hint := Hint{h.name, []netip.Addr{w.address(h.server)}}
		if w.conf.Prefix6.IsValid() {
			hint.Addresses = append(hint.Addresses, w.address6(h.server))
		}
		list = append(list, hint)
	}
	return list
}

// HintsText is the file of root servers that resolvers read, in master file form.
func (w *World) HintsText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "; root servers of the simulated Internet, seed %d, %d zones\n", w.conf.Seed, w.conf.Size)
	for _, h := range w.Hints() {
		fmt.Fprintf(&b, ".\t%d\tIN\tNS\t%s\n", nsTTL, h.Name)
		for _, a := range h.Addresses {
			t := wire.TypeA
			if a.Is6() {
				t = wire.TypeAAAA
			}
			fmt.Fprintf(&b, "%s\t%d\tIN\t%s\t%s\n", h.Name, nsTTL, t, a)
		}
	}
	return b.String()
}

// Anchors is the RDATA of the root's DS records.
func (w *World) Anchors() [][]byte { return [][]byte{w.root.trust()} }

// AnchorsText is the file of trust anchors, DS records in master file form: Unbound's trust-anchor-file, PowerDNS' readTrustAnchorsFromFile,
// Knot Resolver's trust_anchors.add_file and anyu's recursion.validation.anchors read it.
func (w *World) AnchorsText() string {
	var b strings.Builder
	for _, d := range w.Anchors() {
		fmt.Fprintf(&b, ".\t%d\tIN\tDS\t%d %d %d %X\n", dsTTL, int(d[0])<<8|int(d[1]), d[2], d[3], d[4:])
	}
	return b.String()
}

// BINDAnchorsText is the same as a statement of named.conf.
func (w *World) BINDAnchorsText() string {
	var b strings.Builder
	b.WriteString("trust-anchors {\n")
	for _, d := range w.Anchors() {
		fmt.Fprintf(&b, "\t. static-ds %d %d %d \"%X\";\n", int(d[0])<<8|int(d[1]), d[2], d[3], d[4:])
	}
	b.WriteString("};\n")
	return b.String()
}
