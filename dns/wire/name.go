package wire

import (
	"errors"
	"fmt"
)

const (
	MaxName  = 255 // octets of a name with its root label (RFC 1035, Section 2.3.4)
	MaxLabel = 63
)

// Errors of names. Callers branch on none of them: each means the message or the text is malformed.
var (
	ErrShort    = errors.New("message ends inside an item")
	ErrName     = errors.New("name longer than 255 octets")
	ErrLabel    = errors.New("label longer than 63 octets or of an unknown kind")
	ErrPointer  = errors.New("compression pointer does not point backwards")
	ErrTrailing = errors.New("octets after the last record")
)

// Name is a domain name in uncompressed wire form with the root octet, case as it came. The zero Name is invalid; {0} is
// the root.
type Name []byte

// Root is the name of the root zone.
func Root() Name { return Name{0} }

// Labels counts the labels without the root.
func (n Name) Labels() int {
	c := 0
	for i := 0; i < len(n) && n[i] != 0; i += int(n[i]) + 1 {
		c++
	}
	return c
}

// Parent is the name without its first label; the parent of the root is the root. It shares memory with n.
func (n Name) Parent() Name {
	if len(n) == 0 || n[0] == 0 {
		return n
	}
	return n[n[0]+1:]
}

// IsRoot tells whether n is the root.
func (n Name) IsRoot() bool { return len(n) == 1 && n[0] == 0 }

// IsWildcard tells whether the first label is a single asterisk (RFC 4592, Section 2.1.1).
func (n Name) IsWildcard() bool { return len(n) > 2 && n[0] == 1 && n[1] == '*' }

// Equal compares ignoring ASCII case (RFC 4343).
func (n Name) Equal(m Name) bool {
	if len(n) != len(m) {
		return false
	}
	for i := range n {
		if lower[n[i]] != lower[m[i]] {
			return false
		}
	}
	return true
}

// IsSubdomainOf tells whether n is m or below it.
func (n Name) IsSubdomainOf(m Name) bool {
	for len(n) > len(m) && n[0] != 0 {
		n = n[n[0]+1:]
	}
	return n.Equal(m)
}

// AppendLower appends n with ASCII letters in lower case. Length octets are at most 63 and so never letters.
func (n Name) AppendLower(dst []byte) []byte {
	for _, c := range n {
		dst = append(dst, lower[c])
	}
	return dst
}

// lower maps ASCII upper case to lower; an array read is cheaper than two comparisons on the path of an answer.
var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			t[i] = byte(i) + 32
		}
	}
	return
}()

// Lower is c in lower case if it is an ASCII letter.
func Lower(c byte) byte { return lower[c] }

// ValidName checks that b is exactly one uncompressed name.
func ValidName(b []byte) error {
	end, err := skipLabels(b, 0)
	if err != nil {
		return err
	}
	if end != len(b) {
		return ErrTrailing
	}
	return nil
}

// skipLabels returns the offset after an uncompressed name.
func skipLabels(b []byte, off int) (int, error) {
	start := off
	for {
		if off >= len(b) {
			return 0, ErrShort
		}
		l := int(b[off])
		off += l + 1
		if l > MaxLabel {
			return 0, ErrLabel
		}
		if off-start > MaxName {
			return 0, ErrName
		}
		if l == 0 {
			return off, nil
		}
	}
}

// UnpackName appends the name at msg[off:], decompressed, to dst and returns the offset after it in the message.
// RFC 1035, Section 4.1.4: a pointer refers to a prior occurrence, so each must point before the one before it; that
// also bounds the work.
func UnpackName(msg []byte, off int, dst []byte) ([]byte, int, error) {
	begin, next, limit := len(dst), -1, off
	for {
		if off >= len(msg) {
			return dst, 0, ErrShort
		}
		l := int(msg[off])
		switch {
		case l == 0:
			if next < 0 {
				next = off + 1
			}
			return append(dst, 0), next, nil
		case l <= MaxLabel:
			if off+1+l > len(msg) {
				return dst, 0, ErrShort
			}
			if len(dst)-begin+l+2 > MaxName {
				return dst, 0, ErrName
			}
			dst = append(dst, msg[off:off+1+l]...)
			off += l + 1
		case l >= 0xC0:
			if off+1 >= len(msg) {
				return dst, 0, ErrShort
			}
			to := l&0x3F<<8 | int(msg[off+1])
			if to >= limit {
				return dst, 0, ErrPointer
			}
			if next < 0 {
				next = off + 2
			}
			off, limit = to, to
		default:
			return dst, 0, ErrLabel
		}
	}
}

// SkipName returns the offset after the name at msg[off:] without following a pointer.
func SkipName(msg []byte, off int) (int, error) {
	start := off
	for {
		if off >= len(msg) {
			return 0, ErrShort
		}
		l := int(msg[off])
		switch {
		case l == 0:
			return off + 1, nil
		case l <= MaxLabel:
			off += l + 1
			if off-start > MaxName {
				return 0, ErrName
			}
		case l >= 0xC0:
			if off+2 > len(msg) {
				return 0, ErrShort
			}
			return off + 2, nil
		default:
			return 0, ErrLabel
		}
	}
}

