package dnssec

import (
	"crypto/sha1"
	"encoding/base32"

	"anyu/dns/wire"
)

// HashSize is the length of an NSEC3 hash with the only defined algorithm, SHA-1.
const HashSize = sha1.Size

// NSEC3Hash hashes a name (RFC 5155, Section 5): SHA-1 over the name in lower case and the salt, repeated iterations times
// with the salt. The caller bounds iterations (RFC 9276, Section 3.2).
func NSEC3Hash(name wire.Name, salt []byte, iterations int) [HashSize]byte {
	var room [wire.MaxName + 255]byte
	buf := name.AppendLower(room[:0])
	buf = append(buf, salt...)
	sum := sha1.Sum(buf)
	for range iterations {
		buf = append(append(room[:0], sum[:]...), salt...)
		sum = sha1.Sum(buf)
	}
	return sum
}

// hexEncoding is base32hex in lower case, without padding (RFC 5155, Section 1.3).
var hexEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
