package dnssec_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/zone"
	"anyu/house/corpora"

	"github.com/miekg/dns"
)

// peer is another checker: its program and how it is asked about a zone at a time. dnssec-verify knows only the present.
type peer struct {
	name string
	args func(zone, file string, at time.Time) []string
}

var peers = []peer{
	{"ldns-verify-zone", func(_, file string, at time.Time) []string {
		return []string{"-t", at.UTC().Format("20060102150405"), file}
	}},
	{"dnssec-verify", func(zone, file string, _ time.Time) []string { return []string{"-z", "-q", "-o", zone, file} }},
	{"kzonecheck", func(zone, file string, at time.Time) []string {
		return []string{"-d", "on", "-o", zone, "-t", fmt.Sprint(at.Unix()), file}
	}},
}

const peerPatience = 20 * time.Second

// accepts asks a peer.
func (p peer) accepts(t *testing.T, path, zone, file string, at time.Time) (bool, string) {
	t.Helper()
	// ldns-verify-zone 1.8.3 runs for ever on some zones with opt-out.
	ctx, cancel := context.WithTimeout(t.Context(), peerPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, p.args(zone, file, at)...).CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s did not end on %s", p.name, file)
	}
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	return err == nil, string(out)
}

// exception is a difference we stand by: testdata/peer-differences.txt has its reason.
type exception struct{ peer, fault string }

