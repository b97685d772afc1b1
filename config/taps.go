package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// TapKind is what a tap takes in.
type TapKind string

// Kinds of taps, as they are written.
const (
	DnstapUnix TapKind = "dnstap+unix"
	DnstapTCP  TapKind = "dnstap+tcp"
	DnstapTLS  TapKind = "dnstap+tls"
	Capture    TapKind = "capture"
)

const (
	// maxTaps is the room for sources in the figures, without self and other.
	maxTaps = 62
	// maxTapPorts bounds the kernel's filter, whose jumps are short.
	maxTapPorts = 16
)

var tapName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)

// Where takes From apart.
func (t *Tap) Where() (kind TapKind, place string) {
	k, place, _ := strings.Cut(t.From, ":")
	return TapKind(k), place
}

func (t *Tap) setDefaults(c *Config) {
	if t.Clients == nil {
		t.Clients = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if kind, _ := t.Where(); kind == DnstapTLS && t.Certificate == "" && t.Key == "" {
		t.Certificate, t.Key = c.Listen.Certificate, c.Listen.Key
	}
	if len(t.Ports) == 0 {
		t.Ports = []int{53, 5353, 5355}
	}
}

func (c *Config) checkTaps() error {
	names, places := map[string]bool{"self": true, "other": true}, map[string]string{}
	if len(c.Taps) > maxTaps {
		return wrong("$.taps", "%d of them: %d at most", len(c.Taps), maxTaps)
	}
	for i := range c.Taps {
		t, at := &c.Taps[i], fmt.Sprintf("$.taps[%d]", i)
		switch {
		case !tapName.MatchString(t.Name):
			return wrong(at, "a tap is called %q: write letters, digits, -, _ and ., 63 at most", t.Name)
		case names[t.Name]:
			return wrong(at+".name", "%s is taken", t.Name)
		case places[t.From] != "":
			return wrong(at+".from", "the tap %s takes this in already", places[t.From])
		}
		names[t.Name], places[t.From] = true, t.Name
		if err := t.check(at); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dnstap) check() error {
	network, place, _ := strings.Cut(d.To, ":")
	_, err := netip.ParseAddrPort(place)
	if d.To != "" && (network != "unix" || !strings.HasPrefix(place, "/")) && (network != "tcp" || err != nil) {
		return wrong("$.dnstap.to", "%q: write unix:PATH or tcp:ADDR:PORT", d.To)
	}
	return nil
}

func (t *Tap) check(at string) error {
	kind, place := t.Where()
	switch kind {
	case DnstapUnix:
		if !strings.HasPrefix(place, "/") && !strings.HasPrefix(place, "./") {
			return wrong(at+".from", "%q: write a path that begins with /", t.From)
		}
	case DnstapTCP, DnstapTLS:
		if _, err := netip.ParseAddrPort(place); err != nil {
			return wrong(at+".from", "%q: write address and port behind it, for example %s:127.0.0.1:6000", t.From, kind)
		}
	case Capture:
		if place == "" {
			return wrong(at+".from", "capture: of which interface? For example capture:eth0")
		}
	default:
		return wrong(at+".from", "%q: write dnstap+unix:PATH, dnstap+tcp:ADDR:PORT, dnstap+tls:ADDR:PORT or capture:INTERFACE", t.From)
	}
	if kind == DnstapTLS && (t.Certificate == "" || t.Key == "") {
		return wrong(at, "the tap %s needs certificate and key, here or under listen", t.Name)
	}
	if t.ClientRoots != "" && kind != DnstapTLS {
		return wrong(at+".client_roots", "only dnstap+tls knows certificates")
	}
	if t.Group != "" && kind != DnstapUnix {
		return wrong(at+".group", "only dnstap+unix has a file")
	}
	if len(t.Ports) > maxTapPorts {
		return wrong(at+".ports", "%d of them: %d at most", len(t.Ports), maxTapPorts)
	}
	for _, p := range t.Ports {
		if p < 1 || p > 65535 {
			return wrong(at+".ports", "%d: from 1 to 65535", p)
		}
	}
	return nil
}
