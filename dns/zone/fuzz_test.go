package zone_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// seedText adds master files that tests of others were made of, as far as they are there and small.
func seedText(f *testing.F) {
	f.Add([]byte(treeBase + "x 5 IN TXT ( \"a\" \\; ) ; c\n$ORIGIN y\n  AAAA ::1\n$GENERATE 1-3 h$ A 192.0.2.${1,2,d}\n"))
	f.Add([]byte(treeBase + "x SVCB 1 . alpn=\"h2\" key9=\\044\ny LOC 1 2 3.5 N 4 E 5m\nz APL !1:192.0.2.0/24\nt TYPE65280 \\# 2 0102\n"))
	f.Add([]byte("$INCLUDE a\n$INCLUDE b c\n@ 1 SOA ns a 1 1w 1 1 1\n@ NS ns\nq NSEC q A NS TYPE1000\n*.w RRSIG A 8 2 3 20300101000000 1 2 example. AA==\n"))
	root := os.Getenv("ANYU_CORPORA")
	if root == "" {
		root = "../../../shared/corpora"
	}
	for _, dir := range []string{"zones/bind9-checkzone", "zones/knot-zscanner", "zones/knot-semantic-check", "wire/bind9-fuzz"} {
		filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil
			}
			if text, err := os.ReadFile(path); err == nil && len(text) < 4096 {
				f.Add(text)
			}
			return nil
		})
	}
}

// FuzzLoad: no text makes Load panic, hang or disagree with itself about blocks; an error has a place or is a known one.
func FuzzLoad(f *testing.F) {
	seedText(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		in := files{"z": string(text), "a": "x 1 A 192.0.2.1\n", "b": "$INCLUDE z\n"}
		ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
		defer stop()
		var results [2]string
		for i, block := range []int{0, 32} {
			z, _, err := zone.Load(ctx, zone.LoadOptions{Name: mustName(t, "example."), File: "z", Open: in.open, BlockSize: block, Workers: 2})
			if ctx.Err() != nil {
				t.Skip("too slow: a large $GENERATE")
			}
			if err == nil {
				results[i] = textOf(t, z)
				zone.Check(z, zone.CheckOptions{})
				continue
			}
			results[i] = "error"
			var se *zone.SyntaxError
			known := errors.As(err, &se)
			for _, e := range []error{zone.ErrNoSOA, zone.ErrSOAs, zone.ErrNoNS, zone.ErrCNAME, zone.ErrMany} {
				known = known || errors.Is(err, e)
			}
			if !known {
				t.Fatalf("error without a place: %v", err)
			}
		}
		if results[0] != results[1] {
			t.Fatalf("one block: %s\nmany: %s", results[0], results[1])
		}
	})
}

// FuzzRoundTrip: what loads is written to a text that loads to an equal zone, digest and all.
func FuzzRoundTrip(f *testing.F) {
	seedText(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		z, _, err := loadText(t, "example.", string(text))
		if err != nil {
			t.Skip()
		}
		first := textOf(t, z)
		again, _, err := loadText(t, "example.", first)
		if err != nil {
			t.Fatalf("%v in\n%s", err, first)
		}
		if second := textOf(t, again); first != second {
			t.Fatalf("first:\n%s\nsecond:\n%s", first, second)
		}
		a, _ := z.Digest(zone.SchemeSimple, zone.DigestSHA384)
		b, _ := again.Digest(zone.SchemeSimple, zone.DigestSHA384)
		if string(a) != string(b) {
			t.Fatalf("digests differ of\n%s", first)
		}
	})
}

// FuzzKeyOrder: the order of keys is total and that of the names (RFC 4034, Section 6.1).
func FuzzKeyOrder(f *testing.F) {
	f.Add([]byte("\x01a\x00"), []byte("\x01A\x01b\x00"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if wire.ValidName(a) != nil || wire.ValidName(b) != nil {
			t.Skip()
		}
		e := zone.NewEmpty(wire.Root(), wire.ClassIN)
		soa := append([]byte{0, 0}, make([]byte, 20)...)
		for _, n := range [][]byte{{0}, a, b} {
			if err := e.Add(n, wire.TypeTXT, 1, []byte{0}); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Add(wire.Root(), wire.TypeSOA, 1, soa); err != nil {
			t.Fatal(err)
		}
		z, err := e.Done()
		if err != nil {
			t.Fatal(err)
		}
		var last wire.Name
		for n := range z.All() {
			owner := wire.Name(n.AppendOwner(nil, z.Apex()))
			if last != nil && !precedes(last, owner) {
				t.Fatalf("%v before %v", last, owner)
			}
			last = owner
		}
	})
}

// precedes compares names label by label from the right, as the RFC words it.
func precedes(a, b wire.Name) bool {
	x, y := labelsOf(a), labelsOf(b)
	for i := 1; i <= min(len(x), len(y)); i++ {
		if p, q := x[len(x)-i], y[len(y)-i]; p != q {
			return p < q
		}
	}
	return len(x) < len(y)
}

func labelsOf(n wire.Name) (labels []string) {
	for n = n.AppendLower(nil); !n.IsRoot(); n = n.Parent() {
		labels = append(labels, string(n[1:1+n[0]]))
	}
	return labels
}
