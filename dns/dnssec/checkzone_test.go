package dnssec_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/zone"
	"anyu/house/corpora"

	"github.com/miekg/dns"
)

// nsecZone has each kind of name: a wildcard, an empty non-terminal, delegations with and without DS, glue, a DNAME.
const nsecZone = `$TTL 3600
@ SOA ns.example. a.example. 1 7200 3600 604800 300
@ NS ns
@ MX 10 ns
@ 300 NSEC a.example. NS SOA MX RRSIG NSEC DNSKEY
ns A 192.0.2.1
ns 300 NSEC *.w.example. A RRSIG NSEC
a NS ns.a
a DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
a 300 NSEC b.example. NS DS RRSIG NSEC
ns.a A 192.0.2.2
b NS b
b A 192.0.2.3
b 300 NSEC d.example. NS RRSIG NSEC
d DNAME example.net.
d 300 NSEC x.e.example. DNAME RRSIG NSEC
x.e TXT "below an empty non-terminal"
x.e 300 NSEC ns.example. TXT RRSIG NSEC
*.w TXT "w"
*.w 300 NSEC example. TXT RRSIG NSEC
`

// notSigned are the RRsets of nsecZone that a signer leaves alone.
var notSigned = []string{"a.example. NS", "b.example. NS", "ns.a.example. A", "b.example. A"}

// Each fault is found where it is, by its own code, and nothing else is. The signatures over the changed records are good, so
// that the chain itself is judged.
func TestCheckZone_faultsOfNSEC(t *testing.T) {
	key := newSigner(t, "example.", dns.ECDSAP256SHA256, 257)
	for _, c := range []struct {
		what   string
		change func(d *draft)
		not    []string // RRsets not signed beyond notSigned
		want   string
	}{
		{"nothing wrong", func(d *draft) {}, nil, ""},
		{"next name wrong", func(d *draft) { d.replace(t, "NSEC d.example.", "NSEC x.e.example.") }, nil, "!nsec-next"},
		{"chain not closed", func(d *draft) { d.replace(t, "NSEC example. TXT", "NSEC a.example. TXT") }, nil, "!nsec-next"},
		{"next name in another case", func(d *draft) { d.replace(t, "NSEC d.example.", "NSEC D.Example.") }, nil, ""},
		{"NSEC missing", func(d *draft) { d.drop(t, "b.example. 300 IN NSEC") }, nil, "!nsec-missing"},
		{"a type too many", func(d *draft) { d.replace(t, "A RRSIG NSEC", "A AAAA RRSIG NSEC") }, nil, "!nsec-bitmap"},
		{"a type too few", func(d *draft) { d.replace(t, "NS SOA MX RRSIG", "NS SOA RRSIG") }, nil, "!nsec-bitmap"},
		{"glue in the bitmap of a cut", func(d *draft) { d.replace(t, "NSEC d.example. NS RRSIG", "NSEC d.example. NS A RRSIG") }, nil, "!nsec-bitmap"},
		{"NSEC on glue", func(d *draft) { d.add(t, "ns.a.example. 300 IN NSEC b.example. A RRSIG NSEC") }, nil, "!rrsig-not-authoritative !nsec-extra"},
		{"NSEC alone", func(d *draft) { d.add(t, "z.example. 300 IN NSEC example. RRSIG NSEC") }, nil, "!nsec-extra"},
		{"two NSEC", func(d *draft) { d.add(t, "b.example. 300 IN NSEC e.example. NS RRSIG NSEC") }, nil, "!nsec-many"},
		{"TTL of NSEC", func(d *draft) { d.replace(t, "example. 300 IN NSEC a.example.", "example. 3600 IN NSEC a.example.") }, nil, "nsec-ttl"},
		{"a set without signature", func(d *draft) {}, []string{"x.e.example. TXT"}, "!rrsig-missing"},
		{"NSEC without signature", func(d *draft) {}, []string{"a.example. NSEC"}, "!rrsig-missing"},
		{"DS without signature", func(d *draft) {}, []string{"a.example. DS"}, "!rrsig-missing"},
		{"keys without signature", func(d *draft) {}, []string{"example. DNSKEY"}, "algorithm-unused !rrsig-missing"},
		{"a new name", func(d *draft) { d.add(t, "y.example. 3600 IN A 192.0.2.9") }, nil, "!nsec-next !nsec-missing"},
		{"no chain", func(d *draft) {
			d.records = slices.DeleteFunc(d.records, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNSEC })
		}, nil, "!denial-missing"},
		{"ZONEMD not signed", func(d *draft) {
			d.replace(t, "NS SOA MX RRSIG NSEC DNSKEY", "NS SOA MX RRSIG NSEC DNSKEY ZONEMD")
			d.add(t, "example. 3600 IN ZONEMD 1 1 1 "+strings.Repeat("00", 48))
		}, []string{"example. ZONEMD"}, "!rrsig-missing"}, // RFC 8976, Section 4, step 2
	} {
		d := newDraft(t, "example.", nsecZone, key)
		c.change(d)
		z := loadText(t, "example.", d.text(t, append(c.not, notSigned...)...))
		if problems := dnssec.CheckZone(z, signedNow, dnssec.Options{}); codes(problems) != c.want {
			t.Errorf("%s: %v, want %s", c.what, problems, c.want)
		}
	}
}

