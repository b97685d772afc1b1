package validate_test

import (
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/house/corpora"
	"anyu/serve/validate"

	"github.com/emmansun/gmsm/sm2"
	"github.com/miekg/dns"
)

// readZone reads a master file with a library that is not ours, as RRsets with their signatures, by "owner type".
func readZone(t *testing.T, origin, text string) map[string][]dns.RR {
	t.Helper()
	sets := map[string][]dns.RR{}
	p := dns.NewZoneParser(strings.NewReader(text), origin, "")
	p.SetDefaultTTL(3600)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		typ := rr.Header().Rrtype
		if sig, is := rr.(*dns.RRSIG); is {
			typ = sig.TypeCovered
		}
		key := strings.ToLower(rr.Header().Name) + " " + dns.TypeToString[typ]
		sets[key] = append(sets[key], rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return sets
}

func readFile(t testing.TB, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// judge validates each signed RRset of a zone as the answer to its question, and counts the verdicts.
func judge(t *testing.T, sets map[string][]dns.RR, config validate.Config, now time.Time) (verdicts map[dnssec.Security]int, worst []string) {
	t.Helper()
	var w world
	for key, set := range sets {
		if name, typ, _ := strings.Cut(key, " "); typ == "DNSKEY" || typ == "DS" {
			w.add(response(t, name, wire.Type(dns.StringToType[typ]), 0, set))
		}
	}
	v := validate.New(config)
	verdicts = map[dnssec.Security]int{}
	for _, key := range slices.Sorted(func(yield func(string) bool) {
		for k := range sets {
			if !yield(k) {
				return
			}
		}
	}) {
		name, typ, _ := strings.Cut(key, " ")
		if !slices.ContainsFunc(sets[key], func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }) {
			continue
		}
		res := v.Message(nanos(now), response(t, name, wire.Type(dns.StringToType[typ]), 0, sets[key]), &w, validate.DefaultLimits().Budget())
		if verdicts[res.Security]++; res.Security != dnssec.Secure {
			worst = append(worst, res.Text)
		}
	}
	return verdicts, worst
}

// The root zones of the corpora at dates when they were in use, from the keys that IANA published, and at a date when they were not.
func TestRootZones_verify(t *testing.T) {
	dir := corpora.Path(t, "zones")
	for _, test := range []struct {
		file, anchor string
		date         string
		security     dnssec.Security
		reason       string
	}{
		{"root-20260731-signed-zonemd/root.zone", "root.key", "2026-08-01T00:00:00Z", dnssec.Secure, ""},
		{"root-20260731-signed-zonemd/root.zone", "root.ds", "2026-08-01T00:00:00Z", dnssec.Secure, ""},
		{"root-20260731-signed-zonemd/root.zone", "root.ds", "2027-08-01T00:00:00Z", dnssec.Bogus, "expired"},
		{"root-2011-nsd/root.zone", rootAnchors[0], "2011-03-03T00:00:00Z", dnssec.Secure, ""},
		{"root-2011-nsd/root.zone", "root.key", "2011-03-03T00:00:00Z", dnssec.Bogus, "has no key"},
	} {
		text := test.anchor
		if strings.HasPrefix(text, "root.") {
			text = readFile(t, dir, "root-trust", text)
		}
		var list []validate.Anchor
		for line := range strings.Lines(text) {
			list = append(list, anchors(t, line)...)
		}
		now, err := time.Parse(time.RFC3339, test.date)
		if err != nil {
			t.Fatal(err)
		}
		verdicts, worst := judge(t, readZone(t, ".", readFile(t, dir, test.file)), validate.Config{Anchors: list}, now)
		if len(verdicts) != 1 || verdicts[test.security] < 300 || test.reason != "" && !strings.Contains(worst[0], test.reason) {
			t.Errorf("%s with %s at %s: %v %q", test.file, test.anchor, test.date, verdicts, worst[:min(3, len(worst))])
		}
	}
}

// The denials of the root zone, as its servers would give them: each name that is not there, and each delegation without DS.
func TestRootZone_deniesNames(t *testing.T) {
	dir := corpora.Path(t, "zones")
	sets := readZone(t, ".", readFile(t, dir, "root-20260731-signed-zonemd", "root.zone"))
	var w world
	w.add(response(t, ".", wire.TypeDNSKEY, 0, sets[". DNSKEY"]))
	var list []validate.Anchor
	for line := range strings.Lines(readFile(t, dir, "root-trust", "root.key")) {
		list = append(list, anchors(t, line)...)
	}
	v := validate.New(validate.Config{Anchors: list})
	now := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	ask := func(name string, typ wire.Type, rcode int, authority ...[]dns.RR) dnssec.Security {
		return v.Message(nanos(now), response(t, name, typ, rcode, nil, join(authority...)), &w, validate.DefaultLimits().Budget()).Security
	}
	soa, apex := sets[". SOA"], sets[". NSEC"]
	checked := 0
	for key, set := range sets {
		name, typ, _ := strings.Cut(key, " ")
		if typ != "NSEC" || name == "." {
			continue
		}
		if sets[name+" DS"] == nil && ask(name, wire.TypeDS, 0, soa, set) != dnssec.Secure {
			t.Errorf("%s has no DS, and the proof fails", name)
		}
		if sets[name+" DS"] != nil && ask(name, wire.TypeDS, 0, soa, set) != dnssec.Bogus {
			t.Errorf("%s has a DS, and its denial holds", name)
		}
		behind := strings.TrimSuffix(name, ".") + "-0."
		if got := ask(behind, wire.TypeA, 3, soa, set, apex); got != dnssec.Secure && !strings.HasPrefix(set[0].(*dns.NSEC).NextDomain, strings.TrimSuffix(name, ".")) {
			t.Errorf("%s does not exist, and the proof fails: %v", behind, got)
		}
		// What the delegation says of names below it counts for nothing.
		if got := ask("www."+name, wire.TypeA, 3, soa, set, apex); got != dnssec.Bogus {
			t.Errorf("www.%s is denied by the parent: %v", name, got)
		}
		if checked++; checked == 200 {
			break
		}
	}
}

// RFC 9563: the unsigned zone of the corpora, signed with the keys beside it, is secure by a DS record with digest 6; with one octet
// changed it is not.
func TestSM2_signedZone(t *testing.T) {
	dir := corpora.Path(t, "zones", "sm2sm3")
	sets := readZone(t, "example.", readFile(t, dir, "sm2sm3_example.zone"))
	var keys []*dns.DNSKEY
	files, _ := filepath.Glob(filepath.Join(dir, "keys", "*.key"))
	for _, file := range files {
		for _, set := range readZone(t, "example.", readFile(t, file)) {
			keys = append(keys, set[0].(*dns.DNSKEY)) // the zone has them
		}
	}
	plain := map[string][]dns.RR{}
	for key, set := range sets {
		plain[key] = slices.Clone(set)
	}
	var ksk *dns.DNSKEY
	for i, k := range keys {
		scalar := sm2Scalar(t, strings.TrimSuffix(files[i], ".key")+".private")
		for key, set := range plain {
			sets[key] = append(sets[key], signSM2(t, scalar, k, set))
		}
		if k.Flags&dns.SEP != 0 {
			ksk = k
		}
	}
	config := validate.Config{Anchors: anchors(t, dsSM3(t, ksk))}
	if verdicts, worst := judge(t, sets, config, testNow); verdicts[dnssec.Secure] != 7 || len(worst) != 0 {
		t.Errorf("%v %q", verdicts, worst)
	}
	sets["www.example. A"][0].(*dns.A).A[3]++
	if verdicts, worst := judge(t, sets, config, testNow); verdicts[dnssec.Secure] != 6 || verdicts[dnssec.Bogus] != 1 {
		t.Errorf("with an address changed: %v %q", verdicts, worst)
	}
	config.Refused = []dnssec.Algorithm{dnssec.SM2SM3}
	if verdicts, _ := judge(t, sets, config, testNow); verdicts[dnssec.Insecure] != 7 {
		t.Errorf("refused: %v", verdicts)
	}
}

// The zone that is wrong on purpose: from the key of RFC 9563's example (tag 27215, whose DS record the RFC prints) nothing in it can be
// believed, as that key signs nothing; from the key that signs, all but the two RRsets that were spoilt.
func TestSM2_wrongZone(t *testing.T) {
	dir := corpora.Path(t, "zones", "sm2sm3")
	text := readFile(t, dir, "sm2sm3_example.zone.signed.wrong.1")
	sets := readZone(t, "example.", text)
	now := time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
	rfc := "example. IN DS 27215 17 6 BBF66976530DB9E6AD80C843D3DC03C815CD1934AA9065CBFC62039687EB9A20"
	verdicts, worst := judge(t, sets, validate.Config{Anchors: anchors(t, rfc)}, now)
	if len(verdicts) != 1 || verdicts[dnssec.Bogus] < 8 || !strings.Contains(worst[0], "not signed with key 27215") {
		t.Errorf("%v %q", verdicts, worst[:min(2, len(worst))])
	}
	var ksk *dns.DNSKEY
	for _, rr := range sets["example. DNSKEY"] {
		if k, ok := rr.(*dns.DNSKEY); ok && k.KeyTag() == 20968 {
			ksk = k
		}
	}
	if ksk == nil {
		t.Fatal("no key 20968")
	}
	verdicts, worst = judge(t, sets, validate.Config{Anchors: anchors(t, dsSM3(t, ksk))}, now)
	if verdicts[dnssec.Bogus] == 0 || verdicts[dnssec.Secure] < 8 {
		t.Errorf("%v %q", verdicts, worst)
	}
	t.Logf("%v %q", verdicts, worst)
}

// dsSM3 makes a DS record with digest 6.
func dsSM3(t *testing.T, k *dns.DNSKEY) string {
	t.Helper()
	rdata := packRR(t, k)
	sum, err := dnssec.AppendDigest(nil, dnssec.DigestSM3, mustName(t, k.Hdr.Name), rdata)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s IN DS %d %d 6 %X", k.Hdr.Name, k.KeyTag(), k.Algorithm, sum)
}

// packRR is the uncompressed RDATA of a record.
func packRR(t *testing.T, rr dns.RR) []byte {
	t.Helper()
	return slices.Clone(response(t, rr.Header().Name, wire.Type(rr.Header().Rrtype), 0, []dns.RR{rr}).Answer[0].Data[0])
}

func sm2Scalar(t *testing.T, file string) *sm2.PrivateKey {
	t.Helper()
	_, rest, _ := strings.Cut(readFile(t, file), "PrivateKey: ")
	scalar, err := base64.StdEncoding.DecodeString(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	k, err := sm2.NewPrivateKey(scalar)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signSM2 signs an RRset whose names are in lower case (RFC 4034, Section 3.1.8.1).
func signSM2(t *testing.T, private *sm2.PrivateKey, key *dns.DNSKEY, set []dns.RR) *dns.RRSIG {
	t.Helper()
	h := set[0].Header()
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: 1, Ttl: h.Ttl}, TypeCovered: h.Rrtype, Algorithm: 17,
		Labels: uint8(dns.CountLabel(h.Name)), OrigTtl: h.Ttl, Inception: uint32(testNow.Unix() - 86400), Expiration: uint32(testNow.Unix() + 86400),
		KeyTag: key.KeyTag(), SignerName: "example.", Signature: "AA=="}
	signed := packRR(t, sig)
	signed = signed[:len(signed)-1]
	var records []string
	for _, rr := range set {
		rdata := packRR(t, rr)
		b := append([]byte{}, mustName(t, h.Name)...)
		b = binary.BigEndian.AppendUint16(b, h.Rrtype)
		b = binary.BigEndian.AppendUint16(b, 1)
		b = binary.BigEndian.AppendUint32(b, h.Ttl)
		b = binary.BigEndian.AppendUint16(b, uint16(len(rdata)))
		records = append(records, string(append(b, rdata...)))
	}
	slices.Sort(records)
	der, err := private.Sign(rand.Reader, append(signed, strings.Join(records, "")...), sm2.DefaultSM2SignerOpts)
	if err != nil {
		t.Fatal(err)
	}
	var point struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &point); err != nil {
		t.Fatal(err)
	}
	sig.Signature = base64.StdEncoding.EncodeToString(append(point.R.FillBytes(make([]byte, 32)), point.S.FillBytes(make([]byte, 32))...))
	return sig
}
