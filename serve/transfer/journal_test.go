package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/transfer"
)

// chain makes versions that each change a little.
func chain(t testing.TB, n int) []*zone.Zone {
	list := []*zone.Zone{version(t, 1, "a", "b", "c")}
	for i := 1; i < n; i++ {
		e := list[i-1].Edit()
		if err := e.RemoveSet(mustName(t, apex), wire.TypeSOA); err != nil {
			t.Fatal(err)
		}
		next := load(t, apex, soa(uint32(i+1))+apexNS)
		set, _ := next.ApexNode().Set(wire.TypeSOA)
		errs := errors.Join(e.Add(mustName(t, apex), wire.TypeSOA, set.TTL(), set.First()),
			e.Add(mustName(t, fmt.Sprintf("host%d.example.org.", i)), wire.TypeA, 300, []byte{10, 0, 0, byte(i)}))
		if i%2 == 0 {
			errs = errors.Join(errs, e.RemoveSet(mustName(t, fmt.Sprintf("host%d.example.org.", i-1)), wire.TypeA))
		}
		z, err := e.Done()
		if err = errors.Join(errs, err); err != nil {
			t.Fatal(err)
		}
		list = append(list, z)
	}
	return list
}

// A crash may end the history at any octet: the steps that are whole are used, and the journal goes on from there.
func TestJournal_cutAnywhere(t *testing.T) {
	versions := chain(t, 5)
	dir := t.TempDir()
	j, err := transfer.OpenJournal(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Snapshot(versions[0]); err != nil {
		t.Fatal(err)
	}
	ends := []int{}
	for i := 1; i < len(versions); i++ {
		if err := j.Append(versions[i-1], versions[i]); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "steps"))
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, int(info.Size()))
	}
	whole, err := os.ReadFile(filepath.Join(dir, "steps"))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		for _, garbage := range []string{"", "\x00\x00\x00\x20garbage after a power cut, as long as a step may be ......"} {
			if err := os.WriteFile(filepath.Join(dir, "steps"), append(bytes.Clone(whole[:cut]), garbage...), 0o640); err != nil {
				t.Fatal(err)
			}
			last := 0
			for last < len(ends) && ends[last] <= cut {
				last++
			}
			again, err := transfer.OpenJournal(dir, 1<<20)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			z, err := again.Load(context.Background(), versions[0].Apex())
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if z.Serial() != versions[last].Serial() {
				t.Fatalf("cut at %d: serial %d, want %d", cut, z.Serial(), versions[last].Serial())
			}
			sameZone(t, z, versions[last])
			if last == len(versions)-1 {
				continue
			}
			if err := again.Append(z, versions[last+1]); err != nil {
				t.Fatalf("cut at %d: going on: %v", cut, err)
			}
			once, err := transfer.OpenJournal(dir, 1<<20)
			if err != nil || once.Depth() != last+1 {
				t.Fatalf("cut at %d: %d steps after going on, want %d, %v", cut, once.Depth(), last+1, err)
			}
		}
	}
}

// A snapshot that is not exactly what was written is not used: any octet changed, any length.
func TestJournal_damagedSnapshot(t *testing.T) {
	dir := t.TempDir()
	j, _ := transfer.OpenJournal(dir, 1<<20)
	z := version(t, 9, "a", "b")
	if err := j.Snapshot(z); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "snapshot")
	good, _ := os.ReadFile(path)
	read := func() (*zone.Zone, error) {
		j, err := transfer.OpenJournal(dir, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return j.Load(context.Background(), z.Apex())
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		os.WriteFile(path, bad, 0o640)
		if got, err := read(); err == nil {
			t.Fatalf("octet %d changed: taken as %v", i, textOf(t, got))
		}
		os.WriteFile(path, good[:i], 0o640)
		if got, err := read(); err == nil && got != nil {
			t.Fatalf("cut at %d: taken", i)
		}
	}
	os.WriteFile(path, good, 0o640)
	got, err := read()
	if err != nil {
		t.Fatal(err)
	}
	sameZone(t, got, z)
}

