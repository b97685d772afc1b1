package pseudonym

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// Groups are the public keys of the two groups of people, as `anyu pseudonym holder` prints them (age1...).
type Groups [2][]string

// Check tells what is wrong with the groups.
func (g Groups) Check() error {
	for i, group := range g {
		if len(group) == 0 {
			return fmt.Errorf("group %d has nobody: two people are needed to show an address", i+1)
		}
		for _, text := range group {
			if _, err := age.ParseX25519Recipient(text); err != nil {
				return fmt.Errorf("group %d: %q is no public key as anyu pseudonym holder prints it: %w", i+1, text, err)
			}
			if i == 1 && slices.Contains(g[0], text) {
				return fmt.Errorf("%s is in both groups, and could show addresses alone", text)
			}
		}
	}
	return nil
}

// Sealed is a key as it stands on disk.
type Sealed struct {
	ID    string    `json:"id"`
	Begin time.Time `json:"begin"`
	Node  string    `json:"node"`
	// Halves are armored age messages, one for each group; who may open them is in Holders.
	Halves  [2]string `json:"halves"`
	Holders Groups    `json:"holders"`
}

const (
	fileExt = ".key"
	// maxFile bounds what is read of a file.
	maxFile = 1 << 20
)

// Seal encrypts the halves of the key to the groups.
func (k *Key) Seal(node string, to Groups) (*Sealed, error) {
	if err := to.Check(); err != nil {
		return nil, err
	}
	one, two, err := k.halves()
	if err != nil {
		return nil, err
	}
	s := &Sealed{ID: k.ID, Begin: k.Begin, Node: node, Holders: to}
	for i, half := range [2][keySize]byte{one, two} {
		if s.Halves[i], err = sealHalf(half[:], to[i]); err != nil {
			return nil, fmt.Errorf("sealing a key for pseudonyms: %w", err)
		}
	}
	return s, nil
}

func sealHalf(half []byte, group []string) (string, error) {
	var recipients []age.Recipient
	for _, text := range group {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return "", err
		}
		recipients = append(recipients, r)
	}
	var b bytes.Buffer
	armored := armor.NewWriter(&b)
	w, err := age.Encrypt(armored, recipients...)
	if err != nil {
		return "", err
	}
	_, err = w.Write(half)
	if err := errors.Join(err, w.Close(), armored.Close()); err != nil {
		return "", err
	}
	return b.String(), nil
}

// ErrHolders: the identities at hand do not open both halves.
var ErrHolders = errors.New("one person of each group is needed")

// Open puts the key together with the identities of one person of each group.
func (s *Sealed) Open(identities ...age.Identity) (*Key, error) {
	if !validID(s.ID) {
		return nil, fmt.Errorf("%q is no name of a key", s.ID)
	}
	var whole [keySize]byte
	for i, text := range s.Halves {
		r, err := age.Decrypt(armor.NewReader(strings.NewReader(text)), identities...)
		var other *age.NoIdentityMatchError
		if errors.As(err, &other) {
			return nil, fmt.Errorf("key %s: nobody of group %d (%s): %w", s.ID, i+1, strings.Join(s.Holders[i], ", "), ErrHolders)
		}
		if err != nil {
			return nil, fmt.Errorf("key %s, half %d: %w", s.ID, i+1, err)
		}
		half, err := io.ReadAll(io.LimitReader(r, keySize+1))
		if err != nil || len(half) != keySize {
			return nil, fmt.Errorf("key %s, half %d: %d octets, not %d: %w", s.ID, i+1, len(half), keySize, err)
		}
		subtle.XORBytes(whole[:], whole[:], half)
	}
	return keyOf(s.ID, s.Begin, whole)
}

// Save writes the sealed key into a folder, synced, before the first pseudonym is made with it.
func (s *Sealed) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keeping a key for pseudonyms: %w", err)
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("keeping a key for pseudonyms: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, s.ID+fileExt), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keeping a key for pseudonyms: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keeping a key for pseudonyms: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// List reads the keys of a folder, oldest first. A file that is no key is an error behind the others.
func List(dir string) (list []*Sealed, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+fileExt))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		s, wrong := read(path)
		if wrong != nil {
			err = errors.Join(err, wrong)
			continue
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *Sealed) int { return a.Begin.Compare(b.Begin) })
	return list, err
}

func read(path string) (*Sealed, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var s Sealed
	if err := json.NewDecoder(io.LimitReader(f, maxFile)).Decode(&s); err != nil {
		return nil, fmt.Errorf("%s is no key for pseudonyms: %w", path, err)
	}
	if s.ID+fileExt != filepath.Base(path) || !validID(s.ID) {
		return nil, fmt.Errorf("%s is no key for pseudonyms: it names itself %q", path, s.ID)
	}
	return &s, nil
}

// Destroy removes a key: whoever had its pseudonyms cannot be shown any more, by anybody.
func Destroy(dir, id string) error {
	if !validID(id) {
		return fmt.Errorf("%q is no name of a key", id)
	}
	if err := os.Remove(filepath.Join(dir, id+fileExt)); err != nil {
		return fmt.Errorf("destroying a key for pseudonyms: %w", err)
	}
	return syncDir(dir)
}
