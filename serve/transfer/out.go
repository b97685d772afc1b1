package transfer

import (
	"encoding/binary"
	"fmt"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/reply"
)

// writeAXFR sends a whole zone: the SOA first and last, and between them every record once, glue below cuts and names that
// a cut hides included (RFC 5936, Sections 2.2 and 3.5; servers.md 5.1, cases 67, 68).
func writeAXFR(p *packer, z *zone.Zone) error {
	apex := z.Apex()
	ttl, soa := soaOf(z)
	if err := p.add(apex, wire.TypeSOA, ttl, soa); err != nil {
		return err
	}
	var room [wire.MaxName + 1]byte
	for n := range z.All() {
		owner := wire.Name(n.AppendOwner(room[:0], apex))
		for s := range n.Sets() {
			if s.Type() == wire.TypeSOA && n.IsApex() {
				continue
			}
			for it := s.Iter(); it.Next(); {
				if err := p.add(owner, s.Type(), s.TTL(), it.RData()); err != nil {
					return err
				}
			}
		}
	}
	if err := p.add(apex, wire.TypeSOA, ttl, soa); err != nil {
		return err
	}
	return p.close()
}

// Size is how many octets an AXFR of a zone has that is asked for without EDNS and TSIG: the lengths of its messages, compression
// included, without the two octets before each.
func Size(z *zone.Zone) (int, error) {
	q := wire.Query{Name: z.Apex(), Type: wire.TypeAXFR, Class: wire.ClassIN}
	total := 0
	p := newPacker(&q, reply.OPT{}, nil, func(m []byte) error {
		total += len(m)
		return nil
	})
	defer p.release()
	if err := writeAXFR(p, z); err != nil {
		return 0, fmt.Errorf("measuring a transfer of %s: %w", z.Apex(), err)
	}
	return total, nil
}

// writeSOA sends the SOA alone: "you are up to date", or over UDP "ask over TCP" (RFC 1995, Sections 2 and 4; case 70).
func writeSOA(p *packer, z *zone.Zone) error {
	ttl, soa := soaOf(z)
	if err := p.add(z.Apex(), wire.TypeSOA, ttl, soa); err != nil {
		return err
	}
	return p.close()
}

// writeIXFR sends the steps of a history between two SOA of the newest version (RFC 1995, Section 4). A step holds the old SOA, what
// it removes, the new SOA, what it adds, in this order.
func writeIXFR(p *packer, z *zone.Zone, steps *history) error {
	ttl, soa := soaOf(z)
	if err := p.add(z.Apex(), wire.TypeSOA, ttl, soa); err != nil {
		return err
	}
	if err := steps.each(func(r zone.Record) error { return p.add(r.Owner, r.Type, r.TTL, r.RData) }); err != nil {
		return fmt.Errorf("reading the history: %w", err)
	}
	if err := p.add(z.Apex(), wire.TypeSOA, ttl, soa); err != nil {
		return err
	}
	return p.close()
}

// clientSerial reads the serial in the authority section of an IXFR request, or in the answer section of a NOTIFY: both hold
// the SOA of the zone (RFC 1995, Section 3; RFC 1996, Section 3.7).
func clientSerial(msg []byte, name wire.Name, in wire.Section) (uint32, bool) {
	var p wire.Parser
	if _, err := p.Start(msg); err != nil {
		return 0, false
	}
	for p.Section() == wire.Questions {
		if _, err := p.Question(); err != nil {
			return 0, false
		}
	}
	for p.Section() != wire.Done {
		rr, err := p.RR()
		if err != nil {
			return 0, false
		}
		if rr.Section == in && rr.Type == wire.TypeSOA && rr.Name.Equal(name) {
			return soaSerial(msg, &rr)
		}
	}
	return 0, false
}

// soaSerial reads the serial of a SOA in a message.
func soaSerial(msg []byte, rr *wire.RR) (uint32, bool) {
	var room [2*wire.MaxName + 20]byte
	rdata, err := wire.UnpackRData(msg, wire.TypeSOA, rr.RDataOff, len(rr.RData), room[:0])
	if err != nil {
		return 0, false
	}
	return serialOf(rdata), true
}

// soaTimers is the fixed end of a SOA: serial, refresh, retry, expire, minimum.
const soaTimers = 20

// serialOf reads the serial of valid SOA RDATA.
func serialOf(soa []byte) uint32 { return binary.BigEndian.Uint32(soa[len(soa)-soaTimers:]) }
