package main

import (
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"anyu/config"
)

// resolverFlags are short forms of configuration keys under recursion; serve and query have them.
type resolverFlags struct{ stub, forward, insecure, allow list }

func (r *resolverFlags) define(f *flag.FlagSet) {
	f.Var(&r.stub, "stub", "`NAME=ADDR:PORT` of an authoritative server to ask for a zone; may be repeated")
	f.Var(&r.forward, "forward", "`NAME=ADDR:PORT` of a resolver to ask for a zone, . for all names; may be repeated")
	f.Var(&r.insecure, "insecure", "`NAME` at and below which nothing is validated in this run (RFC 7646); may be repeated")
	f.Var(&r.allow, "allow", "`PREFIX` that may use recursion, beside loopback; may be repeated")
}

// apply puts the flags over a configuration. A zone with the name of one in the file takes its place.
func (r *resolverFlags) apply(c *config.Config) error {
	stub, err := upstreams("stub", r.stub)
	if err != nil {
		return err
	}
	forward, err := upstreams("forward", r.forward)
	if err != nil {
		return err
	}
	named := func(u config.Upstreams) bool {
		return slices.ContainsFunc(append(stub, forward...), func(v config.Upstreams) bool { return sameName(u.Name, v.Name) })
	}
	in := &c.Recursion
	in.Stub = append(slices.DeleteFunc(in.Stub, named), stub...)
	in.Forward = append(slices.DeleteFunc(in.Forward, named), forward...)
	in.Validation.Insecure = append(in.Validation.Insecure, r.insecure...)
	for _, p := range r.allow {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return fmt.Errorf("--allow %s: write a prefix, for example 192.0.2.0/24", p)
		}
		c.Clients.Recursion = append(c.Clients.Recursion, prefix)
	}
	return nil
}

// upstreams reads NAME=ADDR:PORT; several of one name are servers of one zone.
func upstreams(flag string, texts []string) (zones []config.Upstreams, err error) {
	for _, text := range texts {
		name, address, ok := strings.Cut(text, "=")
		server := config.Upstream{Address: address}
		if _, err := server.AddrPort(); !ok || name == "" || err != nil {
			return nil, fmt.Errorf("--%s %s: write NAME=ADDR:PORT, for example --%s example.org=192.0.2.1:53", flag, text, flag)
		}
		if i := slices.IndexFunc(zones, func(u config.Upstreams) bool { return sameName(u.Name, name) }); i >= 0 {
			zones[i].Servers = append(zones[i].Servers, server)
			continue
		}
		zones = append(zones, config.Upstreams{Name: name, Servers: []config.Upstream{server}})
	}
	return zones, nil
}

func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}
