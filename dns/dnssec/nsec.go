package dnssec

import (
	"anyu/dns/wire"
	"anyu/dns/zone"
)

// nsec checks the NSEC record of a name (RFC 4035, Section 2.3).
func (w *worker) nsec(it item) {
	set, ok := it.node.Set(wire.TypeNSEC)
	switch {
	case !w.c.nsec:
		return // not a zone with a chain of NSEC
	case it.bare || it.kind == occluded:
		if ok {
			w.report(zone.Error, "nsec-extra", "an NSEC record at a name without data of the zone")
		}
		return
	case !ok:
		w.report(zone.Error, "nsec-missing", "no NSEC record")
		return
	case set.Len() != 1:
		w.report(zone.Error, "nsec-many", "%d NSEC records", set.Len())
		return
	}
	r := set.First()
	next := nextName(r)
	w.room = append(w.room[:0], w.c.apex...)
	if !it.next.IsZero() {
		w.room = it.next.AppendOwner(w.room[:0], w.c.apex)
	}
	if want := wire.Name(w.room); !next.Equal(want) {
		w.report(zone.Error, "nsec-next", "the NSEC record points to %v, the next name is %v", next, want)
	}
	w.bitmap("nsec", r[len(next):], typesAt(it, wire.TypeNSEC))
	// RFC 9077, Section 3. Signers set it the same everywhere, so the apex speaks for all.
	if ttl := w.c.z.NegativeTTL(); it.node.IsApex() && set.TTL() != ttl {
		w.report(zone.Warn, "nsec-ttl", "the NSEC record has TTL %d: %d is right, the lesser of the SOA's TTL and MINIMUM", set.TTL(), ttl)
	}
}

// nextName is the name that NSEC RDATA begins with.
func nextName(rdata []byte) wire.Name {
	end := 0
	for rdata[end] != 0 {
		end += int(rdata[end]) + 1
	}
	return wire.Name(rdata[:end+1])
}

// typesAt are the types that the bitmap of a name is to show, in order, for a chain of NSEC or of NSEC3. RFC 4035, Section 2.3
// and RFC 5155, Section 7.1: at a cut only what the parent is authoritative for, and NS.
func typesAt(it item, chain wire.Type) (types []wire.Type) {
	signed, shown := chain == wire.TypeNSEC, false
	at := -1 // where RRSIG belongs
	for s := range it.node.Sets() {
		t := s.Type()
		switch {
		case t == wire.TypeRRSIG || t == wire.TypeNSEC3:
			continue
		case it.kind == cut && t != wire.TypeNS && t != wire.TypeDS && t != wire.TypeNSEC:
			continue
		}
		shown = true
		if it.kind != cut || t == wire.TypeDS {
			signed = true
		}
		if t > wire.TypeRRSIG && at < 0 {
			at = len(types)
		}
		types = append(types, t)
	}
	if !shown || !signed {
		return types
	}
	if at < 0 {
		at = len(types)
	}
	return append(types[:at], append([]wire.Type{wire.TypeRRSIG}, types[at:]...)...)
}

// bitmap compares a bitmap with the types it is to show.
func (w *worker) bitmap(code string, b []byte, want []wire.Type) {
	var missing, extra []wire.Type
	i := 0
	each(b, func(t wire.Type) {
		for ; i < len(want) && want[i] < t; i++ {
			missing = append(missing, want[i])
		}
		if i < len(want) && want[i] == t {
			i++
			return
		}
		extra = append(extra, t)
	})
	missing = append(missing, want[i:]...)
	if len(missing) > 0 {
		w.report(zone.Error, code+"-bitmap", "the bitmap does not show %v", missing)
	}
	if len(extra) > 0 {
		w.report(zone.Error, code+"-bitmap", "the bitmap shows %v, not there", extra[:min(len(extra), 16)])
	}
}

// each yields the types of a bitmap of valid form in order (RFC 4034, Section 4.1.2).
func each(b []byte, yield func(wire.Type)) {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		window, n := wire.Type(b[0])<<8, int(b[1])
		for i, octet := range b[2 : 2+n] {
			for bit := range 8 {
				if octet&(0x80>>bit) != 0 {
					yield(window | wire.Type(i*8+bit))
				}
			}
		}
		b = b[2+n:]
	}
}