func exceptions(t *testing.T) map[exception]string {
	t.Helper()
	m := map[exception]string{}
	for line := range strings.Lines(string(mustRead(t, "testdata/peer-differences.txt"))) {
		if line = strings.TrimRight(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 || !strings.Contains(f[3], "RFC") {
			t.Fatalf("an exception without its RFC: %q", line)
		}
		m[exception{f[0], f[1]}] = f[2]
	}
	return m
}

// mutation makes a zone wrong, or not; the records are changed before they are signed.
type mutation struct {
	fault  string
	change func(d *draft)
	not    []string
	after  func(text string) string // changes the signed text
}

// TestCheckZone_asPeers gives zones with and without faults to three other checkers. Where one of them says otherwise than we
// do, the difference stands in testdata/peer-differences.txt with an RFC section.
func TestCheckZone_asPeers(t *testing.T) {
	paths := map[string]string{}
	for _, p := range peers {
		paths[p.name] = tool(t, p.name)
	}
	known := exceptions(t)
	used := map[exception]bool{}
	dir := t.TempDir()
	compared := 0
	for i, c := range peerCases(t) {
		file := filepath.Join(dir, fmt.Sprintf("%d.zone", i))
		if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		z := loadText(t, "example.", c.text)
		problems := append(dnssec.CheckZone(z, now, dnssec.Options{}), zone.Check(z, zone.CheckOptions{})...)
		ours := len(errorsOf(problems)) == 0
		for _, p := range peers {
			theirs, out := p.accepts(t, paths[p.name], "example.", file, now)
			compared++
			x := exception{p.name, c.fault}
			if says, listed := known[x]; listed && theirs != ours {
				used[x] = true
				if says != verdictOf(theirs) {
					t.Errorf("%s: %s says %s, the list has %s", c.fault, p.name, verdictOf(theirs), says)
				}
			} else if theirs != ours {
				t.Errorf("%s: %s says %s, we %v\n%s", c.fault, p.name, verdictOf(theirs), errorsOf(problems), out)
			}
		}
	}
	for x := range known {
		if !used[x] && !strings.HasPrefix(x.fault, "zones/") {
			t.Errorf("%s on %q is listed as different and is not", x.peer, x.fault)
		}
	}
	t.Logf("%d verdicts compared, %d differ", compared, len(used))
}

// The signed zones of the corpora, at a time when they count, and the same peers.
func TestCheckZone_corporaAsPeers(t *testing.T) {
	dir := corpora.Path(t)
	known := exceptions(t)
	for _, c := range []struct{ name, pattern string }{
		{".", "zones/root-20260731-signed-zonemd/root.zone"}, {".", "zones/knot-resolver/testroot.zone"},
		{".", "zones/kskr-sentinel/root.zone.signed"}, {"example.", "zones/cascade/incremental-signing/reference-output/*test4*nsec*3.signed.sorted"}, {"example.", "zones/cascade/incremental-signing/reference-output/*test[12]*nsec.signed.sorted"},
		{"ok.nsec.", "zones/knot-dnssec-validate/ok.nsec.zone"}, {"ok.2nsec3.", "zones/knot-dnssec-validate/ok.2nsec3.zone"},
		{"bitmap.nsec3.", "zones/knot-dnssec-validate/bitmap.nsec3.zone.2"}, {"missing.nsec3.", "zones/knot-dnssec-validate/missing.nsec3.zone.2"},
		{"example.com.", "zones/knot-semantic-check/*.signed"}, {"example.com.", "zones/knot-semantic-check/nsec3_optout_ent.*"},
		{"example.com.", "zones/unbound/zonemd.example4.zone"}, {"example.com.", "zones/unbound/zonemd.example14.zone"},
	} {
		files, _ := filepath.Glob(filepath.Join(dir, c.pattern))
		if len(files) == 0 {
			t.Errorf("%s: no files", c.pattern)
		}
		for _, file := range files {
			z := loadFile(t, c.name, file)
			now := whenSigned(t, z)
			signed := dnssec.CheckZone(z, now, dnssec.Options{})
			whole := append(slices.Clone(signed), zone.Check(z, zone.CheckOptions{})...)
			if verdict, reason := z.CheckZONEMD(); verdict == zone.ZONEMDFailed {
				signed = append(signed, zone.Problem{Severity: zone.Error, Code: "zonemd", Text: reason})
			}
			short, _ := filepath.Rel(dir, file)
			for _, p := range peers {
				if p.name == "dnssec-verify" { // it knows the present only, and most of these have expired
					continue
				}
				problems := signed
				if p.name == "kzonecheck" { // the one that looks for glue, too
					problems = whole
				}
				ours := len(errorsOf(problems)) == 0
				theirs, out := p.accepts(t, tool(t, p.name), c.name, file, now)
				if theirs == ours {
					continue
				}
				if known[exception{p.name, short}] != verdictOf(theirs) {
					t.Errorf("%s: %s says %s, we %v\n%s", short, p.name, verdictOf(theirs), errorsOf(problems), out)
				}
			}
		}
	}
}

func verdictOf(accepts bool) string {
	if accepts {
		return "accept"
	}
	return "refuse"
}

type peerCase struct{ fault, text string }

func peerCases(t *testing.T) (list []peerCase) {
	t.Helper()
	keys := []*signer{newSigner(t, "example.", dns.ECDSAP256SHA256, 257)}
	for _, m := range nsecMutations(t) {
		d := newDraft(t, "example.", nsecZone, keys...)
		list = append(list, peerCase{"nsec: " + m.fault, m.apply(t, d, notSigned)})
	}
	for _, m := range nsec3Mutations(t) {
		d := newDraft(t, "example.", nsec3Base, keys...)
		list = append(list, peerCase{"nsec3: " + m.fault, m.apply(t, d, nsec3NotSigned)})
	}
	return list
}

func (m mutation) apply(t *testing.T, d *draft, not []string) string {
	t.Helper()
	if m.change != nil {
		m.change(d)
	}
	text := d.text(t, append(slices.Clone(not), m.not...)...)
	if m.after != nil {
		text = m.after(text)
	}
	return text
}

// flip changes a bit of the signature over records of a type at an owner.
func flip(t *testing.T, owner, typ string) func(string) string {
	return func(text string) string {
		var out strings.Builder
		flipped := 0
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if f[0] == owner && f[3] == "RRSIG" && f[4] == typ {
				i := strings.LastIndex(line, " ") + 5
				c := byte('A')
				if line[i] == 'A' {
					c = 'B'
				}
				line, flipped = line[:i]+string(c)+line[i+1:], flipped+1
			}
			out.WriteString(line)
		}
		if flipped != 1 {
			t.Fatalf("%d signatures over %s %s", flipped, owner, typ)
		}
		return out.String()
	}
}

