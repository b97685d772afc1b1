package internet

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // crypto.SHA384 and crypto.SHA512
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"
	"sync"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/emmansun/gmsm/sm2"

	"anyu/dns/dnssec"
)

// key is a DNSKEY record that can sign. The same octets give the same signature.
type key struct {
	rdata []byte
	tag   uint16
	sign  func(data []byte) []byte
}

// keyring is the keys of a zone.
type keyring struct {
	records  [][]byte // of the DNSKEY RRset
	entry    *key     // signs the keys; the DS record is made of it
	zone     *key     // signs all else
	impostor *key     // faultTrap: has the tag of the others and signs nothing
}

const (
	rsaPool     = 8    // different RSA keys of a world: finding primes takes longer than all else
	rsaBits     = 1024 // of zones; the root's are larger
	rsaRootBits = 2048
	impostors   = 12
)

type rsaSlot struct {
	once sync.Once
	key  *rsa.PrivateKey
}

// unknownAlgorithm is one that nobody has (the registry keeps 123 to 251 reserved).
const (
	unknownAlgorithm dnssec.Algorithm  = 200
	unknownDigest    dnssec.DigestType = 200
)

// keys of the zone, made of its seed.
func (z *zone) keys() *keyring {
	z.keyOnce.Do(func() { z.keyring = z.makeKeys() })
	return &z.keyring
}

func (z *zone) fault() fault {
	if z.kind == nil {
		return faultNone
	}
	return z.kind.fault
}

func (z *zone) makeKeys() (r keyring) {
	algorithm := z.policy.algorithm
	if z.fault() == faultAlgorithm {
		algorithm = unknownAlgorithm
	}
	r.entry = z.w.makeKey(algorithm, dnssec.FlagZone|dnssec.FlagSEP, mix(z.seed, ofKey, 0), z.parent == nil)
	r.zone, r.records = r.entry, [][]byte{r.entry.rdata}
	if z.policy.split {
		r.zone = z.w.makeKey(algorithm, dnssec.FlagZone, mix(z.seed, ofKey, 1), false)
		r.records = append(r.records, r.zone.rdata)
	}
	switch z.fault() {
	case faultNoKeys, faultUnsigned:
		r.records = nil
	case faultTrap:
		for i := range impostors {
			r.impostor = impostor(r.zone.tag, mix(z.seed, ofKey, 2, uint64(i)))
			r.records = append(r.records, r.impostor.rdata)
		}
	}
	return r
}

// Keys makes keys for simulated zones that are not a World's: those of scenarios.
type Keys struct{ w World }

// Make makes a DNSKEY record of a seed, and what signs with it. The same octets give the same signature.
func (k *Keys) Make(a dnssec.Algorithm, flags uint16, seed uint64) (rdata []byte, sign func([]byte) []byte) {
	made := k.w.makeKey(a, flags, seed, false)
	return made.rdata, made.sign
}

// Impostor makes a key with a given tag that nobody can sign with, and what makes signatures that do not verify.
func (k *Keys) Impostor(tag uint16, seed uint64) (rdata []byte, sign func([]byte) []byte) {
	made := impostor(tag, seed)
	return made.rdata, made.sign
}

// makeKey makes a key of a seed.
func (w *World) makeKey(a dnssec.Algorithm, flags uint16, seed uint64, root bool) *key {
	k := &key{}
	var public []byte
	switch a {
	case dnssec.RSASHA1, dnssec.RSASHA1NSEC3SHA1, dnssec.RSASHA256, dnssec.RSASHA512:
		private := w.rsaKey(seed, root)
		public = rsaPublic(private.N)
		k.sign = signRSA(private, map[dnssec.Algorithm]crypto.Hash{dnssec.RSASHA256: crypto.SHA256, dnssec.RSASHA512: crypto.SHA512}[a])
	case dnssec.ECDSAP256SHA256:
		public, k.sign = ecdsaKey(elliptic.P256(), crypto.SHA256, 32, seed)
	case dnssec.ECDSAP384SHA384:
		public, k.sign = ecdsaKey(elliptic.P384(), crypto.SHA384, 48, seed)
	case dnssec.Ed25519:
		private := ed25519.NewKeyFromSeed(octets(seed, ed25519.SeedSize))
		public, k.sign = private.Public().(ed25519.PublicKey), func(data []byte) []byte { return ed25519.Sign(private, data) }
	case dnssec.Ed448:
		private := ed448.NewKeyFromSeed(octets(seed, ed448.SeedSize))
		public, k.sign = private.Public().(ed448.PublicKey), func(data []byte) []byte { return ed448.Sign(private, data, "") }
	case dnssec.SM2SM3:
		public, k.sign = sm2Key(seed)
	default:
		public, k.sign = octets(seed, 64), func(data []byte) []byte { return octets(mix(seed, digest(data)), 64) }
	}
	k.rdata = append(binary.BigEndian.AppendUint16(nil, flags), 3, byte(a))
	k.rdata = append(k.rdata, public...)
	k.tag = dnssec.KeyTag(k.rdata)
	return k
}

// octets are as many as wanted from a seed.
func octets(seed uint64, n int) []byte {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(s).Read(b)
	return b
}

