package wire_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"anyu/dns/wire"
)

func name(t testing.TB, s string) wire.Name {
	n, err := wire.ParseName(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return n
}

// anyName draws names with every octet, mostly short, with letters of both cases.
func anyName() *rapid.Generator[wire.Name] {
	return rapid.Custom(func(t *rapid.T) wire.Name {
		var n wire.Name
		for range rapid.IntRange(0, 5).Draw(t, "labels") {
			label := rapid.SliceOfN(rapid.SampledFrom([]byte("aAbBzZ*-_.\\\x00\x01\x02\xff019")), 1, 6).Draw(t, "label")
			n = append(append(n, byte(len(label))), label...)
		}
		return append(n, 0)
	})
}

func TestName_textRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := anyName().Draw(t, "name")
		back, err := wire.ParseName(n.String())
		if err != nil || !bytes.Equal(n, back) {
			t.Fatalf("%x -> %s -> %x, %v", []byte(n), n, []byte(back), err)
		}
	})
}

// RFC 4034, Section 6.1: the order of keys is the canonical order of names, computed here label by label.
func TestAppendKey_isCanonicalOrder(t *testing.T) {
	labels := func(n wire.Name) (list [][]byte) {
		for i := 0; n[i] != 0; i += int(n[i]) + 1 {
			list = append(list, lowerASCII(n[i+1:i+1+int(n[i])]))
		}
		slices.Reverse(list)
		return
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyName().Draw(t, "a"), anyName().Draw(t, "b")
		got := bytes.Compare(wire.AppendKey(nil, a, wire.Root()), wire.AppendKey(nil, b, wire.Root()))
		if want := slices.CompareFunc(labels(a), labels(b), bytes.Compare); got != want {
			t.Fatalf("%s %s: got %d want %d", a, b, got, want)
		}
		if below := bytes.HasPrefix(wire.AppendKey(nil, a, wire.Root()), wire.AppendKey(nil, b, wire.Root())); below != a.IsSubdomainOf(b) {
			t.Fatalf("%s below %s: prefix %v", a, b, below)
		}
		if back := wire.AppendNameOfKey(nil, wire.AppendKey(nil, a, wire.Root()), wire.Root()); !a.Equal(back) {
			t.Fatalf("%s comes back as %s", a, wire.Name(back))
		}
	})
}

// lowerASCII is not bytes.ToLower, which knows Unicode.
func lowerASCII(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 32
		}
	}
	return out
}

// RFC 1035, Section 2.3.4: 255 octets pass, 256 do not. (servers.md 5.1, case 13)
func TestParseName_limits(t *testing.T) {
	l63 := strings.Repeat("a", 63)
	longest := l63 + "." + l63 + "." + l63 + "." + strings.Repeat("b", 61) + "."
	if n := name(t, longest); len(n) != 255 {
		t.Fatalf("length %d", len(n))
	}
	for _, bad := range []string{"", "..", "a..b.", l63 + "a.", "b" + longest, `a\`, `a\25`, `a\256.`, ".a"} {
		if n, err := wire.ParseName(bad); err == nil {
			t.Errorf("%q: accepted as %s", bad, n)
		}
	}
}

// RFC 1035, Section 4.1.4: pointers go backwards only.
func TestUnpackName_pointers(t *testing.T) {
	msg := []byte("\x03abc\x00" + "\x01x\xc0\x00" + "\xc0\x05" + "\xc0\x0b")
	for off, want := range map[int]string{0: "abc.", 5: "x.abc.", 9: "x.abc."} {
		got, _, err := wire.UnpackName(msg, off, nil)
		if err != nil || wire.Name(got).String() != want {
			t.Errorf("at %d: %s, %v", off, wire.Name(got), err)
		}
	}
	if _, _, err := wire.UnpackName(msg, 11, nil); err == nil {
		t.Error("a pointer to itself was followed")
	}
}
