package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost of one hash: 64 MiB and some 50 ms of a core, three passes (RFC 9106, Section 4, second recommended option but one lane).
const (
	memory  = 64 << 10 // KiB
	passes  = 3
	lanes   = 1
	saltLen = 16
	keyLen  = 32

	maxMemory = 1 << 20 // KiB (stops: a file that makes each login take all memory)
	maxPasses = 16
)

// unknown is hashed against where there is no such user. No password matches it.
const unknown = "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

var encoding = base64.RawStdEncoding

// hash makes the text that is kept, in the form other programs use too.
func hash(password string) string {
	var salt [saltLen]byte
	rand.Read(salt[:])
	key := argon2.IDKey([]byte(password), salt[:], passes, memory, lanes, keyLen)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes, encoding.EncodeToString(salt[:]), encoding.EncodeToString(key))
}

// matches compares in constant time. A text it does not understand matches nothing.
func matches(stored, password string) bool {
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || len(password) > maxPassword {
		return false
	}
	var version int
	var m, t uint32
	var p uint8
	if n, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &m, &t, &p); n != 4 || err != nil {
		return false
	}
	if version != argon2.Version || m > maxMemory || t < 1 || t > maxPasses || p < 1 {
		return false
	}
	salt, err := encoding.DecodeString(parts[4])
	if err != nil {
		return false
	}
	want, err := encoding.DecodeString(parts[5])
	if err != nil || len(want) < 16 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, t, m, p, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}
