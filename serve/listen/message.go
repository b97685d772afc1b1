package listen

import (
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"anyu/dns/wire"
)

// What a transport's RFC makes us read in a request or a message. Pure: octets and headers in, values out.

// decodeDoH returns the DNS message of a request, or the HTTP status that refuses it (RFC 8484, Section 4.2.1).
func decodeDoH(r *http.Request) ([]byte, int) {
	var msg []byte
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		text := r.URL.Query().Get("dns")
		if len(text) > base64.RawURLEncoding.EncodedLen(MaxMessage) {
			return nil, http.StatusRequestURITooLong
		}
		var err error
		// RFC 8484, Section 6: base64url without padding. Some clients pad; that is harmless.
		msg, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		if err != nil {
			return nil, http.StatusBadRequest
		}
	case http.MethodPost:
		kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		if !strings.EqualFold(strings.TrimSpace(kind), mediaType) {
			return nil, http.StatusUnsupportedMediaType
		}
		if r.ContentLength > MaxMessage {
			return nil, http.StatusRequestEntityTooLarge
		}
		var err error
		msg, err = io.ReadAll(io.LimitReader(r.Body, MaxMessage+1))
		if err != nil {
			return nil, http.StatusBadRequest
		}
		if len(msg) > MaxMessage {
			return nil, http.StatusRequestEntityTooLarge
		}
	default:
		return nil, http.StatusMethodNotAllowed
	}
	if len(msg) < shortestMessage {
		return nil, http.StatusBadRequest
	}
	return msg, http.StatusOK
}

// freshness is how long an HTTP cache may keep a reply, in seconds: the smallest TTL of the answer section; without
// answers the SOA's TTL or MINIMUM, whichever is less (RFC 8484, Section 5.1; RFC 2308, Section 5). 0 where nothing says so.
func freshness(msg []byte) uint32 {
	var p wire.Parser
	if _, err := p.Start(msg); err != nil {
		return 0
	}
	for p.Section() == wire.Questions {
		if _, err := p.Question(); err != nil {
			return 0
		}
	}
	const none = ^uint32(0)
	least := none
	for {
		section := p.Section()
		if section == wire.Done || section == wire.Additionals || section == wire.Authorities && least != none {
			break
		}
		rr, err := p.RR()
		if err != nil {
			return 0
		}
		ttl := rr.TTL
		if ttl > 1<<31-1 {
			ttl = 0 // RFC 2181, Section 8
		}
		if section == wire.Authorities {
			if rr.Type != wire.TypeSOA || len(rr.RData) < 4 {
				continue
			}
			ttl = min(ttl, binary.BigEndian.Uint32(rr.RData[len(rr.RData)-4:]))
		}
		least = min(least, ttl)
	}
	if least == none {
		return 0
	}
	return least
}

// hasKeepalive tells whether a query carries the edns-tcp-keepalive option.
func hasKeepalive(msg []byte) bool {
	var q wire.Query
	return q.Read(msg) == wire.Good && q.Wants&wire.WantsKeepalive != 0
}

// forwardedFor finds the client in Forwarded (RFC 7239) or X-Forwarded-For: the last address that is not itself a trusted
// proxy, since everything before it is what an untrusted party claims.
func forwardedFor(h http.Header, proxies []netip.Prefix) (netip.AddrPort, bool) {
	if lines := h.Values("Forwarded"); len(lines) > 0 {
		return lastUntrusted(strings.Join(lines, ","), proxies, forParameter)
	}
	if lines := h.Values("X-Forwarded-For"); len(lines) > 0 {
		return lastUntrusted(strings.Join(lines, ","), proxies, strings.TrimSpace)
	}
	return netip.AddrPort{}, false
}

func lastUntrusted(list string, proxies []netip.Prefix, node func(string) string) (netip.AddrPort, bool) {
	elements := strings.Split(list, ",")
	for i := len(elements) - 1; i >= 0; i-- {
		at, ok := parseNode(node(elements[i]))
		if !ok {
			return netip.AddrPort{}, false // unknown, or hidden on purpose (RFC 7239, Section 6)
		}
		if !contains(proxies, at.Addr()) {
			return at, true
		}
	}
	return netip.AddrPort{}, false
}

// forParameter returns the value of for= in one element of a Forwarded header.
func forParameter(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "for") {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// parseNode reads an address with or without a port, IPv6 with or without brackets.
func parseNode(text string) (netip.AddrPort, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap().WithZone(""), 0), true
}
