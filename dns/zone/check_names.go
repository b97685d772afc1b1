package zone

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"anyu/dns/wire"
)

var (
	inAddr = wire.Name("\x07in-addr\x04arpa\x00")
	ip6    = wire.Name("\x03ip6\x04arpa\x00")
)

// pointer: in the reverse tree PTR records name hosts, but for service discovery (RFC 6763, Section 11).
func (c *checker) pointer(target wire.Name) {
	if !c.owner.IsSubdomainOf(inAddr) && !c.owner.IsSubdomainOf(ip6) || isHostname(target, false) {
		return
	}
	labels := strings.Split(strings.ToLower(c.owner.String()), ".")
	if len(labels) > 3 && labels[1] == "_dns-sd" && labels[2] == "_udp" {
		switch labels[0] {
		case "b", "db", "r", "dr", "lb":
			return
		}
	}
	c.report(c.nameSeverity(), "ptr-name", "the PTR target %v is not a host name", target)
}

// dnsService checks the SVCB record of a DNS server, below _dns (RFC 9461, Sections 4.1 and 5.1): alpn is there, and with an
// HTTP version in it also dohpath.
func (c *checker) dnsService(r []byte) {
	labels := strings.Split(strings.ToLower(c.owner.String()), ".")
	if labels[0] != "_dns" && (len(labels) < 2 || labels[1] != "_dns" || labels[0][:1] != "_") {
		return
	}
	if r[0] == 0 && r[1] == 0 {
		return // AliasMode
	}
	alpn, hasALPN := svcParamOf(r, keyALPN)
	if !hasALPN {
		c.report(Error, "svcb-dns", "an SVCB record for DNS without alpn")
		return
	}
	_, hasPath := svcParamOf(r, keyDoHPath)
	for len(alpn) > 0 {
		n := int(alpn[0])
		if 1+n > len(alpn) {
			c.report(Error, "svcb-dns", "alpn is malformed")
			return
		}
		id := string(alpn[1 : 1+n])
		http := strings.HasPrefix(id, "http/") || len(id) > 1 && id[0] == 'h' && id[1] >= '0' && id[1] <= '9'
		if http && !hasPath {
			c.report(Error, "svcb-dns", "an SVCB record for DNS over HTTPS (%s) without dohpath", id)
			return
		}
		alpn = alpn[1+n:]
	}
}

// svcParamOf finds a SvcParam in SVCB RDATA.
func svcParamOf(r []byte, want uint16) ([]byte, bool) {
	for b := r[2+nameEnd(r[2:]):]; len(b) >= 4; {
		key, n := uint16(b[0])<<8|uint16(b[1]), int(b[2])<<8|int(b[3])
		if key == want {
			return b[4 : 4+n], true
		}
		b = b[4+n:]
	}
	return nil, false
}

// policyAddress checks address triggers of response policy zones: LENGTH.REVERSED-ADDRESS.rpz-ip (draft-vixie-dnsop-dns-rpz,
// Section 4.1). Written in any other than the canonical way they never match.
func (c *checker) policyAddress(n Node) {
	key := n.Key()
	for _, kind := range []string{"rpz-ip", "rpz-client-ip", "rpz-nsip"} {
		rest, ok := bytes.CutPrefix(key, []byte(kind+"\x00"))
		if !ok || len(rest) == 0 {
			continue
		}
		labels := strings.Split(strings.TrimSuffix(string(rest), "\x00"), "\x00")
		if !canonicalTrigger(labels) {
			c.report(Error, "rpz-address", "the address in the name is not written canonically")
		}
	}
}

// canonicalTrigger looks at the labels from the right: the address in its usual order, then the prefix length.
func canonicalTrigger(labels []string) bool {
	n := len(labels) - 1
	length, err := strconv.Atoi(labels[n])
	if n < 1 || err != nil || labels[n] != strconv.Itoa(length) {
		return false
	}
	if n == 4 && length <= 32 && !strings.Contains(strings.Join(labels, "."), "zz") {
		p, err := netip.ParsePrefix(strings.Join(labels[:4], ".") + "/" + labels[n])
		return err == nil && length > 0 && p.Masked() == p
	}
	text := strings.Join(labels[:n], ":")
	text = strings.Replace(text, "zz", "", 1)
	if strings.HasPrefix(text, ":") {
		text = ":" + text
	}
	if strings.HasSuffix(text, ":") {
		text += ":"
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is6() || length < 1 || length > 128 {
		return false
	}
	// The canonical text has zz for the longest run of zeros, as :: in RFC 5952.
	return addr.String() == text && netip.PrefixFrom(addr, length).Masked().Addr() == addr
}
