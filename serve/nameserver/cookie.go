package nameserver

import (
	"net/netip"
	"time"
)

// cookieTime is how long a server's cookie is used without a new one. RFC 9018, Section 4.3: servers accept theirs for an hour.
const cookieTime = time.Hour

// Cookie is what to send in the COOKIE option: our own cookie and the server's that came with it (RFC 7873, Section 4). The zero Cookie
// is none.
type Cookie struct {
	Client [8]byte
	Server [32]byte
	Length uint8 // of Server: 8 to 32, or 0
}

// Known tells whether the server has sent a cookie. RFC 7873, Section 5.3: a reply of such a server without our cookie is not to be trusted.
func (c *Cookie) Known() bool { return c.Length > 0 }

// Append appends the contents of the option.
func (c *Cookie) Append(dst []byte) []byte {
	dst = append(dst, c.Client[:]...)
	return append(dst, c.Server[:c.Length]...)
}

// SetCookie keeps the cookie of a server that came in a reply with our own client cookie. RFC 7873, Section 4: it has 8 to 32 octets; others
// are not kept.
func (t *Table) SetCookie(addr netip.AddrPort, client [8]byte, cookie []byte, now int64) bool {
	if len(cookie) < 8 || len(cookie) > 32 {
		return false
	}
	t.change(addr, now, func(_ address, e *server) {
		e.news = now
		e.cookie = Cookie{Client: client, Length: uint8(len(cookie))}
		copy(e.cookie.Server[:], cookie)
		e.cookieEnd = now + int64(cookieTime)
	})
	return true
}

// Cookie returns the cookie to send to a server.
func (t *Table) Cookie(addr netip.AddrPort, now int64) (Cookie, bool) {
	state := t.Look(addr, nil, now)
	return state.Cookie, state.Cookie.Known()
}

// DropCookie forgets the cookie of a server: it did not take it (BADCOOKIE twice), or no longer sends any.
func (t *Table) DropCookie(addr netip.AddrPort, now int64) {
	t.change(addr, now, func(_ address, e *server) { e.cookieEnd = 0 })
}
