package config

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"anyu/dns/wire"
)

// maxFile bounds a configuration file. Larger ones are a mistake, or many zones that belong into a catalog zone.
const maxFile = 64 << 20

// Error is a mistake at a place in a file.
type Error struct {
	File         string
	Line, Column int
	Text         string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

// Read reads a file and fills in the defaults. What is impossible in itself is an error; whether files exist and addresses
// are free is found out by who uses them.
func Read(file string) (*Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if len(b) > maxFile {
		return nil, &Error{File: file, Text: fmt.Sprintf("larger than %d MiB", maxFile>>20)}
	}
	return Parse(file, b)
}

// Parse reads the text of a file.
func Parse(file string, text []byte) (*Config, error) {
	var c Config
	d := yaml.NewDecoder(bytes.NewReader(text), append(literals(), yaml.Strict(), yaml.DisallowUnknownField())...)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, placed(file, text, err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, &Error{File: file, Text: "there is a second YAML document (behind ---), which would not be read"}
	}
	c.Default()
	if err := c.Check(); err != nil {
		var at *fieldError
		if errors.As(err, &at) {
			line, column := locate(text, at.path)
			return nil, &Error{file, line, column, at.text}
		}
		return nil, err
	}
	return &c, nil
}

// literalError is a scalar that its type does not take. The decoder forgets where it stood, so placed looks for it.
type literalError struct{ literal, text string }

func (e *literalError) Error() string { return e.text }

// literals are the scalars with a form of their own.
func literals() []yaml.DecodeOption {
	return []yaml.DecodeOption{
		yaml.CustomUnmarshaler(func(v *int, b []byte) (err error) { // the decoder cuts 1.5 to 1
			text := strings.TrimSpace(string(b))
			if *v, err = strconv.Atoi(text); err != nil {
				return &literalError{text, fmt.Sprintf("%q: write a whole number", text)}
			}
			return nil
		}),
		literal[Duration]("write for example 10s, 5m, 2h or 30d"),
		literal[Size]("write for example 64MiB, 10GB or 4096"),
		literal[netip.AddrPort]("write address and port, for example 127.0.0.1:53 or [::1]:53"),
		literal[netip.Addr]("write an address, for example 192.0.2.1 or 2001:db8::1"),
		literal[time.Time]("write date and time, for example 2026-12-01T12:00:00Z"),
		literal[netip.Prefix]("write a prefix, for example 192.0.2.0/24 or 2001:db8::/32"),
	}
}

func literal[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](hint string) yaml.DecodeOption {
	return yaml.CustomUnmarshaler(func(v *T, b []byte) error {
		text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
		if err := P(v).UnmarshalText([]byte(text)); err != nil {
			return &literalError{text, fmt.Sprintf("%q: %s", text, hint)}
		}
		return nil
	})
}

var position = regexp.MustCompile(`^\[(\d+):(\d+)\] (?s:(.*))$`)

// placed turns the decoder's error, "[line:column] text" and an excerpt, into ours.
func placed(file string, source []byte, err error) error {
	e := &Error{File: file}
	var bad *literalError
	if errors.As(err, &bad) {
		e.Text = bad.text
		e.Line, e.Column = find(source, bad.literal)
		return e
	}
	text := err.Error()
	if m := position.FindStringSubmatch(text); m != nil {
		fmt.Sscan(m[1], &e.Line)
		fmt.Sscan(m[2], &e.Column)
		text = m[3]
	}
	text, _, _ = strings.Cut(text, "\n")
	e.Text = strings.TrimSpace(text)
	return e
}

// find is the place of a scalar outside comments.
func find(source []byte, scalar string) (line, column int) {
	for text := range bytes.Lines(source) {
		line++
		code, _, _ := bytes.Cut(text, []byte("#"))
		if at := bytes.Index(code, []byte(scalar)); at >= 0 {
			return line, at + 1
		}
	}
	return 0, 0
}

// fieldError is a value that is impossible, at a YAML path such as $.zones[2].name.
type fieldError struct{ path, text string }

func (e *fieldError) Error() string { return e.path + ": " + e.text }

func wrong(path, format string, args ...any) error {
	return &fieldError{path, fmt.Sprintf(format, args...)}
}

func locate(text []byte, path string) (line, column int) {
	p, err := yaml.PathString(path)
	if err != nil {
		return 0, 0
	}
	node, err := p.ReadNode(bytes.NewReader(text))
	if err != nil || node.GetToken() == nil {
		return 0, 0
	}
	at := node.GetToken().Position
	return at.Line, at.Column
}

// maxIdentity is what fits beside an answer in 512 octets; a character-string has 255 at most (RFC 1035, Section 3.3).
const maxIdentity = 128

// maxNetworks is gauge.MaxNetworks.
const maxNetworks = 64

// maxDays is a hundred years: what is kept longer is kept for ever, and a duration holds 292 years.
const maxDays = 36500

// Check finds values that cannot be meant.
func (c *Config) Check() error {
	switch {
	case c.Language != "zh" && c.Language != "en":
		return wrong("$.language", "%q: there are zh and en", c.Language)
	case c.Answers.Payload < 512 || c.Answers.Payload > 4096:
		return wrong("$.answers.payload", "%d: from 512 to 4096", c.Answers.Payload)
	case len(c.Identity.NSID) > maxIdentity:
		return wrong("$.identity.nsid", "longer than %d octets", maxIdentity)
	case len(c.Identity.Version) > maxIdentity:
		return wrong("$.identity.version", "longer than %d octets", maxIdentity)
	case len(c.Identity.Hostname) > maxIdentity:
		return wrong("$.identity.hostname", "longer than %d octets", maxIdentity)
	case (c.Console.Certificate == "") != (c.Console.Key == ""):
		return wrong("$.console", "certificate and key belong together")
	case c.Listen.Connections < 1:
		return wrong("$.listen.connections", "%d: 1 or more", c.Listen.Connections)
	case c.Listen.ClientConnections < 1:
		return wrong("$.listen.client_connections", "%d: 1 or more", c.Listen.ClientConnections)
	case *c.Rate.PerSecond < 0 || *c.Rate.PerSecond > 65535:
		return wrong("$.rate.per_second", "%d: from 0 to 65535", *c.Rate.PerSecond)
	case *c.Rate.Slip < 0:
		return wrong("$.rate.slip", "%d: 0 or more", *c.Rate.Slip)
	case c.Listen.Workers < 0 || c.Listen.Workers > 1024:
		return wrong("$.listen.workers", "%d: from 0 to 1024", c.Listen.Workers)
	case c.Log.Days < 1 || c.Log.Days > maxDays:
		return wrong("$.log.days", "%d: from 1 to %d", c.Log.Days, maxDays)
	case c.Figures.Days < 1 || c.Figures.Days > maxDays:
		return wrong("$.figures.days", "%d: from 1 to %d", c.Figures.Days, maxDays)
	case len(c.Figures.Networks) > maxNetworks:
		return wrong("$.figures.networks", "%d of them: %d at most", len(c.Figures.Networks), maxNetworks)
	case !strings.HasPrefix(c.Listen.HTTPPath, "/"):
		return wrong("$.listen.http_path", "%q: begins with /", c.Listen.HTTPPath)
	case len(c.Listen.TLS)+len(c.Listen.HTTPS)+len(c.Listen.QUIC) > 0 && (c.Listen.Certificate == "" || c.Listen.Key == ""):
		return wrong("$.listen", "tls, https and quic need certificate and key")
	case len(c.Listen.PlainHTTP) > 0 && len(c.Listen.HTTPProxies) == 0:
		return wrong("$.listen.plain_http", "needs http_proxies: who may use it")
	}
	if err := c.Log.check(); err != nil {
		return err
	}
	if err := c.checkRSSAC002(); err != nil {
		return err
	}
	if err := c.checkMail(); err != nil {
		return err
	}
	if err := c.Ledger.check(); err != nil {
		return err
	}
	if err := c.Notify.check(); err != nil {
		return err
	}
	if err := c.Dnstap.check(); err != nil {
		return err
	}
	if err := c.checkTaps(); err != nil {
		return err
	}
	if err := c.Recursion.check(); err != nil {
		return err
	}
	keys, err := c.checkKeys()
	if err != nil {
		return err
	}
	return c.checkZones(keys)
}

func (c *Config) checkKeys() (map[string]bool, error) {
	keys := map[string]bool{}
	for i, k := range c.Keys {
		at := fmt.Sprintf("$.keys[%d]", i)
		n, err := wire.ParseName(k.Name)
		if err != nil {
			return nil, wrong(at+".name", "%v", err)
		}
		name := canonical(n)
		if keys[name] {
			return nil, wrong(at+".name", "key %s is here twice", k.Name)
		}
		keys[name] = true
		switch k.Algorithm {
		case "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512":
		default:
			return nil, wrong(at+".algorithm", "%q: there are hmac-sha256, hmac-sha224, hmac-sha384, hmac-sha512 and hmac-sha1", k.Algorithm)
		}
		if (k.Secret == "") == (k.SecretFile == "") {
			return nil, wrong(at, "key %s needs either secret or secret_file", k.Name)
		}
		if _, err := base64.StdEncoding.DecodeString(strings.TrimSpace(k.Secret.Reveal())); err != nil {
			return nil, wrong(at, "the secret of key %s is not base64", k.Name) // the decoder's words would quote it
		}
	}
	return keys, nil
}

func (c *Config) checkZones(keys map[string]bool) error {
	seen := map[string]bool{}
	for i, z := range c.Zones {
		at := fmt.Sprintf("$.zones[%d]", i)
		n, err := wire.ParseName(z.Name)
		if err != nil {
			return wrong(at+".name", "%v", err)
		}
		name := canonical(n)
		if seen[name] {
			return wrong(at+".name", "zone %s is here twice", z.Name)
		}
		seen[name] = true
		if z.File == "" && len(z.Primaries) == 0 {
			return wrong(at, "zone %s needs a file, or primaries to fetch it from", z.Name)
		}
		if z.ZONEMD != "off" && z.ZONEMD != "check" && z.ZONEMD != "require" {
			return wrong(at+".zonemd", "%q: there are off, check and require", z.ZONEMD)
		}
		for _, list := range [][]Remote{z.Primaries, z.Secondaries} {
			for _, r := range list {
				if !isAddress(r.Address) {
					return wrong(at, "zone %s: %q: write the address of the other server, for example 192.0.2.1 or [2001:db8::1]:53; names are not looked up", z.Name, r.Address)
				}
				if r.Key != "" && !knownKey(keys, r.Key) {
					return wrong(at, "zone %s names the key %s, which is not under keys", z.Name, r.Key)
				}
			}
		}
		for _, list := range [][]string{z.AllowTransfer, z.AllowNotify} {
			for _, a := range list {
				if err := checkWho(at, a, keys); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// isAddress takes an address, with a port or without.
func isAddress(s string) bool {
	if _, err := netip.ParseAddrPort(s); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil
}

func knownKey(keys map[string]bool, name string) bool {
	n, err := wire.ParseName(name)
	return err == nil && keys[canonical(n)]
}

func canonical(n wire.Name) string { return wire.Name(n.AppendLower(nil)).String() }
