package config

import (
	"regexp"
	"slices"
)

// LogClients is how clients stand in the query log. Default: with their addresses, as the law asks of who must find them.
type LogClients struct {
	// IPv4 is how many bits of an IPv4 address are kept; the rest is zero, in the client subnet of a question (ecs), too. Default 32.
	IPv4 *int `yaml:"ipv4"`
	// IPv6 is the same of IPv6. Default 128.
	IPv6 *int `yaml:"ipv6"`
	// Pseudonyms replaces addresses by pseudonyms.
	Pseudonyms Pseudonyms `yaml:"pseudonyms"`
}

// Pseudonyms replaces the addresses of clients, cut as ipv4 and ipv6 say, in the query log. Equal clients are equal under one key, so counts and traces go on;
// addresses are shown again only by one person of each group together (anyu pseudonym). Client subnets are not kept at all.
type Pseudonyms struct {
	// First is the public keys of the first group, as `anyu pseudonym holder FILE` prints them. Default: no pseudonyms.
	First []string `yaml:"first"`
	// Second is the public keys of the second group; nobody is in both.
	Second []string `yaml:"second"`
	// Days is how long a key is used. A restart begins a new one, too. Default 30.
	Days int `yaml:"days"`
}

// On tells whether addresses are replaced.
func (p *Pseudonyms) On() bool { return len(p.First)+len(p.Second) > 0 }

// publicKey is what a public key of age looks like.
var publicKey = regexp.MustCompile(`^age1[02-9ac-hj-np-z]{58}$`)

func (p *Pseudonyms) check() error {
	const at = "$.log.clients.pseudonyms"
	for _, g := range []struct {
		name string
		keys []string
	}{{"first", p.First}, {"second", p.Second}} {
		if len(g.keys) == 0 {
			return wrong(at, "%s has nobody: two people are needed to show an address", g.name)
		}
		for _, key := range g.keys {
			if !publicKey.MatchString(key) {
				return wrong(at+"."+g.name, "%q is no public key as anyu pseudonym holder prints it", key)
			}
			if g.name == "second" && slices.Contains(p.First, key) {
				return wrong(at+".second", "%s is in both groups, and could show addresses alone", key)
			}
		}
	}
	return nil
}

func (c *LogClients) setDefaults() {
	presetTo(&c.IPv4, 32)
	presetTo(&c.IPv6, 128)
	preset(&c.Pseudonyms.Days, 30)
}

func (c *LogClients) check() error {
	switch {
	case *c.IPv4 < 0 || *c.IPv4 > 32:
		return wrong("$.log.clients.ipv4", "%d: from 0 to 32 bits", *c.IPv4)
	case *c.IPv6 < 0 || *c.IPv6 > 128:
		return wrong("$.log.clients.ipv6", "%d: from 0 to 128 bits", *c.IPv6)
	case c.Pseudonyms.Days < 1 || c.Pseudonyms.Days > maxDays:
		return wrong("$.log.clients.pseudonyms.days", "%d: from 1 to %d", c.Pseudonyms.Days, maxDays)
	}
	if c.Pseudonyms.On() {
		return c.Pseudonyms.check()
	}
	return nil
}
