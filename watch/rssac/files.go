package rssac

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// File is one measurement of one day, with its place below the folder.
type File struct {
	Metric string `json:"metric"`
	Path   string `json:"path"`
	Text   string `json:"text"`
}

// Metrics are the measurements, in the order they are told.
var metrics = [...]string{"traffic-volume", "traffic-sizes", "rcode-volume", "unique-sources", "load-time", "zone-size"}

// zones are those whose versions are told: the configured ones, or those that were counted.
func (c *Counter) zones(k *counts) []string {
	if k.Service == c.opts.Service {
		return c.opts.Zones
	}
	var all []string
	for _, v := range k.Versions {
		if !slices.Contains(all, v.Zone) {
			all = append(all, v.Zone)
		}
	}
	return all
}

// files are those of a day up to a moment.
func (k *counts) files(version, service string, zones []string, to time.Time) (all []File) {
	for _, metric := range metrics {
		switch metric {
		case "load-time", "zone-size":
			for _, zone := range zones {
				all = append(all, k.file(version, service, metric, zone, len(zones) > 1, to))
			}
		default:
			all = append(all, k.file(version, service, metric, "", false, to))
		}
	}
	return all
}

// file writes one. Where several zones are measured, which RSSAC002 does not foresee, each has files of its own that name it.
func (k *counts) file(version, service, metric, zone string, several bool, to time.Time) File {
	var b strings.Builder
	k.remarks(&b, metric, to)
	fmt.Fprintf(&b, "---\nversion: %s\nservice: %s\nstart-period: '%s'\nmetric: %s\n", version, service, k.date().Format(time.RFC3339), metric)
	if several {
		fmt.Fprintf(&b, "zone: '%s'\n", zone)
	}
	switch metric {
	case "traffic-volume":
		k.volume(&b)
	case "traffic-sizes":
		k.sizes(&b)
	case "rcode-volume":
		for _, rcode := range slices.Sorted(maps.Keys(k.Rcodes)) {
			fmt.Fprintf(&b, "%d: %d\n", rcode, k.Rcodes[rcode])
		}
	case "unique-sources":
		for kind, name := range [kinds]string{"num-sources-ipv4", "num-sources-ipv6", "num-sources-ipv6-aggregate"} {
			n, _ := k.Sources.count(kind)
			fmt.Fprintf(&b, "%s: %d\n", name, n)
		}
	case "load-time":
		k.versions(&b, "time", zone, func(v Version) int64 { return v.Seconds })
	case "zone-size":
		k.versions(&b, "size", zone, func(v Version) int64 { return int64(v.Size) })
	}
	return File{metric, k.path(service, metric, zone, several), b.String()}
}

// remarks say, as comments of YAML, what is not in the figures.
func (k *counts) remarks(b *strings.Builder, metric string, to time.Time) {
	if to.Before(k.end()) {
		fmt.Fprintf(b, "# The day is not over: counted up to %s.\n", to.UTC().Format(time.RFC3339))
	}
	if missing := k.missing(to); missing > 0 {
		fmt.Fprintf(b, "# Not counted: %d s of this day. Counted:", int64(missing/time.Second))
		for i, s := range k.Watched[:min(len(k.Watched), 20)] {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(b, " %s to %s", time.Unix(s.From, 0).UTC().Format(time.TimeOnly), time.Unix(s.To, 0).UTC().Format(time.TimeOnly))
		}
		b.WriteString(".\n")
	}
	if k.Dropped > 0 {
		fmt.Fprintf(b, "# Not counted: %d observations of all sources that were dropped because the counting could not keep up.\n", k.Dropped)
	}
	switch metric {
	case "traffic-volume":
		if k.Encrypted > 0 {
			fmt.Fprintf(b, "# Not counted: %d queries over TLS, HTTPS and QUIC, for which RSSAC002 has no keys.\n", k.Encrypted)
		}
	case "traffic-sizes":
		if k.Unsized > 0 {
			fmt.Fprintf(b, "# Not counted: %d messages whose length the source does not tell.\n", k.Unsized)
		}
	case "unique-sources":
		for kind, name := range [kinds]string{"IPv4 sources", "IPv6 sources", "IPv6 /64"} {
			if _, exact := k.Sources.count(kind); !exact {
				fmt.Fprintf(b, "# Estimated: the number of %s, by HyperLogLog with a standard error of 0.4 %%; up to %d it would be exact.\n", name, maxExact)
			}
		}
	case "load-time":
		b.WriteString("# Of this instance alone, not of 95 % of all instances.\n")
	}
}

func (k *counts) volume(b *strings.Builder) {
	for _, of := range []struct {
		name string
		n    *[2][2]uint64
	}{{"queries-received", &k.Queries}, {"responses-sent", &k.Responses}} {
		for transport, over := range [2]string{"udp", "tcp"} {
			for family, version := range [2]string{"ipv4", "ipv6"} {
				fmt.Fprintf(b, "dns-%s-%s-%s: %d\n", over, of.name, version, of.n[transport][family])
			}
		}
	}
}

func (k *counts) sizes(b *strings.Builder) {
	for transport, over := range [2]string{"udp", "tcp"} {
		bins(b, over+"-request-sizes", k.RequestSizes[transport][:])
		bins(b, over+"-response-sizes", k.ResponseSizes[transport][:])
	}
}

// bins writes a histogram; empty bins are left out, and an empty one is an empty map.
func bins(b *strings.Builder, name string, counts []uint64) {
	if !slices.ContainsFunc(counts, func(n uint64) bool { return n > 0 }) {
		fmt.Fprintf(b, "%s: {}\n", name)
		return
	}
	fmt.Fprintf(b, "%s:\n", name)
	for i, n := range counts {
		switch {
		case n == 0:
		case i == len(counts)-1:
			fmt.Fprintf(b, "  %d-: %d\n", i*16, n)
		default:
			fmt.Fprintf(b, "  %d-%d: %d\n", i*16, i*16+15, n)
		}
	}
}

func (k *counts) versions(b *strings.Builder, key, zone string, value func(Version) int64) {
	lines := ""
	for _, v := range k.Versions {
		if v.Zone == zone && (key != "size" || v.Size > 0) {
			lines += fmt.Sprintf("  %d: %d\n", v.Serial, value(v))
		}
	}
	if lines == "" {
		fmt.Fprintf(b, "%s: {}\n", key)
		return
	}
	fmt.Fprintf(b, "%s:\n%s", key, lines)
}

// path is where operators of root servers publish: YYYY/MM/METRIC/PREFIX-YYYYMMDD-METRIC.yaml, with a-root for a.root-servers.net.
func (k *counts) path(service, metric, zone string, several bool) string {
	prefix := service
	if letter, ok := strings.CutSuffix(service, ".root-servers.net"); ok {
		prefix = letter + "-root"
	}
	name := fmt.Sprintf("%s-%s-%s", prefix, k.date().Format("20060102"), metric)
	if several {
		name += "-" + strings.NewReplacer("/", "_", "\\", "_").Replace(strings.TrimSuffix(zone, "."))
	}
	return path.Join(k.date().Format("2006/01"), metric, name+".yaml")
}
