package zone

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
)

// SvcParamKeys (RFC 9460, Section 14.3.2; RFC 9461; RFC 9540).
const (
	keyMandatory = iota
	keyALPN
	keyNoDefaultALPN
	keyPort
	keyIPv4Hint
	keyECH
	keyIPv6Hint
	keyDoHPath
	keyOHTTP
	keyTLSGroups
	keyDoCPath
)

var svcKeyNames = []string{"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp",
	"tls-supported-groups", "docpath"}

type svcParam struct {
	key   uint16
	value []byte
}

// svcKey reads the name of a SvcParamKey or key123. RFC 9460, Section 2.1: names are in lower case, numbers without
// leading zeros.
func svcKey(b []byte) (key uint16, named, ok bool) {
	if i := slices.Index(svcKeyNames, string(b)); i >= 0 {
		return uint16(i), true, true
	}
	digits, ok := bytes.CutPrefix(b, []byte("key"))
	if !ok || len(digits) == 0 || digits[0] == '0' && len(digits) > 1 {
		return 0, false, false
	}
	v, ok := parseNumber(digits, 65535)
	return uint16(v), false, ok
}

// svcParams reads SvcParams to the end of the record and appends them in order of their keys (RFC 9460, Section 2.2;
// servers.md 5.1, case 77).
func (p *parser) svcParams(dst []byte) ([]byte, error) {
	var params []svcParam
	for p.tok.kind != tokenEnd {
		param, err := p.svcParam()
		if err != nil {
			return dst, err
		}
		if slices.ContainsFunc(params, func(o svcParam) bool { return o.key == param.key }) {
			return dst, p.errorf("SvcParamKey %s appears twice", svcKeyText(param.key))
		}
		params = append(params, param)
		if err := p.next(); err != nil {
			return dst, err
		}
	}
	slices.SortFunc(params, func(a, b svcParam) int { return int(a.key) - int(b.key) })
	for _, param := range params {
		if param.key == keyMandatory {
			if err := p.svcMandatory(param.value, params); err != nil {
				return dst, err
			}
		}
		dst = binary.BigEndian.AppendUint16(dst, param.key)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(param.value)))
		dst = append(dst, param.value...)
	}
	return dst, nil
}

// RFC 9460, Section 8: every key in the list is in the record, and mandatory itself is not in the list.
func (p *parser) svcMandatory(list []byte, params []svcParam) error {
	for i := 0; i+1 < len(list); i += 2 {
		key := binary.BigEndian.Uint16(list[i:])
		if key == keyMandatory || !slices.ContainsFunc(params, func(o svcParam) bool { return o.key == key }) {
			return p.errorf("mandatory names %s, which is not in the record or may not stand there", svcKeyText(key))
		}
	}
	return nil
}

// svcParam reads the current token as one parameter.
func (p *parser) svcParam() (svcParam, error) {
	if p.tok.kind != tokenWord {
		return svcParam{}, p.errorf("a SvcParam key=value is expected here")
	}
	name, text, hasValue := bytes.Cut(p.tok.text, []byte{'='})
	key, named, ok := svcKey(name)
	if !ok {
		return svcParam{}, p.errorf("%q is not a SvcParamKey", name)
	}
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	raw, err := p.appendUnescaped(nil, text)
	if err != nil {
		return svcParam{}, err
	}
	if named {
		if raw, ok = svcValue(key, raw, hasValue); !ok {
			return svcParam{}, p.errorf("%q is not a value for %s", text, name)
		}
	}
	if len(raw) > maxRData {
		return svcParam{}, p.errorf("the value of %s is longer than 65535 octets", name)
	}
	return svcParam{key, raw}, nil
}

// svcValue turns the text of a value into its wire form.
func svcValue(key uint16, text []byte, hasValue bool) (out []byte, ok bool) {
	switch key {
	case keyNoDefaultALPN, keyOHTTP:
		return nil, !hasValue
	}
	if len(text) == 0 {
		return nil, false
	}
	switch key {
	case keyALPN:
		return svcALPN(text)
	case keyPort:
		v, ok := parseNumber(text, 65535)
		return binary.BigEndian.AppendUint16(nil, uint16(v)), ok
	case keyECH:
		out, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
		return out, err == nil && len(out) > 0
	case keyDoHPath:
		return text, true
	case keyDoCPath:
		return svcALPN(text)
	}
	return svcList(key, text)
}

// svcList reads the values that are lists of things of one size.
func svcList(key uint16, text []byte) (out []byte, ok bool) {
	var keys []uint16
	for item := range bytes.SplitSeq(text, []byte{','}) {
		switch key {
		case keyIPv4Hint:
			addr, ok := parseIPv4(item)
			if !ok {
				return nil, false
			}
			out = append(out, addr[:]...)
		case keyIPv6Hint:
			addr, err := netip.ParseAddr(string(item))
			if err != nil || !addr.Is6() || addr.Zone() != "" {
				return nil, false
			}
			b := addr.As16()
			out = append(out, b[:]...)
		case keyTLSGroups:
			v, ok := parseNumber(item, 65535)
			if !ok {
				return nil, false
			}
			out = binary.BigEndian.AppendUint16(out, uint16(v))
		default: // mandatory
			k, _, ok := svcKey(item)
			if !ok || slices.Contains(keys, k) {
				return nil, false
			}
			keys = append(keys, k)
		}
	}
	slices.Sort(keys) // RFC 9460, Section 8: in ascending order
	for _, k := range keys {
		out = binary.BigEndian.AppendUint16(out, k)
	}
	return out, true
}

// svcALPN reads a list whose items may hold \, and \\ (RFC 9460, Appendix A.1).
func svcALPN(text []byte) (out []byte, ok bool) {
	at := 0
	out = append(out, 0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case ',':
			if !closeItem(out, at) {
				return nil, false
			}
			at = len(out)
			out = append(out, 0)
			continue
		case '\\':
			i++
			if i >= len(text) || text[i] != ',' && text[i] != '\\' {
				return nil, false
			}
			c = text[i]
		}
		out = append(out, c)
	}
	return out, closeItem(out, at)
}

func closeItem(out []byte, at int) bool {
	n := len(out) - at - 1
	out[at] = byte(n)
	return n >= 1 && n <= 255
}

func svcKeyText(key uint16) string {
	if int(key) < len(svcKeyNames) {
		return svcKeyNames[key]
	}
	return "key" + strconv.Itoa(int(key))
}
