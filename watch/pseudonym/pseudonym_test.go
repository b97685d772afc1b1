package pseudonym_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"anyu/watch/pseudonym"
)

const passphrase = "correct horse battery"

type person struct {
	public string
	secret age.Identity
}

func people(t *testing.T, n int) (list []person) {
	t.Helper()
	for range n {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, person{id.Recipient().String(), id})
	}
	return list
}

// A person's key pair opens with its passphrase and with no other, and never stands on the disk as it is.
func TestHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holder")
	if _, err := pseudonym.NewHolder(path, "short"); err == nil {
		t.Error("a short passphrase is taken")
	}
	public, err := pseudonym.NewHolder(path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pseudonym.NewHolder(path, passphrase); err == nil {
		t.Error("a key pair was overwritten")
	}
	if _, err := pseudonym.OpenHolder(path, "wrong passphrase"); err == nil {
		t.Error("opened with a wrong passphrase")
	}
	if b, _ := os.ReadFile(path); bytes.Contains(b, []byte("AGE-SECRET-KEY")) {
		t.Error("the secret key stands in the file as it is")
	}
	id, err := pseudonym.OpenHolder(path, passphrase)
	if x, ok := id.(*age.X25519Identity); err != nil || !ok || x.Recipient().String() != public {
		t.Error(id, err)
	}
}

// One person of each group opens a key, one of only one group does not; the file holds nothing that does.
func TestKey_isShownByTwo(t *testing.T) {
	p := people(t, 4)
	groups := pseudonym.Groups{{p[0].public, p[1].public}, {p[2].public}}
	k, err := pseudonym.NewKey(time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Seal("bj-ns1", groups)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "pseudonyms")
	if err := sealed.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := sealed.Save(dir); err == nil {
		t.Error("a key was overwritten")
	}
	list, err := pseudonym.List(dir)
	if err != nil || len(list) != 1 || list[0].Node != "bj-ns1" || !list[0].Begin.Equal(time.Unix(1e9, 0)) {
		t.Fatal(list, err)
	}
	client := netip.MustParseAddr("192.0.2.7")
	text := k.Of(client)
	if !strings.HasPrefix(text, "~"+k.ID+".") || k.Of(netip.MustParseAddr("192.0.2.8")) == text || k.Of(client) != text {
		t.Error(text)
	}
	for _, who := range [][]age.Identity{{p[0].secret, p[2].secret}, {p[2].secret, p[1].secret}} {
		again, err := list[0].Open(who...)
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := again.Show(text); !ok || a != client {
			t.Error(a, ok)
		}
		if a, ok := again.Show(k.Of(netip.MustParseAddr("2001:db8::1"))); !ok || a != netip.MustParseAddr("2001:db8::1") {
			t.Error(a, ok)
		}
	}
	for _, who := range [][]age.Identity{{p[0].secret}, {p[2].secret}, {p[0].secret, p[1].secret}, {p[3].secret, p[2].secret}} {
		if _, err := list[0].Open(who...); !errors.Is(err, pseudonym.ErrHolders) {
			t.Errorf("%d people of the wrong groups: %v", len(who), err)
		}
	}
	if err := pseudonym.Destroy(dir, k.ID); err != nil {
		t.Fatal(err)
	}
	if list, err := pseudonym.List(dir); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if err := pseudonym.Destroy(dir, "../other"); err == nil {
		t.Error("destroyed by a path")
	}
}

// An altered file does not open, and what is no key is said.
func TestSealed_altered(t *testing.T) {
	p := people(t, 2)
	k, err := pseudonym.NewKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Seal("n", pseudonym.Groups{{p[0].public}, {p[1].public}})
	if err != nil {
		t.Fatal(err)
	}
	sealed.Halves[0], sealed.Halves[1] = sealed.Halves[1], sealed.Halves[0]
	swapped, err := sealed.Open(p[0].secret, p[1].secret) // halves have no order
	if a, ok := swapped.Show(k.Of(netip.MustParseAddr("192.0.2.1"))); err != nil || !ok || a.String() != "192.0.2.1" {
		t.Error(a, ok, err)
	}
	body := []byte(sealed.Halves[0])
	body[len(body)/2] ^= 1
	sealed.Halves[0] = string(body)
	if _, err := sealed.Open(p[0].secret, p[1].secret); err == nil {
		t.Error("an altered half opens")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "deadbeef.key"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pseudonym.List(dir); err == nil || !strings.Contains(err.Error(), "deadbeef.key is no key") {
		t.Error(err)
	}
}

func TestGroups_Check(t *testing.T) {
	p := people(t, 2)
	for text, g := range map[string]pseudonym.Groups{
		"group 2 has nobody": {{p[0].public}, nil},
		"in both groups":     {{p[0].public, p[1].public}, {p[1].public}},
		"is no public key":   {{"age1x"}, {p[1].public}},
	} {
		if err := g.Check(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	k, err := pseudonym.NewKey(time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Of(netip.MustParseAddr("192.0.2.1")))
	f.Add("~deadbeef.")
	f.Fuzz(func(t *testing.T, text string) {
		id, hidden, ok := pseudonym.Parse(text)
		if ok && !strings.EqualFold(pseudonym.Text(id, hidden), text) {
			t.Errorf("%q is read as %q", text, pseudonym.Text(id, hidden))
		}
	})
}

func TestHide_allocatesNothing(t *testing.T) {
	k, err := pseudonym.NewKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a := netip.MustParseAddr("192.0.2.1").As16()
	if n := testing.AllocsPerRun(100, func() { k.Hide(&a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHide(b *testing.B) {
	k, err := pseudonym.NewKey(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	a := netip.MustParseAddr("192.0.2.1").As16()
	for b.Loop() {
		k.Hide(&a)
	}
}
