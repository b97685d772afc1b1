package filter

import (
	"encoding/binary"
	"net/netip"

	"github.com/dchest/siphash"
)

const (
	// CookieSize is the length of the COOKIE option we send: 8 octets of the client, 16 of ours.
	CookieSize = 24

	cookieVersion = 1
	cookiePast    = 3600 // s a cookie is accepted (RFC 9018, Section 4.3)
	cookieFuture  = 300  // s a clock of another server of the set may be ahead
	cookieRenew   = 1800 // s after which a valid cookie is replaced
)

// Secret is the key of server cookies; servers behind one address share it (RFC 9018, Section 4).
type Secret [16]byte

// Cookies makes and checks server cookies that other implementations can check too (RFC 9018).
type Cookies struct {
	Current  Secret
	Previous Secret // still accepted after a change, unless zero
}

// CookieState is what a COOKIE option proved.
type CookieState uint8

const (
	NoCookie     CookieState = iota
	ClientCookie             // no server part, or one that is wrong or old
	ValidCookie              // the client owns its address
)

// Check judges the contents of a COOKIE option of 8 or 16 to 40 octets.
func (c *Cookies) Check(option []byte, from netip.Addr, now int64) CookieState {
	if len(option) < 8 {
		return NoCookie
	}
	if len(option) != CookieSize || option[8] != cookieVersion {
		return ClientCookie
	}
	// RFC 9018, Section 4.3: serial number arithmetic, so that the clock may wrap.
	age := int32(uint32(now) - binary.BigEndian.Uint32(option[12:]))
	if age > cookiePast || age < -cookieFuture {
		return ClientCookie
	}
	got := binary.LittleEndian.Uint64(option[16:])
	if got == hash(c.Current, option, from) || c.Previous != (Secret{}) && got == hash(c.Previous, option, from) {
		return ValidCookie
	}
	return ClientCookie
}

// Append appends the full cookie to answer an option with: the one sent while it is fresh, else a new one
// (RFC 9018, Section 4.3).
func (c *Cookies) Append(dst, option []byte, state CookieState, from netip.Addr, now int64) []byte {
	if state == ValidCookie && int32(uint32(now)-binary.BigEndian.Uint32(option[12:])) < cookieRenew {
		return append(dst, option...)
	}
	at := len(dst)
	dst = append(dst, option[:8]...)
	dst = append(dst, cookieVersion, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(now))
	return binary.LittleEndian.AppendUint64(dst, hash(c.Current, dst[at:], from))
}

// hash is SipHash-2-4 over client cookie, version, reserved, timestamp and address (RFC 9018, Section 4.4).
func hash(key Secret, cookie []byte, from netip.Addr) uint64 {
	var b [32]byte
	n := copy(b[:], cookie[:16])
	if from = from.Unmap(); from.Is4() {
		a := from.As4()
		n += copy(b[n:], a[:])
	} else {
		a := from.As16()
		n += copy(b[n:], a[:])
	}
	return siphash.Hash(binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:]), b[:n])
}