// Faults of signatures themselves.
func TestCheckZone_faultsOfSignatures(t *testing.T) {
	key := newSigner(t, "example.", dns.ECDSAP256SHA256, 257)
	other := newSigner(t, "example.", dns.RSASHA256, 257)
	stranger := newSigner(t, "example.", dns.ECDSAP256SHA256, 257)
	foreign := newSigner(t, "net.", dns.ECDSAP256SHA256, 257)
	from, until := uint32(signedFrom.Unix()), uint32(signedUntil.Unix())
	set := func(d *draft) []dns.RR { return []dns.RR{d.records[d.find(t, "x.e.example. 3600 IN TXT")]} }
	for _, c := range []struct {
		what    string
		signers []*signer
		change  func(d *draft)
		not     string
		want    string
	}{
		{"a signature by a key that is not there", []*signer{key}, func(d *draft) { d.records = append(d.records, stranger.sign(t, set(d), from, until)) }, "x.e.example. TXT", "!rrsig-key"},
		{"the same beside a good one", []*signer{key}, func(d *draft) { d.records = append(d.records, stranger.sign(t, set(d), from, until)) }, "", "rrsig-key"},
		{"another signer", []*signer{key}, func(d *draft) { d.records = append(d.records, foreign.sign(t, set(d), from, until)) }, "x.e.example. TXT", "!rrsig-signer"},
		{"expired", []*signer{key}, func(d *draft) { d.records = append(d.records, key.sign(t, set(d), from, from+9)) }, "x.e.example. TXT", "!rrsig-expired"},
		{"expired beside a good one", []*signer{key}, func(d *draft) { d.records = append(d.records, key.sign(t, set(d), from, from+9)) }, "", "rrsig-expired"},
		{"not yet valid", []*signer{key}, func(d *draft) { d.records = append(d.records, key.sign(t, set(d), until-9, until)) }, "x.e.example. TXT", "!rrsig-not-yet"},
		{"over other data", []*signer{key}, func(d *draft) {
			d.records = append(d.records, key.sign(t, rrs(t, "x.e.example. 3600 IN TXT other"), from, until))
		}, "x.e.example. TXT", "!rrsig-bogus"},
		{"over nothing", []*signer{key}, func(d *draft) {
			d.records = append(d.records, key.sign(t, rrs(t, "x.e.example. 3600 IN A 192.0.2.1"), from, until))
		}, "", "!rrsig-orphan"},
		{"over glue", []*signer{key}, func(d *draft) {
			d.records = append(d.records, key.sign(t, rrs(t, "ns.a.example. 3600 IN A 192.0.2.2"), from, until))
		}, "", "!rrsig-not-authoritative"},
		{"over delegation NS", []*signer{key}, func(d *draft) {
			d.records = append(d.records, key.sign(t, rrs(t, "b.example. 3600 IN NS b.example."), from, until))
		}, "", "!rrsig-not-authoritative"},
		{"with another TTL", []*signer{key}, func(d *draft) {
			sig := key.sign(t, set(d), from, until)
			d.replace(t, "x.e.example. 3600 IN TXT", "x.e.example. 60 IN TXT")
			d.records = append(d.records, sig)
		}, "x.e.example. TXT", "rrsig-ttl"},
		{"expanded from a wildcard", []*signer{key}, func(d *draft) {
			wild := rrs(t, strings.Replace(set(d)[0].String(), "x.e.", "*.e.", 1))
			sig := key.sign(t, wild, from, until)
			sig.Hdr.Name = "x.e.example."
			d.records = append(d.records, sig)
		}, "x.e.example. TXT", "!rrsig-labels"},
		{"two algorithms", []*signer{key, other}, func(d *draft) {}, "", ""},
		{"two algorithms, one missing", []*signer{key, other}, func(d *draft) { d.records = append(d.records, key.sign(t, set(d), from, until)) }, "x.e.example. TXT", "!rrsig-algorithm"}, // RFC 4035, Section 2.2
		{"a key of a new algorithm", []*signer{key}, func(d *draft) { d.records = append(d.records, other.key) }, "", "algorithm-unused"},                                                  // RFC 6840, Section 5.11
		{"a revoked key signs data (RFC 5011, Section 2.1)", []*signer{key, newSigner(t, "example.", dns.ECDSAP256SHA256, 257|128)}, func(d *draft) {}, "", "rrsig-key"},
		{"a key without the zone flag", []*signer{newSigner(t, "example.", dns.ECDSAP256SHA256, 1)}, func(d *draft) {}, "", "!dnskey-missing !rrsig-key"},
		{"SHA-1 (RFC 9905)", []*signer{newSigner(t, "example.", dns.RSASHA1, 257)}, func(d *draft) {}, "", "algorithm-deprecated"},
		{"an algorithm we do not know", []*signer{key}, func(d *draft) { d.add(t, "example. 3600 IN DNSKEY 256 3 12 AAAA") }, "", "dnskey-unsupported"},
		{"too many signatures (CVE-2023-50387)", []*signer{key}, func(d *draft) {
			for i := range uint32(40) {
				d.records = append(d.records, stranger.sign(t, set(d), from, until+i))
			}
		}, "x.e.example. TXT", "!rrsig-many !rrsig-key"},
	} {
		d := newDraft(t, "example.", nsecZone, c.signers...)
		c.change(d)
		z := loadText(t, "example.", d.text(t, append([]string{c.not}, notSigned...)...))
		problems := dnssec.CheckZone(z, signedNow, dnssec.Options{})
		if codes(problems) != c.want {
			t.Errorf("%s: %v, want %s", c.what, problems[:min(len(problems), 10)], c.want)
		}
		if strings.Contains(c.want, "expired") || strings.Contains(c.want, "not-yet") {
			if problems := dnssec.CheckZone(z, signedNow, dnssec.Options{IgnoreTime: true}); len(problems) > 0 {
				t.Errorf("%s, time ignored: %v", c.what, problems)
			}
		}
	}
}

