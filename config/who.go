package config

import (
	"net/netip"
	"strings"
)

// Who is one entry of allow_transfer or allow_notify: a prefix, or a key.
type Who struct {
	Prefix netip.Prefix
	Key    string
}

// ParseWho reads 192.0.2.0/24, 192.0.2.1 or key:NAME.
func ParseWho(s string) (Who, bool) {
	if key, ok := strings.CutPrefix(s, "key:"); ok {
		return Who{Key: key}, key != ""
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return Who{Prefix: p.Masked()}, true
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return Who{Prefix: netip.PrefixFrom(a, a.BitLen())}, true
	}
	return Who{}, false
}

func checkWho(at, s string, keys map[string]bool) error {
	w, ok := ParseWho(s)
	switch {
	case !ok:
		return wrong(at, "%q: write a prefix such as 192.0.2.0/24, or key:NAME", s)
	case w.Key != "" && !knownKey(keys, w.Key):
		return wrong(at, "%q: this key is not under keys", s)
	}
	return nil
}
