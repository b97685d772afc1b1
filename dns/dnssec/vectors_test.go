package dnssec_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/house/corpora"

	"github.com/miekg/dns"
)

// record is a record of a test file in wire form; miekg/dns reads the text, so that our own reader is not judged by itself.
type record struct {
	owner wire.Name
	typ   wire.Type
	class wire.Class
	rdata []byte
}

func parseRecord(t testing.TB, text string) record {
	t.Helper()
	text = strings.NewReplacer(" RSASHA1 ", " 5 ", "(", " ", ")", " ").Replace(text)
	// The types of Unbound's NSEC3 records are not in order, which miekg/dns does not take, and are not needed.
	if f := strings.Fields(text); slices.Contains(f, "NSEC3") {
		text = strings.Join(f[:slices.Index(f, "NSEC3")+6], " ")
	}
	rr, err := dns.NewRR(text)
	if err != nil || rr == nil {
		t.Fatalf("%q: %v", text, err)
	}
	return packed(t, rr)
}

func packed(t testing.TB, rr dns.RR) record {
	t.Helper()
	buf := make([]byte, 70000)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	end, err := wire.SkipName(buf, 0)
	if err != nil {
		t.Fatal(err)
	}
	return record{wire.Name(buf[:end]), wire.Type(rr.Header().Rrtype), wire.Class(rr.Header().Class), buf[end+10 : n]}
}

// entry is one ENTRY of Unbound's unit test files.
type entry struct {
	question string
	records  []record
}

func entries(t testing.TB, file string) (list []entry) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	asked, long := false, ""
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), ";")
		switch {
		case strings.HasPrefix(line, "ENTRY_BEGIN"):
			list = append(list, entry{})
		case strings.HasPrefix(line, "SECTION"):
			asked = strings.Contains(line, "QUESTION")
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "ENTRY_END") || len(list) == 0:
		case asked:
			list[len(list)-1].question = strings.Fields(line)[0]
		default:
			long += " " + line
			if strings.Count(long, "(") == strings.Count(long, ")") {
				e := &list[len(list)-1]
				e.records = append(e.records, parseRecord(t, strings.TrimSpace(long)))
				long = ""
			}
		}
	}
	return list
}

func rdataOf(list []record, typ wire.Type) []byte {
	for _, r := range list {
		if r.typ == typ {
			return r.rdata
		}
	}
	return nil
}

// RFC 4034, Section 5.1.4: the owner of the question says whether DS and DNSKEY belong together.
func TestDS_asUnbound(t *testing.T) {
	n := 0
	for _, e := range entries(t, corpora.Path(t, "wire", "unbound", "test_ds.sha1")) {
		d, err := dnssec.ParseDS(rdataOf(e.records, wire.TypeDS))
		if err != nil {
			t.Fatal(err)
		}
		n++
		got, err := d.Matches(e.records[0].owner, rdataOf(e.records, wire.TypeDNSKEY))
		if want := strings.HasPrefix(e.question, "yes"); got != want || err != nil {
			t.Errorf("%s %v: %v, %v", e.question, e.records[0].owner, got, err)
		}
	}
	if n < 3 {
		t.Errorf("only %d entries", n)
	}
}

// RFC 5155, Section 5 and Appendix A.
func TestNSEC3Hash_asUnbound(t *testing.T) {
	n := 0
	for _, e := range entries(t, corpora.Path(t, "wire", "unbound", "test_nsec3_hash.1")) {
		p := rdataOf(e.records, wire.TypeNSEC3)
		iterations, salt := int(p[2])<<8|int(p[3]), p[5:5+int(p[4])]
		sum := dnssec.NSEC3Hash(mustName(t, e.question), salt, iterations)
		want := strings.Split(e.records[0].owner.String(), ".")[0]
		if got := dnssec.HexEncoding.EncodeToString(sum[:]); got != strings.ToLower(want) {
			t.Errorf("%s: %s, want %s", e.question, got, want)
		}
		n++
	}
	if n < 10 {
		t.Errorf("only %d entries", n)
	}
}

