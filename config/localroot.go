package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

const httpsPort = 443

// maxSources of the local root: each is asked in turn, and who is asked last should be asked soon.
const maxSources = 16

// RootSource is one source of the local root, read.
type RootSource struct {
	Kind string // axfr, xot, https or file
	// Address of axfr and xot, and of https where it is written.
	Address netip.AddrPort
	// Name in the certificate of xot.
	Name string
	// Place is the URL or the path.
	Place string
}

// ParseRootSource reads a source as it is written.
func ParseRootSource(text string) (s RootSource, err error) {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok || rest == "" {
		return s, fmt.Errorf("%q: write axfr:ADDR, xot:ADDR#NAME, https://HOST/PATH, https://HOST/PATH#ADDR or file:PATH", text)
	}
	s.Kind = kind
	switch kind {
	case "axfr":
		s.Address, err = addressAt(rest, 53)
	case "xot":
		where, name, named := strings.Cut(rest, "#")
		if !named || name == "" {
			return s, fmt.Errorf("%q: xot needs #NAME, what the server's certificate says (RFC 9103, Section 9.3)", text)
		}
		s.Name = strings.TrimSuffix(name, ".")
		s.Address, err = addressAt(where, 853)
	case "https":
		u, bad := url.Parse(text)
		if bad != nil || u.Host == "" {
			return s, fmt.Errorf("%q is no URL", text)
		}
		if u.User != nil { // the text is logged where a source fails
			return s, fmt.Errorf("https://%s: a name and password in the URL are not supported", u.Host)
		}
		if u.Fragment != "" {
			if s.Address, err = addressAt(u.Fragment, httpsPort); err != nil {
				return s, err
			}
			u.Fragment = ""
		}
		s.Place = u.String()
	case "file":
		s.Place = filepath.Clean(rest)
	default:
		err = fmt.Errorf("%q: there are axfr, xot, https and file", text)
	}
	return s, err
}

// addressAt reads an address with or without port.
func addressAt(text string, port uint16) (netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a, nil
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: write the address of a server, for example 192.0.2.1 or [2001:db8::1]:53; names are not looked up", text)
	}
	return netip.AddrPortFrom(a, port), nil
}

func (l *LocalRoot) check() error {
	at := path + ".local_root"
	if len(l.Sources) > maxSources {
		return wrong(at+".sources", "at most %d", maxSources)
	}
	seen := map[string]bool{}
	for i, text := range l.Sources {
		if _, err := ParseRootSource(text); err != nil {
			return wrong(fmt.Sprintf("%s.sources[%d]", at, i), "%v", err)
		}
		if seen[text] {
			return wrong(fmt.Sprintf("%s.sources[%d]", at, i), "%s is here twice", text)
		}
		seen[text] = true
	}
	return nil
}
