package dnssec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"anyu/dns/dnssec"

	"github.com/miekg/dns"
)

const nsec3Base = `$TTL 3600
@ SOA ns.example. a.example. 1 7200 3600 604800 300
@ NS ns
@ 0 NSEC3PARAM 1 0 0 -
ns A 192.0.2.1
a NS ns.a
a DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ns.a A 192.0.2.2
b NS ns
x.e TXT "below an empty non-terminal"
c.f NS ns
*.w TXT "w"
`

var nsec3NotSigned = []string{"a.example. NS", "b.example. NS", "c.f.example. NS", "ns.a.example. A"}

// nsec3Names are what NSEC3 records are for, with their types: all names of nsec3Base and its empty non-terminals e, f and w.
var nsec3Names = []string{
	"example. NS SOA RRSIG DNSKEY NSEC3PARAM", "ns.example. A RRSIG", "a.example. NS DS RRSIG", "b.example. NS", "x.e.example. TXT RRSIG",
	"e.example.", "c.f.example. NS", "f.example.", "*.w.example. TXT RRSIG", "w.example.",
}

// without leaves out the names given.
func without(names []string, out ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(out, strings.Fields(n)[0]) })
}

// changed replaces the types of a name.
func changed(names []string, name string) []string {
	return append(without(names, strings.Fields(name)[0]), name)
}

// chainOf are the NSEC3 records of names, salted and flagged.
func chainOf(names []string, flags int, salt string) (lines []string) {
	types := map[string]string{}
	var hashes []string
	for _, n := range names {
		owner, rest, _ := strings.Cut(n, " ")
		h := dns.HashName(owner, dns.SHA1, 0, strings.Trim(salt, "-"))
		types[h] = rest
		hashes = append(hashes, h)
	}
	slices.Sort(hashes)
	for i, h := range hashes {
		next := hashes[(i+1)%len(hashes)]
		lines = append(lines, fmt.Sprintf("%s.example. 300 IN NSEC3 1 %d 0 %s %s %s", h, flags, salt, next, types[h]))
	}
	return lines
}

// RFC 5155, Sections 6 and 7.1: which names have NSEC3 records, with and without opt-out.
func TestCheckZone_faultsOfNSEC3(t *testing.T) {
	key := newSigner(t, "example.", dns.ECDSAP256SHA256, 257)
	all := nsec3Names
	for _, c := range []struct {
		what  string
		names []string
		flags int
		more  []string
		want  string
	}{
		{"all names", all, 0, nil, ""},
		{"all names, opt-out set and not used", all, 1, nil, ""},
		{"insecure delegations left out, opt-out", without(all, "b.example.", "c.f.example.", "f.example."), 1, nil, ""},
		{"the empty non-terminal above them kept", without(all, "b.example.", "c.f.example."), 1, nil, ""},
		{"insecure delegations left out, no opt-out", without(all, "b.example."), 0, nil, "!nsec3-opt-out"},
		{"an empty non-terminal left out, no opt-out", without(all, "c.f.example.", "f.example."), 0, nil, "!nsec3-opt-out"},
		{"an empty non-terminal above data left out", without(all, "e.example."), 1, nil, "!nsec3-missing"},
		{"one above a delegation that is in", without(all, "f.example."), 1, nil, "!nsec3-missing"},
		{"a delegation with DS left out", without(all, "a.example."), 1, nil, "!nsec3-missing"},
		{"a name left out", without(all, "ns.example."), 1, nil, "!nsec3-missing"},
		{"a name that is not there", append(slices.Clone(all), "zz.example. A RRSIG"), 0, nil, "!nsec3-orphan"},
		{"glue", append(slices.Clone(all), "ns.a.example. A"), 0, nil, "!nsec3-orphan"},
		{"RRSIG at an insecure delegation", changed(all, "b.example. NS RRSIG"), 0, nil, "!nsec3-bitmap"},
		{"a type too few", changed(all, "ns.example. RRSIG"), 0, nil, "!nsec3-bitmap"},
		{"types at an empty non-terminal", changed(all, "e.example. TXT"), 0, nil, "!nsec3-bitmap"},
		{"unknown flags", all, 2, nil, "!nsec3-flags"},
		{"a second chain, complete", all, 0, append(chainOf(all, 0, "AB"), "example. 0 IN NSEC3PARAM 1 0 0 AB"), ""},
		{"a second chain, not complete", all, 0, append(chainOf(without(all, "ns.example."), 0, "AB"), "example. 0 IN NSEC3PARAM 1 0 0 AB"), "!nsec3-missing"},
		{"a second chain, opt-out only there", all, 0, append(chainOf(without(all, "b.example."), 1, "AB"), "example. 0 IN NSEC3PARAM 1 0 0 AB"), ""},
		{"a second chain, not announced", all, 0, chainOf(all, 0, "AB"), "nsec3-foreign"}, // RFC 5155, Section 10.4
		{"no chain for the parameters", all, 0, []string{"example. 0 IN NSEC3PARAM 1 0 0 AB"}, "!nsec3-missing !nsec3-opt-out !nsec3-chain"},
		{"too many iterations (CVE-2023-50868)", all, 0, []string{"example. 0 IN NSEC3PARAM 1 0 101 AB"}, "!nsec3-unchecked"},
		{"another hash", all, 0, []string{"example. 0 IN NSEC3PARAM 2 0 0 AB"}, "!nsec3-unchecked"},
	} {
		d := newDraft(t, "example.", nsec3Base, key)
		d.add(t, append(chainOf(c.names, c.flags, "-"), c.more...)...)
		z := loadText(t, "example.", d.text(t, nsec3NotSigned...))
		if problems := dnssec.CheckZone(z, signedNow, dnssec.Options{}); codes(problems) != c.want {
			t.Errorf("%s: %v, want %s", c.what, problems, c.want)
		}
	}
}

// A ring that is broken is found at the record that points wrong.
func TestCheckZone_ringOfNSEC3(t *testing.T) {
	key := newSigner(t, "example.", dns.ECDSAP256SHA256, 257)
	chain := chainOf(nsec3Names, 0, "-")
	for i := range chain {
		f := strings.Fields(chain[i])
		other := strings.Split(chain[(i+3)%len(chain)], ".")[0]
		d := newDraft(t, "example.", nsec3Base, key)
		d.add(t, chain...)
		d.replace(t, " "+f[8], " "+other)
		z := loadText(t, "example.", d.text(t, nsec3NotSigned...))
		problems := dnssec.CheckZone(z, signedNow, dnssec.Options{})
		if codes(problems) != "!nsec3-next" || !strings.EqualFold(problems[0].Owner, f[0]) {
			t.Errorf("%s points to %s: %v", f[0], other, problems)
		}
	}
}
