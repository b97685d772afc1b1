package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"anyu/watch/ledger"
)

const (
	// maxRequest bounds a body (stops: strangers that fill the memory); a proof of 63 hashes and a checkpoint with many signatures take less.
	maxRequest = 64 << 10
	// maxProof is the most hashes of a consistency proof. C2SP tlog-witness, add-checkpoint.
	maxProof = 63
)

// Witness co-signs for ledgers whose keys it was given.
type Witness struct {
	dir    string
	logger *slog.Logger
	signer *cosigner
	logs   map[string]string // key by origin

	mu sync.Mutex // a record is compared and replaced in one go
}

// New makes a witness that keeps its records in a folder. keys are the public keys of ledgers.
func New(dir, secret string, keys []string, logger *slog.Logger) (*Witness, error) {
	w := &Witness{dir: dir, logger: logger, logs: map[string]string{}}
	var err error
	if w.signer, err = newCosigner(secret); err != nil {
		return nil, err
	}
	for _, key := range keys {
		v, err := note.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return nil, fmt.Errorf("the key of a ledger: %w", err)
		}
		w.logs[v.Name()] = strings.TrimSpace(key)
	}
	return w, os.MkdirAll(dir, 0o750)
}

// ServeHTTP implements C2SP tlog-witness, add-checkpoint, under any prefix.
func (w *Witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/add-checkpoint") {
		http.Error(out, "a witness takes POST .../add-checkpoint", http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(out, r.Body, maxRequest))
	if err != nil {
		http.Error(out, "the request is too long or was cut", http.StatusBadRequest)
		return
	}
	status, text := w.Add(body, time.Now())
	kind := "text/plain; charset=utf-8"
	if status == http.StatusConflict {
		kind = "text/x.tlog.size"
	}
	out.Header().Set("Content-Type", kind)
	out.WriteHeader(status)
	out.Write(text)
}

// request is what add-checkpoint takes.
type request struct {
	old        int64
	proof      tlog.TreeProof
	checkpoint []byte
}

// parse reads a body: the old size, the proof, an empty line, the checkpoint. C2SP tlog-witness, add-checkpoint.
func parse(body []byte) (r request, err error) {
	head, checkpoint, ok := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	size, is := strings.CutPrefix(lines[0], "old ")
	if !ok || !is {
		return r, errors.New("it does not begin with the old size, a proof and an empty line")
	}
	if r.old, err = strconv.ParseInt(size, 10, 64); err != nil || r.old < 0 || strconv.FormatInt(r.old, 10) != size {
		return r, fmt.Errorf("%q is no size", size)
	}
	if len(lines)-1 > maxProof {
		return r, fmt.Errorf("the proof has %d lines, at most %d", len(lines)-1, maxProof)
	}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return r, fmt.Errorf("%q is no hash", line)
		}
		r.proof = append(r.proof, h)
	}
	r.checkpoint = checkpoint
	return r, nil
}

// Add checks a checkpoint against what was co-signed before, and co-signs it. It gives an HTTP status and body.
func (w *Witness) Add(body []byte, now time.Time) (status int, answer []byte) {
	r, err := parse(body)
	if err != nil {
		return http.StatusBadRequest, []byte(err.Error() + "\n")
	}
	origin, _, _ := strings.Cut(string(r.checkpoint), "\n")
	key, known := w.logs[origin]
	if !known {
		return http.StatusNotFound, []byte("this witness does not know the ledger\n")
	}
	c, err := ledger.OpenCheckpoint(r.checkpoint, key)
	var invalid *note.InvalidSignatureError
	switch {
	case errors.Is(err, ledger.ErrForeign), errors.As(err, &invalid):
		return http.StatusForbidden, []byte("no signature is of the key that this witness has\n")
	case err != nil || c.Origin != origin:
		return http.StatusBadRequest, []byte("the checkpoint cannot be read\n")
	case r.old > c.Size:
		return http.StatusBadRequest, []byte("the old size is larger than the checkpoint's\n")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last, err := w.last(origin, key)
	if err != nil {
		w.logger.Error("a record of the witness cannot be read, nothing is co-signed for this ledger", "ledger", origin, "error", err)
		return http.StatusInternalServerError, []byte("the record of this ledger cannot be read\n")
	}
	if status, answer := compare(&r, &c, last); status != http.StatusOK {
		w.logger.Warn("a checkpoint was refused", "ledger", origin, "size", c.Size, "last", last.Size, "status", status)
		return status, answer
	}
	if err := replace(w.file(origin), r.checkpoint); err != nil {
		w.logger.Error("the witness cannot keep what it would co-sign", "error", err)
		return http.StatusInternalServerError, []byte("the record of this ledger cannot be written\n")
	}
	body, _, _ = bytes.Cut(r.checkpoint, []byte("\n\n"))
	by := *w.signer
	by.now = now
	signed, err := note.Sign(&note.Note{Text: string(body) + "\n"}, &by)
	if err != nil {
		return http.StatusInternalServerError, []byte("the checkpoint cannot be signed\n")
	}
	return http.StatusOK, signatureLines(signed)
}

// compare tells whether a tree holds the last one that was co-signed.
func compare(r *request, c *ledger.Checkpoint, last *ledger.Checkpoint) (status int, answer []byte) {
	switch {
	case r.old != last.Size:
		return http.StatusConflict, fmt.Appendf(nil, "%d\n", last.Size)
	case r.old == c.Size && last.Size > 0 && c.Root != last.Root:
		return http.StatusConflict, fmt.Appendf(nil, "%d\n", last.Size)
	case r.old == 0 || r.old == c.Size:
		if len(r.proof) > 0 {
			return http.StatusUnprocessableEntity, []byte("there is nothing to prove, and a proof\n")
		}
	case tlog.CheckTree(r.proof, c.Size, c.Root, r.old, last.Root) != nil:
		return http.StatusUnprocessableEntity, []byte("the tree does not hold the one that was co-signed last\n")
	}
	return http.StatusOK, nil
}

// last is the checkpoint that was co-signed last; one of size 0 where there is none.
func (w *Witness) last(origin, key string) (*ledger.Checkpoint, error) {
	text, err := os.ReadFile(w.file(origin))
	if errors.Is(err, os.ErrNotExist) {
		return &ledger.Checkpoint{}, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := ledger.OpenCheckpoint(text, key)
	return &c, err
}

func (w *Witness) file(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(w.dir, hex.EncodeToString(sum[:16])+".checkpoint")
}

// replace writes a file so that it is there whole or as before, and on disk.
func replace(path string, text []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
