package dnssec

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/emmansun/gmsm/sm2"
)

// p256Key: RFC 6605, Section 4: X and Y. The point must be on the curve.
type p256Key struct{ key *ecdsa.PublicKey }

const p256Size = 32

func parseP256(b []byte) (public, error) {
	key, err := onCurve(elliptic.P256(), b, p256Size)
	if err != nil {
		return nil, err
	}
	return p256Key{key}, nil
}

// onCurve reads a point of two coordinates.
func onCurve(curve elliptic.Curve, b []byte, size int) (*ecdsa.PublicKey, error) {
	if len(b) != 2*size {
		return nil, ErrKey
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, uncompressed(b))
	if err != nil {
		return nil, ErrKey
	}
	return key, nil
}

// uncompressed is the form of SEC 1, Section 2.3.3, which DNSSEC leaves the first octet of away.
func uncompressed(b []byte) []byte { return append([]byte{4}, b...) }

func (k p256Key) bits() int { return 8 * p256Size }

func (k p256Key) verify(signed, signature []byte) bool {
	if len(signature) != 2*p256Size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:p256Size]), new(big.Int).SetBytes(signature[p256Size:])
	sum := sha256.Sum256(signed)
	return ecdsa.Verify(k.key, sum[:], r, s)
}

// ed25519Key: RFC 8080, Section 3.
type ed25519Key ed25519.PublicKey

func parseEd25519(b []byte) (public, error) {
	if len(b) != ed25519.PublicKeySize {
		return nil, ErrKey
	}
	return ed25519Key(append([]byte(nil), b...)), nil
}

func (k ed25519Key) bits() int { return 256 }

func (k ed25519Key) verify(signed, signature []byte) bool {
	return len(signature) == ed25519.SignatureSize && ed25519.Verify(ed25519.PublicKey(k), signed, signature)
}

// ed448Key: RFC 8080, Section 3. The context is empty (Section 4).
type ed448Key ed448.PublicKey

func parseEd448(b []byte) (public, error) {
	if len(b) != ed448.PublicKeySize {
		return nil, ErrKey
	}
	return ed448Key(append([]byte(nil), b...)), nil
}

func (k ed448Key) bits() int { return 456 }

func (k ed448Key) verify(signed, signature []byte) bool {
	return len(signature) == ed448.SignatureSize && ed448.Verify(ed448.PublicKey(k), signed, signature, "")
}

// sm2Key: RFC 9563, Section 3: X and Y, signatures R and S, the default identifier of GM/T 0009.
type sm2Key struct{ key *ecdsa.PublicKey }

const sm2Size = 32

func parseSM2(b []byte) (public, error) {
	if len(b) != 2*sm2Size {
		return nil, ErrKey
	}
	key, err := sm2.NewPublicKey(uncompressed(b))
	if err != nil {
		return nil, ErrKey
	}
	return sm2Key{key}, nil
}

func (k sm2Key) bits() int { return 256 }

func (k sm2Key) verify(signed, signature []byte) bool {
	if len(signature) != 2*sm2Size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:sm2Size]), new(big.Int).SetBytes(signature[sm2Size:])
	return sm2.VerifyWithSM2(k.key, nil, signed, r, s)
}