func nsecMutations(t *testing.T) []mutation {
	return []mutation{
		{fault: "none"},
		{fault: "a signature missing", not: []string{"x.e.example. TXT"}},
		{fault: "the signature over SOA missing", not: []string{"example. SOA"}},
		{fault: "the signature over DNSKEY missing", not: []string{"example. DNSKEY"}},
		{fault: "the signature over DS missing", not: []string{"a.example. DS"}},
		{fault: "the signature over NSEC missing", not: []string{"b.example. NSEC"}},
		{fault: "a bit flipped", after: flip(t, "x.e.example.", "TXT")},
		{fault: "a bit flipped over DNSKEY", after: flip(t, "example.", "DNSKEY")},
		{fault: "a bit flipped over NSEC", after: flip(t, "d.example.", "NSEC")},
		{fault: "an address changed", after: func(s string) string { return strings.Replace(s, "192.0.2.1\n", "192.0.2.99\n", 1) }},
		{fault: "NSEC missing", change: func(d *draft) { d.drop(t, "b.example. 300 IN NSEC") }},
		{fault: "NSEC left out of the chain", change: func(d *draft) {
			d.drop(t, "b.example. 300 IN NSEC")
			d.replace(t, "NSEC b.example.", "NSEC d.example.")
		}},
		{fault: "next name wrong", change: func(d *draft) { d.replace(t, "NSEC d.example.", "NSEC x.e.example.") }},
		{fault: "chain not closed", change: func(d *draft) { d.replace(t, "NSEC example. TXT", "NSEC a.example. TXT") }},
		{fault: "a type too many", change: func(d *draft) { d.replace(t, "A RRSIG NSEC", "A AAAA RRSIG NSEC") }},
		{fault: "a type too few", change: func(d *draft) { d.replace(t, "NS SOA MX RRSIG", "NS SOA RRSIG") }},
		{fault: "glue in the bitmap", change: func(d *draft) { d.replace(t, "NSEC d.example. NS RRSIG", "NSEC d.example. NS A RRSIG") }},
		{fault: "NSEC on glue", change: func(d *draft) { d.add(t, "ns.a.example. 300 IN NSEC b.example. A RRSIG NSEC") }},
		{fault: "a name without NSEC", change: func(d *draft) { d.add(t, "y.example. 3600 IN A 192.0.2.9") }},
		{fault: "glue signed", change: func(d *draft) {
			d.records = append(d.records, d.signers[0].sign(t, rrs(t, "ns.a.example. 3600 IN A 192.0.2.2"), uint32(signedFrom.Unix()), uint32(signedUntil.Unix())))
		}},
		{fault: "delegation NS signed", change: func(d *draft) {
			d.records = append(d.records, d.signers[0].sign(t, rrs(t, "b.example. 3600 IN NS b.example."), uint32(signedFrom.Unix()), uint32(signedUntil.Unix())))
		}},
		{fault: "a signature over nothing", change: func(d *draft) {
			d.records = append(d.records, d.signers[0].sign(t, rrs(t, "x.e.example. 3600 IN A 192.0.2.2"), uint32(signedFrom.Unix()), uint32(signedUntil.Unix())))
		}},
		{fault: "a second, bad signature", change: func(d *draft) {
			bad := d.signers[0].sign(t, rrs(t, "x.e.example. 3600 IN TXT other"), uint32(signedFrom.Unix()), uint32(signedUntil.Unix()))
			d.records = append(d.records, bad)
		}},
		{fault: "expired", change: func(d *draft) {
			set := []dns.RR{d.records[d.find(t, "x.e.example. 3600 IN TXT")]}
			d.records = append(d.records, d.signers[0].sign(t, set, uint32(signedFrom.Unix()), uint32(signedFrom.Unix())+3600))
		}, not: []string{"x.e.example. TXT"}},
		{fault: "the key missing", after: func(s string) string { return dropLines(s, "\tDNSKEY\t257") }},
	}
}

func dropLines(text, with string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, with) {
			out.WriteString(line)
		}
	}
	return out.String()
}

