package zone

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"
)

// appendSvcParams writes SvcParams as text; ok is false where they are malformed.
func appendSvcParams(dst, b []byte) (out []byte, ok bool) {
	last := -1
	for len(b) > 0 {
		if len(b) < 4 {
			return dst, false
		}
		key, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if int(key) <= last || 4+n > len(b) {
			return dst, false
		}
		last = int(key)
		dst = append(dst, ' ')
		dst = appendSvcParam(dst, key, b[4:4+n])
		b = b[4+n:]
	}
	return dst, true
}

// appendSvcParam writes one parameter, in the generic form where the value has not the shape of its key.
func appendSvcParam(dst []byte, key uint16, value []byte) []byte {
	if int(key) < len(svcKeyNames) {
		at := len(dst)
		dst = append(dst, svcKeyNames[key]...)
		if key == keyNoDefaultALPN || key == keyOHTTP {
			if len(value) == 0 {
				return dst
			}
		} else if text, ok := svcText(key, value); ok {
			dst = append(dst, '=')
			return appendQuoted(dst, text)
		}
		dst = dst[:at]
	}
	dst = append(dst, "key"...)
	dst = strconv.AppendUint(dst, uint64(key), 10)
	if len(value) == 0 {
		return dst
	}
	return appendQuoted(append(dst, '='), value)
}

// svcText is the inverse of svcValue.
func svcText(key uint16, v []byte) (out []byte, ok bool) {
	if len(v) == 0 {
		return nil, false
	}
	switch key {
	case keyALPN, keyDoCPath:
		for len(v) > 0 {
			n := int(v[0])
			if n == 0 || n+1 > len(v) {
				return nil, false
			}
			for _, c := range v[1 : 1+n] {
				if c == ',' || c == '\\' {
					out = append(out, '\\')
				}
				out = append(out, c)
			}
			if v = v[1+n:]; len(v) > 0 {
				out = append(out, ',')
			}
		}
		return out, true
	case keyECH:
		return base64.StdEncoding.AppendEncode(nil, v), true
	case keyDoHPath:
		return v, true
	}
	size := map[uint16]int{keyMandatory: 2, keyPort: 2, keyIPv4Hint: 4, keyIPv6Hint: 16, keyTLSGroups: 2}[key]
	if len(v)%size != 0 || key == keyPort && len(v) != 2 {
		return nil, false
	}
	for ; len(v) > 0; v = v[size:] {
		if out != nil {
			out = append(out, ',')
		}
		switch key {
		case keyMandatory:
			out = append(out, svcKeyText(binary.BigEndian.Uint16(v))...)
		case keyPort, keyTLSGroups:
			out = strconv.AppendUint(out, uint64(binary.BigEndian.Uint16(v)), 10)
		default:
			addr, _ := netip.AddrFromSlice(v[:size])
			out = addr.AppendTo(out)
		}
	}
	return out, true
}
