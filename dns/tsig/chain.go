package tsig

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"hash"
	"time"

	"anyu/dns/wire"
)

// Chain is one exchange between two servers, seen from one of them: the request is its first message, the replies follow.
// The zero Chain is not usable; see NewChain and Check.
type Chain struct {
	key      *Key
	mac      [maxMAC]byte // of the message before
	macLen   int
	messages int       // signed so far, the request included
	unsigned int       // messages since the last signed one
	sum      hash.Hash // over the MAC before and the unsigned messages, begun when the first of them comes
	scratch  []byte
}

// NewChain begins an exchange as its client.
func NewChain(k *Key) *Chain { return &Chain{key: k} }

// Key is the one that signs.
func (c *Chain) Key() *Key { return c.key }

// begin returns the sum with what precedes the message: the MAC before (RFC 8945, Sections 4.3.1 and 5.3.1).
func (c *Chain) begin() hash.Hash {
	if c.sum != nil {
		return c.sum
	}
	h := c.key.hash()
	if c.messages > 0 {
		c.scratch = binary.BigEndian.AppendUint16(c.scratch[:0], uint16(c.macLen))
		h.Write(append(c.scratch, c.mac[:c.macLen]...))
	}
	return h
}

// digest returns the MAC over a message without its TSIG, of which r has everything but the MAC. RFC 8945, Section 5.3.1: after
// the first reply only the timers are covered.
func (c *Chain) digest(msg []byte, r *Record) []byte {
	h := c.begin()
	h.Write(msg)
	if c.messages <= 1 {
		c.scratch = appendVariables(c.scratch[:0], r)
	} else {
		c.scratch = appendTimers(c.scratch[:0], r)
	}
	h.Write(c.scratch)
	return h.Sum(nil)
}

// signed notes a MAC that holds.
func (c *Chain) signed(mac []byte) {
	c.macLen = copy(c.mac[:], mac)
	c.messages++
	c.unsigned, c.sum = 0, nil
}

// Sign appends a TSIG to a message, which may grow in place, and returns it.
func (c *Chain) Sign(msg []byte, now time.Time) []byte {
	return c.sign(msg, &Record{Time: seconds(now), Fudge: DefaultFudge})
}

func (c *Chain) sign(msg []byte, r *Record) []byte {
	r.Key, r.Algorithm, r.OriginalID = c.key.Name, c.key.Algorithm.Name(), binary.BigEndian.Uint16(msg)
	r.MAC = c.digest(msg, r)
	c.signed(r.MAC)
	return appendRecord(msg, r)
}

// Verify checks the next reply and returns it without its TSIG. A reply that is not signed is taken after the first
// (RFC 8945, Section 5.3.1), and what it says is trusted only once End says so. An *Error names what the server holds against us, or
// we against it.
func (c *Chain) Verify(msg []byte, now time.Time) ([]byte, error) {
	at, err := Find(msg)
	if err != nil {
		return nil, err
	}
	if at == 0 {
		return c.pass(msg)
	}
	r, err := Read(msg, at)
	if err != nil {
		return nil, err
	}
	if !r.Key.Equal(c.key.Name) || !r.Algorithm.Equal(c.key.Algorithm.Name()) {
		return nil, &Error{wire.BadKey, "reply is signed with " + r.Key.String()}
	}
	// RFC 8945, Section 5.3.2: an unsigned error may come from anybody, it is told and proves nothing.
	if len(r.MAC) == 0 && r.Error != 0 {
		return nil, &Error{r.Error, "says the server, unsigned"}
	}
	if !c.key.sizeAllowed(len(r.MAC)) {
		return nil, fmt.Errorf("%w: MAC of %d octets", ErrFormat, len(r.MAC))
	}
	stripped := Strip(msg, at, &r)
	if !hmac.Equal(c.digest(stripped, &r)[:len(r.MAC)], r.MAC) {
		return nil, &Error{wire.BadSig, "reply"}
	}
	if !c.key.longEnough(len(r.MAC)) {
		return nil, &Error{wire.BadTrunc, "reply"}
	}
	if r.Error == wire.BadTime && len(r.Other) == otherTime {
		theirs := int64(binary.BigEndian.Uint16(r.Other))<<32 | int64(binary.BigEndian.Uint32(r.Other[2:]))
		return nil, &Error{wire.BadTime, fmt.Sprintf("says the server; its clock is %d s ahead of ours", theirs-now.Unix())}
	}
	if r.Error != 0 {
		return nil, &Error{r.Error, "says the server"}
	}
	if !inTime(&r, now) {
		return nil, &Error{wire.BadTime, fmt.Sprintf("reply was signed %d s ago", now.Unix()-int64(r.Time))}
	}
	c.signed(r.MAC)
	binary.BigEndian.PutUint16(stripped, binary.BigEndian.Uint16(msg))
	return stripped, nil
}