// Zones without keys are right; zones that were to be signed and lost a part are not.
func TestCheckZone_unsigned(t *testing.T) {
	const plain = "@ 60 SOA ns a 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n"
	for _, c := range []struct{ text, want string }{
		{plain, ""},
		{plain + "@ 60 DNSKEY 257 3 13 AAAA\n", "unsigned"},
		{plain + "@ 60 NSEC ns.example. NS SOA NSEC\n", "!dnskey-missing"},
		{plain + "ns 60 RRSIG A 13 2 60 20300101000000 20200101000000 1 example. AA==\n", "!dnskey-missing"},
		{plain + "@ 60 DNSKEY 257 3 13 AAAA\n@ 60 NSEC ns.example. NS SOA NSEC\n", "!dnskey-malformed !dnskey-missing !rrsig-missing !nsec-bitmap nsec-ttl !nsec-missing"},
	} {
		if problems := dnssec.CheckZone(loadText(t, "example.", c.text), signedNow, dnssec.Options{}); codes(problems) != c.want {
			t.Errorf("%s\n%v, want %s", c.text, problems, c.want)
		}
	}
}

// The same problems in the same order however many workers there are, and no more than fit.
func TestCheckZone_boundsAndOrder(t *testing.T) {
	key := newSigner(t, "example.", dns.ECDSAP256SHA256, 257)
	var text strings.Builder
	text.WriteString(nsecZone)
	for i := range 3000 {
		fmt.Fprintf(&text, "n%04d 60 TXT unsigned\n", i)
	}
	d := newDraft(t, "example.", text.String(), key)
	var not []string
	for i := range 3000 {
		not = append(not, fmt.Sprintf("n%04d.example. TXT", i))
	}
	z := loadText(t, "example.", d.text(t, append(not, notSigned...)...))
	one := dnssec.CheckZone(z, signedNow, dnssec.Options{Workers: 1})
	if n := len(one); n != dnssec.MaxProblems+1 || one[n-1].Code != "more" {
		t.Errorf("%d problems, the last is %v", n, one[n-1])
	}
	eight := dnssec.CheckZone(z, signedNow, dnssec.Options{Workers: 8})
	if !slices.Equal(one[:dnssec.MaxProblems], eight[:dnssec.MaxProblems]) {
		t.Error("eight workers find other problems than one")
	}
}

