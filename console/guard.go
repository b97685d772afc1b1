package console

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// policy forbids everything that is not ours: no inline script or style, nothing from elsewhere, no frame around.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded checks where a request comes from before anything looks at it.
func (c *Console) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-store")
		switch {
		case !c.hostAllowed(r):
			c.refuse(w, http.StatusMisdirectedRequest, "host", "the console does not answer for the name in Host; add it under console.hosts in the configuration")
			return
		case c.guard.Check(r) != nil, crossRead(r):
			c.refuse(w, http.StatusForbidden, "origin", "this request comes from another site")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

func (c *Console) refuse(w http.ResponseWriter, status int, why, text string) {
	c.opts.Log.Debug("console request refused", "why", why)
	http.Error(w, text, status)
}

// hostAllowed compares Host with the names the console has. A page elsewhere whose name is made to resolve to us (DNS rebinding) still
// sends its own name. An address in Host is fine when it is the one the connection came to: nobody rebinds an address.
func (c *Console) hostAllowed(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.IsLoopback() || addr.Unmap() == c.opts.Listen.Addr().Unmap() {
			return true
		}
		local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if !ok {
			return false
		}
		here, err := netip.ParseAddrPort(local.String())
		return err == nil && here.Addr().Unmap() == addr.Unmap()
	}
	return host == "localhost" || slices.ContainsFunc(c.opts.Hosts, func(name string) bool {
		return strings.EqualFold(strings.TrimSuffix(name, "."), host)
	})
}

// crossRead finds a page elsewhere that reads us in the background. Following a link from elsewhere is fine.
func crossRead(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return (site == "cross-site" || site == "same-site") && r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

// remote is the client's address.
func remote(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// fromHere tells whether a program on this machine asks, and not a proxy for somebody else.
func fromHere(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return remote(r).IsLoopback()
}
