package node

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"anyu/config"
	"anyu/dns/tsig"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/filter"
	"anyu/serve/transfer"
)

// Ports where none is written.
const (
	portPlain = 53
	portTLS   = 853
)

// plan is what a configuration says about transfers, checked and with its files read.
type plan struct {
	zones []transfer.Zone
	keys  []*tsig.Key
	conf  map[string]config.Zone
}

// planMoves reads the transfers out of a configuration.
func planMoves(c *config.Config) (*plan, error) {
	p := &plan{conf: map[string]config.Zone{}}
	byName := map[string]*tsig.Key{}
	for _, k := range c.Keys {
		key, err := readKey(k)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Name, err)
		}
		p.keys = append(p.keys, key)
		byName[canonical(key.Name)] = key
	}
	for _, z := range c.Zones {
		moved, err := planZone(z, byName)
		if err != nil {
			return nil, fmt.Errorf("zone %s: %w", z.Name, err)
		}
		p.zones = append(p.zones, moved)
		if len(z.Primaries) > 0 {
			p.conf[canonical(moved.Name)] = z
		}
	}
	return p, nil
}

// readKey reads a key with its secret.
func readKey(k config.Key) (*tsig.Key, error) {
	name, err := wire.ParseName(k.Name)
	if err != nil {
		return nil, err
	}
	alg, ok := tsig.ParseAlgorithm(k.Algorithm)
	if !ok {
		return nil, fmt.Errorf("algorithm %q is unknown", k.Algorithm)
	}
	text := k.Secret.Reveal()
	if k.SecretFile != "" {
		b, err := os.ReadFile(k.SecretFile)
		if err != nil {
			return nil, err
		}
		text = string(b)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(secret) == 0 {
		return nil, errors.New("the secret is not base64") // the decoder's words would quote it
	}
	return &tsig.Key{Name: wire.Name(name.AppendLower(nil)), Algorithm: alg, Secret: secret}, nil
}

func planZone(c config.Zone, keys map[string]*tsig.Key) (z transfer.Zone, err error) {
	if z.Name, err = wire.ParseName(c.Name); err != nil {
		return z, err
	}
	if z.Primaries, err = planRemotes(c.Primaries, keys); err != nil {
		return z, err
	}
	if z.Secondaries, err = planRemotes(c.Secondaries, keys); err != nil {
		return z, err
	}
	if z.AllowTransfer, err = planWho(c.AllowTransfer); err != nil {
		return z, err
	}
	if z.AllowNotify, err = planWho(c.AllowNotify); err != nil {
		return z, err
	}
	z.Catalog = c.Catalog
	if len(c.Primaries) > 0 {
		z.Accept = func(fresh *zone.Zone) error { return acceptable(fresh, c.ZONEMD) }
	}
	return z, nil
}

func planRemotes(list []config.Remote, keys map[string]*tsig.Key) ([]transfer.Remote, error) {
	var out []transfer.Remote
	for _, c := range list {
		r := transfer.Remote{}
		port := uint16(portPlain)
		if c.TLS != "" {
			port = portTLS
			r.TLS = &tls.Config{ServerName: strings.TrimSuffix(c.TLS, ".")}
			if c.TLSRoots != "" {
				pem, err := os.ReadFile(c.TLSRoots)
				if err != nil {
					return nil, fmt.Errorf("tls_roots: %w", err)
				}
				r.TLS.RootCAs = x509.NewCertPool()
				if !r.TLS.RootCAs.AppendCertsFromPEM(pem) {
					return nil, fmt.Errorf("tls_roots: no certificate in %s", c.TLSRoots)
				}
			}
		}
		var err error
		if r.Address, err = parseRemote(c.Address, port); err != nil {
			return nil, err
		}
		if c.Key != "" {
			name, err := wire.ParseName(c.Key)
			if err != nil {
				return nil, err
			}
			r.Key = keys[canonical(name)]
		}
		out = append(out, r)
	}
	return out, nil
}

// parseRemote reads an address with or without port. A name is refused: who is trusted must not depend on answers of the DNS.
func parseRemote(text string, port uint16) (netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a, nil
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: write an address, with or without port, for example 192.0.2.1 or [2001:db8::1]:53", text)
	}
	return netip.AddrPortFrom(a, port), nil
}

// planWho reads prefixes, addresses and key:NAME.
func planWho(list []string) (w transfer.Who, err error) {
	var prefixes []netip.Prefix
	for _, text := range list {
		if name, ok := strings.CutPrefix(text, "key:"); ok {
			key, err := wire.ParseName(name)
			if err != nil {
				return w, err
			}
			w.Keys = append(w.Keys, key)
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return w, fmt.Errorf("%q: write a prefix, an address or key:NAME", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		prefixes = append(prefixes, p)
	}
	w.Addresses = filter.NewACL(prefixes)
	return w, nil
}
