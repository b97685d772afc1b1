package zone

import (
	"bytes"
	"slices"

	"anyu/dns/wire"
)

// compareRData orders RDATA of one type canonically (RFC 4034, Section 6.3); 0 means the same record (RFC 4343: names
// compare without case).
func compareRData(t wire.Type, a, b []byte) int {
	switch t {
	case wire.TypeA, wire.TypeAAAA, wire.TypeTXT, wire.TypeDS, wire.TypeDNSKEY, wire.TypeNSEC, wire.TypeNSEC3, wire.TypeTLSA:
		return bytes.Compare(a, b)
	case wire.TypeNS, wire.TypeCNAME, wire.TypePTR, wire.TypeDNAME:
		return compareFolded(a, b)
	}
	if bytes.Equal(a, b) {
		return 0
	}
	return bytes.Compare(wire.AppendCanonical(nil, t, a), wire.AppendCanonical(nil, t, b))
}

// compareFolded is bytes.Compare without ASCII case. The length octets of labels are below the letters.
func compareFolded(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if x, y := wire.Lower(a[i]), wire.Lower(b[i]); x != y {
			if x < y {
				return -1
			}
			return 1
		}
	}
	return len(a) - len(b)
}

// sortRData puts RDATA in canonical order and removes duplicates (RFC 2181, Section 5; servers.md 5.1, case 74).
func sortRData(t wire.Type, rdatas [][]byte) [][]byte {
	if len(rdatas) < 2 {
		return rdatas
	}
	if len(rdatas) == 2 {
		switch c := compareRData(t, rdatas[0], rdatas[1]); {
		case c == 0:
			return rdatas[:1]
		case c > 0:
			rdatas[0], rdatas[1] = rdatas[1], rdatas[0]
		}
		return rdatas
	}
	slices.SortStableFunc(rdatas, func(a, b []byte) int { return compareRData(t, a, b) })
	return slices.CompactFunc(rdatas, func(a, b []byte) bool { return compareRData(t, a, b) == 0 })
}
