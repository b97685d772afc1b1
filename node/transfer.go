package node

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"anyu/config"
	"anyu/dns/tsig"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/serve/transfer"
)

const (
	portPlain = 53
	portTLS   = 853
)

// moves joins the room that moves zones with the server that answers for them.
type moves struct {
	room   *transfer.Room
	names  *event.Names
	server *serve.Server
	log    *slog.Logger

	mu   sync.Mutex
	conf map[string]config.Zone // secondaries, by canonical name
}

func (n *Node) openMoves() *moves {
	m := &moves{names: n.names, log: n.opts.Log, conf: map[string]config.Zone{}}
	m.room = transfer.New(transfer.Options{
		Dir: n.data.Path(journalDir), Publish: m.publish, Withdraw: m.withdraw, Findings: n.findings, Node: n.conf().Node, Log: n.opts.Log,
	})
	return m
}

// Message and Stream implement serve.Transfers.
func (m *moves) Message(msg []byte, q *wire.Query, from *listen.Client, out []byte, inner func(q, out []byte, room int) int) (int, wire.Rcode) {
	return m.room.Message(msg, q, from, out, inner)
}

func (m *moves) Stream(msg []byte, from *listen.Client, send func([]byte) error) (serve.Streamed, error) {
	done, err := m.room.Stream(msg, from, send)
	s := serve.Streamed{Rcode: done.Rcode, Bytes: done.Bytes, First: done.First}
	if done.Zone != nil {
		s.Zone = m.names.ID(done.Zone.String())
	}
	return s, err
}

// publish puts versions of secondaries into service.
func (m *moves) publish(list []transfer.Served) {
	var c serve.Change
	for _, s := range list {
		z := serve.Zone{Name: s.Name, Zone: s.Zone, Why: s.Why, Expires: s.Expires}
		if conf, ok := m.configured(s.Name); ok && conf.AllowQuery != nil {
			acl := filter.NewACL(conf.AllowQuery)
			z.Allow = &acl
		}
		c.Put = append(c.Put, z)
	}
	m.server.Change(c)
	if err := m.copies(list); err != nil {
		m.log.Warn("no readable copy of a zone", "error", err)
	}
}

func (m *moves) withdraw(names []wire.Name) { m.server.Change(serve.Change{Remove: names}) }

func (m *moves) configured(name wire.Name) (config.Zone, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.conf[canonical(name)]
	return c, ok
}

// plan is what a configuration says about transfers, checked and with its files read.
type plan struct {
	zones []transfer.Zone
	keys  []*tsig.Key
	conf  map[string]config.Zone
}

// take puts a plan into effect.
func (m *moves) take(p *plan) {
	m.mu.Lock()
	m.conf = p.conf
	m.mu.Unlock()
	m.room.Configure(p.zones, p.keys)
	m.allow()
}

// allow gives secondaries that stayed their new lists of who may ask.
func (m *moves) allow() {
	var c serve.Change
	for _, z := range m.server.Table().All() {
		conf, ok := m.configured(z.Name)
		if !ok || z.Allow == nil && conf.AllowQuery == nil {
			continue
		}
		z.Allow = nil
		if conf.AllowQuery != nil {
			acl := filter.NewACL(conf.AllowQuery)
			z.Allow = &acl
		}
		c.Put = append(c.Put, z)
	}
	if len(c.Put) > 0 {
		m.server.Change(c)
	}
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

// copies writes readable copies of secondaries whose zone names a file.
func (m *moves) copies(list []transfer.Served) error {
	var errs []error
	for _, s := range list {
		conf, ok := m.configured(s.Name)
		if !ok || conf.File == "" || s.Zone == nil {
			continue
		}
		if err := writeCopy(conf.File, s.Zone); err != nil {
			errs = append(errs, fmt.Errorf("writing the copy of %v: %w", s.Name, err))
		}
	}
	return errors.Join(errs...)
}

func writeCopy(file string, z *zone.Zone) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	b := bufio.NewWriterSize(io.Writer(f), 1<<18)
	err = errors.Join(z.WriteText(b), b.Flush(), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	return err
}

// states are the zones that the other servers brought, and what the transfers of all zones did.
func (m *moves) states(list []ZoneState) []ZoneState {
	at := map[string]int{}
	for i := range list {
		at[list[i].Name] = i
	}
	for _, s := range m.room.States() {
		if i, ok := at[s.Name]; ok {
			list[i].Moves = &s
			continue
		}
		list = append(list, ZoneState{
			Name: s.Name, Role: s.Role, State: secondaryState(&s), Serial: s.Serial, Names: s.Names, Records: s.Records, Bytes: s.Octets,
			Signed: s.Signed, Loaded: s.Loaded, Took: s.In.Took, Error: s.Error, Source: s.Primary, Refresh: s.Next, Expire: s.Expires, Moves: &s,
		})
	}
	return list
}

func secondaryState(s *transfer.State) string {
	switch {
	case s.Expired:
		return "expired"
	case !s.Loaded.IsZero():
		return "ok"
	case s.Error != "":
		return "missing"
	}
	return "loading"
}
