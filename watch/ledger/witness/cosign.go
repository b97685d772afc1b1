// Package witness co-signs the checkpoints of ledgers, in the form that witnesses of transparency logs use (C2SP tlog-cosignature, Ed25519) and over their protocol
// (C2SP tlog-witness): who holds a checkpoint with the signature of a witness knows that the witness saw no other history of that ledger.
//
// It promises: a witness co-signs a tree only when it holds every tree of that ledger that was co-signed before, and has that on disk before it answers.
// It refuses a ledger whose key it was not given, a smaller tree, and another tree of the same size.
// Limits: Ed25519 only; of each ledger the last co-signed checkpoint is kept, and what was refused is logged and not kept.
package witness

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// algorithm is that of Ed25519 cosignatures in keys.
const algorithm = 0x04

// secretWord begins a secret key.
const secretWord = "WITNESS+KEY+"

// keyHash is the key ID of C2SP tlog-cosignature, Format.
func keyHash(name string, public []byte) uint32 {
	sum := sha256.Sum256(prefixed(name+"\n", public))
	return binary.BigEndian.Uint32(sum[:])
}

func prefixed(prefix string, public []byte) []byte {
	return append(append([]byte(prefix), algorithm), public...)
}

// NewKey makes a witness's keys.
func NewKey(name string) (secret, public string, err error) {
	if name == "" || strings.ContainsAny(name, "+ \n\t") {
		return "", "", fmt.Errorf("%q cannot be a witness's name: it has no blank and no +", name)
	}
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	encode := func(key []byte) string { return base64.StdEncoding.EncodeToString(prefixed("", key)) }
	hash := fmt.Sprintf("%08x", keyHash(name, pub))
	return secretWord + name + "+" + hash + "+" + encode(priv.Seed()), name + "+" + hash + "+" + encode(pub), nil
}

// cosigner signs as a witness; it implements note.Signer for one moment.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
	now  time.Time
}

func newCosigner(secret string) (*cosigner, error) {
	wrong := errors.New("the witness's key cannot be read") // not with the key in it
	rest, ok := strings.CutPrefix(strings.TrimSpace(secret), secretWord)
	name, key, ok2 := strings.Cut(rest, "+")
	_, text, ok3 := strings.Cut(key, "+")
	b, err := base64.StdEncoding.DecodeString(text)
	if !ok || !ok2 || !ok3 || err != nil || len(b) != 1+ed25519.SeedSize || b[0] != algorithm {
		return nil, wrong
	}
	c := &cosigner{name: name, key: ed25519.NewKeyFromSeed(b[1:])}
	c.hash = keyHash(name, c.key.Public().(ed25519.PublicKey))
	return c, nil
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

// Sign implements note.Signer. The signature is the time and then an Ed25519 signature (C2SP tlog-cosignature, Format).
func (c *cosigner) Sign(body []byte) ([]byte, error) {
	at := uint64(c.now.Unix())
	return append(binary.BigEndian.AppendUint64(nil, at), ed25519.Sign(c.key, message(at, body))...), nil
}

// message is what is signed: C2SP tlog-cosignature, Ed25519 signed message.
func message(at uint64, body []byte) []byte {
	return append([]byte("cosignature/v1\ntime "+strconv.FormatUint(at, 10)+"\n"), body...)
}

// verifier checks the signatures of a witness; it implements note.Verifier.
type verifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// NewVerifier reads a witness's public key.
func NewVerifier(key string) (note.Verifier, error) {
	name, rest, ok := strings.Cut(strings.TrimSpace(key), "+")
	hash, text, ok2 := strings.Cut(rest, "+")
	b, err := base64.StdEncoding.DecodeString(text)
	if !ok || !ok2 || err != nil || len(b) != 1+ed25519.PublicKeySize || b[0] != algorithm {
		return nil, fmt.Errorf("%q is no key of a witness (NAME+HASH+KEY, Ed25519 cosignatures)", key)
	}
	v := &verifier{name: name, key: b[1:]}
	if v.hash = keyHash(name, v.key); fmt.Sprintf("%08x", v.hash) != hash {
		return nil, fmt.Errorf("the key of witness %s was altered: its hash is another one", name)
	}
	return v, nil
}

func (v *verifier) Name() string    { return v.name }
func (v *verifier) KeyHash() uint32 { return v.hash }

// Verify implements note.Verifier.
func (v *verifier) Verify(body, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(signature)
	return at < 1<<63 && ed25519.Verify(v.key, message(at, body), signature[8:])
}

// Cosigned tells which of the witnesses have signed a checkpoint, by name and when.
func Cosigned(checkpoint []byte, witnesses ...note.Verifier) (map[string]time.Time, error) {
	n, err := note.Open(checkpoint, note.VerifierList(witnesses...))
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		return map[string]time.Time{}, nil
	}
	if err != nil {
		return nil, err
	}
	is := map[string]time.Time{}
	for _, s := range n.Sigs {
		b, err := base64.StdEncoding.DecodeString(s.Base64)
		if err == nil && len(b) >= 12 {
			is[s.Name] = time.Unix(int64(binary.BigEndian.Uint64(b[4:])), 0).UTC()
		}
	}
	return is, nil
}

// signatureLines are those of a note.
func signatureLines(text []byte) []byte {
	_, lines, _ := bytes.Cut(text, []byte("\n\n"))
	return lines
}
