package zone_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"path/filepath"
	"testing"

	"anyu/dns/wire"
	"anyu/house/corpora"
)

const nsec3Zone = treeBase + `
@ NSEC3PARAM 1 0 5 aabb
@ NSEC3PARAM 1 1 9 -
0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 1 5 AABB 35mthgpgcu1qg68fab165klnsnk3dpvl A
35MTHGPGCU1QG68FAB165KLNSNK3DPVL NSEC3 1 1 5 aabb gjeqe526plbf1g8mklp59enfd789njgi NS
35MTHGPGCU1QG68FAB165KLNSNK3DPVL RRSIG NSEC3 8 2 1 20300101000000 20200101000000 1 example. AA==
35mthgpgcu1qg68fab165klnsnk3dpvl TXT "a name of the zone that looks like a hash"
gJeqe526plbf1g8mklp59enfd789njgi NSEC3 1 1 5 aabb 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A
kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk NSEC3 1 1 9 - kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
`

func hashOf(t *testing.T, text string) []byte {
	t.Helper()
	h, err := base32.HexEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// RFC 5155, Section 7.2.8: the owners of NSEC3 records are not names of the zone; other data at the same owner is.
// (servers.md 5.1, case 48)
func TestFindNSEC3_apartFromNames(t *testing.T) {
	z := mustLoad(t, "example.", nsec3Zone)
	key := func(s string) []byte { return wire.AppendKey(nil, mustName(t, s), z.Apex()) }
	if _, ok := z.Find(key("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.")); ok {
		t.Error("the owner of an NSEC3 record is found as a name")
	}
	n, ok := z.Find(key("35mthgpgcu1qg68fab165klnsnk3dpvl.example."))
	if _, txt := n.Set(wire.TypeTXT); !ok || !txt {
		t.Error("other data at the owner of an NSEC3 record is lost")
	}
	if _, there := n.Set(wire.TypeNSEC3); there {
		t.Error("NSEC3 among the names")
	}
	n, ok = z.FindNSEC3(hashOf(t, "35MTHGPGCU1QG68FAB165KLNSNK3DPVL"))
	if !ok || !n.IsNSEC3() {
		t.Fatal("no NSEC3 record by its hash")
	}
	if _, ok := n.Sigs(wire.TypeNSEC3); !ok {
		t.Error("its signature is not beside it")
	}
	// The case of the owner is kept, however it was.
	for _, owner := range []string{"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "35MTHGPGCU1QG68FAB165KLNSNK3DPVL", "gJeqe526plbf1g8mklp59enfd789njgi"} {
		n, ok := z.FindNSEC3(hashOf(t, string(bytes.ToUpper([]byte(owner)))))
		if got := wire.Name(n.AppendOwner(nil, z.Apex())).String(); !ok || got != owner+".example." {
			t.Errorf("owner %s, want %s", got, owner)
		}
	}
}

// RFC 5155, Section 1.3: cover, with the wrap, in the chain that NSEC3PARAM names and no other.
func TestCoverNSEC3_ring(t *testing.T) {
	z := mustLoad(t, "example.", nsec3Zone)
	alg, iterations, salt, ok := z.NSEC3Param()
	if !ok || alg != 1 || iterations != 5 || !bytes.Equal(salt, []byte{0xAA, 0xBB}) {
		t.Fatalf("parameters %d %d %x %v", alg, iterations, salt, ok)
	}
	for _, c := range []struct{ hash, owner string }{
		{"0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TON", "0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM"},
		{"35MTHGPGCU1QG68FAB165KLNSNK3DPVK", "0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM"},
		{"40000000000000000000000000000000", "35MTHGPGCU1QG68FAB165KLNSNK3DPVL"},
		{"VVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVV", "GJEQE526PLBF1G8MKLP59ENFD789NJGI"}, // past the other chain's record
		{"00000000000000000000000000000000", "GJEQE526PLBF1G8MKLP59ENFD789NJGI"},
		{"00000000000000000000000000000001", "GJEQE526PLBF1G8MKLP59ENFD789NJGI"},
	} {
		n, ok := z.CoverNSEC3(hashOf(t, c.hash))
		if !ok || !bytes.Equal(n.Key(), hashOf(t, c.owner)) {
			t.Errorf("%s: covered by %x (%v), want %s", c.hash, n.Key(), ok, c.owner)
		}
	}
}

// Every name of a zone signed with NSEC3 and without opt-out is found by its hash; a made-up name is covered.
func TestFindNSEC3_everyNameOfSignedZones(t *testing.T) {
	dir := corpora.Path(t, "zones", "cascade", "incremental-signing", "reference-output")
	files, _ := filepath.Glob(filepath.Join(dir, "*nsec3.signed.sorted"))
	checked := 0
	for _, file := range files {
		z, _, err := loadFile(t, "example.", file)
		if err != nil {
			continue // named after its first record: see verdicts.tsv
		}
		_, iterations, salt, ok := z.NSEC3Param()
		if !ok {
			t.Errorf("%s: no NSEC3PARAM", file)
			continue
		}
		var cut []byte
		for n := range z.All() {
			if n.IsNSEC3() {
				continue
			}
			if cut != nil && bytes.HasPrefix(n.Key(), cut) {
				continue // occluded
			}
			if n.IsCut() {
				cut = n.Key()
			}
			h := hashed(wire.Name(n.AppendOwner(nil, z.Apex())), iterations, salt)
			if _, ok := z.FindNSEC3(h); !ok {
				t.Errorf("%s: no NSEC3 of %q", file, n.Key())
			}
			checked++
		}
	}
	if checked == 0 {
		t.Error("nothing checked")
	}
}

func hashed(n wire.Name, iterations uint16, salt []byte) []byte {
	h := sha1.Sum(append(n.AppendLower(nil), salt...))
	for range iterations {
		h = sha1.Sum(append(h[:], salt...))
	}
	return h[:]
}
