package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Refused is what a witness says that has seen another history of the ledger: a larger tree, or one that does not fit.
type Refused struct {
	Witness string
	Text    string
}

func (r *Refused) Error() string { return fmt.Sprintf("witness %s refuses: %s", r.Witness, r.Text) }

// Prove gives the proof that the tree of a size holds that of an older one.
type Prove func(size, old int64) (tlog.TreeProof, error)

// askTime bounds a question.
const askTime = 30 * time.Second

// Ask has a witness co-sign a checkpoint of a size, and gives the checkpoint with the signature added.
func Ask(ctx context.Context, client *http.Client, url string, by note.Verifier, checkpoint []byte, size int64, prove Prove) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	old := int64(0)
	for try := 0; ; try++ {
		status, answer, err := post(ctx, client, url, checkpoint, size, old, prove)
		if err != nil {
			return nil, fmt.Errorf("asking witness %s: %w", by.Name(), err)
		}
		switch {
		case status == http.StatusOK:
			return add(checkpoint, answer, by)
		case status == http.StatusConflict && try == 0:
			// The witness says what it co-signed last.
			last, err := strconv.ParseInt(strings.TrimSpace(string(answer)), 10, 64)
			if err != nil || last < 0 {
				return nil, fmt.Errorf("asking witness %s: %.80q is no size", by.Name(), answer)
			}
			if last > size {
				return nil, &Refused{by.Name(), fmt.Sprintf("it has co-signed %d entries, this ledger has %d: it was put back to an older state", last, size)}
			}
			old = last
		case status == http.StatusConflict, status == http.StatusUnprocessableEntity:
			return nil, &Refused{by.Name(), fmt.Sprintf("%.200s (of %d entries it has co-signed another tree)", strings.TrimSpace(string(answer)), old)}
		default:
			return nil, fmt.Errorf("asking witness %s: status %d: %.200s", by.Name(), status, strings.TrimSpace(string(answer)))
		}
	}
}

func post(ctx context.Context, client *http.Client, url string, checkpoint []byte, size, old int64, prove Prove) (status int, answer []byte, err error) {
	body := fmt.Appendf(nil, "old %d\n", old)
	if old > 0 && old < size {
		proof, err := prove(size, old)
		if err != nil {
			return 0, nil, err
		}
		for _, h := range proof {
			body = append(append(body, h.String()...), '\n')
		}
	}
	body = append(append(body, '\n'), checkpoint...)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	reply, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer reply.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(reply.Body, maxRequest))
	return reply.StatusCode, answer, err
}

// add joins the signatures of an answer to a checkpoint, where one of them is the witness's.
func add(checkpoint, answer []byte, by note.Verifier) ([]byte, error) {
	joined := append(bytes.Clone(checkpoint), answer...)
	n, err := note.Open(joined, note.VerifierList(by))
	if err != nil {
		return nil, errors.New("the answer of witness " + by.Name() + " has no signature of it over this checkpoint")
	}
	line := fmt.Sprintf("— %s %s\n", n.Sigs[0].Name, n.Sigs[0].Base64)
	return append(bytes.Clone(checkpoint), line...), nil // and nothing else of what it sent
}