// Unbound's signatures: the first entry has the keys; where the owner or the question begins with bogus, or nothing is
// signed, they may not verify, else they must, one of each algorithm. Files with algorithms we do not have must say so.
func TestVerify_asUnbound(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpora.Path(t, "wire", "unbound"), "test_sig*"))
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	verified, bogus := 0, 0
	for _, file := range files {
		list := entries(t, file)
		var keys []*dnssec.Key
		unknown := false
		for _, r := range list[0].records {
			if r.typ != wire.TypeDNSKEY {
				continue
			}
			k, err := dnssec.ParseKey(r.rdata)
			if errors.Is(err, dnssec.ErrAlgorithm) {
				unknown = true
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			keys = append(keys, k)
		}
		if len(keys) == 0 && unknown {
			continue
		}
		for _, e := range list[1:] {
			for owner, ok := range verifyAll(t, e.records, keys) {
				want := !strings.HasPrefix(owner, "bogus") && !strings.HasPrefix(e.question, "bogus") && isSigned(e.records, owner)
				if ok != want {
					t.Errorf("%s: %s: verified %v", filepath.Base(file), owner, ok)
				}
				if ok {
					verified++
				} else {
					bogus++
				}
			}
		}
	}
	t.Logf("%d RRsets verify, %d do not", verified, bogus)
	if verified < 20 || bogus < 3 {
		t.Error("too few")
	}
}

func isSigned(list []record, name string) bool {
	return slices.ContainsFunc(list, func(r record) bool {
		return r.typ == wire.TypeRRSIG && r.owner.String()+" "+(wire.Type(r.rdata[0])<<8|wire.Type(r.rdata[1])).String() == name
	})
}

// verifyAll tells for each RRset of a message whether signatures verify, one of each algorithm of the keys.
func verifyAll(t testing.TB, list []record, keys []*dnssec.Key) map[string]bool {
	t.Helper()
	var v dnssec.Verifier
	out := map[string]bool{}
	for _, r := range list {
		if r.typ == wire.TypeRRSIG {
			continue
		}
		name := r.owner.String() + " " + r.typ.String()
		if _, seen := out[name]; seen {
			continue
		}
		set := dnssec.Set{Owner: r.owner, Class: r.class, Type: r.typ}
		for _, o := range list {
			if o.typ == r.typ && o.owner.Equal(r.owner) {
				set.RData = append(set.RData, o.rdata)
			}
		}
		good := map[dnssec.Algorithm]bool{}
		for _, s := range list {
			if s.typ != wire.TypeRRSIG || !s.owner.Equal(r.owner) {
				continue
			}
			sig, err := dnssec.ParseSignature(s.rdata)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				if v.Verify(set, &sig, k) == nil {
					good[k.Algorithm] = true
				}
			}
		}
		out[name] = !slices.ContainsFunc(keys, func(k *dnssec.Key) bool { return !good[k.Algorithm] })
	}
	return out
}

// RFC 4034, Sections 2.3 and 5.4: the key tags 2642 and 60485, and the DS of the second. The corpora hold the keys.
func TestKeyTag_ofRFC4034(t *testing.T) {
	dir := corpora.Path(t, "wire", "rfc4034-hickory")
	for file, want := range map[string]uint16{"rfc4034-2.3": 2642, "rfc4034-5.4": 60485} {
		text, err := os.ReadFile(filepath.Join(dir, file+".rdata"))
		if err != nil {
			t.Fatal(err)
		}
		r := parseRecord(t, "dskey.example.com. 86400 IN DNSKEY "+string(text))
		if got := dnssec.KeyTag(r.rdata); got != want {
			t.Errorf("%s: key tag %d, want %d", file, got, want)
		}
		key, err := os.ReadFile(filepath.Join(dir, file+".key"))
		if err != nil || !bytes.Equal(key, r.rdata[4:]) {
			t.Errorf("%s: not the key of the file: %v", file, err)
		}
		if want != 60485 {
			continue
		}
		sum, err := dnssec.AppendDigest(nil, dnssec.DigestSHA1, mustName(t, "DSkey.example.com."), r.rdata)
		if got := hex.EncodeToString(sum); got != "2bb183af5f22588179a53b0a98631fad1a292118" || err != nil {
			t.Errorf("DS digest %s, %v", got, err)
		}
	}
}

// Keys of NLnet Labs with the DS records their tools made.
func TestDigest_ofPublishedKeys(t *testing.T) {
	n := 0
	for _, dir := range []string{"nlnetlabs-domain-keys", "unbound-keys"} {
		files, _ := filepath.Glob(filepath.Join(corpora.Path(t, "zones", dir), "*.ds"))
		for _, file := range files {
			ds, key := fileRecord(t, file), fileRecord(t, strings.TrimSuffix(file, ".ds")+".key")
			d, err := dnssec.ParseDS(ds.rdata)
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := d.Matches(key.owner, key.rdata); !ok || err != nil {
				t.Errorf("%s: %v %v", file, ok, err)
			}
			n++
		}
	}
	if n < 5 {
		t.Errorf("only %d", n)
	}
}

// fileRecord reads a file of one record and comments.
func fileRecord(t testing.TB, file string) record {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if line, _, _ = strings.Cut(line, ";"); strings.TrimSpace(line) != "" {
			return parseRecord(t, line)
		}
	}
	t.Fatalf("%s: no record", file)
	return record{}
}
