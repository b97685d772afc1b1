package tsig_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"anyu/dns/tsig"
)

// reference is HMAC-SHA-256 of the standard library over the components in one piece.
func reference(secret, input []byte) string {
	h := hmac.New(sha256.New, secret)
	h.Write(input)
	return hex.EncodeToString(h.Sum(nil))
}

// No message makes us panic, and none but the one that was signed passes: a mutation that verifies must be one that the MAC does
// not cover (case of the key's or the algorithm's name, the ID in the header, which goes by the original ID).
func FuzzCheck(f *testing.F) {
	k := newKey(tsig.HMACSHA256)
	signed := tsig.NewChain(k).Sign(message(f, 77), start)
	f.Add(signed)
	f.Add(message(f, 1))
	f.Fuzz(func(t *testing.T, msg []byte) {
		tsig.NewChain(k).Verify(msg, start)
		at, err := tsig.Find(msg)
		if err != nil || at == 0 {
			return
		}
		req, err := tsig.Check(msg, at, only(k), start)
		if err != nil {
			return
		}
		req.Answer(message(t, 77), start)
		if req.Err == nil && string(req.Message[2:]) != string(message(t, 77)[2:]) {
			t.Errorf("a message nobody signed passes: %x", msg)
		}
	})
}
