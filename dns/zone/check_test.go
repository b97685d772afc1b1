package zone_test

import (
	"slices"
	"strings"
	"testing"

	"anyu/dns/zone"
	"anyu/house/corpora"
)

const checkBase = "$TTL 60\n@ SOA ns a 1 7200 3600 604800 60\n@ NS ns\nns A 192.0.2.1\n"

// Each check fires on the zone made for it, and on nothing in the zone without a fault.
func TestCheck_codes(t *testing.T) {
	if got := zone.Check(mustLoad(t, "example.", checkBase), zone.CheckOptions{}); len(got) != 0 {
		t.Fatalf("a zone without a fault: %v", got)
	}
	for _, c := range []struct {
		text string
		want string // codes in order, errors with !
	}{
		{"d NS ns.d\n", "!glue-missing"}, // RFC 1034, Section 4.2.1
		{"d NS ns.d\nns.d AAAA ::1\n", ""},
		{"d NS x\n", "!glue-missing"},
		{"d NS ns.e\ne NS ns.f.test.\n", ""}, // the other delegation has it
		{"d NS 192.0.2.1\n", "ns-address"},
		{"d NS al\nal CNAME ns\n", "!ns-cname"}, // RFC 2181, Section 10.3
		{"@ NS w.wild\n*.wild A 192.0.2.1\n", ""},
		{"@ MX 1 al\nal CNAME ns\n", "mx-cname"},
		{"@ MX 1 nowhere\n", "mx-no-address"},
		{"@ MX 0 .\n", ""}, // RFC 7505
		{"_x._tcp SRV 0 0 1 nowhere\n", "srv-no-address"},
		{"dn DNAME x.test.\nbelow.dn TXT a\n", "!dname-children"}, // RFC 6672, Section 2.4
		{"dn DNAME x.test.\ndn NS ns\n", "!dname-ns"},
		{"*.w NS ns\n", "wildcard-ns"},
		{"*.w DNAME x.test.\n", "wildcard-dname"},
		{"d NS ns\nd DS 1 8 2 " + strings.Repeat("00", 32) + "\nx.d TXT a\n", "occluded"},
		{"x DS 1 8 2 " + strings.Repeat("00", 32) + "\n", "!ds-alone"},
		{"@ DS 1 8 2 " + strings.Repeat("00", 32) + "\n", "!ds-apex"},
		{"x_y A 192.0.2.1\n", "owner-name"},
		{"@ NSEC3PARAM 1 0 0 -\n", "!nsec3-chain"},
		{"@ NSEC3PARAM 1 0 500 -\n", "!nsec3-iterations !nsec3-chain"},
		{"x NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n", "!nsec3-owner"},
		{"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n", "nsec3param-missing"},
		{"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom RRSIG NSEC3 8 2 1 20300101000000 20200101000000 1 example. AA==\n", "nsec3param-missing !nsec3-signature"},
		{"@ ZONEMD 1 1 1 " + strings.Repeat("00", 48) + "\n", "!zonemd"},
		{"@ DNSKEY 256 4 8 AwEAAQ==\n", "!dnskey"},
		{"@ CDS 0 0 0 00\n@ CDNSKEY 0 3 0 AQ==\n", "!cds-delete"}, // RFC 8078, Section 4
		{"_dns SVCB 1 ns port=53\n", "!svcb-dns"},                 // RFC 9461, Section 4.1
		{"24.0.2.0.192.rpz-ip CNAME .\n", ""},
		{"24.1.2.0.192.rpz-ip CNAME .\n", "!rpz-address"},
	} {
		var got []string
		for _, p := range zone.Check(mustLoad(t, "example.", checkBase+c.text), zone.CheckOptions{}) {
			code := p.Code
			if p.Severity == zone.Error {
				code = "!" + code
			}
			got = append(got, code)
		}
		if !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%q: %v, want %s", c.text, got, c.want)
		}
	}
}

// The root and top-level zones of the corpora are well made; a checker that finds fault there is wrong.
func TestCheck_realZones(t *testing.T) {
	dir := corpora.Path(t, "zones")
	for name, file := range map[string]string{
		".":    dir + "/root-20260731-signed-zonemd/root.zone",
		"gov.": dir + "/tld-pzb/gov/gov.zonish",
	} {
		z, _, err := loadFile(t, name, file)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, p := range zone.Check(z, zone.CheckOptions{}) {
			if p.Severity == zone.Error {
				t.Errorf("%s: %v", name, p)
			}
		}
	}
}

// A malformed SvcParam value that came in generic form must not confuse the check of DNS servers.
func TestCheck_malformedALPN(t *testing.T) {
	z := mustLoad(t, "example.", checkBase+`_dns SVCB \# 9 0001 00 0001 0002 09 68`+"\n")
	if p := zone.Check(z, zone.CheckOptions{}); len(p) != 1 || p[0].Code != "svcb-dns" {
		t.Errorf("%v", p)
	}
}