// ecdsaKey: RFC 6605, Section 4. Without a source of randomness, signatures are those of RFC 6979.
func ecdsaKey(curve elliptic.Curve, hash crypto.Hash, size int, seed uint64) (public []byte, sign func([]byte) []byte) {
	private, err := ecdsa.ParseRawPrivateKey(curve, octets(seed, size))
	for ; err != nil; private, err = ecdsa.ParseRawPrivateKey(curve, octets(seed, size)) {
		seed++ // not below the order of the curve
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		panic(fmt.Sprintf("a key of our own: %v", err))
	}
	return point[1:], func(data []byte) []byte {
		h := hash.New()
		h.Write(data)
		der, err := private.Sign(nil, h.Sum(nil), hash)
		return pair(der, size, err)
	}
}

// pair turns a signature in ASN.1 into R and S.
func pair(der []byte, size int, err error) []byte {
	var rs struct{ R, S *big.Int }
	if err == nil {
		_, err = asn1.Unmarshal(der, &rs)
	}
	if err != nil {
		panic(fmt.Sprintf("signing with a key of our own: %v", err))
	}
	b := make([]byte, 2*size)
	rs.R.FillBytes(b[:size])
	rs.S.FillBytes(b[size:])
	return b
}

// sm2Key: RFC 9563, Section 3.
func sm2Key(seed uint64) (public []byte, sign func([]byte) []byte) {
	private, err := sm2.NewPrivateKey(octets(seed, 32))
	for ; err != nil; private, err = sm2.NewPrivateKey(octets(seed, 32)) {
		seed++
	}
	public = make([]byte, 64)
	private.X.FillBytes(public[:32])
	private.Y.FillBytes(public[32:])
	return public, func(data []byte) []byte {
		der, err := private.Sign(&nonce{key: octets(seed, 32), data: data}, data, sm2.DefaultSM2SignerOpts)
		return pair(der, 32, err)
	}
}

// nonce gives a signer what it takes for randomness, made of the key and the message, so that a signature is always the same. Single octets
// are no part of it: libraries draw one or none, by chance, so that nobody relies on what we rely on.
type nonce struct {
	key, data []byte
	drawn     byte
}

func (n *nonce) Read(b []byte) (int, error) {
	if len(b) == 1 {
		b[0] = 0
		return 1, nil
	}
	h := hmac.New(sha256.New, n.key)
	h.Write(n.data)
	h.Write([]byte{n.drawn})
	n.drawn++
	copy(b, octets(binary.BigEndian.Uint64(h.Sum(nil)), len(b)))
	return len(b), nil
}

// rsaKey takes a key from the pool.
func (w *World) rsaKey(seed uint64, root bool) *rsa.PrivateKey {
	n, bits := 1+int(seed%(rsaPool-1)), rsaBits
	if root {
		n, bits = 0, rsaRootBits
	}
	slot := &w.rsa[n]
	slot.once.Do(func() { slot.key = makeRSA(w.mix(ofRSA, uint64(n)), bits) })
	return slot.key
}

// makeRSA finds a key with exponent 65537. crypto/rsa makes none of a given seed.
func makeRSA(seed uint64, bits int) *rsa.PrivateKey {
	one, e := big.NewInt(1), big.NewInt(65537)
	var primes []*big.Int
	for attempt := uint64(0); len(primes) < 2; attempt++ {
		b := octets(mix(seed, attempt), bits/16)
		b[0] |= 0xC0 // so that the product has all its bits
		b[len(b)-1] |= 1
		p := new(big.Int).SetBytes(b)
		if p.ProbablyPrime(10) && new(big.Int).GCD(nil, nil, e, new(big.Int).Sub(p, one)).Cmp(one) == 0 {
			primes = append(primes, p)
		}
	}
	phi := new(big.Int).Mul(new(big.Int).Sub(primes[0], one), new(big.Int).Sub(primes[1], one))
	k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(primes[0], primes[1]), E: 65537}, D: new(big.Int).ModInverse(e, phi), Primes: primes}
	k.Precompute()
	return k
}

// rsaPublic: RFC 3110, Section 2.
func rsaPublic(n *big.Int) []byte { return append([]byte{3, 1, 0, 1}, n.Bytes()...) }

func signRSA(k *rsa.PrivateKey, hash crypto.Hash) func([]byte) []byte {
	if hash == 0 {
		hash = crypto.SHA1
	}
	return func(data []byte) []byte {
		h := hash.New()
		h.Write(data)
		sig, err := rsa.SignPKCS1v15(nil, k, hash, h.Sum(nil))
		if err != nil {
			panic(fmt.Sprintf("signing with a key of our own: %v", err))
		}
		return sig
	}
}

// impostor is an RSA key that nobody has the other half of, with a given tag: two octets of its modulus make up for the rest, as the tag is
// a sum (RFC 4034, Appendix B).
func impostor(tag uint16, seed uint64) *key {
	modulus := octets(seed, rsaBits/8)
	modulus[0] |= 0x80
	modulus[len(modulus)-1] |= 1
	rdata := append([]byte{dnssec.FlagZone >> 8, 0, 3, byte(dnssec.RSASHA256), 3, 1, 0, 1}, modulus...)
	binary.BigEndian.PutUint16(rdata[64:], 0)
	for i := tag - dnssec.KeyTag(rdata) - 2; dnssec.KeyTag(rdata) != tag; i++ { // about the difference: the sum's carries are added to it
		binary.BigEndian.PutUint16(rdata[64:], i)
	}
	return &key{rdata: rdata, tag: tag, sign: func(data []byte) []byte { return octets(mix(seed, digest(data)), rsaBits/8) }}
}
