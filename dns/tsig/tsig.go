// Package tsig signs and checks messages with a shared key (RFC 8945).
//
// A Chain is one exchange: a request, its reply, and for a transfer the messages after it; each MAC covers the one before,
// so that nothing can be left out, put in or moved. Check is the server's side of a request: it says which key signed, or
// which error to answer with.
//
// The package promises: MACs are compared in constant time; a MAC shorter than the key allows is refused; what follows a
// TSIG, or a TSIG that is not whole, is malformed, and no input makes it panic. Secrets are never printed.
//
// It refuses HMAC-MD5 and GSS-TSIG, and HMAC-SHA1 unless the key says it. `now` is an argument.
//
// Limits today: signing rewrites nothing but the ID for the MAC, so a message signed here keeps its own ID as original ID.
package tsig

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"time"

	"anyu/dns/wire"
)

const (
	// DefaultFudge is how far clocks may differ (RFC 8945, Section 10: 300 seconds), in seconds.
	DefaultFudge = 300
	// MaxUnsigned is the number of messages of a stream that may go unsigned in a row (RFC 8945, Section 5.3.1: the
	// client must take 99). More would let an attacker feed data for long before the first check.
	MaxUnsigned = 99
	// maxMAC is the length of the longest MAC we make.
	maxMAC = sha512.Size
	// maxFudge bounds a peer's fudge. A message could else be replayed for 18 hours.
	maxFudge = 3600
)

// Errors of verification. Error gives the code to answer with.
var (
	ErrFormat   = errors.New("TSIG record is malformed")
	ErrUnsigned = errors.New("message is not signed")
	ErrMany     = errors.New("more than 99 messages without a signature")
)

// Error is a TSIG that does not hold: BADSIG, BADKEY, BADTIME or BADTRUNC (RFC 8945, Section 5.2).
type Error struct {
	Code wire.Rcode
	Text string
}

func (e *Error) Error() string {
	name := e.Code.String()
	if e.Code == wire.BadSig {
		name = "BADSIG" // shares its number with BADVERS
	}
	if e.Text == "" {
		return "TSIG: " + name
	}
	return "TSIG: " + name + ": " + e.Text
}

// Algorithm is a MAC (RFC 8945, Section 6).
type Algorithm uint8

const (
	HMACSHA256 Algorithm = iota // the default
	HMACSHA224
	HMACSHA384
	HMACSHA512
	HMACSHA1 // both sides should leave it
)

var algorithms = [...]struct {
	text string
	name wire.Name
	size int
	make func() hash.Hash
}{
	HMACSHA256: {"hmac-sha256", wire.Name("\x0bhmac-sha256\x00"), sha256.Size, sha256.New},
	HMACSHA224: {"hmac-sha224", wire.Name("\x0bhmac-sha224\x00"), sha256.Size224, sha256.New224},
	HMACSHA384: {"hmac-sha384", wire.Name("\x0bhmac-sha384\x00"), sha512.Size384, sha512.New384},
	HMACSHA512: {"hmac-sha512", wire.Name("\x0bhmac-sha512\x00"), sha512.Size, sha512.New},
	HMACSHA1:   {"hmac-sha1", wire.Name("\x09hmac-sha1\x00"), sha1.Size, sha1.New},
}

// ParseAlgorithm reads a name as configurations write it, hmac-sha256.
func ParseAlgorithm(text string) (Algorithm, bool) {
	for i := range algorithms {
		if algorithms[i].text == text {
			return Algorithm(i), true
		}
	}
	return 0, false
}

func (a Algorithm) String() string { return algorithms[a].text }

// Name is the algorithm in a TSIG record, Size the length of its whole MAC.
func (a Algorithm) Name() wire.Name { return algorithms[a].name }
func (a Algorithm) Size() int       { return algorithms[a].size }

// Key is a secret that two servers share.
type Key struct {
	Name      wire.Name
	Algorithm Algorithm
	Secret    []byte
	// Truncated is the least length of MAC taken, octets; 0 takes whole ones only (RFC 8945, Section 5.2.2.1).
	Truncated int
}

// String names the key without its secret.
func (k *Key) String() string { return k.Name.String() + " (" + k.Algorithm.String() + ")" }

