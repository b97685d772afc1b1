package scene

import (
	"fmt"
	"slices"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/mirror"
)

// mirror has the local root (RFC 8806) fetched from a server of the root, whole, and tells what came of it.
func (w *world) mirror(address string) string {
	h := w.hosts[w.addr(address)]
	if h == nil || h.root == nil {
		w.fail("%s has no root zone", address)
		return ""
	}
	m := w.machine
	if m.root == nil {
		m.root = mirror.New(wire.Root(), []string{address}, m.validator, 1)
	}
	err := m.root.Offer(w.now, h.root, address, w.anchors)
	m.showRoot(w.now)
	if err != nil {
		return fmt.Sprintf("refused: %v\n", err)
	}
	s := m.root.State(w.now)
	return fmt.Sprintf("taken serial %d from %s until %s\n", s.Serial, s.Source, s.Expires.UTC().Format(time.RFC3339))
}

// showRoot lets resolving use the local root, or not any more.
func (m *machine) showRoot(now int64) {
	if m.root == nil {
		return
	}
	switch z := m.root.Zone(now); {
	case z == m.shown:
	case z == nil:
		m.shown = nil
		m.held.Remove(wire.Root())
	default:
		m.shown = z
		m.held.Put(wire.Root(), z)
	}
}

// digested puts the digest over a signed zone into its ZONEMD record (RFC 8976, Section 3.1) and signs that.
func (s *signing) digested(apex wire.Name, list []record) ([]record, error) {
	z, err := zoneOf(apex, list)
	if err != nil {
		return nil, err
	}
	digest, err := z.Digest(zone.SchemeSimple, zone.DigestSHA384)
	if err != nil {
		return nil, err
	}
	if s.bad["zonemd"] {
		digest[0] ^= 1
	}
	list = slices.DeleteFunc(list, func(r record) bool {
		return r.typ == wire.TypeZONEMD || r.typ == wire.TypeRRSIG && wire.Type(uint16(r.data[0])<<8|uint16(r.data[1])) == wire.TypeZONEMD
	})
	md := s.zonemd(apex, z.Serial(), digest)
	return append(append(list, md), s.signatures(apex, []record{md})...), nil
}

// zonemd: RFC 8976, Section 2.2.
func (s *signing) zonemd(apex wire.Name, serial uint32, digest []byte) record {
	data := []byte{byte(serial >> 24), byte(serial >> 16), byte(serial >> 8), byte(serial), zone.SchemeSimple, zone.DigestSHA384}
	if s.bad["scheme"] {
		data[4] = 240 // of private use: nobody knows it
	}
	return record{apex, wire.TypeZONEMD, 3600, append(data, digest...)}
}
