package dnssec

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/binary"
	"math"
	"math/big"
)

// Bounds on RSA keys. A "parasitic" key makes each signature that names it cost seconds (CVE-2006-2940).
const (
	// maxRSABits: RFC 3110, Section 2 and RFC 5702, Section 2 end there.
	maxRSABits = 4096
	// minRSABits: RFC 5702, Section 2.1. Such a key is factored in hours; that it is weak is for the caller to say.
	minRSABits = 512
	// minRSA512Bits: RFC 5702, Section 2.2, for RSASHA512.
	minRSA512Bits = 1024
	// maxExponentBits: the cost of a verification grows with it. The largest in use is F4, 17 bits; some keys of the first
	// signers have 33.
	maxExponentBits = 35
	// standardRSABits: crypto/rsa refuses keys below; those we verify with math/big, in about the same time.
	standardRSABits = 1024
)

type rsaKey struct {
	modulus  *big.Int
	exponent *big.Int
	size     int            // octets of modulus and signature
	standard *rsa.PublicKey // nil where crypto/rsa does not take the key
	hash     crypto.Hash
	prefix   []byte
}

// What stands before the hash in a PKCS #1 v1.5 signature (RFC 8017, Section 9.2, note 1).
var (
	prefixSHA1   = []byte{0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14}
	prefixSHA256 = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}
	prefixSHA512 = []byte{0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40}
)

// parseRSA: RFC 3110, Section 2: length of the exponent in one octet, or 0 and two octets; exponent; modulus.
func parseRSA(a Algorithm, b []byte) (public, error) {
	if len(b) < 1 {
		return nil, ErrKey
	}
	n := int(b[0])
	b = b[1:]
	if n == 0 {
		if len(b) < 2 {
			return nil, ErrKey
		}
		n, b = int(binary.BigEndian.Uint16(b)), b[2:]
	}
	if n == 0 || n >= len(b) {
		return nil, ErrKey
	}
	exponent, modulus := bytes.TrimLeft(b[:n], "\x00"), bytes.TrimLeft(b[n:], "\x00")
	if len(modulus) > maxRSABits/8 || len(exponent) > (maxExponentBits+7)/8 {
		return nil, ErrKeyLimit
	}
	k := &rsaKey{modulus: new(big.Int).SetBytes(modulus), exponent: new(big.Int).SetBytes(exponent), size: len(modulus)}
	smallest := minRSABits
	switch a {
	case RSASHA256:
		k.hash, k.prefix = crypto.SHA256, prefixSHA256
	case RSASHA512:
		k.hash, k.prefix, smallest = crypto.SHA512, prefixSHA512, minRSA512Bits
	default:
		k.hash, k.prefix = crypto.SHA1, prefixSHA1
	}
	// An even modulus is no product of two large primes, an even exponent or 1 no RSA exponent.
	if k.modulus.Bit(0) == 0 || k.exponent.Bit(0) == 0 || k.exponent.BitLen() < 2 {
		return nil, ErrKey
	}
	if k.modulus.BitLen() < smallest || k.exponent.BitLen() > maxExponentBits {
		return nil, ErrKeyLimit
	}
	if k.modulus.BitLen() >= standardRSABits && k.exponent.Int64() <= math.MaxInt32 {
		k.standard = &rsa.PublicKey{N: k.modulus, E: int(k.exponent.Int64())}
	}
	return k, nil
}

func (k *rsaKey) bits() int { return k.modulus.BitLen() }

func (k *rsaKey) verify(signed, signature []byte) bool {
	h := k.hash.New()
	h.Write(signed)
	var room [64]byte
	sum := h.Sum(room[:0])
	if len(signature) != k.size {
		return false
	}
	if k.standard != nil {
		return rsa.VerifyPKCS1v15(k.standard, k.hash, sum, signature) == nil
	}
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(k.modulus) >= 0 {
		return false
	}
	message := s.Exp(s, k.exponent, k.modulus).FillBytes(make([]byte, k.size))
	return bytes.Equal(message, k.encode(sum))
}

// encode is EMSA-PKCS1-v1_5 (RFC 8017, Section 9.2). The whole is built and compared, so that nothing is left to parse
// (CVE-2006-4339).
func (k *rsaKey) encode(sum []byte) []byte {
	b := bytes.Repeat([]byte{0xFF}, k.size)
	rest := k.size - len(k.prefix) - len(sum)
	if rest < 11 {
		return nil
	}
	b[0], b[1], b[rest-1] = 0, 1, 0
	copy(b[rest:], k.prefix)
	copy(b[rest+len(k.prefix):], sum)
	return b
}