// A change larger than a quarter of the history's limit empties it and says so.
func TestJournal_changeTooLarge(t *testing.T) {
	j, _ := transfer.OpenJournal(t.TempDir(), 4096)
	small, big := version(t, 1, "a"), version(t, 2, strings.Fields(strings.Repeat("x", 1)+" "+hosts(100))...)
	if err := j.Append(small, big); err == nil || j.Depth() != 0 {
		t.Errorf("%v, %d steps", err, j.Depth())
	}
}

func hosts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "host%d ", i)
	}
	return b.String()
}

// A full or unwritable disk is an error, and what was there before stays usable.
func TestJournal_unwritable(t *testing.T) {
	if os.Geteuid() == 0 {
		blocked := filepath.Join(t.TempDir(), "file")
		os.WriteFile(blocked, nil, 0o600)
		j, _ := transfer.OpenJournal(filepath.Join(blocked, "zone"), 1<<20)
		v := chain(t, 2)
		if err := j.Append(v[0], v[1]); err == nil {
			t.Error("a step was written below a file")
		}
		if err := j.Snapshot(v[0]); err == nil {
			t.Error("a snapshot was written below a file")
		}
		return
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o500)
	j, _ := transfer.OpenJournal(filepath.Join(dir, "zone"), 1<<20)
	v := chain(t, 2)
	if err := j.Append(v[0], v[1]); err == nil {
		t.Error("a step was written to a folder nobody may write to")
	}
}

// Folder names hold nothing that leaves the folder, and different zones have different ones.
func TestFolder_isSafe(t *testing.T) {
	seen := map[string]string{}
	long := strings.Repeat(strings.Repeat("\\001", 60)+".", 4)
	for _, name := range []string{".", "org.", "Example.ORG.", "a/b.example.", "\\.\\./x.example.", "\\.\\.", "\\000.example.", "x\\.y.", "x.y.", long, "z" + long[4:]} {
		n := mustName(t, name)
		f := transfer.Folder(n)
		if f == "" || f[0] == '.' || strings.ContainsAny(f, "/\\\x00") || len(f) > 255 {
			t.Errorf("%s: folder %q", name, f)
		}
		if other, ok := seen[f]; ok {
			t.Errorf("%s and %s share the folder %q", name, other, f)
		}
		seen[f] = name
	}
}

// Random changes: what the history leads to is what was appended, whatever the sequence.
func TestJournal_randomVersions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	j, _ := transfer.OpenJournal(dir, 1<<20)
	z := version(t, 1, "a")
	if err := j.Snapshot(z); err != nil {
		t.Fatal(err)
	}
	for serial := uint32(2); serial < 60; serial++ {
		var names []string
		for i := range 30 {
			if r.IntN(2) == 0 {
				names = append(names, fmt.Sprintf("h%d", i))
			}
		}
		next := version(t, serial, names...)
		if err := j.Append(z, next); err != nil {
			t.Fatal(err)
		}
		z = next
		again, err := transfer.OpenJournal(dir, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		got, err := again.Load(context.Background(), z.Apex())
		if err != nil {
			t.Fatal(err)
		}
		sameZone(t, got, z)
	}
}

// No file makes the reader panic or lead to a version that was not written.
func FuzzHistory(f *testing.F) {
	versions := chain(f, 4)
	file := []byte(transfer.JournalMagic)
	for i := 1; i < len(versions); i++ {
		b, err := transfer.EncodeStep(versions[i-1], versions[i])
		if err != nil {
			f.Fatal(err)
		}
		file = append(file, b...)
		f.Add(bytes.Clone(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		z, n := transfer.ReadSteps(file, versions[0])
		if n > 0 && n < len(versions) && textOf(t, z) != textOf(t, versions[n]) {
			// A step of the fuzzer's own with a right checksum may lead elsewhere, never to a damaged zone.
			if _, ok := z.ApexNode().Set(wire.TypeSOA); !ok {
				t.Error("a version without SOA")
			}
		}
	})
}