// pass takes a message without a TSIG between two with.
func (c *Chain) pass(msg []byte) ([]byte, error) {
	if c.messages < 2 { // the request and the first reply must be signed
		return nil, ErrUnsigned
	}
	if c.unsigned++; c.unsigned > MaxUnsigned {
		return nil, ErrMany
	}
	c.sum = c.begin()
	c.sum.Write(msg)
	return msg, nil
}

// End says whether the last message was signed: RFC 8945, Section 5.3.1 wants it so, and only then is the whole stream
// proved.
func (c *Chain) End() error {
	if c.unsigned > 0 || c.messages < 2 {
		return ErrUnsigned
	}
	return nil
}

// Request is what a server makes of a signed request.
type Request struct {
	Chain   *Chain // signs the replies; nil with an error that goes out unsigned
	Message []byte // the request without its TSIG; nil with an error
	Err     *Error // nil: the signature holds
	record  Record
}

// Key is the key that signed, nil unless the signature holds.
func (r *Request) Key() *Key {
	if r.Err != nil {
		return nil
	}
	return r.Chain.key
}

// Check checks the TSIG at offset at of a request (RFC 8945, Section 5.2): key, MAC, time, truncation, in this order. find returns
// the key of a name in lower case, or nil. The error is ErrFormat: answer FORMERR without a TSIG.
func Check(msg []byte, at int, find func(name string) *Key, now time.Time) (*Request, error) {
	r, err := Read(msg, at)
	if err != nil {
		return nil, err
	}
	req := &Request{record: r}
	k := find(string(r.Key.AppendLower(nil)))
	// RFC 8945, Section 5.2.1
	if k == nil || !r.Algorithm.Equal(k.Algorithm.Name()) {
		req.Err = &Error{Code: wire.BadKey, Text: "key " + r.Key.String()}
		return req, nil
	}
	if !k.sizeAllowed(len(r.MAC)) {
		return nil, fmt.Errorf("%w: MAC of %d octets", ErrFormat, len(r.MAC))
	}
	c := NewChain(k)
	stripped := Strip(msg, at, &r)
	// RFC 8945, Section 5.2.2
	if !hmac.Equal(c.digest(stripped, &r)[:len(r.MAC)], r.MAC) {
		req.Err = &Error{Code: wire.BadSig, Text: "key " + r.Key.String()}
		return req, nil
	}
	c.signed(r.MAC)
	req.Chain = c
	switch {
	case !inTime(&r, now): // RFC 8945, Section 5.2.3
		req.Err = &Error{Code: wire.BadTime, Text: fmt.Sprintf("signed %d s ago", now.Unix()-int64(r.Time))}
	case !k.longEnough(len(r.MAC)): // RFC 8945, Section 5.2.4
		req.Err = &Error{Code: wire.BadTrunc}
	default:
		binary.BigEndian.PutUint16(stripped, binary.BigEndian.Uint16(msg))
		req.Message = stripped
	}
	return req, nil
}

// Answer appends the TSIG to a reply: signed, or for BADKEY and BADSIG unsigned (RFC 8945, Section 5.3.2). The RCODE of a reply with
// an error is NOTAUTH, which is the caller's to set.
func (r *Request) Answer(msg []byte, now time.Time) []byte {
	if r.Err == nil {
		return r.Chain.Sign(msg, now)
	}
	out := &Record{Time: r.record.Time, Fudge: r.record.Fudge, Error: r.Err.Code}
	if r.Chain == nil {
		out.Key, out.Algorithm, out.OriginalID = r.record.Key, r.record.Algorithm, binary.BigEndian.Uint16(msg)
		return appendRecord(msg, out)
	}
	if r.Err.Code == wire.BadTime {
		// RFC 8945, Section 5.2.3: the time stays the client's, ours goes into the other data.
		t := seconds(now)
		out.Other = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, uint16(t>>32)), uint32(t))
	} else {
		out.Time = seconds(now)
	}
	return r.Chain.sign(msg, out)
}

// Size is the room that Answer needs.
func (r *Request) Size() int {
	if r.Chain == nil {
		return len(r.record.Key) + 10 + len(r.record.Algorithm) + 16
	}
	return r.Chain.key.RecordSize() + otherTime
}
