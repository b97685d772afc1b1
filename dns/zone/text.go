package zone

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"strconv"
	"time"

	"anyu/dns/wire"
)

// WriteText writes the zone as a master file that Load reads to an equal zone: one record a line, absolute names, the SOA
// first, then canonical order, NSEC3 records last. Equal zones give equal text.
func (z *Zone) WriteText(w io.Writer) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	var line, owner []byte
	write := func(n Node, s RRset) error {
		for it := s.Iter(); it.Next(); {
			line = AppendRecordText(line[:0], Record{Owner: owner, Type: s.typ, TTL: s.ttl, RData: it.RData()}, z.class)
			if _, err := bw.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
	}
	apex := z.ApexNode()
	owner = apex.AppendOwner(owner[:0], z.apex)
	if soa, ok := apex.Set(wire.TypeSOA); ok {
		if err := write(apex, soa); err != nil {
			return err
		}
	}
	for n := range z.All() {
		owner = n.AppendOwner(owner[:0], z.apex)
		for s := range n.Sets() {
			if s.typ == wire.TypeSOA && n.IsApex() {
				continue
			}
			if err := write(n, s); err != nil {
				return err
			}
		}
	}
	return bw.Flush()
}

// AppendRecordText appends one record in presentation form, fields separated by one blank, without a line end.
func AppendRecordText(dst []byte, r Record, class wire.Class) []byte {
	dst = r.Owner.AppendText(dst)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(r.TTL), 10)
	dst = append(append(append(dst, ' '), class.String()...), ' ')
	dst = append(append(dst, r.Type.String()...), ' ')
	return AppendRDataText(dst, r.Type, r.RData, class)
}

// AppendRDataText appends RDATA in presentation form; what has not the shape of its type, and types without one, in the
// form of RFC 3597, Section 5.
func AppendRDataText(dst []byte, t wire.Type, rdata []byte, class wire.Class) []byte {
	at := len(dst)
	out, ok := dst, false
	switch layout := layoutOf(t); {
	case layout == layoutNone, t == wire.TypeA && class == wire.ClassCH, len(rdata) == 0:
	case layout == layoutSpecial:
		out, ok = appendForeignText(dst, t, rdata)
	default:
		out, ok = appendLayoutText(dst, layout, rdata)
	}
	if ok {
		return out
	}
	dst = append(out[:at], '\\', '#', ' ')
	dst = strconv.AppendInt(dst, int64(len(rdata)), 10)
	if len(rdata) > 0 {
		dst = hex.AppendEncode(append(dst, ' '), rdata)
	}
	return dst
}

// appendLayoutText writes RDATA field by field; ok is false where it does not fit the layout.
func appendLayoutText(dst []byte, layout string, b []byte) (out []byte, ok bool) {
	for i := range len(layout) {
		if i > 0 && layout[i] != 'v' && layout[i] != 'm' {
			dst = append(dst, ' ')
		}
		if dst, b, ok = appendField(dst, layout[i], b); !ok {
			return dst, false
		}
	}
	return dst, len(b) == 0
}

// appendField writes the field f from the start of b and returns what follows it.
func appendField(dst []byte, f byte, b []byte) (out, rest []byte, ok bool) {
	if n := fixedSize(f); n > 0 {
		if len(b) < n {
			return dst, b, false
		}
		return appendFixed(dst, f, b[:n]), b[n:], true
	}
	switch f {
	case 'n':
		end := nameEnd(b)
		if end < 0 {
			return dst, b, false
		}
		return wire.Name(b[:end]).AppendText(dst), b[end:], true
	case 's', 'w', 'H', '3':
		if len(b) == 0 || 1+int(b[0]) > len(b) {
			return dst, b, false
		}
		return appendCounted(dst, f, b[1:1+int(b[0])]), b[1+int(b[0]):], true
	case 'S':
		for first := true; len(b) > 0 || first; first = false {
			if len(b) == 0 || 1+int(b[0]) > len(b) {
				return dst, b, false
			}
			if !first {
				dst = append(dst, ' ')
			}
			dst, b = appendQuoted(dst, b[1:1+int(b[0])]), b[1+int(b[0]):]
		}
		return dst, nil, true
	case 'm':
		if !validBitmap(b) {
			return dst, b, false
		}
		bitmapTypes(b, func(t wire.Type) { dst = append(append(dst, ' '), t.String()...) })
		return dst, nil, true
	case 'v':
		dst, ok = appendSvcParams(dst, b)
		return dst, nil, ok
	case 'x':
		return appendQuoted(dst, b), nil, true
	}
	return appendBlob(dst, f, b)
}