// AppendKey appends the sort key of n relative to apex, which n must be at or below: the labels from the right, in lower
// case, each ended by 0; inside a label 0 becomes 1 1 and 1 becomes 1 2, so that bytes.Compare of keys is the canonical
// order (RFC 4034, Section 6.1) and the key of a name is a prefix of the keys below it. The key of the apex is empty.
func AppendKey(dst []byte, n, apex Name) []byte {
	var at [128]uint8
	count, end := 0, len(n)-len(apex)
	for i := 0; i < end && count < len(at); i += int(n[i]) + 1 {
		at[count] = uint8(i)
		count++
	}
	for count--; count >= 0; count-- {
		i := int(at[count])
		for _, c := range n[i+1 : i+1+int(n[i])] {
			if c <= 1 {
				dst = append(dst, 1, c+1)
				continue
			}
			dst = append(dst, lower[c])
		}
		dst = append(dst, 0)
	}
	return dst
}

// AppendNameOfKey appends the name whose key relative to apex is key. It is the inverse of AppendKey but for case.
func AppendNameOfKey(dst, key []byte, apex Name) []byte {
	for end := len(key); end > 0; {
		start := end - 1
		for start > 0 && key[start-1] != 0 {
			start--
		}
		at := len(dst)
		dst = append(dst, 0)
		for i := start; i < end-1; i++ {
			c := key[i]
			if c == 1 {
				i++
				c = key[i] - 1
			}
			dst = append(dst, c)
		}
		dst[at] = byte(len(dst) - at - 1)
		end = start
	}
	return append(dst, apex...)
}

// String is the presentation form with the trailing dot (RFC 1035, Section 5.1; RFC 4343, Section 2.1).
func (n Name) String() string { return string(n.AppendText(nil)) }

// AppendText appends the presentation form with the trailing dot.
func (n Name) AppendText(dst []byte) []byte {
	if len(n) == 0 || n[0] == 0 {
		return append(dst, '.')
	}
	for i := 0; i < len(n) && n[i] != 0; {
		l := int(n[i])
		if i+1+l > len(n) {
			return dst
		}
		for _, c := range n[i+1 : i+1+l] {
			dst = appendLabelOctet(dst, c)
		}
		dst = append(dst, '.')
		i += l + 1
	}
	return dst
}

func appendLabelOctet(dst []byte, c byte) []byte {
	switch {
	case c == '.' || c == '\\' || c == '"' || c == '(' || c == ')' || c == ';' || c == '@' || c == '$':
		return append(dst, '\\', c)
	case c <= ' ' || c >= 0x7F:
		return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
	}
	return append(dst, c)
}

// ParseName reads the presentation form of an absolute name; a missing trailing dot is taken as written.
func ParseName(text string) (Name, error) {
	n, err := AppendNameText(nil, text)
	return n, err
}

// AppendNameText appends the wire form of an absolute name in presentation form.
func AppendNameText(dst []byte, text string) ([]byte, error) {
	if text == "" {
		return dst, errors.New("empty name")
	}
	begin := len(dst)
	if text == "." {
		return append(dst, 0), nil
	}
	label := len(dst)
	dst = append(dst, 0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '.' {
			l := len(dst) - label - 1
			if l == 0 || l > MaxLabel {
				return dst, fmt.Errorf("label at column %d of %q is empty or over 63 octets", i+1, text)
			}
			dst[label] = byte(l)
			label = len(dst)
			dst = append(dst, 0)
			continue
		}
		if c == '\\' {
			v, width, err := unescape(text[i:])
			if err != nil {
				return dst, fmt.Errorf("name %q: %w", text, err)
			}
			c, i = v, i+width-1
		}
		dst = append(dst, c)
	}
	if l := len(dst) - label - 1; l > 0 {
		if l > MaxLabel {
			return dst, fmt.Errorf("name %q: %w", text, ErrLabel)
		}
		dst[label] = byte(l)
		dst = append(dst, 0)
	}
	if len(dst)-begin > MaxName {
		return dst, fmt.Errorf("name %q: %w", text, ErrName)
	}
	return dst, nil
}

// unescape reads \X or \DDD at the start of s.
func unescape(s string) (c byte, width int, err error) {
	if len(s) < 2 {
		return 0, 0, errors.New("backslash at the end")
	}
	if s[1] < '0' || s[1] > '9' {
		return s[1], 2, nil
	}
	if len(s) < 4 || s[2] < '0' || s[2] > '9' || s[3] < '0' || s[3] > '9' {
		return 0, 0, errors.New(`\DDD takes three digits`)
	}
	v := int(s[1]-'0')*100 + int(s[2]-'0')*10 + int(s[3]-'0')
	if v > 255 {
		return 0, 0, errors.New(`\DDD is over 255`)
	}
	return byte(v), 4, nil
}