// Format keeps the secret out of every verb of fmt.
func (k *Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// RecordSize is the length of the TSIG record this key makes, without other data.
func (k *Key) RecordSize() int {
	return len(k.Name) + 10 + len(k.Algorithm.Name()) + 16 + k.Algorithm.Size()
}

// otherTime is the length of the server's clock in the other data of a BADTIME.
const otherTime = 6

// Record is a TSIG record taken apart (RFC 8945, Section 4.2). Its slices point into the message.
type Record struct {
	Key        wire.Name
	Algorithm  wire.Name
	Time       uint64 // seconds since 1970, 48 bits
	Fudge      uint16
	MAC        []byte
	OriginalID uint16
	Error      wire.Rcode
	Other      []byte
}

// Find returns the offset of the TSIG record of a message, 0 where it has none. RFC 8945, Section 5.1: it is the last record
// of the additional section; anywhere else it makes the message malformed.
func Find(msg []byte) (int, error) {
	var p wire.Parser
	if _, err := p.Start(msg); err != nil {
		return 0, err
	}
	at := 0
	for {
		switch p.Section() {
		case wire.Questions:
			if _, err := p.Question(); err != nil {
				return 0, err
			}
		case wire.Done:
			return at, p.End()
		default:
			start := p.Offset()
			rr, err := p.RR()
			if err != nil {
				return 0, err
			}
			if at != 0 || rr.Type == wire.TypeTSIG && rr.Section != wire.Additionals {
				return 0, ErrFormat
			}
			if rr.Type == wire.TypeTSIG {
				at = start
			}
		}
	}
}

// Read takes apart the TSIG record at offset at, which must be the last of the message.
func Read(msg []byte, at int) (Record, error) {
	var r Record
	name, off, err := wire.UnpackName(msg, at, nil)
	if err != nil || off+10 > len(msg) {
		return r, ErrFormat
	}
	fixed, rdata := msg[off:off+10], msg[off+10:]
	// RFC 8945, Section 4.2: class ANY, TTL 0.
	if wire.Type(binary.BigEndian.Uint16(fixed)) != wire.TypeTSIG || wire.Class(binary.BigEndian.Uint16(fixed[2:])) != wire.ClassANY ||
		binary.BigEndian.Uint32(fixed[4:]) != 0 || int(binary.BigEndian.Uint16(fixed[8:])) != len(rdata) {
		return r, ErrFormat
	}
	r.Key = name
	alg, off, err := wire.UnpackName(msg, off+10, nil)
	if err != nil || off+10 > len(msg) {
		return r, ErrFormat
	}
	r.Algorithm = alg
	b := msg[off:]
	r.Time = uint64(binary.BigEndian.Uint16(b))<<32 | uint64(binary.BigEndian.Uint32(b[2:]))
	r.Fudge = binary.BigEndian.Uint16(b[6:])
	n := int(binary.BigEndian.Uint16(b[8:]))
	if len(b) < 10+n+6 {
		return r, ErrFormat
	}
	r.MAC, b = b[10:10+n], b[10+n:]
	r.OriginalID, r.Error = binary.BigEndian.Uint16(b), wire.Rcode(binary.BigEndian.Uint16(b[2:]))
	if int(binary.BigEndian.Uint16(b[4:])) != len(b)-6 {
		return r, ErrFormat
	}
	r.Other = b[6:]
	return r, nil
}

// Strip returns the message as it was signed, in memory of its own: without the TSIG record at offset at.
func Strip(msg []byte, at int, r *Record) []byte {
	out := append([]byte(nil), msg[:at]...)
	binary.BigEndian.PutUint16(out, r.OriginalID)
	binary.BigEndian.PutUint16(out[10:], binary.BigEndian.Uint16(out[10:])-1)
	return out
}

// appendRecord appends a TSIG record to a message and counts it.
func appendRecord(msg []byte, r *Record) []byte {
	msg = append(msg, r.Key...)
	msg = append(msg, byte(wire.TypeTSIG>>8), byte(wire.TypeTSIG), byte(wire.ClassANY>>8), byte(wire.ClassANY), 0, 0, 0, 0)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(r.Algorithm)+16+len(r.MAC)+len(r.Other)))
	msg = append(msg, r.Algorithm...)
	msg = appendTimers(msg, r)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(r.MAC)))
	msg = append(msg, r.MAC...)
	msg = binary.BigEndian.AppendUint16(msg, r.OriginalID)
	msg = binary.BigEndian.AppendUint16(msg, uint16(r.Error))
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(r.Other)))
	msg = append(msg, r.Other...)
	binary.BigEndian.PutUint16(msg[10:], binary.BigEndian.Uint16(msg[10:])+1)
	return msg
}

// appendTimers: RFC 8945, Section 4.3.3.1.
func appendTimers(dst []byte, r *Record) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.Time>>32))
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Time))
	return binary.BigEndian.AppendUint16(dst, r.Fudge)
}

// appendVariables: RFC 8945, Section 4.3.3.
func appendVariables(dst []byte, r *Record) []byte {
	dst = r.Key.AppendLower(dst)
	dst = append(dst, byte(wire.ClassANY>>8), byte(wire.ClassANY), 0, 0, 0, 0)
	dst = r.Algorithm.AppendLower(dst)
	dst = appendTimers(dst, r)
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.Error))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.Other)))
	return append(dst, r.Other...)
}

func seconds(now time.Time) uint64 { return uint64(max(0, now.Unix())) & (1<<48 - 1) }

// inTime: RFC 8945, Section 5.2.3.
func inTime(r *Record, now time.Time) bool {
	t, fudge := seconds(now), uint64(min(r.Fudge, maxFudge))
	return t <= r.Time+fudge && r.Time <= t+fudge
}

// sizeAllowed: RFC 8945, Section 5.2.2.1: neither longer than the hash nor shorter than half of it or 10 octets.
func (k *Key) sizeAllowed(n int) bool {
	whole := k.Algorithm.Size()
	return n <= whole && n >= max(10, whole/2)
}

// longEnough applies the key's own rule for truncated MACs.
func (k *Key) longEnough(n int) bool {
	return n == k.Algorithm.Size() || k.Truncated > 0 && n >= k.Truncated
}

func (k *Key) hash() hash.Hash { return hmac.New(algorithms[k.Algorithm].make, k.Secret) }
