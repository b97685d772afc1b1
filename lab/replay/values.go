package replay

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"anyu/dns/wire"
	"anyu/serve/validate"
)

// check keeps the first error of the option at hand.
func (m *mapper) check(err error) {
	if err != nil && m.bad == nil {
		m.bad = err
	}
}

func (m *mapper) yes(v string) bool {
	switch v {
	case "yes", "on", "true":
		return true
	case "no", "off", "false":
		return false
	}
	m.check(fmt.Errorf("%q is neither yes nor no", v))
	return false
}

func (m *mapper) number(v string, bits int) uint64 {
	n, err := strconv.ParseUint(v, 10, bits)
	m.check(err)
	return n
}

func (m *mapper) name(v string) wire.Name {
	n, err := wire.ParseName(v)
	m.check(err)
	return n
}

func (m *mapper) record(v string) Record {
	r, err := parseRecord(v, lineage{})
	m.check(err)
	return r
}

// addr reads `ip[@port][#name]`.
func (m *mapper) addr(v string) netip.AddrPort {
	v, _, _ = strings.Cut(v, "#")
	host, port, has := strings.Cut(v, "@")
	a, err := netip.ParseAddr(strings.TrimSpace(host))
	m.check(err)
	n := uint64(53)
	if has {
		n = m.number(port, 16)
	}
	return netip.AddrPortFrom(a, uint16(n))
}

// prefix reads a prefix; a single address is one too, and what stands behind the prefix's length does not count.
func (m *mapper) prefix(v string) netip.Prefix {
	if a, err := netip.ParseAddr(v); err == nil {
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, err := netip.ParsePrefix(v)
	m.check(err)
	return p.Masked()
}

func (m *mapper) hex(v string) []byte {
	b, err := hex.DecodeString(v)
	m.check(err)
	return b
}

// nsid reads hex, or text behind "ascii_".
func (m *mapper) nsid(v string) []byte {
	if text, ok := strings.CutPrefix(v, "ascii_"); ok {
		return []byte(text)
	}
	return m.hex(v)
}

// date reads 14 digits as a date in UTC, "-1" as not at all, other digits as seconds since 1970.
func (m *mapper) date(v string) {
	switch {
	case v == "-1":
		m.s.IgnoreDates = true
	case len(v) == 14:
		t, err := time.Parse("20060102150405", v)
		m.check(err)
		m.s.Date = t.Unix()
	default:
		m.s.Date = int64(m.number(v, 62))
	}
}

// anchorsOf reads the trust anchors in a file of the scenario.
func (m *mapper) anchorsOf(file string) (list []Record) {
	for _, r := range m.recordsOf(file) {
		if r.Type == wire.TypeDS || r.Type == wire.TypeDNSKEY {
			list = append(list, r)
		}
	}
	return list
}

// recordsOf reads a master file of the scenario.
func (m *mapper) recordsOf(file string) []Record {
	text, ok := m.s.Files.Read(file)
	if !ok {
		m.check(fmt.Errorf("there is no file %q", file))
		return nil
	}
	list, err := scanZone(string(text), m.s.Files)
	m.check(err)
	return list
}

// hints takes the root servers of a file. A file that the scenario does not make is one of the machine: the built-in hints will do.
func (m *mapper) hints(file string) {
	if _, ok := m.s.Files.Read(file); !ok {
		return
	}
	for _, r := range m.recordsOf(file) {
		if a, ok := netip.AddrFromSlice(r.RData); ok && (r.Type == wire.TypeA || r.Type == wire.TypeAAAA) {
			m.s.Hints = append(m.s.Hints, Hint{Name: r.Name, Addr: netip.AddrPortFrom(a, 53)})
		}
	}
}

// iterations reads pairs of a key's size and the most iterations of NSEC3 with it.
func (m *mapper) iterations(v string) {
	w := strings.Fields(v)
	m.s.Iterations = nil
	for i := 0; i+1 < len(w); i += 2 {
		m.s.Iterations = append(m.s.Iterations, validate.IterationLimit{KeyBits: int(m.number(w[i], 31)), Iterations: int(m.number(w[i+1], 16))})
	}
	if len(w) == 0 || len(w)%2 != 0 {
		m.check(fmt.Errorf("%q is no list of pairs", v))
	}
}
