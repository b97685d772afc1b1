package zone

import (
	"math"
	"time"
)

// parseNumber reads decimal digits up to limit.
func parseNumber(b []byte, limit uint64) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := uint64(c - '0')
		if v > (math.MaxUint64-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, v <= limit
}

// parseTTL reads seconds, or a sum of numbers with units as 1h30m.
func parseTTL(b []byte) (uint32, bool) {
	var total, v uint64
	digits, units := false, false
	for _, c := range b {
		var unit uint64
		switch c {
		case 's', 'S':
			unit = 1
		case 'm', 'M':
			unit = 60
		case 'h', 'H':
			unit = 3600
		case 'd', 'D':
			unit = 86400
		case 'w', 'W':
			unit = 604800
		default:
			if c < '0' || c > '9' {
				return 0, false
			}
			if v = v*10 + uint64(c-'0'); v > math.MaxUint32 {
				return 0, false
			}
			digits = true
			continue
		}
		if !digits {
			return 0, false
		}
		total += v * unit
		v, digits, units = 0, false, true
		if total > math.MaxUint32 {
			return 0, false
		}
	}
	if units && digits || !units && !digits {
		return 0, false // 1h30 is not a time: the last unit is missing
	}
	total += v
	return uint32(total), total <= math.MaxUint32
}

// parseTime reads YYYYMMDDHHmmSS, or seconds since 1970 (RFC 4034, Section 3.2).
func parseTime(b []byte) (uint32, bool) {
	if len(b) != 14 {
		v, ok := parseNumber(b, math.MaxUint32)
		return uint32(v), ok && len(b) <= 10
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	two := func(i int) int { return int(b[i]-'0')*10 + int(b[i+1]-'0') }
	year, month, day, hour, minute, second := two(0)*100+two(2), two(4), two(6), two(8), two(10), two(12)
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	// RFC 4034, Section 3.2: the fields are those of a real date. A leap second is let through.
	if month < 1 || month > 12 || t.Month() != time.Month(month) && second != 60 || hour > 23 || minute > 59 || second > 60 || day < 1 || day > 31 {
		return 0, false
	}
	return uint32(t.Unix()), true // RFC 1982 arithmetic: modulo 2^32
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// parseIPv4 reads a dotted quad. Leading zeros are refused: some programs read them as octal.
func parseIPv4(b []byte) (addr [4]byte, ok bool) {
	field, v, digits := 0, 0, 0
	for i := 0; i <= len(b); i++ {
		if i == len(b) || b[i] == '.' {
			if digits == 0 || field > 3 {
				return addr, false
			}
			addr[field] = byte(v)
			field, v, digits = field+1, 0, 0
			continue
		}
		c := b[i]
		if c < '0' || c > '9' || digits > 0 && v == 0 {
			return addr, false
		}
		if v = v*10 + int(c-'0'); v > 255 {
			return addr, false
		}
		digits++
	}
	return addr, field == 4
}
