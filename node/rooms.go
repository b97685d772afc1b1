package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"strings"
	"time"

	"anyu/config"
	"anyu/serve"
	"anyu/serve/filter"
	"anyu/serve/listen"
	"anyu/watch/gauge"
	"anyu/watch/load"
)

// sockets is the part of the configuration for the room listen.
func (n *Node) sockets(c *config.Config) listen.Config {
	l := c.Listen
	return listen.Config{
		Plain: l.DNS, TLS: l.TLS, HTTPS: l.HTTPS, QUIC: l.QUIC, PlainHTTP: l.PlainHTTP, HTTPPath: l.HTTPPath,
		Certificate: l.Certificate, Key: l.Key, Proxies: l.Proxies, HTTPProxies: l.HTTPProxies,
		Workers: n.workers(), PinCPUs: l.PinCPUs,
		Limits: listen.Limits{Connections: l.Connections, ClientConnections: l.ClientConnections, Idle: time.Duration(l.Idle)},
	}
}

// answers is the part for the room serve.
func (n *Node) answers(c *config.Config) *serve.Config {
	s := &serve.Config{
		Payload: uint16(c.Answers.Payload), NSID: []byte(c.Identity.NSID), Version: c.Identity.Version, Hostname: c.Identity.Hostname,
		Clients: filter.NewACL(c.Clients.Allow), Keepalive: time.Duration(c.Listen.Idle),
	}
	if len(c.Clients.Drop) > 0 {
		list := filter.NewACL(c.Clients.Drop)
		s.Ignored = &list
	}
	s.NoReasons = !*c.Recursion.Reasons
	if n.resolver() != nil && !c.Recursion.Off {
		s.Recursion = n.resolver().settings(c)
		if n.opts.NoLimits {
			s.Recursion.Clients = nil
		}
	}
	if *c.Answers.Cookies {
		s.Cookies = &filter.Cookies{Current: n.secrets.cookie}
	}
	if *c.Rate.PerSecond > 0 && !n.opts.NoLimits {
		s.Rate = filter.NewRate(uint32(*c.Rate.PerSecond), uint32(*c.Rate.Slip), maphash.MakeSeed())
	}
	return s
}

// measure completes the load with what the sockets tell.
func (n *Node) measure(m *load.Meter, now time.Time) gauge.Load { return m.Sample(now) }

func (n *Node) connections() int { return int(n.listen.Statistics().Connections) }

// secrets are read once, at the start.
type secrets struct{ cookie filter.Secret }

// openSecrets takes the cookie secret from the configuration, or makes one that stays.
func openSecrets(d *Data, c *config.Config) (s secrets, err error) {
	text := c.Answers.CookieSecret
	if text == "" {
		text = d.Path(secretFile)
		if _, err := os.Stat(text); errors.Is(err, os.ErrNotExist) {
			var fresh filter.Secret
			rand.Read(fresh[:])
			if err := writeFile(text, []byte(hex.EncodeToString(fresh[:])+"\n"), 0o600); err != nil {
				return s, err
			}
		}
	}
	if b, err := hex.DecodeString(text); err != nil || len(b) != len(s.cookie) { // not the secret itself, whatever its length
		b, err := os.ReadFile(text)
		if err != nil {
			// Not with the path: it may be a secret of the wrong length.
			return s, fmt.Errorf("answers.cookie_secret is neither 32 hexadecimal digits nor a file that can be read: %w", errors.Unwrap(err))
		}
		text = strings.TrimSpace(string(b))
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(s.cookie) {
		return s, errors.New("the cookie secret is not 32 hexadecimal digits, nor a file with them")
	}
	copy(s.cookie[:], b)
	return s, nil
}
