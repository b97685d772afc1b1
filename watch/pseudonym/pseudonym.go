// Package pseudonym hides the addresses of clients in what is kept, so that two people together can show them again and nobody can alone.
//
// A key lives for a period. Under it an address becomes 128 bits of AES (the whole block is the address, IPv4 as ::ffff:a.b.c.d), so within a period equal
// clients have equal pseudonyms and can be counted and traced, and between periods they cannot be told to be the same. The key itself is only
// in the memory of the process: on disk stand its two halves, each sealed to the public keys of one of two groups of people (age, X25519). One of each
// group is needed to put them together. Whoever destroys the file of a key has erased who is behind its pseudonyms, for good; rows and proofs stay.
//
// The package promises: no key and no half of one is written unsealed; a file that was altered does not open; a pseudonym says under which key it was made.
// It refuses to begin a key that it cannot seal, and groups that have a person in common.
// Limits today: a key ends with its process, since nothing on the disk could give it back without two people; so a restart begins the next one. An address that
// is suspected can be tried by whoever has the key, which is what keys are for; without it 2^128 keys stand between.
package pseudonym

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Mark begins each pseudonym: no address does.
const Mark = "~"

// keySize is that of AES-128.
const keySize = 16

// Key makes pseudonyms, and addresses of them again.
type Key struct {
	ID    string    // what pseudonyms name it by
	Begin time.Time // of its use
	block cipher.Block
	bytes [keySize]byte
}

// NewKey makes a key out of the system's randomness.
func NewKey(now time.Time) (*Key, error) {
	var b [keySize]byte
	var id [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("making a key for pseudonyms: %w", err)
	}
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("making a key for pseudonyms: %w", err)
	}
	return keyOf(hex.EncodeToString(id[:]), now, b)
}

func keyOf(id string, begin time.Time, b [keySize]byte) (*Key, error) {
	block, err := aes.NewCipher(b[:])
	if err != nil {
		return nil, fmt.Errorf("making a key for pseudonyms: %w", err)
	}
	return &Key{ID: id, Begin: begin.UTC(), block: block, bytes: b}, nil
}

// Hide turns an address, in the form of event.Query, into its pseudonym in place. It does not allocate.
func (k *Key) Hide(addr *[16]byte) { k.block.Encrypt(addr[:], addr[:]) }

// Text is a pseudonym for people and columns: the key, and what became of the address.
func Text(id string, hidden [16]byte) string {
	return Mark + id + "." + strings.ToLower(letters.EncodeToString(hidden[:]))
}

var letters = base32.HexEncoding.WithPadding(base32.NoPadding)

// Of is the pseudonym of an address under this key.
func (k *Key) Of(a netip.Addr) string {
	b := a.As16()
	k.Hide(&b)
	return Text(k.ID, b)
}

// Show is the address behind a pseudonym; false where that is of another key, or none.
func (k *Key) Show(text string) (netip.Addr, bool) {
	id, hidden, ok := Parse(text)
	if !ok || id != k.ID {
		return netip.Addr{}, false
	}
	k.block.Decrypt(hidden[:], hidden[:])
	return netip.AddrFrom16(hidden).Unmap(), true
}

// Parse takes a pseudonym apart.
func Parse(text string) (id string, hidden [16]byte, ok bool) {
	rest, ok := strings.CutPrefix(text, Mark)
	if !ok {
		return "", hidden, false
	}
	id, code, ok := strings.Cut(rest, ".")
	b, err := letters.DecodeString(strings.ToUpper(code))
	if !ok || err != nil || len(b) != len(hidden) || !validID(id) {
		return "", hidden, false
	}
	hidden = [16]byte(b)
	return id, hidden, Text(id, hidden) == text // one spelling only: columns are compared as texts
}

// validID keeps what names files to what NewKey makes.
func validID(id string) bool {
	_, err := hex.DecodeString(id)
	return err == nil && len(id) == 8
}

// halves of the key: neither tells anything about it.
func (k *Key) halves() (one, two [keySize]byte, err error) {
	if _, err := rand.Read(one[:]); err != nil {
		return one, two, fmt.Errorf("halving a key for pseudonyms: %w", err)
	}
	subtle.XORBytes(two[:], one[:], k.bytes[:])
	return one, two, nil
}