// Progress goes up to all names.
func TestCheckZone_progress(t *testing.T) {
	z := loadFile(t, ".", filepath.Join(corpora.Path(t, "zones"), "root-20260731-signed-zonemd/root.zone"))
	calls, last := 0, 0
	dnssec.CheckZone(z, date(t, "2026-08-01T00:00:00Z"), dnssec.Options{Progress: func(done, total int) {
		if done <= last || done > total {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		calls, last = calls+1, done
	}})
	if names, _, _ := z.Size(); calls < 5 || last != names {
		t.Errorf("told %d times, up to %d of %d names", calls, last, names)
	}
}

// The real and reference zones of the corpora verify at their dates, the stripped one does not.
func TestCheckZone_realZones(t *testing.T) {
	dir := corpora.Path(t, "zones")
	for _, c := range []struct{ name, file, at, want string }{
		{".", "root-20260731-signed-zonemd/root.zone", "2026-08-01T00:00:00Z", ""},
		{".", "root-20260731-signed-zonemd/root.zone", "2026-11-01T00:00:00Z", "!rrsig-expired more"},
		{".", "root-20260105-signed-zonemd/root.zone", "2026-01-05T12:00:00Z", ""},
		{".", "root-2011-nsd/root.zone", "2011-03-03T00:00:00Z", ""},
		{".", "root-2017-ithitools/root.zone", "2017-12-01T00:00:00Z", ""},
		{".", "root-2026-norrsig/root.zone", "2026-08-23T00:00:00Z", "!rrsig-missing more"},
		{".", "knot-resolver/testroot.zone", "2026-01-01T00:00:00Z", ""},
		{".", "kskr-sentinel/root.zone.signed", "2015-10-10T00:00:00Z", ""},
		{"uri.arpa.", "unbound/zonemd.example_a4.zone", "2018-10-20T00:00:00Z", ""},
		{"example.com.", "unbound/zonemd.example4.zone", "2020-11-01T00:00:00Z", ""},
		{"example.com.", "unbound/zonemd.example14.zone", "2020-11-01T00:00:00Z", "!rrsig-bogus"}, // ZONEMD changed after signing
	} {
		z := loadFile(t, c.name, filepath.Join(dir, c.file))
		r := dnssec.Examine(z, date(t, c.at), dnssec.Options{})
		if codes(r.Problems) != c.want {
			t.Errorf("%s: %v, want %q", c.file, r.Problems[:min(len(r.Problems), 5)], c.want)
		}
		if c.want == "" && (r.Signatures == 0 || r.Expires.Before(date(t, c.at)) || !r.Signed) {
			t.Errorf("%s: %d signatures, the first expires %v", c.file, r.Signatures, r.Expires)
		}
	}
}

// What Cascade and our own test zones' signers made is complete and right, whichever way it is signed.
func TestCheckZone_referenceOutput(t *testing.T) {
	n := 0
	files, _ := filepath.Glob(filepath.Join(corpora.Path(t, "zones", "cascade", "incremental-signing", "reference-output"), "*.sorted"))
	for _, file := range files {
		z := loadFile(t, "example.", file)
		problems := dnssec.CheckZone(z, whenSigned(t, z), dnssec.Options{})
		want := ""
		if strings.Contains(file, "opt-out") {
			want = "nsec3param-flags" // RFC 5155, Section 4.1.2
		}
		if codes(problems) != want {
			t.Errorf("%s: %v", filepath.Base(file), problems)
		}
		n++
	}
	if n < 20 {
		t.Errorf("only %d files", n)
	}
	for file, want := range map[string]dnssec.Denial{"base": dnssec.DenialNone, "nsec": dnssec.DenialNSEC, "nsec3": dnssec.DenialNSEC3, "optout": dnssec.DenialOptOut} {
		r := dnssec.Examine(loadFile(t, "example.org.", "../../serve/testdata/zones/"+file+".zone"), signedNow, dnssec.Options{})
		if len(r.Problems) > 0 || r.Denial != want || r.Signed != (want != dnssec.DenialNone) {
			t.Errorf("%s: %+v", file, r)
		}
	}
}

// knot-dnssec-validate, by what is wrong and not by a date: times are ignored.
func TestCheckZone_asKnot(t *testing.T) {
	dir := corpora.Path(t, "zones", "knot-dnssec-validate")
	n := 0
	for _, row := range table(t, filepath.Join(dir, "expected.tsv")) {
		if row[1] != "accept" && row[1] != "refuse" {
			continue
		}
		n++
		z := loadFile(t, row[2], filepath.Join(dir, row[0]))
		found := errorsOf(dnssec.CheckZone(z, signedNow, dnssec.Options{IgnoreTime: true}))
		if refused := len(append(found, errorsOf(zone.Check(z, zone.CheckOptions{}))...)) > 0; refused != (row[1] == "refuse") {
			t.Errorf("%s: want %s: %v", row[0], row[1], found)
		}
	}
	if n < 9 {
		t.Errorf("only %d rows", n)
	}
}
