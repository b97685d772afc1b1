package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"anyu/dns/wire"
)

var (
	rssacVersions = []string{"rssac002v3", "rssac002v4", "rssac002v5"}
	rssacService  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`) // it is a part of names of files
)

func (r *RSSAC002) setDefaults(c *Config) {
	if r.Service == "" {
		return
	}
	preset(&r.Version, "rssac002v4")
	preset(&r.Source, "self")
	if r.Zones == nil && slices.ContainsFunc(c.Zones, func(z Zone) bool { return z.Name == "." }) {
		r.Zones = []string{"."}
	}
}

func (c *Config) checkRSSAC002() error {
	r := &c.RSSAC002
	switch {
	case r.Service == "" && (r.Version != "" || r.Source != "" || len(r.Zones) > 0):
		return wrong("$.rssac002", "needs service: the name that the measurements are published under")
	case r.Service == "":
		return nil
	case !rssacService.MatchString(r.Service):
		return wrong("$.rssac002.service", "%q: write a host name without a dot at the end", r.Service)
	case !slices.Contains(rssacVersions, r.Version):
		return wrong("$.rssac002.version", "%q: there are %s", r.Version, strings.Join(rssacVersions, ", "))
	case r.Source != "self" && !slices.ContainsFunc(c.Taps, func(t Tap) bool { return t.Name == r.Source }):
		return wrong("$.rssac002.source", "%q: write self, or the name of a tap", r.Source)
	}
	for i, text := range r.Zones {
		at := fmt.Sprintf("$.rssac002.zones[%d]", i)
		name, err := wire.ParseName(text)
		if err != nil {
			return wrong(at, "%q: %v", text, err)
		}
		if !slices.ContainsFunc(c.Zones, func(z Zone) bool {
			have, err := wire.ParseName(z.Name)
			return err == nil && have.Equal(name)
		}) {
			return wrong(at, "%s is not among zones", text)
		}
	}
	return nil
}
