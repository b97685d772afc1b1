package nameserver

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"anyu/dns/wire"
)

// Lameness says in which way a server does not serve a zone it is named for (RFC 4697, Section 2.4).
type Lameness uint8

const (
	Lame          Lameness = iota // not authoritative
	LameA                         // not for type A
	LameOther                     // not for other types (u/iter_lame_aaaa)
	LameRecursive                 // answers from a cache: RA and no AA; usable where nothing else is (u/iter_reclame_one)
	LameDNSSEC                    // a signed zone without its signatures
	lamenesses
)

type zoneKey struct {
	server address
	zone   [16]byte
}

// lameness holds until when each kind counts.
type lameness [lamenesses]int64

func (l *lameness) tell(s *State, now int64) {
	s.LameA, s.LameOther = now < l[LameA], now < l[LameOther]
	s.Lame = now < l[Lame] || s.LameA && s.LameOther
	s.LameRecursive, s.DNSSECLame = now < l[LameRecursive], now < l[LameDNSSEC]
}

// SetLame says that a server does not serve a zone; it is forgotten after Config.TTL.
func (t *Table) SetLame(addr netip.AddrPort, zone wire.Name, kind Lameness, now int64) {
	if kind >= lamenesses {
		return
	}
	a := keyOf(addr)
	s := t.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	l, isNew := s.lame.put(t.zoneKey(a, zone))
	if isNew {
		*l = lameness{}
	}
	l[kind] = now + t.ttl.Load()
}

// zoneKey holds a hash of the zone's name instead of the name: of 128 bits that depend on the seed, so that nobody finds two zones alike.
func (t *Table) zoneKey(a address, zone wire.Name) zoneKey {
	x, y := t.seed^0x243f6a8885a308d3, t.seed^0x13198a2e03707344
	var block [8]byte
	n := 0
	absorb := func() {
		v := binary.LittleEndian.Uint64(block[:])
		hi, lo := bits.Mul64(x^v, 0xa0761d6478bd642f)
		x = hi ^ lo ^ y
		hi, lo = bits.Mul64(bits.RotateLeft64(y, 23)+v, 0xe7037ed1a0b428db)
		y = hi ^ lo + x
		block, n = [8]byte{}, 0
	}
	for _, c := range zone {
		block[n] = wire.Lower(c)
		if n++; n == len(block) {
			absorb()
		}
	}
	block[7] ^= byte(len(zone))
	absorb()
	absorb()
	k := zoneKey{server: a}
	binary.LittleEndian.PutUint64(k.zone[:], x)
	binary.LittleEndian.PutUint64(k.zone[8:], y)
	return k
}