// appendBlob writes what goes to the end of the RDATA as one word.
func appendBlob(dst []byte, f byte, b []byte) (out, rest []byte, ok bool) {
	switch {
	case len(b) == 0:
		return append(dst, '-'), nil, f == 'b'
	case f == 'h':
		return hex.AppendEncode(dst, b), nil, true
	case f == 'z':
		return hex.AppendEncode(append(dst, '0', 'x'), b), nil, true
	}
	return base64.StdEncoding.AppendEncode(dst, b), nil, true
}

func fixedSize(f byte) int {
	switch f {
	case '1', 'g', 'y':
		return 1
	case '2', 'T', 'c':
		return 2
	case '4', 't', 'd', 'a':
		return 4
	case '8', 'i', 'E':
		return 8
	case 'e':
		return 6
	case '6':
		return 16
	}
	return 0
}

func appendFixed(dst []byte, f byte, b []byte) []byte {
	switch f {
	case '1', 'g', 'y':
		return strconv.AppendUint(dst, uint64(b[0]), 10)
	case '2', 'c':
		return strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(b)), 10)
	case '4', 't':
		return strconv.AppendUint(dst, uint64(binary.BigEndian.Uint32(b)), 10)
	case '8':
		return strconv.AppendUint(dst, binary.BigEndian.Uint64(b), 10)
	case 'T':
		return append(dst, wire.Type(binary.BigEndian.Uint16(b)).String()...)
	case 'd':
		return time.Unix(int64(binary.BigEndian.Uint32(b)), 0).UTC().AppendFormat(dst, "20060102150405")
	case 'a', '6':
		addr, _ := netip.AddrFromSlice(b)
		return addr.AppendTo(dst)
	}
	width, sep := 1, byte('-')
	if f == 'i' {
		width, sep = 2, ':'
	}
	for i := 0; i < len(b); i += width {
		if i > 0 {
			dst = append(dst, sep)
		}
		dst = hex.AppendEncode(dst, b[i:i+width])
	}
	return dst
}

func appendCounted(dst []byte, f byte, b []byte) []byte {
	switch {
	case f == 'w' && isWord(b):
		return append(dst, b...)
	case f == 's' || f == 'w':
		return appendQuoted(dst, b)
	case len(b) == 0:
		return append(dst, '-')
	case f == '3':
		return appendBase32(dst, b, false)
	}
	return hex.AppendEncode(dst, b)
}

// isWord tells whether b needs no quotes.
func isWord(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7F || charOf[c] != charWord {
			return false
		}
	}
	return len(b) > 0
}

// appendQuoted writes octets as a quoted character string.
func appendQuoted(dst, b []byte) []byte {
	dst = append(dst, '"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c >= 0x7F:
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// nameEnd is the length of the uncompressed name at the start of b, or -1.
func nameEnd(b []byte) int {
	for i := 0; i < len(b) && i < wire.MaxName; i += int(b[i]) + 1 {
		if b[i] == 0 {
			return i + 1
		}
		if b[i] > wire.MaxLabel {
			return -1
		}
	}
	return -1
}

func validBitmap(b []byte) bool {
	for last := -1; len(b) > 0; {
		if len(b) < 2 || int(b[0]) <= last || b[1] < 1 || b[1] > 32 || 2+int(b[1]) > len(b) {
			return false
		}
		last = int(b[0])
		b = b[2+int(b[1]):]
	}
	return true
}
