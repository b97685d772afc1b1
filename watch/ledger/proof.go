package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that an entry is in the tree of a checkpoint, to who has no more than the ledger's public key.
type Proof struct {
	Leaf       string   `json:"leaf"` // the entry, octet for octet
	N          int64    `json:"n"`
	Path       []string `json:"path"` // hashes from the leaf's sibling up (RFC 6962, Section 2.1.1), base64
	Checkpoint string   `json:"checkpoint"`
	Key        string   `json:"key"`
}

// Prove makes proofs of entries, all against the checkpoint of now.
func (l *Ledger) Prove(numbers ...int64) ([]Proof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end, err := l.exclude()
	if err != nil {
		return nil, fmt.Errorf("proving ledger entries: %w", err)
	}
	defer end()
	if err := l.catchUp(); err != nil {
		return nil, fmt.Errorf("proving ledger entries: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(l.dir, headFile))
	if err != nil {
		return nil, fmt.Errorf("proving ledger entries: %w", err)
	}
	head, err := OpenCheckpoint(text, l.public)
	if err != nil {
		return nil, fmt.Errorf("proving ledger entries: %w", err)
	}
	wanted := map[int64][]byte{}
	for _, n := range numbers {
		if n < 0 || n >= head.Size {
			return nil, fmt.Errorf("proving ledger entries: there is no entry %d", n)
		}
		wanted[n] = nil
	}
	at := int64(0)
	if _, err := eachLine(io.NewSectionReader(l.entries, 0, l.octets), func(line []byte) error {
		if _, is := wanted[at]; is {
			wanted[at] = append([]byte(nil), line...)
		}
		at++
		return nil
	}); err != nil {
		return nil, fmt.Errorf("proving ledger entries: %w", err)
	}
	proofs := make([]Proof, len(numbers))
	for i, n := range numbers {
		path, err := tlog.ProveRecord(head.Size, n, l.reader())
		if err != nil {
			return nil, fmt.Errorf("proving ledger entry %d: %w", n, err)
		}
		proofs[i] = Proof{Leaf: string(wanted[n]), N: n, Checkpoint: string(text), Key: l.public}
		for _, h := range path {
			proofs[i].Path = append(proofs[i].Path, h.String())
		}
	}
	return proofs, nil
}

// Check verifies a proof with a key that is trusted for another reason than standing in the proof, and returns what is proved.
func (p *Proof) Check(key string) (Entry, Checkpoint, error) {
	head, err := OpenCheckpoint([]byte(p.Checkpoint), key)
	if err != nil {
		return Entry{}, head, fmt.Errorf("checking a proof: %w", err)
	}
	var path tlog.RecordProof
	for _, text := range p.Path {
		h, err := tlog.ParseHash(text)
		if err != nil {
			return Entry{}, head, fmt.Errorf("checking a proof: %q is no hash", text)
		}
		path = append(path, h)
	}
	if err := tlog.CheckRecord(path, head.Size, head.Root, p.N, tlog.RecordHash([]byte(p.Leaf))); err != nil {
		return Entry{}, head, errors.New("checking a proof: the entry is not in the signed tree: it was altered, or the proof is of another")
	}
	e, err := parseEntry([]byte(p.Leaf))
	if err == nil && e.N != p.N {
		err = errors.New("checking a proof: the entry has another number")
	}
	return e, head, err
}

// ReadProofs reads what Prove gave, from JSON.
func ReadProofs(r io.Reader) (list []Proof, err error) {
	if err := json.NewDecoder(io.LimitReader(r, 64<<20)).Decode(&list); err != nil {
		return nil, fmt.Errorf("reading proofs: %w", err)
	}
	return list, nil
}

// Consistency is the last signed head, and proves that its tree holds that of older sizes (RFC 6962, Section 2.1.2): what a witness asks for.
func (l *Ledger) Consistency() (head Checkpoint, text []byte, prove func(size, old int64) (tlog.TreeProof, error), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end, err := l.exclude()
	if err != nil {
		return head, nil, nil, fmt.Errorf("proving the ledger's growth: %w", err)
	}
	defer end()
	if err := l.catchUp(); err != nil {
		return head, nil, nil, fmt.Errorf("proving the ledger's growth: %w", err)
	}
	if text, err = os.ReadFile(filepath.Join(l.dir, headFile)); err == nil {
		head, err = OpenCheckpoint(text, l.public)
	}
	if err != nil {
		return head, nil, nil, fmt.Errorf("proving the ledger's growth: %w", err)
	}
	return head, text, func(size, old int64) (tlog.TreeProof, error) { return tlog.ProveTree(size, old, l.reader()) }, nil
}
