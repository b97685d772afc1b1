package ledger

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a signed head of the tree, in the form that witnesses of transparency logs know (C2SP tlog-checkpoint): origin, size, root, and a
// line of ours with the time.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
	Time   time.Time
}

// ErrForeign says that a checkpoint is not signed with the key it should be: by somebody else, or by a ledger that was made anew.
var ErrForeign = errors.New("the checkpoint is not signed with this ledger's key: it is of another ledger, or this one was made anew")

const timeWord = "time "

func signCheckpoint(c Checkpoint, by note.Signer) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n%s%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]), timeWord, c.Time.UTC().Format(time.RFC3339Nano))
	return note.Sign(&note.Note{Text: text}, by)
}

// OpenCheckpoint reads a checkpoint that must be signed with the key. Signatures of others (witnesses) may stand beside.
func OpenCheckpoint(text []byte, key string) (c Checkpoint, err error) {
	verifier, err := note.NewVerifier(strings.TrimSpace(key))
	if err != nil {
		return c, fmt.Errorf("reading the ledger's key: %w", err)
	}
	n, err := note.Open(text, note.VerifierList(verifier))
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		return c, ErrForeign
	case err != nil:
		return c, fmt.Errorf("reading the checkpoint: %w", err)
	}
	return parseCheckpoint(n.Text)
}

func parseCheckpoint(text string) (c Checkpoint, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 {
		return c, errors.New("reading the checkpoint: it has fewer than three lines")
	}
	c.Origin = lines[0]
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 {
		return c, fmt.Errorf("reading the checkpoint: %q is no size", lines[1])
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return c, fmt.Errorf("reading the checkpoint: %q is no hash", lines[2])
	}
	for _, line := range lines[3:] {
		if rest, ok := strings.CutPrefix(line, timeWord); ok {
			if c.Time, err = time.Parse(time.RFC3339Nano, rest); err != nil {
				return c, fmt.Errorf("reading the checkpoint: %q is no time", rest)
			}
		}
	}
	return c, nil
}

// openKey reads the ledger's key, or makes it.
func (l *Ledger) openKey(node string) error {
	path := filepath.Join(l.dir, secretFile)
	secret, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(l.dir, entriesFile)); err == nil {
			return fmt.Errorf("%w: there are entries, and the key %s is gone", ErrDamaged, path)
		}
		made, public, err := note.GenerateKey(rand.Reader, "anyu/"+word(node))
		if err != nil {
			return err
		}
		secret = []byte(made + "\n")
		if err := errors.Join(replace(filepath.Join(l.dir, publicFile), []byte(public+"\n"), 0o644), replace(path, secret, 0o600)); err != nil { // this order: the secret one says that both are there
			return err
		}
	} else if err != nil {
		return err
	}
	if l.signer, err = note.NewSigner(strings.TrimSpace(string(secret))); err != nil {
		return errors.New("the ledger's key cannot be read") // not with the error, which may hold it
	}
	public, err := os.ReadFile(filepath.Join(l.dir, publicFile))
	if err != nil {
		return err
	}
	l.origin, l.public = l.signer.Name(), strings.TrimSpace(string(public))
	return nil
}

// word makes a node's name one that a note may be signed as.
func word(node string) string {
	w := strings.Map(func(r rune) rune {
		if r == '+' || r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, node)
	if w == "" {
		return "node"
	}
	return w
}
