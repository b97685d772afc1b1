package dnssec_test

import (
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"anyu/dns/dnssec"
	"anyu/house/corpora"

	"github.com/emmansun/gmsm/sm2"
	"github.com/miekg/dns"
)

// RFC 9563, Section 2: digest type 6. The key, tag 27215, and its owner are those of the authors' tool (scooct/dnssec_sm2sm3, keygen.py, test case 2);
// `openssl dgst -sm3` says the same.
func TestDigest_SM3(t *testing.T) {
	r := parseRecord(t, "example.net. 3600 IN DNSKEY 257 3 17 jZbZMBImG9dtGWSVEwnv2l32OVKcX7MMJv+83/+A41iaZuO0ajXMcuyJbTr8Ud+kae6UlfqrnsG6tgADIPHxXA==")
	sum, err := dnssec.AppendDigest(nil, dnssec.DigestSM3, r.owner, r.rdata)
	const want = "86671f82dd872e4ee73647a95dff7fd0af599ff8a43ffa26c9a2593091653c0e"
	if got := hex.EncodeToString(sum); got != want || err != nil || dnssec.KeyTag(r.rdata) != 27215 {
		t.Errorf("%s %d, %v", got, dnssec.KeyTag(r.rdata), err)
	}
}

// The signed zone of the corpora is wrong on purpose: one signature has another key's tag, one name another's data. What is
// right in it was made by another implementation of SM2, and verifies.
func TestCheckZone_wrongSM2(t *testing.T) {
	z := loadFile(t, "example.", filepath.Join(corpora.Path(t, "zones", "sm2sm3"), "sm2sm3_example.zone.signed.wrong.1"))
	r := dnssec.Examine(z, date(t, "2023-01-01T00:00:00Z"), dnssec.Options{})
	if r.Signatures < 8 || len(r.Algorithms) != 1 || r.Algorithms[0] != dnssec.SM2SM3 {
		t.Errorf("%d signatures of %v verify", r.Signatures, r.Algorithms)
	}
	if len(errorsOf(r.Problems)) == 0 {
		t.Error("the wrong zone is right")
	}
}

// The unsigned zone of the corpora, signed with the keys beside it, is right; with one octet changed it is not.
func TestCheckZone_signedWithSM2(t *testing.T) {
	dir := corpora.Path(t, "zones", "sm2sm3")
	text, err := os.ReadFile(filepath.Join(dir, "sm2sm3_example.zone"))
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "keys", "*.key"))
	if len(files) != 2 {
		t.Fatalf("keys: %v", files)
	}
	d := newDraft(t, "example.", string(text))
	d.add(t, "example. 3600 IN NSEC ns1.example. NS SOA RRSIG NSEC DNSKEY", "ns1.example. 3600 IN NSEC ns2.example. A RRSIG NSEC",
		"ns2.example. 3600 IN NSEC test.example. A RRSIG NSEC", "test.example. 3600 IN NSEC www.example. A RRSIG NSEC",
		"www.example. 3600 IN NSEC example. A RRSIG NSEC")
	var out strings.Builder
	out.WriteString(d.text(t))
	for _, file := range files {
		out.WriteString(signAllSM2(t, d, strings.TrimSuffix(file, ".key")+".private", fileRecord(t, file)))
	}
	z := loadText(t, "example.", out.String())
	r := dnssec.Examine(z, signedNow, dnssec.Options{})
	if len(r.Problems) > 0 || r.Signatures != 24 {
		t.Errorf("%d signatures, %v", r.Signatures, r.Problems)
	}
	broken := loadText(t, "example.", strings.Replace(out.String(), "192.0.2.3", "192.0.2.30", 1))
	if got := codes(dnssec.CheckZone(broken, signedNow, dnssec.Options{})); got != "!rrsig-bogus" {
		t.Errorf("with an address changed: %s", got)
	}
}

func mustRead(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signAllSM2 signs each RRset of the draft. Its names are in lower case and its sets in order or of one type, so the
// canonical form is that of the records sorted by hand.
func signAllSM2(t testing.TB, d *draft, private string, key record) string {
	t.Helper()
	_, rest, _ := strings.Cut(string(mustRead(t, private)), "PrivateKey: ")
	scalar, err := base64.StdEncoding.DecodeString(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	k, err := sm2.NewPrivateKey(scalar)
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string][]dns.RR{}
	for _, rr := range d.records {
		name := rr.Header().Name + " " + dns.TypeToString[rr.Header().Rrtype]
		sets[name] = append(sets[name], rr)
	}
	var out strings.Builder
	for _, set := range sets {
		out.WriteString(signSM2(t, k, key, set) + "\n")
	}
	return out.String()
}

func signSM2(t testing.TB, k *sm2.PrivateKey, key record, set []dns.RR) string {
	t.Helper()
	h := set[0].Header()
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: h.Ttl}, TypeCovered: h.Rrtype,
		Algorithm: 17, Labels: uint8(dns.CountLabel(h.Name)), OrigTtl: h.Ttl, Inception: uint32(signedFrom.Unix()),
		Expiration: uint32(signedUntil.Unix()), KeyTag: dnssec.KeyTag(key.rdata), SignerName: "example."}
	signed := packed(t, sig).rdata
	records := make([]string, len(set))
	for i, rr := range set {
		r := packed(t, rr)
		b := append([]byte(nil), r.owner...)
		b = binary.BigEndian.AppendUint16(b, uint16(r.typ))
		b = append(b, 0, 1)
		b = binary.BigEndian.AppendUint32(b, h.Ttl)
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.rdata)))
		records[i] = string(append(b, r.rdata...))
	}
	slices.Sort(records)
	signed = append(signed, strings.Join(records, "")...)
	der, err := k.Sign(rand.Reader, signed, sm2.DefaultSM2SignerOpts)
	if err != nil {
		t.Fatal(err)
	}
	var point struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &point); err != nil {
		t.Fatal(err)
	}
	raw := append(point.R.FillBytes(make([]byte, 32)), point.S.FillBytes(make([]byte, 32))...)
	sig.Signature = base64.StdEncoding.EncodeToString(raw)
	return sig.String()
}

// RFC 9563, Section 6: the example's private key is that of its DS record, tag 27215, not of the DNSKEY record it prints. (The octets of the one RRSIG there
// that can be checked are not at hand: what can be searched here has the RFC's first page only. Signatures of others are checked above.)
func TestKey_exampleOfRFC9563(t *testing.T) {
	private, err := base64.StdEncoding.DecodeString("V24tjJgXxp2ykscKRZdT+iuR5J1xRQN+FKoQACmo9fA=")
	if err != nil {
		t.Fatal(err)
	}
	k, err := sm2.NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	public := make([]byte, 64)
	k.X.FillBytes(public[:32])
	k.Y.FillBytes(public[32:])
	rdata := append([]byte{1, 1, 3, 17}, public...)
	r := parseRecord(t, "example. 3600 IN DNSKEY 257 3 17 jZbZMBImG9dtGWSVEwnv2l32OVKcX7MMJv+83/+A41iaZuO0ajXMcuyJbTr8Ud+kae6UlfqrnsG6tgADIPHxXA==")
	if !slices.Equal(rdata, r.rdata) || dnssec.KeyTag(rdata) != 27215 {
		t.Errorf("the private key makes %x, tag %d", rdata, dnssec.KeyTag(rdata))
	}
	if _, err := dnssec.ParseKey(r.rdata); err != nil {
		t.Error(err)
	}
}
