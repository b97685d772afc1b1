package pseudonym

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// minPassphrase is the shortest passphrase of a holder.
const minPassphrase = 12

// NewHolder makes the key pair of a person, writes the secret half into a new file, encrypted with a passphrase (scrypt), and returns the public one.
func NewHolder(path, passphrase string) (public string, err error) {
	if len(passphrase) < minPassphrase {
		return "", fmt.Errorf("a passphrase has at least %d octets", minPassphrase)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("making a key pair: %w", err)
	}
	lock, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return "", fmt.Errorf("making a key pair: %w", err)
	}
	var b bytes.Buffer
	armored := armor.NewWriter(&b)
	w, err := age.Encrypt(armored, lock)
	if err != nil {
		return "", fmt.Errorf("encrypting a key pair: %w", err)
	}
	_, err = io.WriteString(w, id.String())
	if err := errors.Join(err, w.Close(), armored.Close()); err != nil {
		return "", fmt.Errorf("encrypting a key pair: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("writing a key pair: %w", err)
	}
	_, err = f.Write(b.Bytes())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("writing a key pair: %w", err)
	}
	return id.Recipient().String(), nil
}

// OpenHolder reads the secret half of a person's key pair.
func OpenHolder(path, passphrase string) (age.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lock, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r, err := age.Decrypt(armor.NewReader(io.LimitReader(f, maxFile)), lock)
	if err != nil {
		return nil, fmt.Errorf("%s: it does not open with this passphrase, or is no key pair of anyu pseudonym holder: %w", path, err)
	}
	b, err := io.ReadAll(io.LimitReader(r, maxFile))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return id, nil
}