func nsec3Mutations(t *testing.T) []mutation {
	chain := func(names []string, flags int) func(d *draft) {
		return func(d *draft) { d.add(t, chainOf(names, flags, "-")...) }
	}
	all := nsec3Names
	return []mutation{
		{fault: "none", change: chain(all, 0)},
		{fault: "none, opt-out", change: chain(without(all, "b.example.", "c.f.example.", "f.example."), 1)},
		{fault: "a name left out", change: chain(without(all, "ns.example."), 0)},
		{fault: "an empty non-terminal left out", change: chain(without(all, "e.example."), 0)},
		{fault: "insecure delegations left out, no opt-out", change: chain(without(all, "b.example."), 0)},
		{fault: "a delegation with DS left out, opt-out", change: chain(without(all, "a.example."), 1)},
		{fault: "a type too many", change: chain(changed(all, "ns.example. A AAAA RRSIG"), 0)},
		{fault: "a type too few", change: chain(changed(all, "ns.example. RRSIG"), 0)},
		{fault: "RRSIG at an insecure delegation", change: chain(changed(all, "b.example. NS RRSIG"), 0)},
		{fault: "an NSEC3 record of no name", change: chain(append(slices.Clone(all), "zz.example. A RRSIG"), 0)},
		{fault: "next hash wrong", change: func(d *draft) {
			lines := chainOf(all, 0, "-")
			d.add(t, lines...)
			d.replace(t, " "+strings.Fields(lines[2])[8], " "+strings.Split(lines[6], ".")[0])
		}},
		{fault: "the signature over an NSEC3 record missing", change: chain(all, 0), not: []string{strings.Split(chainOf(all, 0, "-")[3], " ")[0] + " NSEC3"}},
		{fault: "no NSEC3PARAM", change: func(d *draft) {
			d.add(t, chainOf(changed(all, "example. NS SOA RRSIG DNSKEY"), 0, "-")...)
			d.drop(t, "NSEC3PARAM 1 0 0 -")
		}},
		{fault: "a second chain, complete", change: func(d *draft) {
			d.add(t, chainOf(all, 0, "-")...)
			d.add(t, append(chainOf(all, 0, "AB"), "example. 0 IN NSEC3PARAM 1 0 0 AB")...)
		}},
	}
}

// What the signers of others make of the unsigned examples of the RFCs is right (corpora zones/dnst-rfc-examples).
func TestCheckZone_signedByLDNS(t *testing.T) {
	sign := tool(t, "ldns-signzone")
	dir := corpora.Path(t, "zones", "dnst-rfc-examples")
	n := 0
	for _, c := range []struct{ zone, file, key string }{
		{"example.", "example.rfc4035", "Kexample.+008+38353"}, {"example.", "example.rfc5155", "Kexample.+008+38353"},
		{"example.", "example.rfc8976-simple", "Kexample.+015+39188"}, {"jelte.nlnetlabs.nl.", "jelte.nlnetlabs.nl", "Kjelte.nlnetlabs.nl.+008+31310"},
		{"example.org.", "example.org", "Kexample.org.+008+51331"},
	} {
		work := t.TempDir()
		in, out := filepath.Join(work, "in.zone"), filepath.Join(work, "signed.zone")
		// The signer adds the parameters of the chain it makes; those of the RFC's chain, and digests, would be left from another.
		text := dropLines(dropLines(string(mustRead(t, filepath.Join(dir, c.file))), "NSEC3PARAM"), "ZONEMD")
		if err := os.WriteFile(in, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{}, {"-n"}, {"-n", "-p"}, {"-n", "-t", "5", "-s", "abcd"}} {
			args = append(args, "-o", c.zone, "-e", "20360101", "-i", "20260101", "-f", out, in, filepath.Join(dir, c.key))
			if text, err := exec.Command(sign, args...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", args, err, text)
				continue
			}
			r := dnssec.Examine(loadFile(t, c.zone, out), signedNow, dnssec.Options{})
			if len(errorsOf(r.Problems)) > 0 || r.Signatures == 0 {
				t.Errorf("%s %v: %d signatures, %v", c.file, args, r.Signatures, r.Problems)
			}
			n++
		}
	}
	if n < 20 {
		t.Errorf("only %d zones", n)
	}
}
