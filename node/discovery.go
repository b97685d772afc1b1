package node

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"anyu/config"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve"
)

// SvcParamKeys of RFC 9460, Section 14.3.2, and RFC 9461, Section 5.
const (
	svcALPN     = 1
	svcPort     = 3
	svcIPv4Hint = 4
	svcIPv6Hint = 6
	svcDoHPath  = 7

	typeSVCB wire.Type = 64
)

// discoveryTTL is how long clients keep what they are told of our doors.
const discoveryTTL = 300

// discoveryZone is resolver.arpa with our encrypted doors at _dns.resolver.arpa (RFC 9462, Section 4). The zone is always there, as one
// that nobody owns (Section 6.4); without doors, or without a name for us, it is empty.
func discoveryZone(c *config.Config) (serve.Zone, error) {
	apex, err := wire.ParseName("resolver.arpa.")
	if err != nil {
		return serve.Zone{}, err
	}
	e := zone.NewEmpty(apex, wire.ClassIN)
	soa := append(append([]byte(nil), apex...), "\x06nobody\x07invalid\x00"...)
	for _, v := range [5]uint32{1, 3600, 1200, 604800, discoveryTTL} {
		soa = binary.BigEndian.AppendUint32(soa, v)
	}
	if err := e.Add(apex, wire.TypeSOA, discoveryTTL, soa); err != nil {
		return serve.Zone{}, err
	}
	if err := e.Add(apex, wire.TypeNS, discoveryTTL, apex); err != nil {
		return serve.Zone{}, err
	}
	doors, err := encryptedDoors(c)
	if err != nil {
		return serve.Zone{}, err
	}
	owner, err := wire.ParseName("_dns.resolver.arpa.")
	if err != nil {
		return serve.Zone{}, err
	}
	for _, rdata := range doors {
		if err := e.Add(owner, typeSVCB, discoveryTTL, rdata); err != nil {
			return serve.Zone{}, fmt.Errorf("describing our encrypted doors: %w", err)
		}
	}
	z, err := e.Done()
	return serve.Zone{Name: apex, Zone: z, Local: true}, err
}

// encryptedDoors are SVCB records, the doors that cost a client least first.
func encryptedDoors(c *config.Config) (list [][]byte, err error) {
	if c.Recursion.Off || c.Recursion.Discovery.Off {
		return nil, nil
	}
	target, err := doorName(c)
	if err != nil || target == nil {
		return nil, err
	}
	// RFC 9461, Section 5: the path as a URI template.
	path := c.Listen.HTTPPath + "{?dns}"
	for _, service := range []struct {
		alpn []string
		at   []netip.AddrPort
		path string
	}{{[]string{"doq"}, c.Listen.QUIC, ""}, {[]string{"dot"}, c.Listen.TLS, ""}, {[]string{"h2", "h3"}, c.Listen.HTTPS, path}} {
		for _, port := range ports(service.at) {
			list = append(list, door(uint16(len(list)+1), target, service.alpn, port, hints(service.at, port), service.path))
		}
	}
	return list, nil
}

// ports are the distinct ones.
func ports(list []netip.AddrPort) (out []uint16) {
	seen := map[uint16]bool{}
	for _, a := range list {
		if !seen[a.Port()] {
			seen[a.Port()] = true
			out = append(out, a.Port())
		}
	}
	return out
}

// hints are the addresses a door has at a port; none where it stands open at all.
func hints(list []netip.AddrPort, port uint16) (out []netip.Addr) {
	for _, a := range list {
		if a.Port() == port && !a.Addr().IsUnspecified() {
			out = append(out, a.Addr())
		}
	}
	return out
}

// door is the RDATA of one SVCB record in ServiceMode, its parameters in order of their keys (RFC 9460, Section 2.2).
func door(priority uint16, target wire.Name, alpn []string, port uint16, at []netip.Addr, path string) []byte {
	b := binary.BigEndian.AppendUint16(nil, priority)
	b = append(b, target...)
	param := func(key uint16, value []byte) {
		if len(value) > 0 {
			b = binary.BigEndian.AppendUint16(b, key)
			b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
			b = append(b, value...)
		}
	}
	var names, four, six []byte
	for _, a := range alpn {
		names = append(append(names, byte(len(a))), a...)
	}
	for _, a := range at {
		if a.Is4() {
			four = append(four, a.AsSlice()...)
		} else {
			six = append(six, a.AsSlice()...)
		}
	}
	param(svcALPN, names)
	param(svcPort, binary.BigEndian.AppendUint16(nil, port))
	param(svcIPv4Hint, four)
	param(svcIPv6Hint, six)
	param(svcDoHPath, []byte(path))
	return b
}

// doorName is what clients are to call us. RFC 9462, Section 4: not ".", since nobody owns the name that was asked for. nil: there is none.
func doorName(c *config.Config) (wire.Name, error) {
	if name := c.Recursion.Discovery.Name; name != "" {
		n, err := wire.ParseName(name)
		return wire.Name(n.AppendLower(nil)), err
	}
	if c.Listen.Certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.Listen.Certificate, c.Listen.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate for its name: %w", err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("reading the certificate for its name: %w", err)
	}
	for _, name := range leaf.DNSNames {
		if n, err := wire.ParseName(name); err == nil && !strings.HasPrefix(name, "*") {
			return wire.Name(n.AppendLower(nil)), nil
		}
	}
	return nil, nil
}

// discover serves resolver.arpa as the configuration says.
func (n *Node) discover(c *config.Config) error {
	z, err := discoveryZone(c)
	if err != nil {
		return err
	}
	n.server.Change(serve.Change{Put: []serve.Zone{z}})
	return nil
}
