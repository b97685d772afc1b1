package dnssec

import (
	"crypto/elliptic"
	"crypto/sha512"
	"math/big"

	"github.com/cloudflare/circl/ecc/p384"
)

// p384Key: RFC 6605, Section 4: X and Y. Go's library has no assembler for this curve, and calculates as if the numbers were secret; nothing of a
// verification is. CIRCL's takes half the time, and one such signature costs as much as ten resolutions of a name.
type p384Key struct{ x, y *big.Int }

const p384Size = 48

func parseP384(b []byte) (public, error) {
	if _, err := onCurve(elliptic.P384(), b, p384Size); err != nil {
		return nil, err
	}
	return p384Key{new(big.Int).SetBytes(b[:p384Size]), new(big.Int).SetBytes(b[p384Size:])}, nil
}

func (k p384Key) bits() int { return 8 * p384Size }

// verify: FIPS 186-5, Section 6.4.2.
func (k p384Key) verify(signed, signature []byte) bool {
	if len(signature) != 2*p384Size {
		return false
	}
	curve := p384.P384()
	n := curve.Params().N
	r, s := new(big.Int).SetBytes(signature[:p384Size]), new(big.Int).SetBytes(signature[p384Size:])
	if r.Sign() == 0 || s.Sign() == 0 || r.Cmp(n) >= 0 || s.Cmp(n) >= 0 {
		return false
	}
	sum := sha512.Sum384(signed)
	w := s.ModInverse(s, n)
	u1 := new(big.Int).SetBytes(sum[:])
	u1.Mod(u1.Mul(u1, w), n)
	u2 := w.Mod(w.Mul(r, w), n)
	x, _ := curve.CombinedMult(k.x, k.y, u1.Bytes(), u2.Bytes()) // 0 for the point at infinity, which r is not
	return x.Mod(x, n).Cmp(r) == 0
}
