package dnssec

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"math/big"
	"testing"
)

// What p384Key says must be what crypto/ecdsa says, for good signatures and for all that are wrong on purpose.
func TestP384_sameAsStandardLibrary(t *testing.T) {
	curve := elliptic.P384()
	n := curve.Params().N
	message := []byte("signed")
	sum := sha512.Sum384(message)
	one, two := big.NewInt(1), big.NewInt(2)
	secrets := []*big.Int{one, two, new(big.Int).Sub(n, one), new(big.Int).Sub(n, two)} // the base point itself, its double, and their opposites
	for range 40 {
		k, err := rand.Int(rand.Reader, n)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, k)
	}
	held := 0
	for _, d := range secrets {
		if d.Sign() == 0 {
			continue
		}
		raw := d.FillBytes(make([]byte, p384Size))
		secret, err := ecdsa.ParseRawPrivateKey(curve, raw)
		if err != nil {
			t.Fatal(err)
		}
		octets, err := secret.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		key, err := parseP384(octets[1:])
		if err != nil {
			t.Fatal(err)
		}
		r, s, err := ecdsa.Sign(rand.Reader, secret, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		for _, sig := range variants(n, r, s) {
			want := ecdsa.Verify(&secret.PublicKey, sum[:], sig[0], sig[1])
			got := key.verify(message, append(sig[0].FillBytes(make([]byte, p384Size)), sig[1].FillBytes(make([]byte, p384Size))...))
			if got != want {
				t.Fatalf("secret %x, r %x, s %x: %v, crypto/ecdsa says %v", d, sig[0], sig[1], got, want)
			}
			if got {
				held++
			}
		}
	}
	if held < len(secrets) {
		t.Fatalf("%d of %d signatures held", held, len(secrets))
	}
}

// variants are a signature, and what may be tried in its place.
func variants(n, r, s *big.Int) [][2]*big.Int {
	zero, one := new(big.Int), big.NewInt(1)
	most := new(big.Int).Sub(new(big.Int).Lsh(one, 8*p384Size), one)
	other := func(x *big.Int) *big.Int { return new(big.Int).Sub(n, x) }
	return [][2]*big.Int{
		{r, s}, {r, other(s)}, {other(r), s}, {s, r}, {zero, s}, {r, zero}, {zero, zero}, {n, s}, {r, n}, {one, one}, {one, s}, {r, one},
		{most, s}, {r, most}, {new(big.Int).Xor(r, one), s}, {r, new(big.Int).Xor(s, one)}, {other(one), other(one)},
	}
}

// A point that is not on the curve is no key (an invalid curve has small groups, in which signatures are found by trying).
func TestP384_pointOffCurve(t *testing.T) {
	b := make([]byte, 2*p384Size)
	b[p384Size-1], b[2*p384Size-1] = 1, 1
	for _, octets := range [][]byte{b, make([]byte, 2*p384Size), b[:p384Size], append(b, 0), nil} {
		if _, err := parseP384(octets); err == nil {
			t.Errorf("%x is taken for a key", octets)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct {
		curve elliptic.Curve
		parse func([]byte) (public, error)
		size  int
	}{{elliptic.P256(), parseP256, p256Size}, {elliptic.P384(), parseP384, p384Size}} {
		b.Run(c.curve.Params().Name, func(b *testing.B) {
			secret, err := ecdsa.GenerateKey(c.curve, rand.Reader)
			if err != nil {
				b.Fatal(err)
			}
			octets, err := secret.PublicKey.Bytes()
			if err != nil {
				b.Fatal(err)
			}
			key, err := c.parse(octets[1:])
			if err != nil {
				b.Fatal(err)
			}
			message := []byte("signed")
			signature := make([]byte, 2*c.size) // a wrong one costs the same
			signature[0], signature[len(signature)-1] = 1, 1
			for b.Loop() {
				key.verify(message, signature)
			}
		})
	}
}
